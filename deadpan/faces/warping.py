"""Warps a face in a photograph, at full resolution, by moving the points of its mesh.

The 468 points of the mesh move; a ring of points around the face stays fixed. Each triangle between the points is
warped by one affine map, so that the motion is continuous and fades out between the face and the ring.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan.faces.networks import Floats
from deadpan.pixels import RGB

OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
"""The mesh's outermost points, clockwise from the top of the forehead."""

INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191)

RING = 1.5
"""Distance of the ring from the centre of the face, as a multiple of the distance of OVAL."""

Triangles = NDArray[np.integer[Any]]


class Motion(NamedTuple):
    """The source position of each pixel in a rectangle of the photograph."""

    flow: NDArray[np.float32]  # (h, w, 2) in pixels: source position minus position of each pixel, x and y
    corner: tuple[int, int]  # x and y of the rectangle's top left pixel in the photograph


def with_ring(points: Floats) -> Floats:
    """Append the ring to the points of a mesh, (468, 2 or 3): (504, 2)."""
    flat = points[:, :2]
    oval = flat[list(OVAL)]
    middle = oval.mean(axis=0)
    return np.concatenate([flat, middle + RING * (oval - middle)])


def motion(source: Floats, target: Floats, triangles: Triangles, height: int, width: int) -> Motion:
    """Compute the motion from the mesh `source` to `target`, both (468, 3) in pixels of a (height, width) photograph.

    Where triangles overlap, for example behind the nose of a turned face, the one nearest to the camera is visible.
    """
    onto = with_ring(target)
    come_from = np.concatenate([source[:, :2], onto[len(target) :]])
    low = np.clip(np.floor(onto.min(axis=0)).astype(int), 0, [width, height])
    high = np.clip(np.ceil(onto.max(axis=0)).astype(int) + 1, 0, [width, height])
    size = np.maximum(high - low, 0)
    flow = np.zeros((size[1], size[0], 2), np.float32)
    if flow.size:
        _draw(flow, onto - low, come_from - low, triangles[_far_first(target, triangles)])
    return Motion(flow, (int(low[0]), int(low[1])))


def moved(photograph: RGB, motion: Motion) -> RGB:
    """Apply a motion to a photograph (H, W, 3); pixels that do not move keep their exact values."""
    height, width = motion.flow.shape[:2]
    left, top = motion.corner
    moving = np.abs(motion.flow).max(axis=2, initial=0) > 1e-3
    if not moving.any():
        return photograph.copy()
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    # OpenCV can address at most 32,767 pixels, so that only the part of the photograph that is read is passed on.
    reach = int(np.ceil(np.abs(motion.flow).max())) + 2
    x0, y0 = max(0, left - reach), max(0, top - reach)
    part = photograph[y0 : top + height + reach, x0 : left + width + reach]
    where_x, where_y = x + motion.flow[..., 0] + (left - x0), y + motion.flow[..., 1] + (top - y0)
    new: Any = cv2.remap(part, where_x, where_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    result = photograph.copy()
    result[top : top + height, left : left + width][moving] = new[moving]
    return result


def _far_first(points: Floats, triangles: Triangles) -> NDArray[np.intp]:
    """The order in which to draw triangles: those around the face, those inside the mouth, the others from the back."""
    depth = np.append(points[:, 2], np.full(len(OVAL), np.inf))[triangles].max(axis=1)
    inside = np.isin(triangles, INNER_LIPS).all(axis=1)
    return np.argsort(-np.where(inside, 1e9, depth), kind="stable")


def _draw(flow: NDArray[np.float32], onto: Floats, come_from: Floats, triangles: Triangles) -> None:
    """Write the flow of each triangle: the affine map from the target's triangle to the source's."""
    covered = np.full(flow.shape[:2], -1, np.int32)  # the number of the visible triangle; -1 for none
    for number, corner in enumerate(np.round(onto[triangles] * 16).astype(np.int32)):
        cv2.fillConvexPoly(covered, corner, number, lineType=cv2.LINE_8, shift=4)
    corners = np.concatenate([onto[triangles], np.ones((len(triangles), 3, 1))], axis=2)  # (T, 3, 3)
    motion = (come_from - onto)[triangles]  # (T, 3, 2)
    flat = np.abs(np.linalg.det(corners)) < 1e-3  # the interior of a shut mouth
    corners[flat], motion[flat] = np.eye(3), 0
    maps = np.linalg.solve(corners, motion).astype(np.float32)  # (T, 3, 2)
    maps = np.concatenate([maps, np.zeros((1, 3, 2), np.float32)])  # number -1: no motion
    height, width = flow.shape[:2]
    x, y = np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]
    for axis in (0, 1):
        across, down, shift = (maps[:, k, axis][covered] for k in range(3))  # (h, w)
        flow[..., axis] = across * x + down * y + shift
