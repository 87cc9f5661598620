"""Puts the expression in one photograph on the face in another: warps its shape, and pastes the inside of the mouth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan.faces.networks import Floats
from deadpan.faces.relaxing import LOWER_LIP, UPPER_LIP, expression_of, triangles, upright, with_depth
from deadpan.faces.warping import INNER_LIPS, OVAL, motion, moved
from deadpan.pixels import RGB

OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185)
EYES = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
)
FOLDS = (98, 327, 203, 423, 206, 426, 216, 436, 212, 432, 204, 424, 200, 194, 418, 199)
"""Points around nose and mouth that enclose the folds beside them."""

CHEEKS = (98, 327, 129, 358, 50, 280, 205, 425, 187, 411, 207, 427, 214, 434, 210, 430, 199, 175, 200, 118, 347)
FOREHEAD = (
    *(46, 53, 52, 65, 55, 70, 63, 105, 66, 107, 276, 283, 282, 295, 285, 300, 293, 334, 296, 336),
    *(9, 8, 151, 108, 337, 69, 299, 168),
)
"""Points of the brows and above the nose."""

TOP, BROWS = 10, [105, 334]
"""The point at the top of the forehead, and those in the middle of the brows' upper edges."""

FURTHEST = 0.27
"""Greatest displacement of a point, as a fraction of the side of a network's input."""

UNLIKE = 0.12
"""Mean difference of two matched skins, as a share of their brightness, above which hair, glasses or shadow differ."""

SOFT, LOCAL = 1.0, 9.0
"""Standard deviations of the blur of skin edges and of the matched light, in pixels of a face of 96 pixels."""

Picture = NDArray[np.float32]  # (M, M, 3) in 0..255
Mask = NDArray[np.float32]  # (M, M) in 0..1
Points = Floats | NDArray[np.floating[Any]]


class Recipe(NamedTuple):
    """The settings of one composite."""

    kind: str  # main, control or identity
    strength: float  # factor on the donor's displacement; 0 for control and identity
    brows: bool  # whether the donor's expression changes the brows


def composite(own: RGB, own_points: Points, donor: RGB, points: Points, recipe: Recipe, seed: Sequence[int]) -> Made:
    """Put the donor's expression on the neutral photograph `own`, both (M, M, 3) with their mesh (468, 2).

    A control keeps its shape, and the mouth and folds of a neutral donor are pasted, so that a seam does not reveal an
    expression.
    """
    draw = np.random.default_rng(seed)
    mesh = with_depth(np.asarray(own_points, np.float64))
    if recipe.kind == "identity":
        return Made(own, mesh)
    source = with_depth(np.asarray(points, np.float64))
    target = displaced(mesh, source, recipe.strength, FURTHEST * len(own)) if recipe.strength else mesh
    every, side = triangles(), len(own)
    warped = moved(own, motion(mesh, target, every, side, side)) if recipe.strength else own
    inner = every[(every < len(mesh)).all(axis=1)]  # without the ring: pasted parts are within the face
    brought = moved(donor, motion(source, target, inner, side, side))
    canvas = Canvas(target[:, :2], side)
    pasted = _paste(warped.astype(np.float32), brought.astype(np.float32), canvas, recipe, draw)
    return Made(np.clip(np.rint(pasted), 0, 255).astype(np.uint8), target)


class Made(NamedTuple):
    """A composite, and the mesh (468, 3) of the face in it."""

    image: RGB
    mesh: Floats


def displaced(mesh: Floats, donor: Floats, strength: float, furthest: float) -> Floats:
    """The mesh (468, 3) with the donor's expression, in its own pose; no point moves by more than `furthest`."""
    face, other = upright(mesh), upright(donor)
    top, brows = face.points[TOP, 1], face.points[BROWS, 1].mean()
    moving = np.clip((face.points[:, 1:2] - top) / (brows - top), 0, 1)  # expressions do not move the hairline
    target = face.back(face.points + strength * moving * expression_of(other))
    most = np.linalg.norm(target - mesh, axis=1).max()
    brought: Floats = mesh + min(1.0, furthest / max(most, 1e-9)) * (target - mesh)
    return brought


class Canvas:
    """Draws masks of the parts of a face in a picture; widths are in pixels of a face of 96 pixels."""

    def __init__(self, points: Floats, side: int) -> None:
        self.points, self.side = points, side
        self.unit = side / 105  # a face of 96 has 105 with its margin

    def polygon(self, which: Sequence[int], grow: float = 0.0, soft: float = SOFT) -> Mask:
        """The polygon of the given points, in their order."""
        return self._filled(self.points[list(which)], grow, soft)

    def hull(self, which: Sequence[int], grow: float = 0.0, soft: float = SOFT) -> Mask:
        """The convex hull of the given points."""
        around: Any = cv2.convexHull(self.points[list(which)].astype(np.float32))
        return self._filled(around[:, 0], grow, soft)

    def blurred(self, values: Any, width: float) -> Any:
        """Gaussian blur, computed at a lower resolution if the difference is not visible."""
        sigma = width * self.unit
        if sigma < 4:
            return cv2.GaussianBlur(values, (0, 0), max(sigma, 0.3))
        small = cv2.resize(values, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA)
        return cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma / 3), (self.side, self.side))

    def _filled(self, corners: Any, grow: float, soft: float) -> Mask:
        mask = np.zeros((self.side, self.side), np.uint8)
        cv2.fillPoly(mask, [np.round(corners * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
        wider = round(grow * self.unit)
        if wider > 0:
            mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * wider + 1,) * 2))  # type: ignore[assignment]
        filled: Mask = self.blurred(mask.astype(np.float32) / 255, soft)
        return filled

    def matched(self, given: Picture, onto: Picture, skin: Mask) -> tuple[Picture, Any]:
        """Match `given` to the contrast and the local light of `onto`, measured on the skin; also returns the gain."""
        weight = skin[..., None]
        total = weight.sum() + 1e-3
        light, wanted = ((weight * each).sum(axis=(0, 1)) / total for each in (given, onto))
        gain = np.clip(wanted / np.maximum(light, 5), 0.6, 1.7)
        given = given * gain
        offset = self.blurred(weight * (onto - given), LOCAL) / (self.blurred(skin, LOCAL) + 0.02)[..., None]
        return given + offset, gain


def _unlike(like: Picture, onto: Picture, skin: Mask) -> bool:
    """Whether the part to paste differs from the other face, for example by a beard, glasses or a shadow."""
    weight = skin[..., None]
    return bool((weight * np.abs(like - onto)).sum() > UNLIKE * (weight * onto).sum())


def _paste(onto: Picture, given: Picture, canvas: Canvas, recipe: Recipe, draw: np.random.Generator) -> Picture:
    """Paste parts of the donor into the warped photograph: folds, lips, brows (at random), inside of an open mouth."""
    control = recipe.kind == "control"
    lips, face = canvas.polygon(OUTER_LIPS, 1, 0.8), canvas.hull(OVAL)
    skin = np.clip(canvas.hull(CHEEKS, 3, 1.5) - lips, 0, 1) * face
    like, gain = canvas.matched(given, onto, skin)
    inside = draw.uniform(0.9, 1.1) * gain
    result = onto
    unlike = _unlike(like, onto, skin)
    if (control or draw.random() < 0.5) and not unlike:
        which = FOLDS if draw.random() < 0.5 else CHEEKS
        mask = canvas.hull(which, draw.uniform(0, 3), draw.uniform(0.8, 4)) * draw.uniform(0.5, 1)
        if not control and draw.random() < 0.65:
            mask = mask * (1 - lips)
        result = result + mask[..., None] * (like - result)
    if (control or draw.random() < 0.25) and not unlike:
        mask = canvas.polygon(OUTER_LIPS, draw.uniform(0, 4), draw.uniform(0.8, 2.5))
        result = result + mask[..., None] * (like - result)
    if recipe.brows and draw.random() < 0.6:
        result = _paste_brows(result, given, canvas, draw)
    points = canvas.points
    gap = float(np.linalg.norm(points[UPPER_LIP[3:6]] - points[LOWER_LIP[3:6]], axis=1).mean())
    if not control and gap > 1.2 * canvas.unit:
        mask = canvas.polygon(INNER_LIPS, draw.uniform(0, 1.5), draw.uniform(0.5, 1.1))
        result = result + mask[..., None] * (given * np.clip(inside, 0.6, 1.7) - result)
    return result


def _paste_brows(onto: Picture, given: Picture, canvas: Canvas, draw: np.random.Generator) -> Picture:
    """The mask of the donor's brows and the skin between them, without the eyes."""
    eyes = np.clip(sum(canvas.polygon(eye, 1, 0.8) for eye in EYES), 0, 1)
    skin = np.clip(canvas.hull(FOREHEAD, 3, 1.5) - eyes, 0, 1)
    like, _ = canvas.matched(given, onto, skin)
    if _unlike(like, onto, skin):
        return onto
    mask = canvas.hull(FOREHEAD, draw.uniform(0, 2), draw.uniform(1, 3.5)) * (1 - eyes)
    pasted: Picture = onto + mask[..., None] * (like - onto)
    return pasted
