"""How well a face can be read: its size, its sharpness, how far it is turned away, and how much of it is covered."""

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
"""Side in pixels of the aligned face that sharpness and cover are measured on."""

EYE_DISTANCE = float(STABLE_TEMPLATE[3, 0] - STABLE_TEMPLATE[0, 0])
"""How far apart the outer corners of the eyes lie in an aligned face, as a fraction of its side."""

SMALL, BLURRED, TURNED, COVERED = 12.0, 0.5, 35.0, 0.1
"""Where the released models get clearly worse on FER+ pictures (benchmarks/quality.py; table in docs/output.md)."""

LOST = (0.03, 0.31, 0.12)
"""Shares of small differences that a blur removes: from a face already blurred by 0.2 eye distances; from sharp
portraits and news pictures (median); how much more from a sharp face of fewer pixels, per logarithm of enlargement."""

PITCH = 1.35
"""The mesh is flatter than a face: of rendered people it shows 0.74 of a nod, and a shake of up to 45 degrees whole."""


class Quality(NamedTuple):
    """How well one face can be read."""

    size: float  # distance of the outer eye corners in pixels of the photograph, as if the face were not turned
    sharpness: float  # 0 no detail at all, 1 as sharp as its pixels allow
    turn: float | None  # degrees between the direction of the face and the camera; None where no mesh is trusted
    cover: float  # share, 0..1, of the face from the brows to the chin that something else covers

    @property
    def marks(self) -> tuple[str, ...]:
        """Why the expression must not be trusted: small, blurred, turned, covered, unclear; empty for a good view.

        A face is unclear if the face mesh finds no face in its place.
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
        """The four numbers as they are written, rounded."""
        turn = None if self.turn is None else round(self.turn, 1)
        rounded = {"sharpness": round(self.sharpness, 3), "turn": turn, "cover": round(self.cover, 3)}
        return {"size": round(self.size, 1), **rounded}


def quality(photograph: RGB, located: Located, size: int, aligned: RGB | None = None) -> Quality:
    """The quality of a face that was located for networks of `size` pixels in an (H, W, 3) uint8 RGB photograph.

    `aligned` is the face (64, 64, 3) aligned by its mesh, where the caller has it: most of the time goes into that.
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
    """Degrees, 0..180, between the direction of a face with this mesh (468, 3) and the camera."""
    shape, rigid = _frontal()
    turn = similarity_in_space(mesh, shape, rigid)[1]
    right, down, away = turn[2]  # the direction from the nose into the head, as the camera sees it
    pitch = PITCH * math.asin(min(1.0, max(-1.0, down)))
    cosine = math.cos(math.atan2(right, away)) * math.cos(pitch)
    return math.degrees(math.acos(min(1.0, max(-1.0, cosine))))


def sharpness_of(grey: NDArray[np.float32], scale: float = 1.0) -> float:
    """0 for no detail to 1 for as much as the pixels hold, of an aligned grey face (64, 64) of 0..255.

    A sharp picture loses more of its small differences to a blur than a blurred one (Crete et al. 2007). Where the face
    was enlarged by `scale`, the differences between its own pixels count.
    """
    if scale > 1:
        side = max(12, round(SIDE / scale))
        grey = np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA), np.float32)
    calm = np.asarray(cv2.GaussianBlur(grey, (3, 3), 0.8), np.float32)  # sensor noise is not detail
    blurred = np.asarray(cv2.GaussianBlur(calm, (0, 0), 1.5), np.float32)
    before, after = (sum(float(np.abs(np.diff(each, axis=axis)).sum()) for axis in (0, 1)) for each in (calm, blurred))
    lost = 1 - after / before if before > 0 else 0.0
    none, full, more = LOST
    return float(np.clip((lost - none) / (full + more * math.log(max(scale, 1)) - none), 0, 1))


def cover_of(grey: NDArray[np.float32]) -> float:
    """The covered share, 0..1, of an aligned grey face (64, 64) of 0..255."""
    (cover,) = session("cover").run(["cover"], {"grey": grey[None, None]})
    return float(cover[0])


def _resized(matrix: Floats, size: int) -> Floats:
    """The matrix for networks of SIDE pixels that shows the same as `matrix` does to networks of `size`."""
    old, new = ((margin_size(side) - side) // 2 - 0.5 for side in (size, SIDE))
    result = matrix * (SIDE / size)
    result[:, 2] += new - old * SIDE / size
    return result


@functools.lru_cache(maxsize=1)
def _frontal() -> tuple[Floats, Floats]:
    """The mean mesh of faces that look into the camera (468, 3), and how rigid each of its points is (468,)."""
    with np.load(ASSETS / "relaxing.npz") as file:
        return file["shape"].astype(np.float64), file["rigid"].astype(np.float64)
