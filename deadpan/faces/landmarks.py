"""Landmarks of faces: which face of a photograph is meant, and the points that it is aligned by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deadpan.faces.face import Face


def main_face(faces: Sequence[Face], width: int, height: int) -> Face:
    """Of the faces at least half as large as the largest, the one nearest to the picture's centre."""

    def area(face: Face) -> float:
        left, top, right, bottom = face.box
        return (right - left) * (bottom - top)

    def distance(face: Face) -> float:
        left, top, right, bottom = face.box
        return float(np.hypot((left + right - width) / 2, (top + bottom - height) / 2))

    largest = max(map(area, faces))
    return min((face for face in faces if area(face) >= largest / 2), key=distance)


def five_of_68(landmarks: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The (5, 2) points that faces are aligned by, from (68, 2) in iBUG order: eye centres, nose tip, mouth corners."""
    points = np.asarray(landmarks, dtype=np.float64)
    return np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])
