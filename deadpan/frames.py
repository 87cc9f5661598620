"""Which pictures of a prepared file a protocol uses, and which neutral face of the person goes with each."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deadpan.face_table import FaceTable

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

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
"""Data sets in which a person's neutral picture was taken as the others were: the two can stand side by side."""

OF_THE_FRAME = ("part", "phase")  # attributes in which a neutral frame differs from the peak by its nature


class FramesError(ValueError):
    """A prepared file without the pictures that a protocol uses; the text says how to prepare them."""


def every(table: FaceTable) -> Mask:
    """Every picture."""
    return np.ones(len(table), bool)


def peak(table: FaceTable) -> Mask:
    """The frames that the reader marks as the peak: the last three of CK+ and Oulu-CASIA, the middle three of MMI."""
    return _parts(table, "peak")


def peak_and_neutral(table: FaceTable) -> Mask:
    """The peak frames, and the first frame of each sequence as neutral."""
    return _parts(table, "peak", "neutral")


def whole_sequences(table: FaceTable) -> Mask:
    """All frames but the first, which is the neutral face; FramesError if only first and peak frames were prepared."""
    between = _parts(table, "onset", "offset")
    if not between.any():
        raise FramesError(f"{table.path} holds first and peak frames only: prepare it again with --all-frames")
    return between | _parts(table, "peak")


def frontal(table: FaceTable) -> Mask:
    """The pictures that look into the camera."""
    return _marked(table, "view", "frontal")


def strongest(table: FaceTable) -> Mask:
    """Neutral pictures, and the two higher of the four intensities."""
    return np.array([float(each.get("intensity", 0)) in (0.0, 3.0, 4.0) for each in table.attributes], bool)


def majority(table: FaceTable) -> Mask:
    """The pictures whose expression has more than half of the votes."""
    return _marked(table, "majority", 1.0)


def _parts(table: FaceTable, *parts: str) -> Mask:
    """Frames of sequences; MMI's still pictures are none."""
    marked = np.array([each.get("part") in parts for each in table.attributes], bool)
    return np.asarray(marked & (table.sequence != ""), bool)


def _marked(table: FaceTable, attribute: str, value: str | float) -> Mask:
    return np.array([each.get(attribute) == value for each in table.attributes], bool)


def by_name(table: FaceTable) -> FaceTable:
    """The table with its rows sorted by name, so that nothing depends on the order in which they were prepared."""
    return table.take(np.argsort(table.names, kind="stable"))


def alone(table: FaceTable, rows: Rows | Mask) -> FaceTable:
    """The given rows, with nobody but the people they show in `subjects`."""
    part = table.take(rows)
    people = tuple(part.people)
    place = {subject: index for index, subject in enumerate(people)}
    subject = [place[part.subjects[index]] if index >= 0 else -1 for index in part.subject]
    return replace(part, subjects=people, subject=np.array(subject, np.int64))


def with_neutral_faces(table: FaceTable) -> FaceTable:
    """The table with each person's own neutral picture as the twin, where the data set takes them alike.

    Of several the one of the same sequence, then the one with the most equal attributes (view, light, ...), then the
    first by name; a neutral picture is its own. Other tables come back as they are.
    """
    if table.dataset not in TAKEN_ALIKE or "neutral" not in table.expressions:
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
    own, given = table.attributes[row], table.attributes[other]
    equal = sum(given.get(key) == value for key, value in own.items() if key not in OF_THE_FRAME)
    return bool(table.sequence[row]) and table.sequence[row] == table.sequence[other], equal
