"""Ambient occlusion: how much of the surrounding light reaches each vertex, from shadow maps of many directions.

MakeHuman's head stores this map. It is computed for ICT heads only.
"""

from __future__ import annotations

import numpy as np

from deadpan.synthetic.raster import draw
from deadpan.synthetic.rig import Array, Indices, normals

MARGIN = 0.06  # template units; a surface less than this in front of a vertex does not occlude it


def openness(vertices: Array, triangles: Indices, directions: int = 32, resolution: int = 180) -> Array:
    """Return the share (V,) in 0..1 of the light from the front, above and the sides that reaches each vertex."""
    triangles = np.ascontiguousarray(triangles)
    outward = normals(vertices, triangles)
    rng = np.random.default_rng(0)  # fixed: the map belongs to the head family, not to a person
    seen, total = np.zeros(len(vertices)), np.full(len(vertices), 1e-6)
    for _ in range(directions):
        ahead = rng.normal(size=3)
        ahead /= np.linalg.norm(ahead)
        ahead[2] = abs(ahead[2])
        ahead[1] = abs(ahead[1]) if ahead[1] < -0.4 else ahead[1]  # little light comes from straight below
        across = np.cross([0.0, 1.0, 0.0], ahead)
        across /= np.linalg.norm(across)
        turned = vertices @ np.stack([across, np.cross(ahead, across), ahead]).T
        low, high = turned.min(0), turned.max(0)
        scale = (resolution - 4) / (high - low)[:2].max()
        column, row = (turned[:, 0] - low[0]) * scale + 2, (high[1] - turned[:, 1]) * scale + 2
        points = np.stack([column, row, turned[:, 2]], -1).astype(np.float32)
        depth = draw(points, triangles, resolution, resolution)[2]
        nearest = depth[row.astype(int).clip(0, resolution - 1), column.astype(int).clip(0, resolution - 1)]
        weight = np.clip(outward @ ahead, 0, 1)
        seen += (turned[:, 2] > nearest - MARGIN) * weight
        total += weight
    return np.asarray(seen / total, np.float32)
