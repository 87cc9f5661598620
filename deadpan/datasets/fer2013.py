"""FER2013 (Goodfellow et al. 2013, "Challenges in Representation Learning"): 48 x 48 grey faces from web searches.

Handed out by Kaggle, as a table (`fer2013.csv`, or `icml_face_data.csv` with blanks in its column names) with columns
emotion, pixels and Usage, or as folders `train/CLASS/Training_N.jpg` and `test/CLASS/PublicTest_N.jpg`. All rows are
used; the folder `test` of the folder form holds both test sets, which are told apart by the names of the files. The
people are not known. Names are those of FER+ (`fer0000000` is the first row), so that both can be compared.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from deadpan.datasets.listing import files_below, summary
from deadpan.datasets.sample import DatasetError, Facts, Sample, expression_named, one_hot

EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
FACTS = Facts(
    title="FER2013 (Goodfellow et al. 2013): Challenges in Representation Learning, facial expression recognition",
    owner="Kaggle, for Pierre-Luc Carrier and Aaron Courville",
    request="kaggle.com, 'Challenges in Representation Learning: Facial Expression Recognition Challenge'",
    terms="the photographs come from web searches and have no licence",
    tree="fer2013.csv (columns emotion, pixels, Usage), or\ntrain/CLASS/Training_N.jpg\ntest/CLASS/PublicTest_N.jpg",
    neutral="none: people are not known",
    counts={
        "pictures": 35887,
        "neutral": 6198,
        "anger": 4953,
        "disgust": 547,
        "fear": 5121,
        "happiness": 8989,
        "sadness": 6077,
        "surprise": 4002,
    },
)
CODES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")  # 0 to 6
SPLITS = {"Training": "train", "PublicTest": "public_test", "PrivateTest": "private_test"}
TABLES = ("fer2013.csv", "fer2013/fer2013.csv", "icml_face_data.csv", "train.csv")
SIDE = 48  # pixels


def read(root: Path) -> list[Sample]:
    """Every picture of the table or the folders at `root`; DatasetError for a damaged row or an absent tree."""
    table = next((path for path in (root, *(root / name for name in TABLES)) if path.is_file()), None)
    samples = list(_rows(table)) if table else _folders(root)
    if not samples:
        raise FACTS.absent(root, summary(root))
    return samples


def _rows(table: Path) -> Iterator[Sample]:
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = csv.DictReader(file)
        rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
        if not {"emotion", "pixels"} <= set(rows.fieldnames):
            raise DatasetError(f"{table} lacks the columns emotion and pixels; it has {', '.join(rows.fieldnames)}")
        for number, row in enumerate(rows):
            where = f"{table}, line {number + 2}"
            usage = (row.get("Usage") or "Training").strip()
            code = (row["emotion"] or "").strip()
            if not code.isdecimal() or int(code) >= len(CODES):
                raise DatasetError(f"{where}: emotion must be 0 to {len(CODES) - 1}, got {code!r}")
            if usage not in SPLITS:
                raise DatasetError(f"{where}: Usage must be one of {', '.join(SPLITS)}, got {usage!r}")
            target = one_hot(CODES[int(code)], EXPRESSIONS)
            picture = _encoded(row["pixels"] or "", where)
            yield Sample(picture, f"fer{number:07d}", target, split=SPLITS[usage], cropped=True)


def _encoded(pixels: str, where: str) -> bytes:
    """The PNG of 2,304 grey values written as text."""
    try:
        values = np.array(pixels.split(), dtype=np.int64)
    except ValueError as error:
        raise DatasetError(f"{where}: pixels must be numbers: {error}") from error
    if values.size != SIDE * SIDE or values.min() < 0 or values.max() > 255:
        raise DatasetError(f"{where}: expected {SIDE * SIDE} pixels of 0 to 255, got {values.size}")
    grey = values.astype(np.uint8).reshape(SIDE, SIDE)
    return bytes(cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())


def _folders(root: Path) -> list[Sample]:
    samples = []
    for folder in ("train", "test"):
        for path in files_below(root / folder):
            expression = expression_named(path.parent.name, str(path))
            if expression not in EXPRESSIONS:
                raise DatasetError(f"{path}: {expression} is no class of FER2013; they are {', '.join(EXPRESSIONS)}")
            split = SPLITS.get(path.name.split("_")[0], folder)
            name = path.relative_to(root).as_posix()
            samples.append(Sample(path, name, one_hot(expression, EXPRESSIONS), split=split, cropped=True))
    return samples
