"""The default detector: searches a small picture first and larger ones only when needed, then reads the face mesh.

CenterFace (or BlazeFace) proposes candidates. The face mesh gives the landmarks and the roll angle of each candidate
and rejects those that are not faces. All figures were measured by benchmarks/detection.py; see docs/detection.md.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deadpan.faces.face import Face, in_reading_order
from deadpan.faces.mesh import Mesh, five_of_mesh, read_mesh
from deadpan.faces.networks import (
    BLAZEFACE_SIDE,
    Candidates,
    Floats,
    Network,
    find_blazeface,
    joined,
    rolls_of_five,
    scaled_to,
)
from deadpan.faces.photographs import check_photograph
from deadpan.pixels import RGB

SIDES = (160, 320, 640)
"""Longer sides of the scaled pictures that CenterFace searches in turn: 5, 16 and 62 ms on one thread."""

LARGE = 56
"""The search ends when the box of every face found has at least this many pixels in the scaled picture.

CenterFace finds nearly every face whose box has 38 pixels or more. If all boxes found have 56, the faces it missed are
less than two thirds as large as the smallest one found. If the largest picture still shows smaller boxes, a picture of
twice its size is searched too: this found 400 of 400 faces of 25 pixels, where 141 were found without it.
"""

CERTAIN = 10.0
"""Presence (a logit) from which a face is taken to be upright in its square; below it all four rotations are tried.

Of upright faces 97 % have a higher presence. Faces upside down have 8 at most, faces on their side 0 at most.
"""

PRESENT = 0.0
"""Least presence of a face. The lowest of 738 real faces was 3.4; the highest of candidates without a face was -5.1."""

RIGHT_ANGLE = math.pi / 2
ROLL_OFF, PLACE_OFF, SIZE_OFF = math.radians(15), 0.1, 0.25
"""Differences in roll, centre (shares of the side) and size (logarithm) between the square that was read and the square
that fits the mesh. Beyond any of them the mesh is read again, in the square that fits."""

TILE, OVERLAP, CUT = 1280, 160, 4
"""Side and overlap of the tiles in which a large picture is searched, in pixels. A face smaller than OVERLAP lies
completely, at least CUT pixels from the tile's edge, in one of them."""


class Cascade:
    """Finds faces of any size and rotation in the picture plane; `search` is find_centerface or find_blazeface."""

    def __init__(self, search: Network, longest_side: int | None, confidence: float) -> None:
        """Search pictures of up to `longest_side` pixels; None searches the full size too, to find small faces.

        `confidence`, in 0..1, is the least score of a candidate.
        """
        self.search = search
        self.longest_side = longest_side
        self.confidence = confidence

    def __call__(self, photograph: RGB) -> list[Face]:
        """Find the faces of an (H, W, 3) uint8 RGB photograph, sorted by their left edge.

        Raises PhotographError for another array.
        """
        check_photograph(photograph)
        faces = self._find(photograph)
        turn = _main_turn(faces) if faces else self._turn_of_missed(photograph)
        # Some faces of a rotated photograph are missed, so that it is turned upright and searched again.
        if turn:
            upright = np.ascontiguousarray(np.rot90(photograph, turn))
            again = [_turned_back(face, turn, photograph) for face in self._find(upright)]
            if len(again) >= len(faces):
                faces = again
        return in_reading_order(faces)

    def _find(self, photograph: RGB) -> list[Face]:
        """Find the faces of an upright photograph, in which single faces may be rotated."""
        faces = self._read(photograph, self._candidates(photograph))
        if not faces and self.search is not find_blazeface:  # BlazeFace finds tilted faces that CenterFace misses
            faces = self._read(photograph, _look(find_blazeface, photograph, BLAZEFACE_SIDE, self.confidence))
        return faces

    def _candidates(self, photograph: RGB) -> Candidates:
        if self.search is find_blazeface:
            return _look(find_blazeface, photograph, BLAZEFACE_SIDE, self.confidence)
        longest = max(photograph.shape[:2])
        limit = min(self.longest_side or longest, longest)
        found = Candidates.none()
        for side in (*(side for side in SIDES if side < limit), limit, 2 * limit):
            if side > limit and (not len(found.sides) or side > 2 * TILE):
                break
            found = joined([_look(self.search, photograph, side, self.confidence), found])
            smallest = min(found.sides * (side / longest), default=0)
            if smallest >= LARGE and (self.longest_side is not None or side >= limit):
                break
        return found

    def _read(self, photograph: RGB, candidates: Candidates) -> list[Face]:
        faces: list[Face] = []
        for box, score, square in zip(*candidates, strict=True):
            mesh = _read_any_turn(photograph, square)
            if mesh.presence >= PRESENT:
                faces.append(_face(box, float(score), mesh, photograph))
        return faces

    def _turn_of_missed(self, photograph: RGB) -> int:
        """Quarter turns, anticlockwise, after which BlazeFace finds a face in the photograph; 0 if it finds none."""
        small, _ = scaled_to(photograph, min(4 * BLAZEFACE_SIDE, max(photograph.shape[:2])))
        for turn in (1, 3, 2):
            turned = np.ascontiguousarray(np.rot90(small, turn))
            faces = self._read(turned, _look(find_blazeface, turned, BLAZEFACE_SIDE, self.confidence))
            if faces:
                return (turn + _main_turn(faces)) % 4
        return 0


def _look(search: Network, photograph: RGB, side: int, confidence: float) -> Candidates:
    """Search the photograph scaled to `side` pixels, in tiles if the scaled picture is larger than TILE (memory)."""
    small, factor = scaled_to(photograph, side)
    height, width = small.shape[:2]
    found = []
    for top in _starts(height):
        for left in _starts(width):
            right, bottom = left + TILE, top + TILE
            places = search(small[top:bottom, left:right], confidence)
            low = [-np.inf if left == 0 else CUT, -np.inf if top == 0 else CUT]
            high = [np.inf if right >= width else TILE - CUT, np.inf if bottom >= height else TILE - CUT]
            whole = ((places.boxes[:, :2] >= low) & (places.boxes[:, 2:] <= high)).all(axis=1)
            found.append(places.chosen(whole).scaled(np.ones(2), np.array([left, top])))
    return joined(found).scaled(factor, np.zeros(2))


def _starts(length: int) -> range:
    return range(0, max(1, length - OVERLAP), TILE - OVERLAP)


def _read_any_turn(photograph: RGB, square: Floats) -> Mesh:
    """Read the mesh in a square whose roll may be wrong, and again if the first mesh suggests a better square."""
    mesh = read_mesh(photograph, square)
    if mesh.presence < CERTAIN:
        turned = [square + np.array([0, 0, 0, quarter * RIGHT_ANGLE]) for quarter in (1, 2, 3)]
        square, mesh = max(
            [(square, mesh), *((each, read_mesh(photograph, each)) for each in turned)],
            key=lambda pair: pair[1].presence,
        )
    better = mesh.square
    roll = abs(math.remainder(better[3] - square[3], 2 * math.pi))
    moved = math.hypot(*(better[:2] - square[:2])) / square[2]
    if mesh.presence >= PRESENT and (
        roll > ROLL_OFF or moved > PLACE_OFF or abs(math.log(better[2] / square[2])) > SIZE_OFF
    ):
        again = read_mesh(photograph, better)
        mesh = again if again.presence >= PRESENT else mesh
    return mesh


def _face(box: Floats, score: float, mesh: Mesh, photograph: RGB) -> Face:
    height, width = photograph.shape[:2]
    left, top, right, bottom = (float(edge) for edge in np.clip(box, 0, [width, height, width, height]))
    landmarks = five_of_mesh(mesh.points).astype(np.float32)
    return Face((left, top, right, bottom), score, landmarks, mesh.points.astype(np.float32))


def _main_turn(faces: list[Face]) -> int:
    """Quarter turns, anticlockwise, after which most of the area of the faces is upright."""
    areas = np.zeros(4)
    for face in faces:
        left, top, right, bottom = face.box
        areas[round(float(rolls_of_five(face.landmarks[None])[0]) / RIGHT_ANGLE) % 4] += (right - left) * (bottom - top)
    return int(areas.argmax())


def _turned_back(face: Face, turn: int, photograph: RGB) -> Face:
    """A face found after `turn` quarter turns anticlockwise, moved back to pixels of the original photograph."""
    height, width = photograph.shape[:2]

    def back(points: NDArray[np.floating[Any]], last: int) -> Floats:
        """Turn points back; `last` is 1 for points on pixel centres, 0 for points on pixel edges."""
        x, y = points[:, 0], points[:, 1]
        shown = {1: (width - last - y, x), 2: (width - last - x, height - last - y), 3: (y, height - last - x)}[turn]
        return np.column_stack([*shown, *points.T[2:]])

    corners = back(np.array(face.box).reshape(2, 2), 0)
    left, top = corners.min(axis=0).tolist()
    right, bottom = corners.max(axis=0).tolist()
    mesh = None if face.mesh is None else back(face.mesh, 1).astype(np.float32)
    return Face((left, top, right, bottom), face.score, back(face.landmarks, 1).astype(np.float32), mesh)
