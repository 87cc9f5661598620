"""Shading: the colour of each pixel, from its material and the light of the scene."""

from __future__ import annotations

import numpy as np

from deadpan.synthetic.compiled import compiled
from deadpan.synthetic.materials import GLOSS, OPEN, SHADE, STRENGTH, WRAP, material_at
from deadpan.synthetic.rig import Array, Indices


@compiled
def _mix(values: Array, a: int, b: int, c: int, wb: float, wc: float, out: Array) -> None:
    """Write the barycentric mean of three rows of `values` (N, 3) into `out` (3,)."""
    wa = 1.0 - wb - wc
    for k in range(3):
        out[k] = wa * values[a, k] + wb * values[b, k] + wc * values[c, k]


@compiled
def _lit(shadow: Array, column: float, row: float, depth: float, blur: float, bias: float) -> float:
    """Return the share (0..1) of 3 x 3 samples of the shadow map in which nothing lies in front of this point."""
    rows, columns = shadow.shape
    if column < 0.0 or row < 0.0 or column >= columns or row >= rows:
        return 1.0
    seen = 0.0
    for a in range(-1, 2):
        j = min(max(int(row + a * blur), 0), rows - 1)
        for b in range(-1, 2):
            i = min(max(int(column + b * blur), 0), columns - 1)
            if depth > shadow[j, i] - bias:
                seen += 1.0
    return seen / 9.0


@compiled
def _light(spot: Array, normal: Array, point: Array, light: Array, half: Array, shadow: Array, frame: Array,
           image: Array, j: int, i: int) -> None:  # fmt: skip
    """Write the light (3,) that leaves a spot at `point` into pixel (j, i)."""
    size = np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2) + 1e-9
    x, y, z = normal[0] / size, normal[1] / size, normal[2] / size
    key = x * light[0, 0] + y * light[0, 1] + z * light[0, 2]
    fill = max(x * light[4, 0] + y * light[4, 1] + z * light[4, 2], 0.0)
    mirror = x * half[0] + y * half[1] + z * half[2]
    column = (point[0] * frame[0, 0] + point[1] * frame[0, 1] + point[2] * frame[0, 2]) * frame[3, 0] + frame[3, 1]
    row = (point[0] * frame[1, 0] + point[1] * frame[1, 1] + point[2] * frame[1, 2]) * frame[3, 0] + frame[3, 2]
    depth = point[0] * frame[2, 0] + point[1] * frame[2, 1] + point[2] * frame[2, 2]
    bias = 0.05 + 0.12 * (1.0 - min(abs(key), 1.0))  # larger at grazing light, where surfaces would shadow themselves
    lit = 1.0 - light[6, 0] * spot[SHADE] * (1.0 - _lit(shadow, column, row, depth, light[6, 1], bias))
    open_ = spot[OPEN]
    shine = mirror ** spot[GLOSS] * spot[STRENGTH] * lit * 0.35 * (0.3 + 0.7 * open_) if mirror > 0.3 else 0.0
    above = 0.5 + 0.5 * y
    for k in range(3):
        soft = 0.1
        if spot[WRAP] > 0.0:  # subsurface scattering: red light travels furthest below the skin
            soft = 0.30 if k == 0 else (0.12 if k == 1 else 0.08)
        direct = min(max((key + soft) / (1.0 + soft), 0.0), 1.0) * lit * (0.35 + 0.65 * open_)
        around = (light[2, k] * above + light[3, k] * (1.0 - above)) * (0.85 + 0.15 * z)
        total = around * open_ + light[1, k] * direct + light[5, k] * fill * open_
        image[j, i, k] = spot[k] * total + shine * light[1, k]


@compiled
def shade(
    image: Array,  # (H, W, 3) linear light, written in place
    shown: Indices,
    where: Array,
    triangles: Indices,
    material: Indices,
    points: Array,  # (N, 3) in the scene, for shadows
    facing: Array,  # (N, 3) normals in the scene
    place: Array,  # (N, 3) template coordinates
    traits: Array,  # (N, 4) texel (column, row), openness, inside of the mouth
    skin: Array,
    hair: Array,
    height: Array,
    corner: Array,  # (2,) texel of the fold map's corner
    turn: Array,  # (3, 3) rotation of the head
    eyes: Array,
    gaze: Array,  # (2, 3) unit vectors in the head's frame
    colours: Array,  # (3, 3) iris, frame, (whiteness of the teeth, 1 where closed lips hide them, how far front)
    light: Array,  # (7, 3) key direction, key, sky, ground, fill direction, fill, (shadow, blur, -)
    shadow: Array,
    frame: Array,  # (4, 3) the shadow map's axes, and (scale, column, row)
) -> None:
    """Write the colour of every pixel that shows a triangle into `image`."""
    half = np.array([light[0, 0], light[0, 1], light[0, 2] + 1.0])
    half /= np.sqrt((half * half).sum())
    spot = np.zeros(8)
    normal, at, point = np.zeros(3), np.zeros(3), np.zeros(3)
    for j in range(shown.shape[0]):
        for i in range(shown.shape[1]):
            t = shown[j, i]
            if t < 0:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            wb, wc = where[j, i, 0], where[j, i, 1]
            wa = 1.0 - wb - wc
            _mix(facing, a, b, c, wb, wc, normal)
            _mix(place, a, b, c, wb, wc, at)
            _mix(points, a, b, c, wb, wc, point)
            u = wa * traits[a, 0] + wb * traits[b, 0] + wc * traits[c, 0]
            v = wa * traits[a, 1] + wb * traits[b, 1] + wc * traits[c, 1]
            spot[OPEN] = wa * traits[a, 2] + wb * traits[b, 2] + wc * traits[c, 2]
            wet = wa * traits[a, 3] + wb * traits[b, 3] + wc * traits[c, 3]
            material_at(spot, normal, material[t], at, u, v, wet, skin, hair, height, corner, turn, eyes,
                        gaze, colours)  # fmt: skip
            _light(spot, normal, point, light, half, shadow, frame, image, j, i)


@compiled
def expose(image: Array, shown: Indices, gain: float, shrunk: Array) -> None:
    """Average 2 x 2 pixels of `image` (2H, 2W, 3) into `shrunk` (H, W, 3), with the figure's pixels times `gain`.

    The background keeps its own brightness.
    """
    for j in range(shrunk.shape[0]):
        for i in range(shrunk.shape[1]):
            for k in range(3):
                total = 0.0
                for b in range(2):
                    for a in range(2):
                        row, column = 2 * j + b, 2 * i + a
                        total += image[row, column, k] * (gain if shown[row, column] >= 0 else 1.0)
                shrunk[j, i, k] = 0.25 * total
