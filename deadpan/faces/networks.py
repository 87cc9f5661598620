"""The networks that look for faces: a picture in, boxes out, with the square that the face mesh is to look at.

Boxes are (left, top, right, bottom) in pixels of the picture, from edge to edge: the first pixel spans 0 to 1.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan.onnx_runtime import open_session
from deadpan.pixels import RGB

ASSETS = Path(__file__).parent / "assets"

Floats = NDArray[np.float64]

OVERLAP = 0.3  # two boxes whose intersection is more than this share of their union are one face (both papers' value)


class Candidates(NamedTuple):
    """N places where a face may be."""

    boxes: Floats  # (N, 4)
    scores: Floats  # (N,) 0..1
    squares: Floats  # (N, 4): centre x and y, side, and roll in radians of the square for the face mesh

    @classmethod
    def none(cls) -> Candidates:
        """No place at all."""
        return cls(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 4)))

    @property
    def sides(self) -> Floats:
        """(N,): the longer side of each box."""
        sides: Floats = (self.boxes[:, 2:] - self.boxes[:, :2]).max(axis=1)
        return sides

    def scaled(self, factor: Floats, shift: Floats) -> Candidates:
        """The same places where x and y are divided by `factor` (2,) and moved by `shift` (2,)."""
        boxes = self.boxes / np.tile(factor, 2) + np.tile(shift, 2)
        squares = self.squares.copy()
        squares[:, :2] = squares[:, :2] / factor + shift
        squares[:, 2] /= factor.mean()
        return Candidates(boxes, self.scores, squares)

    def chosen(self, rows: Any) -> Candidates:
        """Those of the given rows."""
        return Candidates(self.boxes[rows], self.scores[rows], self.squares[rows])


class Network(Protocol):
    """Looks for faces in an (H, W, 3) uint8 RGB picture, as it is: scaling is the caller's."""

    def __call__(self, picture: RGB, confidence: float) -> Candidates:
        """Places whose score is at least `confidence`, best first, each face once."""


@functools.cache
def session(name: str) -> Any:
    """The network of that name in the assets, opened once in a process; its `run` may be called from any thread."""
    # Rearranged it takes a third of the time: CenterFace at 160 pixels 4.2 ms instead of 14.1, opened in 17 ms.
    return open_session(ASSETS / f"{name}.onnx", rearrange=True)


def find_centerface(picture: RGB, confidence: float) -> Candidates:
    """CenterFace on a picture of any size (Xu et al. 2020): a map of face centres, four pixels apart.

    It finds faces that are 28 to 400 pixels wide (benchmarks/detection.py).
    """
    height, width = picture.shape[:2]
    padded = np.zeros((1, 3, -(-height // 32) * 32, -(-width // 32) * 32), np.float32)
    padded[0, :, :height, :width] = picture.transpose(2, 0, 1)
    heat, size, offset, points = session("centerface").run(
        ["heat", "size", "offset", "landmarks"], {"photograph": padded}
    )
    rows, columns = np.nonzero(heat[0, 0] >= confidence)
    scores = heat[0, 0, rows, columns].astype(np.float64)
    sides = np.exp(size[0][:, rows, columns].T.astype(np.float64))[:, ::-1] * 4  # (N, 2): width, height
    cells = np.stack([columns, rows], axis=1) + offset[0][::-1, rows, columns].T  # (N, 2): x, y
    centres = (cells + 0.5) * 4
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    relative = points[0][:, rows, columns].T.reshape(-1, 5, 2)[..., ::-1]  # (N, 5, 2): x, y as shares of the box
    landmarks = boxes[:, None, :2] + relative * sides[:, None]
    found = Candidates(boxes, scores, _squares(boxes, rolls_of_five(landmarks), 1.4, 0.04))
    return found.chosen([group[0] for group in overlapping(boxes, scores)])


BLAZEFACE_SIDE = 128


def find_blazeface(picture: RGB, confidence: float) -> Candidates:
    """BlazeFace, short range, on a picture of at most 128 x 128 pixels (Bazarevsky et al. 2019): 896 anchors.

    It finds faces that are 45 pixels wide or more, and tilted ones that CenterFace misses.
    """
    height, width = picture.shape[:2]
    corner = np.array([(BLAZEFACE_SIDE - width) // 2, (BLAZEFACE_SIDE - height) // 2])
    square = np.zeros((BLAZEFACE_SIDE, BLAZEFACE_SIDE, 3), np.float32)
    square[corner[1] : corner[1] + height, corner[0] : corner[0] + width] = picture
    values = np.ascontiguousarray(square.transpose(2, 0, 1)[None]) / np.float32(127.5) - np.float32(1)
    regressed, logits = session("blazeface").run(["boxes", "logits"], {"photograph": values})
    scores = 1 / (1 + np.exp(-np.clip(logits[0].astype(np.float64), -50, 50)))
    likely = np.nonzero(scores >= confidence)[0]
    scores, rows = scores[likely], regressed[0, likely].astype(np.float64)
    pairs = rows.reshape(-1, 8, 2)  # centre, size, then six points, all in pixels and all but the size from the anchor
    pairs[:, [0, 2, 3, 4, 5, 6, 7]] += _anchors()[likely, None] - corner
    boxes = np.concatenate([pairs[:, 0] - pairs[:, 1] / 2, pairs[:, 0] + pairs[:, 1] / 2], axis=1)
    merged = [_mean(group, scores, boxes, pairs[:, 2:4]) for group in overlapping(boxes, scores)]
    if not merged:
        return Candidates.none()
    boxes, scores, eyes = (np.stack(each) for each in zip(*merged, strict=True))
    across = eyes[:, 1] - eyes[:, 0]
    return Candidates(boxes, scores, _squares(boxes, np.arctan2(across[:, 1], across[:, 0]), 1.53, -0.04))


def _mean(group: NDArray[np.int64], scores: Floats, boxes: Floats, eyes: Floats) -> tuple[Floats, Floats, Floats]:
    """Box, score and eyes of boxes that are one face, weighted by their scores: steadier than the best box."""
    weights = scores[group] / scores[group].sum()
    return weights @ boxes[group], scores[group].max(), np.einsum("n,nij->ij", weights, eyes[group])


@functools.cache
def _anchors() -> Floats:
    """(896, 2): the centres of a grid of 16 x 16 cells, each twice, and of 8 x 8 cells, each six times, in pixels."""
    centres = []
    for cells, repeated in ((16, 2), (8, 6)):
        y, x = np.mgrid[:cells, :cells]
        grid = (np.stack([x.ravel(), y.ravel()], axis=1) + 0.5) * (BLAZEFACE_SIDE / cells)
        centres.append(np.repeat(grid, repeated, axis=0))
    return np.concatenate(centres)


def overlapping(boxes: Floats, scores: Floats) -> list[NDArray[np.int64]]:
    """Groups of rows that are one face: the best score first, with all that overlap it; groups by their best score."""
    groups, left = [], np.argsort(-scores, kind="stable")
    while len(left):
        best, others = boxes[left[0]], boxes[left]
        shared = np.minimum(best[2:], others[:, 2:]) - np.maximum(best[:2], others[:, :2])
        common = np.clip(shared, 0, None).prod(axis=1)
        areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
        same = common > OVERLAP * (areas + areas[0] - common)
        same[0] = True  # also a box without area
        groups.append(left[same])
        left = left[~same]
    return groups


def rolls_of_five(landmarks: NDArray[np.floating[Any]]) -> Floats:
    """The angles (N,) of faces with eyes, nose and mouth corners (N, 5, 2): 0 upright, a quarter turn clockwise pi/2.

    From the eyes and the mouth together, for either alone is often wrong in a face that lies on its side.
    """
    across = landmarks[:, 1] - landmarks[:, 0] + landmarks[:, 4] - landmarks[:, 3]
    down = landmarks[:, 3:].mean(axis=1) - landmarks[:, :2].mean(axis=1)
    along = across + np.stack([down[:, 1], -down[:, 0]], axis=1)
    rolls: Floats = np.arctan2(along[:, 1], along[:, 0])
    return rolls


def _squares(boxes: Floats, rolls: Floats, enlarged: float, lower: float) -> Floats:
    """Squares (N, 4) for the face mesh: the box's longer side enlarged, its centre moved towards the chin.

    The shares are such that the mesh then fills two thirds of the square, as it does in the square made from a mesh:
    medians over 600 news pictures and 60 studio portraits.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    down = np.stack([-np.sin(rolls), np.cos(rolls)], axis=1)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 + down * (lower * sides)[:, None]
    return np.concatenate([centres, (sides * enlarged)[:, None], rolls[:, None]], axis=1)


def scaled_to(photograph: RGB, longest: int) -> tuple[RGB, Floats]:
    """The photograph with `longest` pixels on its longer side, and the factors (x, y) between the two."""
    height, width = photograph.shape[:2]
    factor = longest / max(height, width)
    if factor == 1:
        return photograph, np.ones(2)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    # Averaging all pixels takes longer than finding the face: .9 ms from 512 to 160 pixels, 30 from 4000. Sampled twice
    # as densely as needed, then averaged by twos, it takes .2 and .3 ms.
    if factor < 1 / 2:
        photograph = np.asarray(cv2.resize(photograph, (2 * size[0], 2 * size[1])), dtype=np.uint8)
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(photograph, size, interpolation=way), dtype=np.uint8)
    return small, np.array([size[0] / width, size[1] / height])


def joined(parts: list[Candidates]) -> Candidates:
    """The places of several searches, each face once, with the best score."""
    every = Candidates(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    return every.chosen([group[0] for group in overlapping(every.boxes, every.scores)])
