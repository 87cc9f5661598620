"""Smooth random texture on a plane, the same for the same generator: pores, freckles, strands, backgrounds."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from deadpan.synthetic.rig import Array


def cloud(rng: np.random.Generator, columns: int, rows: int, width: int, height: int) -> Array:
    """Return smooth noise (height, width), about -1..1, with `columns` x `rows` independent bumps."""
    grid = rng.uniform(-1.0, 1.0, (max(rows, 1), max(columns, 1))).astype(np.float32)
    return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def smoothstep(low: float, high: float, x: npt.NDArray[np.floating]) -> Array:
    """Return 0 below `low`, 1 above `high`, an S-curve between (`low` may be the larger: then it falls)."""
    t = np.clip((x - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
