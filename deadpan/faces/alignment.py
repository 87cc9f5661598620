"""Landmarks -> the aligned face a network sees: one similarity, one warp, for training and recognising alike.

Landmarks are (x, y) in pixels with whole numbers at pixel centres (OpenCV's convention).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from deadpan.pixels import RGB

TEMPLATE: NDArray[np.float64] = np.array(
    [[0.3115, 0.381], [0.6885, 0.381], [0.5, 0.585], [0.345, 0.775], [0.655, 0.775]]
)
"""Where an aligned face has its eyes, nose tip and mouth corners (viewer's left first), as fractions of the side of
what a network sees: where the face mesh's points lie, made symmetric, in faces that were aligned as the released models
were trained. Each is the mean of the medians of 996 FER+ crops, 589 news pictures and 60 studio portraits."""

STABLE = (33, 133, 362, 263, 168, 6, 197, 195)
"""Points of the face mesh that no expression moves: outer and inner corners of the eyes, root and bridge of the nose.

With mouth corners among the points, a fixed point of the skull shifts by 1.4 of 64 pixels when somebody smiles, and
the alignment takes a part of the smile away."""

STABLE_TEMPLATE: NDArray[np.float64] = np.array(
    [
        *([0.2272, 0.3682], [0.3943, 0.3819], [0.6057, 0.3819], [0.7728, 0.3682]),
        *([0.5, 0.3513], [0.5, 0.3998], [0.5, 0.4424], [0.5, 0.481]),
    ]
)
"""Where an aligned face has its STABLE points, as fractions of the side of what a network sees: the medians of 1,000
neutral FER+ crops, made symmetric, at 0.95 of their size and 0.02 higher, so that a lowered jaw stays in sight."""

Alignment = Literal["mesh", "five"]
"""What a model's faces are aligned by: the mesh's STABLE points, or eyes, nose tip and mouth corners as before 0.2."""

FIVE_TO_MESH, FIVE_DOWN = 1.0246, -0.003
"""How much larger a face is in STABLE_TEMPLATE than in TEMPLATE, and how much lower, as a fraction of the side."""

MARGIN = 3 / 64
"""Border of an aligned face on each side, as a fraction of what the network sees: room for random shifts (64 -> 70)."""

MAX_SAMPLES = 16  # per side and pixel when shrinking; 256 samples a pixel are free of moire, more only cost memory


def margin_size(size: int) -> int:
    """Side in pixels of an aligned face with margin, for a network that sees size x size: 64 -> 70."""
    return round(size * (1 + 2 * MARGIN))


def alignment(landmarks: ArrayLike, size: int) -> NDArray[np.float64]:
    """The (2, 3) similarity that takes photograph pixels to pixels of the aligned face with margin.

    `landmarks` is (5, 2) in pixels, in TEMPLATE's order; least squares, without reflection (Umeyama 1991).
    Raises ValueError when the points are not finite or coincide.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != TEMPLATE.shape:
        raise ValueError(f"expected five landmarks of shape (5, 2), got {points.shape}")
    return similarity(points, TEMPLATE * size + (margin_size(size) - size) // 2 - 0.5)


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """The (2, 3) similarity without reflection that takes points (N, 2) nearest to others, by least squares.

    Raises ValueError when the source is not finite or its points coincide.
    """
    # It is w = a z + b in complex numbers, where least squares has a closed form.
    z, w = source @ [1, 1j], target @ [1, 1j]
    spread = z - z.mean()
    power = float(np.sum(np.abs(spread) ** 2))
    if not math.isfinite(power) or power < 1e-9:
        raise ValueError(f"five distinct, finite landmarks are needed to align a face, got {source.tolist()}")
    a = np.sum(spread.conj() * (w - w.mean())) / power
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def mesh_alignment(mesh: ArrayLike, size: int) -> NDArray[np.float64]:
    """The (2, 3) similarity that takes photograph pixels to pixels of the aligned face with margin.

    `mesh` is (468, 2 or 3) in pixels; its STABLE points come nearest to STABLE_TEMPLATE.
    """
    points = np.asarray(mesh, dtype=np.float64)[list(STABLE), :2]
    return similarity(points, STABLE_TEMPLATE * size + (margin_size(size) - size) // 2 - 0.5)


def five_as_mesh(landmarks: ArrayLike, size: int) -> NDArray[np.float64]:
    """`mesh_alignment` of a face whose mesh is unknown, from its (5, 2) landmarks: nearly where that would put it."""
    middle = np.full(2, (margin_size(size) - 1) / 2)
    matrix = FIVE_TO_MESH * alignment(landmarks, size)
    matrix[:, 2] += (1 - FIVE_TO_MESH) * middle + [0, FIVE_DOWN * size]
    return matrix


def crop_alignment(height: int, width: int, size: int) -> NDArray[np.float64]:
    """The (2, 3) matrix that puts a whole picture, centred in a square, onto the aligned face with margin."""
    scale = margin_size(size) / max(height, width)
    middle = (margin_size(size) - 1) / 2
    return np.array([[scale, 0, middle - scale * (width - 1) / 2], [0, scale, middle - scale * (height - 1) / 2]])


def crop_as_mesh(height: int, width: int, size: int) -> NDArray[np.float64]:
    """`mesh_alignment` of a face crop whose mesh is unknown: as a FER2013 crop lies in STABLE_TEMPLATE."""
    middle = np.full(2, (margin_size(size) - 1) / 2)
    smaller = 0.95 * size / margin_size(size)
    matrix = smaller * crop_alignment(height, width, size)
    matrix[:, 2] += (1 - smaller) * middle + [0, -0.02 * size]
    return matrix


def warp(photograph: RGB, matrix: NDArray[np.float64], size: int) -> RGB:
    """The aligned face with margin, (M, M, 3) uint8 with M = margin_size(size), that `matrix` cuts out.

    Beyond the photograph its edge is repeated; shrinking averages over all pixels that fall together.
    """
    side = margin_size(size)
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    samples = min(MAX_SAMPLES, max(1, math.ceil(1 / scale - 1e-6)))
    finer = matrix * samples
    finer[:, 2] += (samples - 1) / 2  # pixel centres of the finer grid
    # Cubic keeps enlarged faces crisp; the finer grid is averaged anyway.
    flags = cv2.INTER_CUBIC if samples == 1 else cv2.INTER_LINEAR
    square = (side * samples, side * samples)
    warped: Any = cv2.warpAffine(photograph, finer, square, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    if samples > 1:
        warped = cv2.resize(warped, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(warped, dtype=np.uint8)


def align(photograph: RGB, landmarks: ArrayLike, size: int) -> RGB:
    """Cut the face with the given (5, 2) landmarks out of an RGB photograph: (M, M, 3) uint8, M = margin_size(size)."""
    return warp(photograph, alignment(landmarks, size), size)


def align_crop(photograph: RGB, size: int) -> RGB:
    """A picture that is a face crop already, padded to a square by its edge and scaled: (M, M, 3) uint8."""
    height, width = photograph.shape[:2]
    return warp(photograph, crop_alignment(height, width, size), size)


def centre(aligned: RGB, size: int) -> RGB:
    """The central (size, size, 3) of an aligned face with margin: what a network sees."""
    start = (aligned.shape[0] - size) // 2
    if start < 0 or aligned.shape[0] != aligned.shape[1]:
        raise ValueError(f"expected a square of at least {size} pixels, got {aligned.shape[1]} x {aligned.shape[0]}")
    return aligned[start : start + size, start : start + size]
