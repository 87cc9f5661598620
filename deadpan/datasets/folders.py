"""Pictures sorted into one folder per expression: ROOT/happiness/a.jpg, or ROOT/train/happiness/a.jpg with splits.

Folders may have common spellings (`happy`, `0_Angry`). Pictures in folders inside an expression's folder are read too.
For other names, `--classes 1=surprise 2=fear 8=none` gives the expression of each folder; none skips a folder. Folders
do not say who is in a picture; to give the people, use the csv reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deadpan.datasets.listing import files_below, folders, nested, split_named
from deadpan.datasets.sample import Classes, DatasetError, Facts, Sample, expression_in, expression_named, one_hot
from deadpan.expressions import EXPRESSIONS as EXPRESSIONS

FACTS = Facts(
    title="class folders of your own",
    owner="you, or whoever made the pictures",
    request="nowhere: it is yours",
    terms="the user's own; see the owner of the pictures",
    tree="happiness/PICTURE, or SPLIT/happiness/PICTURE",
    neutral="none: people are not known from folders",
)

TREE = "expected pictures in folders named after expressions: ROOT/happiness/a.jpg or ROOT/train/happiness/a.jpg"


def read(root: Path, classes: Classes | None = None) -> list[Sample]:
    """Read every picture below `root`, labelled by its folder; `classes` maps other folder names to expressions.

    Raises DatasetError for a folder that names no expression, such as a number.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; {TREE}")
    samples = [
        Sample(path, path.relative_to(root).as_posix(), one_hot(expression, EXPRESSIONS), split=split)
        for folder, expression, split in class_folders(root, classes or {})
        for path in files_below(folder)
    ]
    if not samples:
        raise DatasetError(f"no picture below {root}; {TREE}")
    return samples


def class_folders(root: Path, classes: Classes, split: str = "", depth: int = 4) -> Iterator[tuple[Path, str, str]]:
    """Find the folders of classes, each with its expression and split, inside the folders of splits and others."""
    for folder in folders(root):
        expression = classes[folder.name] if folder.name in classes else expression_in(folder.name)
        if expression:
            yield folder, expression, split
        elif folder.name not in classes:
            named = split_named(folder.name)
            if not named and not any(_means_something(inner.name, classes) for inner in nested(folder, 2)):
                expression_named(folder.name, f"folder {folder}")  # raises: it neither is a class nor contains one
            if depth:
                yield from class_folders(folder, classes, folder.name if named else split, depth - 1)


def _means_something(name: str, classes: Classes) -> bool:
    return bool(name in classes or expression_in(name) or split_named(name))
