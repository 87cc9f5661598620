"""Pairing: which neutral face of the same person goes with each picture."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deadpan.preparation.table import FaceTable, Rows

TAKEN_ALIKE = frozenset(
    (
        "ckplus",
        "oulu",
        "mmi",
        "bu3dfe",
        "bu4dfe",
        "bp4d",
        "bp4dplus",
        "jaffe",
        "kdef",
        "rafd",
        "cremad",
        "london",
        "yale",
    )
)
"""Data sets whose neutral and expressive pictures of a person were taken under the same conditions, so that they can be
used as pairs."""

OF_THE_FRAME = ("part", "phase")  # always differ between a neutral and a peak frame: ignored in comparing attributes


def with_neutral_faces(table: FaceTable) -> FaceTable:
    """The table with the person's own neutral picture as each picture's twin, for the data sets of TAKEN_ALIKE.

    Among several, pictures of the same sequence come first, then those with the most equal attributes (view, light,
    ...), then the first by name. A neutral picture is its own twin. Tables of other data sets are returned unchanged,
    and so are composites, whose twins are the very photographs that they were made of.
    """
    if table.dataset not in TAKEN_ALIKE or table.composed_of or "neutral" not in table.expressions:
        return table
    neutral = np.flatnonzero((table.classes == table.expressions.index("neutral")) & (table.subject >= 0))
    place = {int(row): index for index, row in enumerate(neutral)}
    of_person: dict[int, list[int]] = defaultdict(list)
    for row in sorted(place, key=lambda row: str(table.names[row])):
        of_person[int(table.subject[row])].append(row)
    index = np.full(len(table), -1, np.int64)
    landmarks = np.full_like(table.twin_landmarks, np.nan)
    for row in range(len(table)):
        candidates = [row] if row in place else of_person.get(int(table.subject[row]), [])
        if candidates:
            best = max(candidates, key=lambda other: _likeness(table, row, other))  # the first of equals
            index[row], landmarks[row] = place[best], table.landmarks[best]
    return replace(table, twins=table.images[neutral], twin_index=index, twin_landmarks=landmarks)


def _likeness(table: FaceTable, row: int, other: int) -> tuple[bool, int]:
    """How similar two pictures are: (same sequence, number of equal attributes)."""
    own, given = table.attributes[row], table.attributes[other]
    equal = sum(given.get(key) == value for key, value in own.items() if key not in OF_THE_FRAME)
    return bool(table.sequence[row]) and table.sequence[row] == table.sequence[other], equal


Pairing = Literal["twin", "hard", "none"]


class Partners:
    """The neutral face that goes with each row of a table."""

    def __init__(self, table: FaceTable, pairing: Pairing, own_neutral: float | None) -> None:
        self.table = table
        self.twin = table.twin_index >= 0 if pairing != "none" else np.zeros(len(table), bool)
        self.hard = np.zeros(len(table), bool)
        if pairing == "hard" and "neutral" in table.expressions:
            self._group(table.classes == table.expressions.index("neutral"))
        self.own = np.zeros(len(table), bool)
        if own_neutral is not None and pairing != "none" and "neutral" in table.expressions:
            self.own = table.target[:, table.expressions.index("neutral")] >= own_neutral
        self.paired = self.hard | self.twin | self.own

    def _group(self, neutral: NDArray[np.bool_]) -> None:
        """Group the neutral rows by subject; `others` counts those of each row's person, without the row itself."""
        subject = self.table.subject
        self.own_place = np.full(len(subject), -1, np.int64)  # of a neutral row among those of its person
        rows = (neutral & (subject >= 0)).nonzero()[0]
        self.sorted = rows[np.argsort(subject[rows], kind="stable")]
        count = np.bincount(subject[rows], minlength=len(self.table.subjects) + 1)  # the last one for unknown people
        self.first = np.cumsum(count) - count
        self.own_place[self.sorted] = np.arange(len(rows)) - self.first[subject[self.sorted]]
        self.others = count[subject] - (self.own_place >= 0)
        self.hard = self.others > 0

    def draw(
        self, rows: Rows, draw: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.float16], NDArray[np.bool_]]:
        """Choose neutral faces: pixels (n, M, M, C), landmarks (n, 468, 2), and which of them are real pairs (n,)."""
        table = self.table
        source = rows.copy()  # a picture without a partner is its own neutral face
        hard = rows[self.hard[rows]]
        if len(hard):
            place = draw.integers(self.others[hard])
            place += (self.own_place[hard] >= 0) & (place >= self.own_place[hard])  # skip the picture itself
            source[self.hard[rows]] = self.sorted[self.first[table.subject[hard]] + place]
        pixels, landmarks = table.images[source], table.landmarks[source].copy()
        twin = self.twin[rows] & ~self.hard[rows]
        if twin.any():
            if table.twins.shape[3] > pixels.shape[3]:
                pixels = np.repeat(pixels, table.twins.shape[3], axis=3)
            pixels[twin] = table.twins[table.twin_index[rows[twin]]]
            landmarks[twin] = table.twin_landmarks[rows[twin]]
        landmarks[~self.paired[rows]] = np.nan
        return pixels, landmarks, self.paired[rows]
