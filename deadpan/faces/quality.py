"""Measures how well a face can be read: its size, sharpness, rotation away from the camera, and occlusion."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan.faces.alignment import STABLE_TEMPLATE, centre, margin_size, mesh_alignment, warp
from deadpan.faces.landmarks import OUTER_EYES, Located
from deadpan.faces.networks import ASSETS, Floats, session
from deadpan.faces.relaxing import similarity_in_space
from deadpan.pixels import RGB

SIDE = 64
"""Side in pixels of the aligned face on which sharpness and occlusion are measured."""

EYE_DISTANCE = float(STABLE_TEMPLATE[3, 0] - STABLE_TEMPLATE[0, 0])
"""Distance of the outer eye corners in an aligned face, as a fraction of its side."""

SMALL, BLURRED, TURNED, COVERED = 12.0, 0.5, 35.0, 0.1
"""Thresholds of the marks. Beyond them the released models are clearly less accurate on FER+ pictures
(benchmarks/quality.py; table in docs/output.md)."""

LOST = (0.03, 0.31, 0.12)
"""Shares of the differences between neighbouring pixels that a blur removes. First: from a face already blurred by 0.2
eye distances. Second: from sharp portraits and news pictures (median). Third: the increase of the second for an
enlarged face, per natural logarithm of the enlargement."""

PITCH = 1.35
"""Factor on the mesh's pitch angle. The mesh is flatter than a face: on rendered people it reports 0.74 of the true
pitch, while its yaw is correct up to 45 degrees."""


class Quality(NamedTuple):
    """How well one face can be read."""

    size: float  # distance of the outer eye corners in pixels of the photograph, corrected for rotation
    sharpness: float  # 0..1: 0 has no detail, 1 is as sharp as its pixels allow
    turn: float | None  # degrees between the direction of the face and the camera; None if the face has no mesh
    cover: float  # 0..1: share of the face, from the brows to the chin, that is covered by something else

    @property
    def marks(self) -> tuple[str, ...]:
        """Reasons not to trust the expression: any of small, blurred, turned, covered, unclear; () if there is none.

        A face is unclear if the face mesh finds no face at its position.
        """
        passed = {
            "small": self.size < SMALL,
            "blurred": self.sharpness < BLURRED,
            "turned": self.turn is not None and self.turn > TURNED,
            "covered": self.cover > COVERED,
            "unclear": self.turn is None,
        }
        return tuple(name for name, is_so in passed.items() if is_so)

    def as_json(self) -> dict[str, float | None]:
        """The four numbers, rounded as in the output files."""
        turn = None if self.turn is None else round(self.turn, 1)
        rounded = {"sharpness": round(self.sharpness, 3), "turn": turn, "cover": round(self.cover, 3)}
        return {"size": round(self.size, 1), **rounded}


def quality(photograph: RGB, located: Located, size: int, aligned: RGB | None = None) -> Quality:
    """Measure a face that was located for networks of `size` pixels in an (H, W, 3) uint8 RGB photograph.

    `aligned` is the face (64, 64, 3) aligned by its mesh. Without it the face is aligned here, which takes most of the
    time.
    """
    if located.mesh is None:
        matrix = _resized(located.matrix, size)
        eyes, turn = EYE_DISTANCE * SIDE / float(np.hypot(*matrix[:, 0])), None
    else:
        matrix = mesh_alignment(located.mesh, SIDE)
        eyes = float(np.linalg.norm(located.mesh[OUTER_EYES[1]] - located.mesh[OUTER_EYES[0]]))
        turn = turn_of(located.mesh)
    if aligned is None:
        aligned = centre(warp(photograph, matrix, SIDE), SIDE)
    grey = np.asarray(cv2.cvtColor(aligned, cv2.COLOR_RGB2GRAY), np.float32)
    return Quality(eyes, sharpness_of(grey, float(np.hypot(*matrix[:, 0]))), turn, cover_of(grey))


def turn_of(mesh: Floats) -> float:
    """The angle, in degrees 0..180, between the direction of a face with this mesh (468, 3) and the camera."""
    shape, rigid = _frontal()
    turn = similarity_in_space(mesh, shape, rigid)[1]
    right, down, away = turn[2]  # the direction from the nose into the head, as the camera sees it
    pitch = PITCH * math.asin(min(1.0, max(-1.0, down)))
    cosine = math.cos(math.atan2(right, away)) * math.cos(pitch)
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


def sharpness_of(grey: NDArray[np.float32], scale: float = 1.0) -> float:
    """The sharpness, 0..1, of an aligned grey face (64, 64) with values in 0..255.

    A blur removes more of the differences between neighbouring pixels from a sharp picture than from a blurred one
    (Crete et al. 2007). A face that was enlarged by `scale` is first reduced to its original resolution.
    """
    if scale > 1:
        side = max(12, round(SIDE / scale))
        grey = np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA), np.float32)
    calm = np.asarray(cv2.GaussianBlur(grey, (3, 3), 0.8), np.float32)  # reduces sensor noise, which is not detail
    blurred = np.asarray(cv2.GaussianBlur(calm, (0, 0), 1.5), np.float32)
    before, after = (sum(float(np.abs(np.diff(each, axis=axis)).sum()) for axis in (0, 1)) for each in (calm, blurred))
    lost = 1 - after / before if before > 0 else 0.0
    none, full, more = LOST
    return float(np.clip((lost - none) / (full + more * math.log(max(scale, 1)) - none), 0, 1))


def cover_of(grey: NDArray[np.float32]) -> float:
    """The covered share, 0..1, of an aligned grey face (64, 64) with values in 0..255."""
    (cover,) = session("cover").run(["cover"], {"grey": grey[None, None]})
    return float(cover[0])


def _resized(matrix: Floats, size: int) -> Floats:
    """Convert an alignment matrix for networks of `size` pixels to one for networks of SIDE pixels."""
    old, new = ((margin_size(side) - side) // 2 - 0.5 for side in (size, SIDE))
    result = matrix * (SIDE / size)
    result[:, 2] += new - old * SIDE / size
    return result


@functools.lru_cache(maxsize=1)
def _frontal() -> tuple[Floats, Floats]:
    """The mean mesh (468, 3) of faces that look into the camera, and the rigidity (468,) of each of its points."""
    with np.load(ASSETS / "relaxing.npz") as file:
        return file["shape"].astype(np.float64), file["rigid"].astype(np.float64)
