"""AffectNet (Mollahosseini, Hasani, Mahoor 2017): web photographs, labelled by one of twelve annotators each.

Owner: University of Denver; on request from mohammadmahoor.com/affectnet. The owner has distributed two forms. Both are
read, but only their manually annotated part. The first has training.csv and validation.csv (subDirectory_filePath,
face_x, face_y, face_width, face_height, facial_landmarks, expression, valence, arousal; validation.csv may lack the
header) beside Manually_Annotated_Images; its 68 landmarks, valence and arousal are kept. The second has faces cropped
to 224 x 224 in train_set/images and val_set/images, each with annotations/N_exp.npy, at any depth; its N_lnd, N_val and
N_aro are not read (a million tiny files). Codes 8 none, 9 uncertain and 10 no face are dropped. A common copy, which is
read too, has cropped faces in class folders and one labels.csv (pth, label). The people are not known. The column
names, file names and codes are those of public loaders; the owner publishes no description of the files.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from deadpan.datasets.listing import files_below, folders, nested, split_of, summary, tables_below
from deadpan.datasets.sample import DatasetError, Facts, Sample, expression_in, one_hot
from deadpan.expressions import EXPRESSIONS as EXPRESSIONS

FACTS = Facts(
    title="AffectNet (Mollahosseini, Hasani, Mahoor 2017), manually annotated",
    owner="University of Denver",
    request="mohammadmahoor.com/affectnet",
    terms="research only, by a licence agreement that a professor or lab manager signs",
    tree=(
        "training.csv, validation.csv and Manually_Annotated_Images/SUBFOLDER/FILE.jpg, or\n"
        "train_set/images/N.jpg with train_set/annotations/N_exp.npy\n"
        "val_set/images/N.jpg with val_set/annotations/N_exp.npy, or\n"
        "labels.csv (columns pth, label) and its pictures"
    ),
    neutral="none: people are not known",
    counts={
        "pictures": 291651,
        "neutral": 75374,
        "anger": 25382,
        "contempt": 4250,
        "disgust": 4303,
        "fear": 6878,
        "happiness": 134915,
        "sadness": 25959,
        "surprise": 14590,
    },
    on_purpose={
        "no expression, or annotated automatically": r"(^|/)(Manually|Automatically)_Annotated",
    },
)
CODES = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")  # 0 to 7
LAST_CODE = 10  # 8 none, 9 uncertain, 10 no face
COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)
TABLES = {"training.csv": "train", "validation.csv": "validation"}
PLACES = ("pth", "path", "image", "image_path", "file", "filename", "filepath", "subdirectory_filepath")
LABELS = ("label", "expression", "emotion")


def read(root: Path) -> list[Sample]:
    """Read every labelled picture that exists: from the tables, else from the npy form, else from labels.csv.

    Raises DatasetError if there is no picture, or if labels are damaged.
    """
    samples: list[Sample] = []
    tables = {split: path for name, split in TABLES.items() for path in tables_below(root, re.escape(name))[:1]}
    labels = tables_below(root, r"labels\.csv")[:1]
    for split, table in tables.items():
        samples += _table(root, table, split)
    if not tables:
        for folder in nested(root, depth=4):
            if folder.name.lower() == "annotations":
                samples += _npy(root, folder)
    if not samples and labels:
        samples += _labels(root, labels[0])
        tables = {"": labels[0]}
    if not samples:
        listed = " and ".join(path.name for path in tables.values())
        raise FACTS.absent(root, f"holds none of the pictures that {listed} list" if tables else summary(root))
    return samples


def _found(root: Path, name: str) -> list[Path]:
    return [path for pattern in (name, f"*/{name}", f"*/*/{name}") for path in sorted(root.glob(pattern))]


def _table(root: Path, table: Path, split: str) -> Iterator[Sample]:
    folders = _found(root, "Manually_Annotated_Images")
    bases = [*folders, *(folder / folder.name for folder in folders), root, table.parent]  # for any way to unpack
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        columns: tuple[str, ...] = COLUMNS
        for number, fields in enumerate(csv.reader(file), start=1):
            if number == 1 and COLUMNS[0] in fields:
                columns = tuple(fields)
            if (number == 1 and COLUMNS[0] in fields) or not fields:
                continue
            row = dict(zip(columns, fields, strict=False))
            where = f"{table}, line {number}"
            expression = _expression(row.get("expression", ""), where)
            paths = (base / row[COLUMNS[0]] for base in bases)
            path = next((path for path in paths if path.is_file()), None)
            if expression is None or path is None:
                continue
            yield Sample(
                path,
                row[COLUMNS[0]],
                one_hot(expression, EXPRESSIONS),
                split=split,
                landmarks=_landmarks(row.get("facial_landmarks", ""), where),
                attributes={key: _number(row[key], where) for key in ("valence", "arousal") if row.get(key)},
            )


def _npy(root: Path, annotations: Path) -> Iterator[Sample]:
    """The labelled pictures of the folder `images` beside a folder `annotations`."""
    split = split_of(annotations / "file", root)
    beside = [folder for folder in folders(annotations.parent) if folder.name.lower() == "images"]
    for path in (picture for folder in beside for picture in files_below(folder)):
        annotation = annotations / f"{path.stem}_exp.npy"
        if not annotation.is_file():
            continue
        try:
            code = str(np.load(annotation, allow_pickle=False).item())
        except (ValueError, OSError, EOFError) as error:
            raise DatasetError(f"{annotation}: expected one expression code as a NumPy array: {error}") from error
        expression = _expression(code, str(annotation))
        if expression is not None:
            name = path.relative_to(root).as_posix()
            yield Sample(path, name, one_hot(expression, EXPRESSIONS), split=split, cropped=True)


def _labels(root: Path, table: Path) -> Iterator[Sample]:
    """Read a copy with one table that has a path and a label (a word or a code) for each face crop."""
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = csv.DictReader(file)
        columns = {name.strip().lower(): name for name in rows.fieldnames or ()}
        place, label = (next((columns[n] for n in names if n in columns), None) for names in (PLACES, LABELS))
        if place is None or label is None:
            given = ", ".join(rows.fieldnames or ())
            raise DatasetError(f"{table}: expected columns such as {PLACES[0]} and {LABELS[0]}, it has {given}")
        by_name = {path.name: path for path in files_below(table.parent)}
        for row in rows:
            where, named, word = f"{table}, line {rows.line_num}", row[place] or "", row[label] or ""
            path = table.parent / named
            found = path if path.is_file() else by_name.get(Path(named).name)
            expression = expression_in(word) or _expression(word, where)
            if found is not None and expression is not None:
                name = found.relative_to(table.parent).as_posix()
                split = split_of(found, root)
                yield Sample(found, name, one_hot(expression, EXPRESSIONS), split=split, cropped=True)


def _expression(code: str, where: str) -> str | None:
    """The expression of a code; None for the codes none, uncertain and no face."""
    if not code.strip().isdecimal() or int(code) > LAST_CODE:
        raise DatasetError(f"{where}: the expression must be a code of 0 to {LAST_CODE}, got {code!r}")
    return CODES[int(code)] if int(code) < len(CODES) else None


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DatasetError(f"{where}: expected a number, got {text!r}") from None


def _landmarks(text: str, where: str) -> np.ndarray | None:
    """The (68, 2) points of `x;y;x;y;...`; None if there are not 68."""
    values = [_number(value, where) for value in text.split(";") if value.strip()]
    return np.array(values, dtype=np.float32).reshape(68, 2) if len(values) == 136 else None
