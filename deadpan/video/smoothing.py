"""Smooth values over time: without delay for video files, and with a small delay for a camera."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deadpan.faces.networks import Floats
from deadpan.video.results import AT_ONCE

REACH = 3.0
"""Frames more than this many standard deviations away have no weight."""


def smoothed(values: ArrayLike, times: ArrayLike, width: float) -> Floats:
    """Smooth values (N, ...) at `times` (N,) with a Gaussian in time; returns (N, ...).

    `width` is the standard deviation in seconds; 0 changes nothing. Past and future have equal weight, so that peaks
    keep their time (zero phase). Times may be uneven but must not decrease. ValueError for a negative `width`.
    """
    numbers, when = np.asarray(values, np.float64), np.asarray(times, np.float64)
    if width < 0 or not math.isfinite(width):
        raise ValueError(f"the width of the smoothing must be 0 seconds or more, got {width}")
    if width == 0 or len(numbers) < 2:
        return numbers
    result = np.empty_like(numbers)
    for start in range(0, len(numbers), AT_ONCE):
        end = min(start + AT_ONCE, len(numbers))
        result[start:end] = _smoothed_part(numbers, when, width, start, end)
    return result


def _smoothed_part(values: Floats, times: Floats, width: float, start: int, end: int) -> Floats:
    own = times[start:end]
    first = np.searchsorted(times, own - REACH * width)
    last = np.searchsorted(times, own + REACH * width, side="right")  # exclusive
    here = np.arange(start, end)
    total = np.zeros_like(values[start:end])
    weights = np.zeros(end - start)
    for offset in range(int((first - here).min()), int((last - here).max())):
        other = here + offset
        within = (other >= first) & (other < last)
        other = np.where(within, other, here)
        weight = np.where(within, np.exp(-0.5 * ((times[other] - own) / width) ** 2), 0.0)
        total += weight.reshape(-1, *(1,) * (values.ndim - 1)) * values[other]
        weights += weight
    result: Floats = total / weights.reshape(-1, *(1,) * (values.ndim - 1))
    return result


class OneEuro:
    """The one-euro filter (Casiez, Roussel, Vogel 2012) for a stream of values, such as those from a camera.

    It smooths strongly while a value is nearly constant and follows quickly when it changes, because the cutoff
    frequency grows with the speed of the change. It uses only past values.
    """

    def __init__(self, cutoff: float = 1.0, beta: float = 2.0, speed_cutoff: float = 1.0) -> None:
        """Create a filter; the defaults suit probabilities. ValueError for a setting out of range.

        `cutoff` (Hz, above 0) is the cutoff frequency for constant values. `beta` (0 or more) is how much the cutoff
        grows per unit of speed (1/s). `speed_cutoff` (Hz, above 0) is the cutoff frequency for smoothing the speed.
        """
        if not (cutoff > 0 and beta >= 0 and speed_cutoff > 0):
            raise ValueError(f"cutoffs must be above 0 and beta 0 or more; got {cutoff}, {beta}, {speed_cutoff}")
        self.cutoff, self.beta, self.speed_cutoff = cutoff, beta, speed_cutoff
        self._last: tuple[float, Floats, Floats] | None = None  # time, value, speed

    def __call__(self, values: ArrayLike, time_s: float) -> NDArray[np.float64]:
        """Smooth values of any shape, the same in every call, at `time_s` seconds; returns the same shape."""
        now = np.asarray(values, np.float64)
        if self._last is None:
            self._last = (time_s, now, np.zeros_like(now))
            return now
        then, before, speed = self._last
        passed = time_s - then
        if passed <= 0:
            return before
        speed = speed + _share(self.speed_cutoff, passed) * ((now - before) / passed - speed)
        smooth: Floats = before + _share(self.cutoff + self.beta * np.abs(speed), passed) * (now - before)
        self._last = (time_s, smooth, speed)
        return smooth


def _share(cutoff: ArrayLike, passed: float) -> Floats:
    """Weight of a new value in an exponential smoother with this cutoff frequency, `passed` seconds after the last."""
    angle = 2 * math.pi * np.asarray(cutoff, np.float64) * passed
    share: Floats = angle / (angle + 1)
    return share
