"""The networks that detect faces. Each returns boxes, and for each box the square in which to read the face mesh.

Boxes are (left, top, right, bottom) in pixels of the picture, counted from its edge: the first pixel spans 0 to 1.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan.errors import DeadpanError
from deadpan.onnx_runtime import error_line, open_session
from deadpan.pixels import RGB

ASSETS = Path(__file__).parent / "assets"

Floats = NDArray[np.float64]

OVERLAP = 0.3  # boxes with a greater intersection over union are one face (the value of both papers)


class NetworkError(DeadpanError):
    """A network of deadpan's own that cannot be opened, because its file is missing or damaged."""


class Candidates(NamedTuple):
    """N candidate faces."""

    boxes: Floats  # (N, 4)
    scores: Floats  # (N,) 0..1
    squares: Floats  # (N, 4): the square for the face mesh: centre x, centre y, side in pixels, roll in radians

    @classmethod
    def none(cls) -> Candidates:
        """No candidates."""
        return cls(np.zeros((0, 4)), np.zeros(0), np.zeros((0, 4)))

    @property
    def sides(self) -> Floats:
        """(N,): the longer side of each box."""
        sides: Floats = (self.boxes[:, 2:] - self.boxes[:, :2]).max(axis=1)
        return sides

    def scaled(self, factor: Floats, shift: Floats) -> Candidates:
        """The candidates with x and y divided by `factor` (2,), then moved by `shift` (2,)."""
        boxes = self.boxes / np.tile(factor, 2) + np.tile(shift, 2)
        squares = self.squares.copy()
        squares[:, :2] = squares[:, :2] / factor + shift
        squares[:, 2] /= factor.mean()
        return Candidates(boxes, self.scores, squares)

    def chosen(self, rows: Any) -> Candidates:
        """The candidates of the given rows (indices or a mask)."""
        return Candidates(self.boxes[rows], self.scores[rows], self.squares[rows])


class Network(Protocol):
    """Detects faces in an (H, W, 3) uint8 RGB picture, which the caller has scaled."""

    def __call__(self, picture: RGB, confidence: float) -> Candidates:
        """Candidates whose score is at least `confidence`, best first, one for each face."""


@functools.cache
def session(name: str) -> Any:
    """Open the network of that name in the assets, once in a process; any thread may call its `run`.

    Raises NetworkError if its file is missing or damaged.
    """
    # Rearranging the graph makes it three times as fast: CenterFace at 160 pixels takes 4.2 ms instead of 14.1 and
    # opens in 17 ms.
    path = ASSETS / f"{name}.onnx"
    try:
        return open_session(path, rearrange=True)
    except Exception as error:  # ONNX Runtime raises one private class for each kind of damage
        advice = "`deadpan models --check` lists all damaged files; reinstall deadpan"
        raise NetworkError(f"the face network {path} is damaged: {error_line(error)}; {advice}") from error


def find_centerface(picture: RGB, confidence: float) -> Candidates:
    """Run CenterFace (Xu et al. 2020) on a picture of any size: it maps face centres, at steps of four pixels.

    It finds faces that are 28 to 400 pixels wide (benchmarks/detection.py).
    """
    height, width = picture.shape[:2]
    padded = np.zeros((1, 3, -(-height // 32) * 32, -(-width // 32) * 32), np.float32)
    for plane, channel in zip(padded[0], cv2.split(picture), strict=True):
        plane[:height, :width] = channel
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
    """Run BlazeFace, short range (Bazarevsky et al. 2019), on a picture of at most 128 x 128 pixels: 896 anchors.

    It finds faces that are at least 45 pixels wide, and tilted faces that CenterFace misses.
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
    pairs = rows.reshape(-1, 8, 2)  # centre, size and six points in pixels; all but the size relative to the anchor
    pairs[:, [0, 2, 3, 4, 5, 6, 7]] += _anchors()[likely, None] - corner
    boxes = np.concatenate([pairs[:, 0] - pairs[:, 1] / 2, pairs[:, 0] + pairs[:, 1] / 2], axis=1)
    merged = [_mean(group, scores, boxes, pairs[:, 2:4]) for group in overlapping(boxes, scores)]
    if not merged:
        return Candidates.none()
    boxes, scores, eyes = (np.stack(each) for each in zip(*merged, strict=True))
    across = eyes[:, 1] - eyes[:, 0]
    return Candidates(boxes, scores, _squares(boxes, np.arctan2(across[:, 1], across[:, 0]), 1.53, -0.04))


def _mean(group: NDArray[np.int64], scores: Floats, boxes: Floats, eyes: Floats) -> tuple[Floats, Floats, Floats]:
    """Average the boxes and eyes of one face, weighted by score, which is steadier than the best box alone."""
    weights = scores[group] / scores[group].sum()
    return weights @ boxes[group], scores[group].max(), np.einsum("n,nij->ij", weights, eyes[group])


@functools.cache
def _anchors() -> Floats:
    """Anchor centres (896, 2) in pixels: two for each cell of a 16 x 16 grid, then six for each of an 8 x 8 grid."""
    centres = []
    for cells, repeated in ((16, 2), (8, 6)):
        y, x = np.mgrid[:cells, :cells]
        grid = (np.stack([x.ravel(), y.ravel()], axis=1) + 0.5) * (BLAZEFACE_SIDE / cells)
        centres.append(np.repeat(grid, repeated, axis=0))
    return np.concatenate(centres)


def overlapping(boxes: Floats, scores: Floats) -> list[NDArray[np.int64]]:
    """Group boxes (N, 4) that overlap by more than OVERLAP; groups, and the rows in each, are sorted by score."""
    groups, left = [], np.argsort(-scores, kind="stable")
    while len(left):
        best, others = boxes[left[0]], boxes[left]
        shared = np.minimum(best[2:], others[:, 2:]) - np.maximum(best[:2], others[:, :2])
        common = np.clip(shared, 0, None).prod(axis=1)
        areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
        same = common > OVERLAP * (areas + areas[0] - common)
        same[0] = True  # also if the box has no area
        groups.append(left[same])
        left = left[~same]
    return groups


def rolls_of_five(landmarks: NDArray[np.floating[Any]]) -> Floats:
    """The roll angles (N,) in radians of faces with five landmarks (N, 5, 2): 0 upright, pi/2 a quarter turn clockwise.

    They are computed from the eyes and the mouth together, because either alone is often wrong for a face on its side.
    """
    across = landmarks[:, 1] - landmarks[:, 0] + landmarks[:, 4] - landmarks[:, 3]
    down = landmarks[:, 3:].mean(axis=1) - landmarks[:, :2].mean(axis=1)
    along = across + np.stack([down[:, 1], -down[:, 0]], axis=1)
    rolls: Floats = np.arctan2(along[:, 1], along[:, 0])
    return rolls


def _squares(boxes: Floats, rolls: Floats, enlarged: float, lower: float) -> Floats:
    """Squares (N, 4) for the face mesh: boxes whose longer side is enlarged and whose centre is moved to the chin.

    The callers' factors make the mesh fill two thirds of the square, as in `Mesh.square`. They are medians over 600
    news pictures and 60 studio portraits.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    down = np.stack([-np.sin(rolls), np.cos(rolls)], axis=1)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 + down * (lower * sides)[:, None]
    return np.concatenate([centres, (sides * enlarged)[:, None], rolls[:, None]], axis=1)


def scaled_to(photograph: RGB, longest: int) -> tuple[RGB, Floats]:
    """Scale a photograph to `longest` pixels on its longer side; also return the scale factors (x, y)."""
    height, width = photograph.shape[:2]
    factor = longest / max(height, width)
    if factor == 1:
        return photograph, np.ones(2)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    # Averaging all pixels takes longer than detection: 0.9 ms from 512 to 160 pixels, 30 ms from 4000. Sampling at
    # twice the resolution and averaging pairs of samples takes 0.2 and 0.3 ms.
    if factor < 1 / 2:
        photograph = np.asarray(cv2.resize(photograph, (2 * size[0], 2 * size[1])), dtype=np.uint8)
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(photograph, size, interpolation=way), dtype=np.uint8)
    return small, np.array([size[0] / width, size[1] / height])


def joined(parts: list[Candidates]) -> Candidates:
    """Merge the candidates of several searches, keeping the one with the best score for each face."""
    every = Candidates(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    return every.chosen([group[0] for group in overlapping(every.boxes, every.scores)])
