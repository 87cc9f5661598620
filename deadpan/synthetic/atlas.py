"""The texture atlas: a flat map of the head on which skin and hair are painted.

The head is unrolled around its vertical axis, in the coordinates of the common template. A column is an angle around
that axis (0 in the middle of the face) and a row is a height. A band below the head holds the texture of long hair.
Every head family is placed on the same template, so the same painting code serves all of them.
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
BAND = 96  # rows below the head, for the texture of long hair
TOP, BOTTOM = 8.55, 5.35  # heights in template units (decimetres) of the first and the last row
REACH = 2.2  # radians to each side of the face's middle; no pose shows the back of the head
AXIS_Z = 0.25  # z of the vertical axis in template units


@dataclass(frozen=True)
class Atlas:
    """Position (HEIGHT, WIDTH, 3) in template units and masks (HEIGHT, WIDTH) in 0..1 of the skin at each texel."""

    position: Array
    lips: Array
    lids: Array
    ears: Array
    inside: Array


def texels(points: npt.NDArray[np.floating]) -> Array:
    """Return the texel (column, row) of each template point: (V, 3) -> (V, 2), clipped to the atlas."""
    angle = np.clip(np.arctan2(points[:, 0], points[:, 2] - AXIS_Z), -REACH, REACH)
    column = (angle / (2 * REACH) + 0.5) * WIDTH
    row = (TOP - points[:, 1]) / (TOP - BOTTOM) * HEIGHT
    return np.stack([column, np.clip(row, 0, HEIGHT - 1)], -1).astype(np.float32)


def unroll(head: Head) -> Atlas:
    """Return the atlas of a head family.

    Each texel takes the outermost skin at its angle and height. Texels without skin take the values of the nearest
    skin.
    """
    triangles = head.triangles[head.material == SKIN]
    place = texels(head.template)
    # the distance from the axis serves as depth: the z-buffer then keeps the outermost of several layers (lips, ears)
    radius = np.hypot(head.template[:, 0], head.template[:, 2] - AXIS_Z)
    points = np.column_stack([place, radius]).astype(np.float32)
    spread = np.ptp(place[triangles][..., 0], axis=1)  # a triangle across the seam behind the head spans the atlas
    buried = head.inside[triangles].max(1) > 0.5  # the lining of the mouth is shaded without a texture
    kept = np.ascontiguousarray(triangles[(spread < WIDTH / 4) & ~buried])
    shown, where, _ = draw(points, kept, HEIGHT, WIDTH)
    corners = kept[shown]
    weights = np.concatenate([1 - where.sum(-1, keepdims=True), where], -1)
    values = np.column_stack([head.template, head.lips, head.lids, head.ears, head.inside])
    image = (values[corners] * weights[..., None]).sum(-2).astype(np.float32)
    image = _filled(image, shown >= 0)
    soft = np.asarray(cv2.GaussianBlur(image[..., 3:], (0, 0), 0.8), np.float32)  # no jagged edges of lips and lids
    return Atlas(image[..., :3], soft[..., 0], soft[..., 1], soft[..., 2], soft[..., 3])


def _filled(image: Array, known: npt.NDArray[np.bool_]) -> Array:
    """Return `image` (H, W, C) in which every unknown texel has the values of the nearest known one."""
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
    """Return the atlas of the head family `name`, computed once per process."""
    return unroll(load_head(name, assets))
