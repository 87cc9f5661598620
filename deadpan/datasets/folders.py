"""Pictures sorted into one folder per expression: ROOT/happiness/a.jpg, or ROOT/train/happiness/a.jpg with splits.

Folders may carry common spellings (`happy`, `angry`), and what lies deeper than the expression's folder is read too.
People are not known from folders: use the csv reader where they are.
"""

from __future__ import annotations

from pathlib import Path

from deadpan.datasets.listing import files_below
from deadpan.datasets.sample import DatasetError, Facts, Sample, expression_named, one_hot
from deadpan.expressions import EXPRESSIONS as EXPRESSIONS

FACTS = Facts(
    title="class folders of your own",
    owner="you, or whoever made the pictures",
    request="nowhere: it is yours",
    terms="the user's own; see the owner of the pictures",
    tree="happiness/PICTURE, or SPLIT/happiness/PICTURE",
    neutral="none: people are not known from folders",
)

SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test"})
TREE = "expected pictures in folders named after expressions: ROOT/happiness/a.jpg or ROOT/train/happiness/a.jpg"


def read(root: Path) -> list[Sample]:
    """Every picture below `root`, labelled by its folder; DatasetError for one that is no expression."""
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; {TREE}")
    samples: list[Sample] = []
    for folder in _folders(root):
        if folder.name.lower() in SPLITS:
            for inner in _folders(folder):
                samples += _read_class(root, inner, split=folder.name)
        else:
            samples += _read_class(root, folder, split="")
    if not samples:
        raise DatasetError(f"no picture below {root}; {TREE}")
    return samples


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _read_class(root: Path, folder: Path, split: str) -> list[Sample]:
    target = one_hot(expression_named(folder.name, f"folder {folder}"), EXPRESSIONS)
    pictures = files_below(folder)
    return [Sample(path, path.relative_to(root).as_posix(), target, split=split) for path in pictures]
