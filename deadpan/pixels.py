"""Pixels: uint8 (N, S, S, 3) RGB outside networks, float (N, 3, S, S) in [-1, 1] inside; the only two conversions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RGB = NDArray[np.uint8]
"""A picture (H, W, 3), or several (N, H, W, 3)."""


def to_network(aligned: RGB) -> NDArray[np.float32]:
    """(N, S, S, 3) uint8 -> (N, 3, S, S) in [-1, 1]."""
    return np.ascontiguousarray(aligned.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(127.5) - np.float32(1)


def to_pixels(image: NDArray[np.float32]) -> RGB:
    """(N, 3, S, S) in [-1, 1] -> (N, S, S, 3) uint8."""
    pixels = np.clip(np.rint((image + 1) * 127.5), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
