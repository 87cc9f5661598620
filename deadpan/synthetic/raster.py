"""Rasterisation: a z-buffer that stores which triangle each pixel shows, and the barycentric place within it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deadpan.synthetic.compiled import compiled
from deadpan.synthetic.rig import Array, Indices

Depth = npt.NDArray[np.float32]


@compiled
def rasterise(
    points: Array,
    triangles: Indices,
    depth: Depth,
    shown: Indices,
    where: Array,
    uv: Array,
    cutout: Array,
    first_cutout: int,
    two_sided: int,
) -> None:
    """Rasterise triangles (T, 3) of points (V, 3) into the buffers, in place.

    Points are x and y (down) in pixels, and a depth that grows towards the viewer. `depth` (H, W) holds the nearest
    depth so far, `shown` (H, W) the index of the visible triangle, `where` (H, W, 2) its second and third barycentric
    weight. From `first_cutout` on, triangles have a hole where the map `cutout` is below 0.5, at the texture
    coordinates `uv` (V, 2) in texels. From `two_sided` on, triangles are visible from both sides.
    """
    height, width = depth.shape
    rows, columns = cutout.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, y0, z0 = points[a, 0], points[a, 1], points[a, 2]
        x1, y1, z1 = points[b, 0], points[b, 1], points[b, 2]
        x2, y2, z2 = points[c, 0], points[c, 1], points[c, 2]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area > -1e-9 and (t < two_sided or area < 1e-9):  # y runs down, so front faces have a negative area
            continue
        inverse = 1.0 / area
        left = max(int(np.ceil(min(x0, x1, x2) - 0.5)), 0)
        right = min(int(np.floor(max(x0, x1, x2) - 0.5)), width - 1)
        top = max(int(np.ceil(min(y0, y1, y2) - 0.5)), 0)
        bottom = min(int(np.floor(max(y0, y1, y2) - 0.5)), height - 1)
        for j in range(top, bottom + 1):
            cy = j + 0.5
            for i in range(left, right + 1):
                cx = i + 0.5
                w1 = ((cx - x0) * (y2 - y0) - (x2 - x0) * (cy - y0)) * inverse
                w2 = ((x1 - x0) * (cy - y0) - (cx - x0) * (y1 - y0)) * inverse
                w0 = 1.0 - w1 - w2
                if w0 < -1e-6 or w1 < -1e-6 or w2 < -1e-6:
                    continue
                z = w0 * z0 + w1 * z1 + w2 * z2
                if z <= depth[j, i]:
                    continue
                if t >= first_cutout:
                    u = int(w0 * uv[a, 0] + w1 * uv[b, 0] + w2 * uv[c, 0])
                    v = int(w0 * uv[a, 1] + w1 * uv[b, 1] + w2 * uv[c, 1])
                    if cutout[min(max(v, 0), rows - 1), min(max(u, 0), columns - 1)] < 0.5:
                        continue
                depth[j, i] = z
                shown[j, i] = t
                where[j, i, 0] = w1
                where[j, i, 1] = w2


def draw(points: Array, triangles: Indices, height: int, width: int) -> tuple[Indices, Array, Depth]:
    """Return `shown`, `where` and `depth` of opaque one-sided triangles; `shown` is -1 in empty pixels."""
    depth = np.full((height, width), -np.inf, np.float32)
    shown = np.full((height, width), -1, np.int32)
    where = np.zeros((height, width, 2), np.float32)
    solid = np.ones((1, 1), np.float32)
    count = len(triangles)
    rasterise(points, triangles, depth, shown, where, np.zeros((len(points), 2), np.float32), solid, count, count)
    return shown, where, depth
