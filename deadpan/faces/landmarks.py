"""Landmarks of faces: the main face of a photograph, the mesh of a face, and the matrix that aligns it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan.faces.alignment import (
    TEMPLATE,
    Alignment,
    alignment,
    crop_alignment,
    crop_as_mesh,
    five_as_mesh,
    mesh_alignment,
    similarity,
)
from deadpan.faces.cascade import CERTAIN, PRESENT
from deadpan.faces.face import Face
from deadpan.faces.mesh import Mesh, read_mesh
from deadpan.faces.networks import ASSETS, Floats
from deadpan.pixels import RGB

POINTS = 468
"""Number of landmarks of a face: the points of the face mesh."""

OUTER_EYES = (33, 263)
"""Indices of the outer eye corners in the mesh, the viewer's left first; displacements are in units of their distance.
"""

IBUG_68 = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),  # chin line
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),  # brows
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),  # nose
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),  # eyes
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lips
    *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lips
)
"""Indices of the mesh points nearest to iBUG's 68 landmarks, in iBUG's order."""

CROP_SQUARES = (1.45, 1.25, 1.7, 1.1, 2.0)
"""Sides of the squares in which the mesh of a face crop is searched, as multiples of the crop's side."""


class Located(NamedTuple):
    """The position of a face: the matrix that aligns it, and its mesh."""

    matrix: NDArray[np.float64]  # (2, 3) photograph pixels -> pixels of the aligned face with margin
    mesh: Floats | None  # (468, 3) in pixels of the photograph; None if its presence is below PRESENT


def main_face(faces: Sequence[Face], width: int, height: int) -> Face:
    """Choose the face nearest to the picture's centre among those at least half as large (in area) as the largest."""

    def area(face: Face) -> float:
        left, top, right, bottom = face.box
        return (right - left) * (bottom - top)

    def distance(face: Face) -> float:
        left, top, right, bottom = face.box
        return float(np.hypot((left + right - width) / 2, (top + bottom - height) / 2))

    largest = max(map(area, faces))
    return min((face for face in faces if area(face) >= largest / 2), key=distance)


def five_of_68(landmarks: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Eye centres, nose tip and mouth corners (5, 2) from (68, 2) landmarks in iBUG order."""
    points = np.asarray(landmarks, dtype=np.float64)
    return np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])


def mesh_of(photograph: RGB, face: Face) -> Floats | None:
    """The mesh of a face, (468, 3) in pixels; read at its landmarks if the detector gave no mesh.

    None if the presence that the mesh network reports is below PRESENT.
    """
    if face.mesh is not None:
        return face.mesh.astype(np.float64)
    onto = similarity(TEMPLATE, face.landmarks.astype(np.float64))
    side = 1.55 * np.hypot(*onto[:, 0])  # so that the mesh fills two thirds of the square
    x, y = onto @ [0.5, 0.565, 1] + 0.5
    mesh = read_mesh(photograph, (x, y, side, np.arctan2(onto[1, 0], onto[0, 0])))
    return mesh.points if mesh.presence >= PRESENT else None


def mesh_of_crop(crop: RGB) -> Floats | None:
    """The mesh (468, 3) of the face that fills a picture (H, W, 3); None if its presence is below PRESENT."""
    height, width = crop.shape[:2]
    border = max(height, width) // 2  # repeats the crop's edge; without it the network would receive black pixels
    padded: Any = cv2.copyMakeBorder(crop, border, border, border, border, cv2.BORDER_REPLICATE)
    best = Mesh(np.zeros((POINTS, 3)), -np.inf)
    for side in CROP_SQUARES:
        mesh = read_mesh(padded, (border + width / 2, border + height / 2, side * max(height, width), 0.0))
        if mesh.presence >= PRESENT:
            again = read_mesh(padded, mesh.square)
            mesh = max(mesh, again, key=lambda each: each.presence)
        best = max(best, mesh, key=lambda each: each.presence)
        if best.presence >= CERTAIN:
            break
    return best.points - [border, border, 0] if best.presence >= PRESENT else None


def mesh_beside(photograph: RGB, mesh: Floats) -> Floats | None:
    """Read the mesh (468, 3) of the face at the position of `mesh`, which comes from another photograph.

    None if its presence is below PRESENT.
    """
    found = read_mesh(photograph, Mesh(mesh, 0.0).square)
    return found.points if found.presence >= PRESENT else None


def locate(photograph: RGB, face: Face, size: int, way: Alignment = "mesh") -> Located:
    """Locate a face of a photograph for networks with inputs of `size` pixels.

    Without a mesh, the alignment is estimated from the five landmarks; ValueError if these coincide or are not finite.
    """
    mesh = mesh_of(photograph, face)
    if way == "five":
        return Located(alignment(face.landmarks, size), mesh)
    return Located(five_as_mesh(face.landmarks, size) if mesh is None else mesh_alignment(mesh, size), mesh)


def locate_crop(crop: RGB, size: int, way: Alignment = "mesh") -> Located:
    """Locate the face of a picture that is a face crop; without a mesh, the crop is aligned as a whole."""
    height, width = crop.shape[:2]
    mesh = mesh_of_crop(crop)
    if way == "five":
        return Located(crop_alignment(height, width, size), mesh)
    return Located(crop_as_mesh(height, width, size) if mesh is None else mesh_alignment(mesh, size), mesh)


@lru_cache(maxsize=1)
def mirrored() -> NDArray[np.int64]:
    """(468,): the index of each mesh point's mirror image."""
    with np.load(ASSETS / "relaxing.npz") as file:
        return np.asarray(file["mirror"], np.int64)
