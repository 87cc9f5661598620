"""Builds tables of prepared faces in memory; facts that a row does not give are unknown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deadpan.expressions import EXPRESSIONS
from deadpan.faces.landmarks import POINTS
from deadpan.preparation.table import FaceTable


def face_table(
    dataset: str, rows: Sequence[dict[str, Any]], side: int = 2, composed_of: tuple[str, ...] = ()
) -> FaceTable:
    """Build a table from rows with any of the `known` entries and attributes; all pixels have the row's number."""
    known = ("name", "expression", "subject", "donor", "sequence", "frame", "split")
    count = len(rows)
    people = [f"{dataset}/{row['subject']}" if row.get("subject") else "" for row in rows]
    subjects = tuple(sorted(set(people) - {""}))
    pixels = np.arange(count, dtype=np.uint8)[:, None, None, None].repeat(side, 1).repeat(side, 2)
    return FaceTable(
        path=Path(f"{dataset}.parquet"),
        dataset=dataset,
        expressions=EXPRESSIONS,
        image_size=side,
        alignment="mesh",
        names=np.array([row.get("name", f"{index:04}") for index, row in enumerate(rows)], np.str_),
        images=pixels,
        twins=pixels[:0],
        twin_index=np.full(count, -1, np.int64),
        target=np.eye(8, dtype=np.float32)[[EXPRESSIONS.index(row["expression"]) for row in rows]].reshape(-1, 8),
        subjects=subjects,
        subject=np.array([subjects.index(each) if each else -1 for each in people], np.int64),
        donors=np.array([row.get("donor", "") for row in rows], np.str_),
        sequence=np.array([row.get("sequence", "") for row in rows], np.str_),
        frame=np.array([row.get("frame", -1) for row in rows], np.int64),
        split=np.array([row.get("split", "") for row in rows], np.str_),
        landmarks=np.full((count, POINTS, 2), np.nan, np.float16),
        twin_landmarks=np.full((count, POINTS, 2), np.nan, np.float16),
        attributes=tuple({key: value for key, value in row.items() if key not in known} for row in rows),
        composed_of=composed_of,
    )


def sequence(subject: str, number: int, expression: str, frames: int = 5) -> list[dict[str, Any]]:
    """The rows of a sequence read with all frames: the first one neutral, the last three the peak."""
    rows = []
    for frame in range(frames):
        part = "neutral" if frame == 0 else "peak" if frame >= frames - 3 else "onset"
        rows.append(
            {
                "name": f"{subject}/{number:03}/{frame:08}.png",
                "expression": "neutral" if frame == 0 else expression,
                "subject": subject,
                "sequence": f"{subject}/{number:03}",
                "frame": frame,
                "part": part,
            }
        )
    return rows
