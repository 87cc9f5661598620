"""Converts pixels: uint8 (N, S, S, 3) RGB outside networks, float32 (N, 3, S, S) in [-1, 1] inside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RGB = NDArray[np.uint8]
"""A picture (H, W, 3), or several (N, H, W, 3)."""


LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey picture, ITU-R BT.601, as in JPEG."""


def to_network(aligned: RGB) -> NDArray[np.float32]:
    """Convert (N, S, S, 3) uint8 to (N, 3, S, S) float32 in [-1, 1]."""
    return np.ascontiguousarray(aligned.transpose(0, 3, 1, 2), dtype=np.float32) / np.float32(127.5) - np.float32(1)


def to_pixels(image: NDArray[np.float32]) -> RGB:
    """Convert (N, 3, S, S) in [-1, 1] to (N, S, S, 3) uint8; values out of range are clipped."""
    pixels = np.clip(np.rint((image + 1) * 127.5), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))


def grey_like(aligned: RGB, neutral: RGB) -> RGB:
    """Take the colour off the neutral faces (N, S, S, 3) of grey faces: a generator may tint what it draws."""
    red, green, blue = np.moveaxis(aligned, 3, 0)
    grey = ((red == green) & (green == blue)).all((1, 2))  # (N,)
    neutral[grey] = np.rint(neutral[grey] @ LUMA)[..., None]
    return neutral
