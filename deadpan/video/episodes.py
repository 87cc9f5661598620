"""Episodes: stretches of time in which one person shows one expression, each with its apex."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deadpan.faces.networks import Floats
from deadpan.video.results import VideoResult

APART = 0.2
"""A person with at least this distance from rest shows an expression; faces at rest rarely reach it."""

SHORTEST = 0.2
"""Episodes shorter than this, in seconds, are discarded."""

GAP = 5
"""An episode ends if the face is missing for more than this many frames, at the usual time between two frames."""

NEUTRAL = "neutral"

NOTHING = -1
"""The label of a frame in which the person shows no expression."""


@dataclass(frozen=True)
class Episode:
    """One expression of one person."""

    face: int
    expression: str
    start_s: float
    end_s: float  # of the last frame
    apex_s: float  # time of the largest distance from rest, or of the largest probability if rest is unknown
    apex_frame: int
    confidence: float  # the expression's probability at the apex
    distance: float | None  # distance from rest at the apex, 0..1; None if rest is unknown


def episodes(video: VideoResult) -> list[Episode]:
    """Find the episodes of all people, sorted by their start: stretches of frames with the same value of `labels`."""
    found = [episode for face, rows in video.people().items() for episode in _of_person(video, face, rows)]
    return sorted(found, key=lambda each: (each.start_s, each.face))


def labels(expressions: Sequence[str], probabilities: Floats, distances: Floats) -> NDArray[np.intp]:
    """Label each of N frames with the index of the expression shown, or NOTHING: (N,).

    `probabilities` is (N, K), `distances` from rest (N,), NaN if unknown. A face at least APART from rest gets the most
    probable expression other than neutral, a nearer one gets NOTHING. If the distance is unknown, the face gets the
    most probable expression, and NOTHING if that is neutral.
    """
    which: NDArray[np.intp] = probabilities.argmax(axis=1)
    if NEUTRAL not in expressions:
        return np.where(distances < APART, NOTHING, which)
    neutral = expressions.index(NEUTRAL)
    others = probabilities.copy()
    others[:, neutral] = -1
    unknown = np.isnan(distances)
    shown = np.where(unknown, which, others.argmax(axis=1))
    return np.where((distances < APART) | (shown == neutral), NOTHING, shown)


def _of_person(video: VideoResult, face: int, indices: NDArray[np.intp]) -> list[Episode]:
    times, probabilities, distances = video.series(indices)
    known = ~np.isnan(distances)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    shown = labels(video.expressions, probabilities, distances)
    breaks = np.flatnonzero((np.diff(shown) != 0) | (np.diff(times) > GAP * step)) + 1
    found = []
    for start, end in zip([0, *breaks], [*breaks, len(shown)], strict=True):
        label = int(shown[start])
        if label == NOTHING or times[end - 1] - times[start] + step < SHORTEST:
            continue
        height = np.where(known, distances, probabilities[:, label])[start:end]
        apex = start + int(height.argmax())
        found.append(
            Episode(
                face=face,
                expression=video.expressions[label],
                start_s=float(times[start]),
                end_s=float(times[end - 1]),
                apex_s=float(times[apex]),
                apex_frame=int(video.rows["frame"][indices[apex]]),
                confidence=float(probabilities[apex, label]),
                distance=float(distances[apex]) if known[apex] else None,
            )
        )
    return found
