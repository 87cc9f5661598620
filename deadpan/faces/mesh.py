"""The face mesh: 468 landmarks of one face, and a score for its presence (Kartynnik et al. 2019)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from deadpan.faces.networks import Floats, session
from deadpan.pixels import RGB

SIDE = 192

LEFT_EYE = (33, 160, 158, 133, 153, 144)  # the viewer's left; corners and lids, as iBUG's points 36 to 41
RIGHT_EYE = (362, 385, 387, 263, 373, 380)
NOSE_TIP, LEFT_MOUTH, RIGHT_MOUTH = 4, 61, 291


class Mesh(NamedTuple):
    """The output of the mesh network for one square of a photograph."""

    points: Floats  # (468, 3): x and y in pixels of the photograph, whole at pixel centres; depth in the same unit
    presence: float  # a logit: above 0 the square more likely than not shows an upright face

    @property
    def roll(self) -> float:
        """The angle of the line through the outer eye corners, in radians: 0 upright, pi/2 rotated clockwise."""
        across = self.points[RIGHT_EYE[3]] - self.points[LEFT_EYE[0]]
        return math.atan2(across[1], across[0])

    @property
    def square(self) -> Floats:
        """(4,): the square that fits this mesh best as the network's input: centre x and y, side, roll."""
        roll = self.roll
        back = _turn(-roll)
        upright = self.points[:, :2] @ back.T
        low, high = upright.min(axis=0), upright.max(axis=0)
        centre = _turn(roll) @ (low + high) / 2 + 0.5
        return np.array([*centre, 1.5 * (high - low).max(), roll])


def read_mesh(photograph: RGB, square: ArrayLike) -> Mesh:
    """Run the mesh network on a square of an (H, W, 3) uint8 RGB photograph.

    `square` is centre x, centre y and side in pixels, counted from the edge of the first pixel, and roll in radians.
    """
    x, y, side, roll = (float(value) for value in np.asarray(square))
    side = max(side, 1.0)
    # Bilinear sampling skips pixels of large faces, so that a finer grid is sampled and averaged.
    finer = min(4, max(1, round(side / SIDE / 1.5)))
    scale = SIDE * finer / side
    matrix = np.zeros((2, 3))
    matrix[:, :2] = scale * _turn(-roll)
    matrix[:, 2] = (SIDE * finer - 1) / 2 - matrix[:, :2] @ [x - 0.5, y - 0.5]
    cut: Any = cv2.warpAffine(photograph, matrix, (SIDE * finer, SIDE * finer), flags=cv2.INTER_LINEAR)
    if finer > 1:
        cut = cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    values = np.array(cv2.split(cut), np.float32)[None]  # (1, 3, 192, 192)
    values /= np.float32(255)
    points, presence = session("face_mesh").run(["points", "presence"], {"face": values})
    relative = points[0].astype(np.float64) * (side / SIDE)  # (468, 3) in pixels of the photograph, from the corner
    placed = (relative[:, :2] - side / 2) @ _turn(roll).T + [x - 0.5, y - 0.5]
    return Mesh(np.column_stack([placed, relative[:, 2]]), float(presence[0]))


def five_of_mesh(points: NDArray[np.floating[Any]]) -> Floats:
    """Eye centres, nose tip and mouth corners (5, 2) from the points of a mesh (468, 3)."""
    flat = np.asarray(points, dtype=np.float64)[:, :2]
    eyes = [flat[list(eye)].mean(axis=0) for eye in (LEFT_EYE, RIGHT_EYE)]
    return np.stack([*eyes, flat[NOSE_TIP], flat[LEFT_MOUTH], flat[RIGHT_MOUTH]])


def _turn(angle: float) -> Floats:
    """The matrix that rotates (x, y), with y downwards, clockwise by an angle in radians."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])
