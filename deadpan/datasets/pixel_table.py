"""Reads tables of pictures written as text, with columns emotion, pixels and Usage: FER2013 and copies of CK+."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from deadpan.datasets.sample import DatasetError, Sample, one_hot

USAGES = {"Training": "train", "PublicTest": "public_test", "PrivateTest": "private_test"}
SIDE = 48  # pixels


def read_pixel_table(table: Path, codes: Sequence[str], expressions: Sequence[str], prefix: str) -> Iterator[Sample]:
    """Read every row as a crop named PREFIX0000000 and so on; `codes` lists the expressions of the codes from 0 on.

    Raises DatasetError naming the line that is damaged.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = csv.DictReader(file)
        rows.fieldnames = [name.strip() for name in rows.fieldnames or ()]
        if not {"emotion", "pixels"} <= set(rows.fieldnames):
            raise DatasetError(f"{table} lacks the columns emotion and pixels; it has {', '.join(rows.fieldnames)}")
        for number, row in enumerate(rows):
            where = f"{table}, line {number + 2}"
            usage = (row.get("Usage") or "Training").strip()
            code = (row["emotion"] or "").strip()
            if not code.isdecimal() or int(code) >= len(codes):
                raise DatasetError(f"{where}: emotion must be 0 to {len(codes) - 1}, got {code!r}")
            if usage not in USAGES:
                raise DatasetError(f"{where}: Usage must be one of {', '.join(USAGES)}, got {usage!r}")
            target = one_hot(codes[int(code)], expressions)
            picture = encoded(row["pixels"] or "", where)
            yield Sample(picture, f"{prefix}{number:07d}", target, split=USAGES[usage], cropped=True)


def encoded(pixels: str, where: str) -> bytes:
    """Encode 2,304 grey values, written as text, as a PNG; DatasetError naming `where` if they are not such values."""
    try:
        values = np.array(pixels.split(), dtype=np.int64)
    except (ValueError, OverflowError) as error:
        raise DatasetError(f"{where}: pixels must be numbers: {error}") from error
    if values.size != SIDE * SIDE or values.min() < 0 or values.max() > 255:
        raise DatasetError(f"{where}: expected {SIDE * SIDE} pixels of 0 to 255, got {values.size}")
    grey = values.astype(np.uint8).reshape(SIDE, SIDE)
    return bytes(cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
