"""The map that skin and hair are painted on: the head unrolled around its axis, in the template's coordinates.

Column = angle around the vertical axis (0 in the middle of the face), row = height. A band below the head
holds the paint of hanging hair. The map is the same for every head family, so one painter serves all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from deadpan.synthetic.heads import load_head
from deadpan.synthetic.raster import draw
from deadpan.synthetic.rig import SKIN, Array, Head

WIDTH = 512
HEIGHT = 320  # one texel is about 1 mm of a real face: finer than a 192 px rendering shows
BAND = 96  # rows below the head for hanging hair
TOP, BOTTOM = 8.55, 5.35
REACH = 2.2  # radians to each side; what lies behind is never seen
AXIS_Z = 0.25


@dataclass(frozen=True)
class Atlas:
    """What lies at each texel of the head: template position (HEIGHT, WIDTH, 3) and masks (HEIGHT, WIDTH)."""

    position: Array
    lips: Array
    lids: Array
    ears: Array
    inside: Array


def texels(points: npt.NDArray[np.floating]) -> Array:
    """Return the (column, row) in texels, shape (V, 2), of template points (V, 3)."""
    angle = np.clip(np.arctan2(points[:, 0], points[:, 2] - AXIS_Z), -REACH, REACH)
    column = (angle / (2 * REACH) + 0.5) * WIDTH
    row = (TOP - points[:, 1]) / (TOP - BOTTOM) * HEIGHT
    return np.stack([column, np.clip(row, 0, HEIGHT - 1)], -1).astype(np.float32)


def unroll(head: Head) -> Atlas:
    """Return the atlas of a head family: the outermost skin at every texel, holes filled with the nearest skin."""
    triangles = head.triangles[head.material == SKIN]
    place = texels(head.template)
    radius = np.hypot(head.template[:, 0], head.template[:, 2] - AXIS_Z)
    points = np.column_stack([place, radius]).astype(np.float32)
    spread = np.ptp(place[triangles][..., 0], axis=1)
    buried = head.inside[triangles].max(1) > 0.5
    kept = np.ascontiguousarray(triangles[(spread < WIDTH / 4) & ~buried])
    shown, where, _ = draw(points, kept, HEIGHT, WIDTH)
    corners = kept[shown]
    weights = np.concatenate([1 - where.sum(-1, keepdims=True), where], -1)
    values = np.column_stack([head.template, head.lips, head.lids, head.ears, head.inside])
    image = (values[corners] * weights[..., None]).sum(-2).astype(np.float32)
    image = _filled(image, shown >= 0)
    soft = np.asarray(cv2.GaussianBlur(image[..., 3:], (0, 0), 0.8), np.float32)
    return Atlas(image[..., :3], soft[..., 0], soft[..., 1], soft[..., 2], soft[..., 3])


def _filled(image: Array, known: npt.NDArray[np.bool_]) -> Array:
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    source = np.zeros(labels.max() + 1, np.int64)
    flat = np.flatnonzero(known)
    source[labels.ravel()[flat]] = flat
    filled: Array = image.reshape(-1, image.shape[-1])[source[labels.ravel()]].reshape(image.shape)
    return filled


@cache
def atlas_of(name: str, assets: Path | None = None) -> Atlas:
    """Return the atlas of a head family by name, computed once per process."""
    return unroll(load_head(name, assets))
