"""A face in a photograph, and what finds faces.

Landmarks are (x, y) in pixels with whole numbers at pixel centres (OpenCV's convention); boxes are (left, top, right,
bottom) in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deadpan.pixels import RGB


@dataclass(frozen=True, eq=False)
class Face:
    """One face in a photograph, in the photograph's own pixels, whichever way the face is turned."""

    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels, inside the photograph
    score: float  # the detector's confidence, 0..1
    landmarks: NDArray[np.float32]  # (5, 2) in the order of TEMPLATE; may lie outside where the border cuts the face
    mesh: NDArray[np.float32] | None = None  # (468, 3) x, y and depth; None where the detector reads no mesh
    is_crop: bool = False  # the photograph is a crop of this face, and nobody looked for it


class Detector(Protocol):
    """Anything that finds faces in an (H, W, 3) uint8 RGB photograph."""

    def __call__(self, photograph: RGB) -> list[Face]:
        """The faces, sorted by their left edge; empty when there is none."""


def in_reading_order(faces: list[Face]) -> list[Face]:
    """By left edge, then top; faces whose box or landmarks have no extent are left out."""
    usable = [
        face
        for face in faces
        if face.box[2] > face.box[0] and face.box[3] > face.box[1] and np.ptp(face.landmarks, axis=0).min() > 0
    ]
    return sorted(usable, key=lambda face: face.box[:2])
