"""The head as arrays: one mesh, the shapes that give a person's identity, and the shapes of expressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from deadpan.synthetic.compiled import compiled

Array = npt.NDArray[np.floating[Any]]

Indices = npt.NDArray[np.integer[Any]]

SKIN, EYE, UPPER_TEETH, LOWER_TEETH, TONGUE, LASH, HAIR, FRAME, LENS = range(9)
"""The material of a triangle."""

# Template units. The teeth of both families nearly touch the lips and would poke through closed ones. So they are moved
# back by TEETH_BACK, and by TEETH_HIDDEN more while the lips are closed (gap below SHUT; none once above PARTED).
TEETH_BACK, TEETH_HIDDEN, SHUT, PARTED = 0.04, 0.14, 0.03, 0.08


@dataclass(frozen=True)
class Head:
    """A family of heads with one topology: V vertices, T triangles, M identity modes, K expression shapes.

    `template` places every vertex on one common face, whatever the family (decimetres, x to the person's left, y up, z
    to the front). Skin, hair and glasses are defined in its coordinates. `rest` is the family's average person in its
    own proportions.
    """

    name: str
    template: Array  # (V, 3)
    rest: Array  # (V, 3)
    triangles: Indices  # (T, 3) counter-clockwise seen from outside
    material: Indices  # (T,)
    landmarks: Indices  # (68,) vertex of each iBUG-68 landmark
    modes: Array  # (M, V, 3)
    mode_names: tuple[str, ...]
    shapes: Array  # (K, V, 3)
    shape_names: tuple[str, ...]
    openness: Array  # (V,) ambient occlusion, 0 hidden .. 1 open
    inside: Array  # (V,) 1 inside the mouth
    lips: Array  # (V,) masks in 0..1
    lids: Array  # (V,)
    ears: Array  # (V,)

    def person(self, weights: Mapping[str, float]) -> Array:
        """Return the vertices (V, 3) of the person with these identity weights, scaled to the template face."""
        vertices = blend(self.rest, self.modes, *_pick(self.mode_names, weights))
        # MakeHuman's body targets shift the whole head by decimetres (a child is smaller): centre and rescale it
        own, common = vertices[self.landmarks], self.template[self.landmarks]
        scale = float(np.linalg.norm(common - common.mean(0)) / np.linalg.norm(own - own.mean(0)))
        moved: Array = ((vertices - own.mean(0)) * scale + common.mean(0)).astype(np.float32)
        return moved

    def posed(self, vertices: Array, weights: Mapping[str, float]) -> Array:
        """Return `vertices` (V, 3) with the expression shapes of `weights` added; ValueError for an unknown shape."""
        moved = blend(vertices, self.shapes, *_pick(self.shape_names, weights))
        moved[self.teeth, 2] -= TEETH_BACK + TEETH_HIDDEN * self.shut(moved)
        return moved

    def shut(self, vertices: Array) -> float:
        """Return 1 for closed lips and 0 for a mouth open enough to show teeth, from the gap between the inner lips."""
        gap = float((vertices[self.landmarks[61:64], 1] - vertices[self.landmarks[[67, 66, 65]], 1]).mean())
        return min(max((PARTED - gap) / (PARTED - SHUT), 0.0), 1.0)

    @cached_property
    def teeth(self) -> Indices:
        """The vertices of teeth, gums and tongue."""
        mouth = np.isin(self.material, (UPPER_TEETH, LOWER_TEETH, TONGUE))
        return np.unique(self.triangles[mouth])


def _pick(names: tuple[str, ...], weights: Mapping[str, float]) -> tuple[Indices, Array]:
    """Return the indices and weights of the named shapes with a weight other than 0; ValueError for an unknown name."""
    unknown = [name for name in weights if name not in names]
    if unknown:
        raise ValueError(f"unknown shape {unknown[0]!r}; this head has {', '.join(names[:6])} ... {len(names)} in all")
    active = [(names.index(name), weight) for name, weight in weights.items() if weight != 0.0]
    return (
        np.array([index for index, _ in active], dtype=np.int32),
        np.array([weight for _, weight in active], dtype=np.float32),
    )


@compiled
def blend(vertices: Array, shapes: Array, picked: Indices, weights: Array) -> Array:
    """Return vertices (V, 3) + the sum of weights[i] * shapes[picked[i]].

    It is a loop because matrix products of BLAS differ between machines in the last bits.
    """
    moved = vertices.copy()
    for i in range(picked.shape[0]):
        shape = shapes[picked[i]]
        weight = weights[i]
        for v in range(vertices.shape[0]):
            moved[v, 0] += weight * shape[v, 0]
            moved[v, 1] += weight * shape[v, 1]
            moved[v, 2] += weight * shape[v, 2]
    return moved


@compiled
def normals(vertices: Array, triangles: Indices) -> Array:
    """Return unit normals (V, 3), area-weighted over the triangles at each vertex; zero without triangles."""
    total = np.zeros_like(vertices)
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux, vx = vertices[b, 0] - vertices[a, 0], vertices[c, 0] - vertices[a, 0]
        uy, vy = vertices[b, 1] - vertices[a, 1], vertices[c, 1] - vertices[a, 1]
        uz, vz = vertices[b, 2] - vertices[a, 2], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for v in (a, b, c):
            total[v, 0] += nx
            total[v, 1] += ny
            total[v, 2] += nz
    for v in range(vertices.shape[0]):
        x, y, z = total[v, 0], total[v, 1], total[v, 2]
        length = np.sqrt(x * x + y * y + z * z)
        if length > 0.0:
            total[v, 0], total[v, 1], total[v, 2] = x / length, y / length, z / length
    return total
