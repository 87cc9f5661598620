"""Writes prepared files whose pictures have a single value."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from deadpan.expressions import EXPRESSIONS
from deadpan.faces.landmarks import POINTS
from deadpan.preparation.contents import FORMAT, prepared_schema


def png(value: int, colour: bool, side: int = 70) -> bytes:
    pixels = np.full((side, side, 3) if colour else (side, side), value, np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def row(number: int, expression: str | dict[str, float], **more: Any) -> dict[str, Any]:
    """A prepared row whose pixels all have the value `number`, and its twin's 200 + number."""
    shares = {expression: 1.0} if isinstance(expression, str) else expression
    colour, twin = more.pop("colour", False), more.pop("twin", False)
    points = np.full((POINTS, 2), number, "<f2")
    facts: dict[str, Any] = {
        "name": f"{number}",
        "image": png(number, colour),
        "twin": png(200 + number, colour) if twin else None,
        "target": [shares.get(name, 0.0) for name in EXPRESSIONS],
        "subject": "",
        "donor": "",
        "sequence": "",
        "frame": -1,
        "split": "",
        "landmarks": points.tobytes() if twin else None,
        "twin_landmarks": (points + np.float16(0.5)).tobytes() if twin else None,
        "attributes": "{}",
    }
    return facts | more


def write(path: Path, rows: Iterable[dict[str, Any]], **about: Any) -> Path:
    standard = {"format": FORMAT, "dataset": path.stem, "expressions": EXPRESSIONS, "image_size": 64, "margin_size": 70}
    standard["alignment"] = "mesh"
    table = pa.Table.from_pylist(list(rows), prepared_schema(standard | about))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=7)
    return path
