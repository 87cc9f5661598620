"""Selections of pictures: which pictures of a prepared file a protocol uses."""

from __future__ import annotations

import numpy as np

from deadpan.errors import DeadpanError
from deadpan.preparation.table import FaceTable, Mask


class FramesError(DeadpanError):
    """A prepared file without the pictures that a protocol needs; the message says how to prepare them."""


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
    """All frames except the first, neutral one; FramesError where only first and peak frames were prepared."""
    between = _parts(table, "onset", "offset")
    if not between.any():
        raise FramesError(f"{table.path} holds first and peak frames only: prepare it again with --all-frames")
    return between | _parts(table, "peak")


def frontal(table: FaceTable) -> Mask:
    """The pictures whose view is frontal."""
    return _marked(table, "view", "frontal")


def strongest(table: FaceTable) -> Mask:
    """Neutral pictures, and the two higher of the four intensities."""
    return np.array([float(each.get("intensity", 0)) in (0.0, 3.0, 4.0) for each in table.attributes], bool)


def majority(table: FaceTable) -> Mask:
    """The pictures whose expression has more than half of the votes."""
    return _marked(table, "majority", 1.0)


def _parts(table: FaceTable, *parts: str) -> Mask:
    """Frames of sequences with one of these parts; MMI's still pictures belong to no sequence."""
    marked = np.array([each.get("part") in parts for each in table.attributes], bool)
    return np.asarray(marked & (table.sequence != ""), bool)


def _marked(table: FaceTable, attribute: str, value: str | float) -> Mask:
    return np.array([each.get(attribute) == value for each in table.attributes], bool)
