"""Landmarks -> the aligned face that is the input of a network.

Training and recognition use the same alignment: one similarity transform and one warp. Landmarks are (x, y) in pixels
with whole numbers at pixel centres (OpenCV's convention). An aligned face has a margin around the size x size pixels
that a network receives; its side is M = margin_size(size).
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
"""Positions of the eyes, nose tip and mouth corners (viewer's left first) in an aligned face, as fractions of the side
of a network's input. They were measured with the face mesh in faces aligned as for the released models, and made
symmetric. Each is the mean of three medians: of 996 FER+ crops, 589 news pictures and 60 studio portraits."""

STABLE = (33, 133, 362, 263, 168, 6, 197, 195)
"""Points of the face mesh that no expression moves: outer and inner corners of the eyes, root and bridge of the nose.

An alignment that also uses the mouth corners shifts the skull by 1.4 of 64 pixels when the person smiles, and so
removes a part of the smile."""

STABLE_TEMPLATE: NDArray[np.float64] = np.array(
    [
        *([0.2272, 0.3682], [0.3943, 0.3819], [0.6057, 0.3819], [0.7728, 0.3682]),
        *([0.5, 0.3513], [0.5, 0.3998], [0.5, 0.4424], [0.5, 0.481]),
    ]
)
"""Positions of the STABLE points in an aligned face, as fractions of the side of a network's input: the medians of
1,000 neutral FER+ crops, made symmetric, then scaled by 0.95 and moved up by 0.02 to keep a lowered jaw inside."""

Alignment = Literal["mesh", "five"]
"""Points that faces are aligned by: "mesh" uses STABLE; "five" uses eyes, nose tip and mouth corners, as before 0.2."""

FIVE_TO_MESH, FIVE_DOWN = 1.0246, -0.003
"""Scale and downward shift (as a fraction of the side) of a face in STABLE_TEMPLATE, relative to TEMPLATE."""

MARGIN = 3 / 64
"""Margin on each side of an aligned face, as a fraction of the network's input: room for random shifts (64 -> 70)."""

MAX_SAMPLES = 16  # samples along each side of a pixel when shrinking; 256 a pixel avoid moire, more only cost memory


def margin_size(size: int) -> int:
    """Side in pixels of an aligned face with margin, for a network that sees size x size: 64 -> 70."""
    return round(size * (1 + 2 * MARGIN))


def alignment(landmarks: ArrayLike, size: int) -> NDArray[np.float64]:
    """The (2, 3) similarity transform from photograph pixels to pixels of the aligned face with margin.

    `landmarks` is (5, 2) in pixels, in TEMPLATE's order. The fit is by least squares, without reflection (Umeyama
    1991). Raises ValueError if there are not five points, or if they are not finite or coincide.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != TEMPLATE.shape:
        raise ValueError(f"expected five landmarks of shape (5, 2), got {points.shape}")
    return similarity(points, TEMPLATE * size + (margin_size(size) - size) // 2 - 0.5)


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit the (2, 3) similarity transform without reflection from points `source` (N, 2) to `target` by least squares.

    Raises ValueError if the source is not finite or its points coincide.
    """
    # In complex numbers the transform is w = a z + b, whose least-squares solution has a closed form.
    z, w = source @ [1, 1j], target @ [1, 1j]
    spread = z - z.mean()
    power = float(np.sum(np.abs(spread) ** 2))
    if not math.isfinite(power) or power < 1e-9:
        raise ValueError(f"five distinct, finite landmarks are needed to align a face, got {source.tolist()}")
    a = np.sum(spread.conj() * (w - w.mean())) / power
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def mesh_alignment(mesh: ArrayLike, size: int) -> NDArray[np.float64]:
    """The (2, 3) similarity transform from photograph pixels to pixels of the aligned face with margin.

    `mesh` is (468, 2 or 3) in pixels. The transform fits its STABLE points to STABLE_TEMPLATE by least squares; it
    raises ValueError as `similarity` does.
    """
    points = np.asarray(mesh, dtype=np.float64)[list(STABLE), :2]
    return similarity(points, STABLE_TEMPLATE * size + (margin_size(size) - size) // 2 - 0.5)


def five_as_mesh(landmarks: ArrayLike, size: int) -> NDArray[np.float64]:
    """Approximate `mesh_alignment` from the (5, 2) landmarks of a face whose mesh is unknown."""
    middle = np.full(2, (margin_size(size) - 1) / 2)
    matrix = FIVE_TO_MESH * alignment(landmarks, size)
    matrix[:, 2] += (1 - FIVE_TO_MESH) * middle + [0, FIVE_DOWN * size]
    return matrix


def crop_alignment(height: int, width: int, size: int) -> NDArray[np.float64]:
    """The (2, 3) matrix that scales a whole picture, padded to a square, to the aligned face with margin."""
    scale = margin_size(size) / max(height, width)
    middle = (margin_size(size) - 1) / 2
    return np.array([[scale, 0, middle - scale * (width - 1) / 2], [0, scale, middle - scale * (height - 1) / 2]])


def crop_as_mesh(height: int, width: int, size: int) -> NDArray[np.float64]:
    """Approximate `mesh_alignment` for a face crop whose mesh is unknown, assuming the framing of FER2013's crops."""
    middle = np.full(2, (margin_size(size) - 1) / 2)
    smaller = 0.95 * size / margin_size(size)
    matrix = smaller * crop_alignment(height, width, size)
    matrix[:, 2] += (1 - smaller) * middle + [0, -0.02 * size]
    return matrix


def warp(photograph: RGB, matrix: NDArray[np.float64], size: int) -> RGB:
    """Warp a photograph by `matrix` to an aligned face with margin, (M, M, 3) uint8 with M = margin_size(size).

    Outside the photograph its edge pixels are repeated. A face that is scaled down is averaged, not subsampled.
    """
    side = margin_size(size)
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    samples = min(MAX_SAMPLES, max(1, math.ceil(1 / scale - 1e-6)))
    finer = matrix * samples
    finer[:, 2] += (samples - 1) / 2  # pixel centres of the finer grid
    # Cubic interpolation keeps enlarged faces sharp. A finer grid is averaged afterwards, so that linear is enough.
    flags = cv2.INTER_CUBIC if samples == 1 else cv2.INTER_LINEAR
    square = (side * samples, side * samples)
    warped: Any = cv2.warpAffine(photograph, finer, square, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    if samples > 1:
        warped = cv2.resize(warped, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(warped, dtype=np.uint8)


def align(photograph: RGB, landmarks: ArrayLike, size: int) -> RGB:
    """Align the face with the given (5, 2) landmarks in an RGB photograph: (M, M, 3) uint8, M = margin_size(size)."""
    return warp(photograph, alignment(landmarks, size), size)


def align_crop(photograph: RGB, size: int) -> RGB:
    """Pad a picture that is already a face crop to a square by repeating its edge, and scale it: (M, M, 3) uint8."""
    height, width = photograph.shape[:2]
    return warp(photograph, crop_alignment(height, width, size), size)


def centre(aligned: RGB, size: int) -> RGB:
    """Crop the centre (size, size, 3) of an aligned face with margin: the input of a network.

    Raises ValueError if the face is not square or smaller than `size`.
    """
    start = (aligned.shape[0] - size) // 2
    if start < 0 or aligned.shape[0] != aligned.shape[1]:
        raise ValueError(f"expected a square of at least {size} pixels, got {aligned.shape[1]} x {aligned.shape[0]}")
    return aligned[start : start + size, start : start + size]
