"""Smooth random texture for pores, freckles, strands and backgrounds; the same generator gives the same texture."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from deadpan.synthetic.rig import Array


def cloud(rng: np.random.Generator, columns: int, rows: int, width: int, height: int) -> Array:
    """Return smooth noise (height, width), about -1..1, from a grid of `columns` x `rows` random numbers."""
    grid = rng.uniform(-1.0, 1.0, (max(rows, 1), max(columns, 1))).astype(np.float32)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def smoothstep(low: float, high: float, x: npt.NDArray[np.floating]) -> Array:
    """Return 0 below `low`, 1 above `high` and an S-curve between; it falls where `low` is larger than `high`."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
