"""Estimate the face at rest of each person in a video, and compute the distance from rest of every frame.

The features of a face are the logarithms of the model's probabilities and the displacement to the neutral face that
`faces.relaxing` predicts. They are compared with the features of the same person's face at rest. This removes what is
constant for a person: a mouth that droops or smiles at rest, or a model that always reads some sadness.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deadpan.errors import DeadpanError
from deadpan.faces.networks import Floats
from deadpan.faces.photographs import Photograph
from deadpan.faces.quality import TURNED
from deadpan.video.results import AT_ONCE, VideoResult
from deadpan.video.smoothing import REACH, smoothed

Rest: TypeAlias = "str | tuple[float, float] | Photograph | None"
"""AUTO, NONE or None, a time range (from, to) in seconds in which everyone is at rest, or a photograph of the only
person of the video at rest."""

RestRule: TypeAlias = Literal["auto", "none"] | tuple[float, float] | Floats
"""The source of the faces at rest: an estimate, none, a time range in seconds, or the features (F,) of one face."""

AUTO: Literal["auto"] = "auto"
NONE: Literal["none"] = "none"

SHARE = 0.3
"""The face at rest is estimated from this share of a person's frames, those nearest to neutral.

With a smaller share, frames in which an expression cancels the person's look at rest would dominate
(benchmarks/video.py).
"""

LEAST = 5
"""A face at rest is estimated from at least this many frames."""

MOST = 2000
"""The median is computed over at most this many frames, spread evenly over the usable ones."""

UNLIKELY = 1e-4
"""Smaller probabilities are raised to this value, because logarithms of tiny probabilities would dominate."""

WEIGHT = 10.0
"""Weight of the displacement, in distances of the outer eye corners, relative to the logarithms of probabilities."""

DISTANCES = (0.0, 3.0, 5.0, 8.0, 12.0, 16.0, 22.0, 30.0)
INTENSITIES = (0.0, 0.05, 0.26, 0.54, 0.65, 0.73, 0.88, 1.0)
"""The intensity, 0 to 1, of an expression as a function of the distance between features; linear between the points.

Fitted to the true intensities of twelve synthetic people, with the models derl, dgcn and cnn of version 0.1 together
(benchmarks/video.py). Few of their frames have a distance above 22; the last point was set by hand.
"""


class RestError(DeadpanError):
    """An invalid setting for the face at rest or the smoothing, or a rest face that cannot be used."""


def features(probabilities: ArrayLike, shapes: ArrayLike, temperature: float = 1.0) -> Floats:
    """Compute the features (N, K + 50) of faces from probabilities (N, K) and shapes of expression (N, 50).

    `temperature` is the one by which the model's log-probabilities were divided. It is undone, so that distances do not
    depend on how sure a model was made.
    """
    powers = np.asarray(probabilities, np.float64) ** temperature
    likely = np.log(np.clip(powers / powers.sum(-1, keepdims=True), UNLIKELY, 1))
    return np.concatenate([likely, WEIGHT * np.asarray(shapes, np.float64)], axis=-1)


def intensity(compared: Floats, rest: Floats) -> Floats:
    """The intensity (N,), 0 to 1, of faces with features (N, F), given the features (F,) of the same person at rest."""
    apart = np.linalg.norm(compared - rest, axis=-1)
    return np.asarray(np.interp(apart, DISTANCES, INTENSITIES), np.float64)


def estimate_rest(video: VideoResult, indices: NDArray[np.intp], within: tuple[float, float] | None) -> Floats | None:
    """Estimate the features (F,) of a person's face at rest; None if fewer than LEAST rows can be used.

    `indices` (N,) are the person's rows. The estimate is the median over the rows in the time range `within` (seconds),
    or, if that is None, over the SHARE of rows whose shape is nearest to neutral. Rows with a turned face are ignored.
    """
    rows = video.rows
    usable = indices[rows["turn"][indices] <= TURNED]
    if within is not None:
        times = rows["time_s"][usable]
        usable = usable[(times >= within[0]) & (times < within[1])]
    if len(usable) < LEAST:
        return None
    if within is None:
        count = max(LEAST, round(SHARE * len(usable)))
        strength = np.concatenate(
            [np.linalg.norm(rows["shape"][part], axis=1) for part in np.array_split(usable, len(usable) // AT_ONCE + 1)]
        )
        usable = np.sort(usable[np.argpartition(strength, count - 1)[:count]])
    chosen = usable[np.linspace(0, len(usable) - 1, min(len(usable), MOST)).round().astype(int)]
    found: Floats = np.median(features(rows["probabilities"][chosen], rows["shape"][chosen], video.temperature), axis=0)
    return found


def finish(video: VideoResult, rest: RestRule, width: float) -> None:
    """Fill in the distances from rest, and smooth distances and probabilities, in the rows of the video.

    `width` is the standard deviation of the smoothing in seconds. If `rest` is the features (F,) of a given rest face,
    the distance stays unknown (NaN) in frames that show several faces, because the rest face belongs to one person.
    """
    for indices in video.people().values():
        if isinstance(rest, tuple):
            own = estimate_rest(video, indices, rest)
        elif isinstance(rest, str):
            own = estimate_rest(video, indices, None) if rest == AUTO else None
        else:
            own = rest
        _finish_person(video, indices, own, width)
    if isinstance(rest, np.ndarray):
        video.rows["distance"][~_alone(video)] = np.nan


def _finish_person(video: VideoResult, indices: NDArray[np.intp], rest: Floats | None, width: float) -> None:
    """Finish a person's rows, one block at a time, together with unsmoothed neighbours that the smoothing needs."""
    rows, times = video.rows, np.asarray(video.rows["time_s"][indices])
    reach = REACH * width
    before = np.zeros(0, rows.dtype)
    for start in range(0, len(indices), AT_ONCE):
        block = np.array(rows[indices[start : start + AT_ONCE]])
        end = start + len(block)
        after = np.array(rows[indices[end : np.searchsorted(times, times[end - 1] + reach, side="right")]])
        part = np.concatenate([before, block, after])
        own = slice(len(before), len(before) + len(block))
        if rest is not None:
            every = features(part["probabilities"], part["shape"], video.temperature)
            compared = smoothed(every, part["time_s"], width)
            block["distance"] = intensity(compared[own], rest)
        block["probabilities"] = smoothed(part["probabilities"], part["time_s"], width)[own]
        rows[indices[start:end]] = block
        before = part[: own.stop]
        before = before[before["time_s"] >= times[end - 1] - reach]


def _alone(video: VideoResult) -> NDArray[np.bool_]:
    """Whether the frame of each row shows exactly one face: (N,)."""
    frames = np.asarray(video.rows["frame"])
    _, inverse, counts = np.unique(frames, return_inverse=True, return_counts=True)
    return np.asarray(counts[inverse] == 1)
