"""Materials: skin with its creases, eyes, teeth, tongue, hair and glasses.

Every function fills the array `spot` (8,): albedo (red, green, blue), strength and sharpness of the highlight, openness
to ambient light, how much shadows count, and 1 where light scatters below the surface.
"""

from __future__ import annotations

import numpy as np

from deadpan.synthetic.compiled import compiled
from deadpan.synthetic.rig import Array

# rig's materials again, as literals: compiled code treats them as constants
_SKIN, _EYE, _UPPER, _LOWER, _TONGUE, _HAIR, _FRAME = 0, 1, 2, 3, 4, 6, 7
IRIS, PUPIL = 0.49, 0.19  # radii in radians as seen from the centre of the eyeball
STRENGTH, GLOSS, OPEN, SHADE, WRAP = 3, 4, 5, 6, 7  # places in `spot`
BUMP = 0.9  # how far creases tilt the surface


@compiled
def _step(low: float, high: float, x: float) -> float:
    """Return the S-curve from 0 at `low` to 1 at `high`: `noise.smoothstep` for one number."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return float(t * t * (3 - 2 * t))


@compiled
def _texel(image: Array, u: float, v: float, out: Array) -> None:
    """Write the four channels of `image` at texel (u, v) into `out`, interpolated bilinearly."""
    rows, columns = image.shape[0], image.shape[1]
    u, v = min(max(u - 0.5, 0.0), columns - 1.001), min(max(v - 0.5, 0.0), rows - 1.001)
    i, j = int(u), int(v)
    s, t = u - i, v - j
    a, b, c, d = (1 - s) * (1 - t), s * (1 - t), (1 - s) * t, s * t
    for k in range(4):
        out[k] = a * image[j, i, k] + b * image[j, i + 1, k] + c * image[j + 1, i, k] + d * image[j + 1, i + 1, k]


@compiled
def _height(height: Array, u: float, v: float) -> float:
    """Return the height map's value at texel (u, v), interpolated bilinearly; 0 outside the map."""
    rows, columns = height.shape
    u, v = u - 0.5, v - 0.5
    if u < 0.0 or v < 0.0 or u >= columns - 1.0 or v >= rows - 1.0:
        return 0.0
    i, j = int(u), int(v)
    s, t = u - i, v - j
    above = height[j, i] * (1 - s) + height[j, i + 1] * s
    below = height[j + 1, i] * (1 - s) + height[j + 1, i + 1] * s
    return float(above * (1 - t) + below * t)


@compiled
def material_at(
    spot: Array,
    normal: Array,
    kind: int,
    at: Array,  # (3,) in template coordinates
    u: float,
    v: float,
    wet: float,
    skin: Array,
    hair: Array,
    height: Array,
    corner: Array,
    turn: Array,
    eyes: Array,
    gaze: Array,
    colours: Array,
) -> None:
    """Fill `spot` (8,) and bend `normal` (3,) where the material has a relief.

    The caller sets the openness before. `at` is the place in template coordinates, (u, v) its texel and `wet` is 1
    inside the mouth.
    """
    spot[STRENGTH], spot[GLOSS], spot[SHADE], spot[WRAP] = 0.14, 18.0, 1.0, 1.0
    if kind == _SKIN:
        if wet > 0.5:
            spot[0], spot[1], spot[2] = 0.20, 0.045, 0.04
            spot[OPEN] = min(max((at[2] - 0.7) * 0.5, 0.05), 0.4)
        else:
            _texel(skin, u, v, spot)
            _fold(spot, normal, at, height, u - corner[0], v - corner[1], turn)
    elif kind == _HAIR:
        _texel(hair, u, v, spot)
        spot[STRENGTH], spot[GLOSS] = 0.10, 9.0
    elif kind == _EYE:
        side = 0 if at[0] < 0.0 else 1
        _eye(spot, at, eyes[side], gaze[side], colours[0])
    elif kind in (_UPPER, _LOWER):
        _tooth(spot, normal, at, kind == _UPPER, colours[2], turn)
    elif kind == _TONGUE:
        spot[0], spot[1], spot[2] = 0.42, 0.13, 0.12
        spot[OPEN] = min(max(0.08 + 0.4 * (at[2] - 1.0) / 0.35, 0.06), 0.4) * (1.0 - 0.8 * colours[2, 1])
        spot[SHADE] = 0.8
    elif kind == _FRAME:
        spot[0], spot[1], spot[2] = colours[1, 0], colours[1, 1], colours[1, 2]
        spot[STRENGTH], spot[GLOSS] = 0.5, 30.0
    else:  # dark lenses
        spot[0], spot[1], spot[2] = 0.015, 0.015, 0.018
        spot[STRENGTH], spot[GLOSS] = 0.8, 60.0
    if normal[2] < 0.0 and kind >= _HAIR:  # thin surfaces are visible from both sides: turn the normal to the viewer
        normal[0], normal[1], normal[2] = -normal[0], -normal[1], -normal[2]


@compiled
def _fold(spot: Array, normal: Array, at: Array, height: Array, u: float, v: float, turn: Array) -> None:
    """Darken the grooves of the skin and tilt the surface at their sides."""
    if not (0.0 < u < height.shape[1] and 0.0 < v < height.shape[0]):
        return
    dark = min(max(1.0 + 0.26 * _height(height, u, v), 0.45), 1.15)
    for k in range(3):
        spot[k] *= dark
    slope_u = BUMP * (_height(height, u + 1.0, v) - _height(height, u - 1.0, v))
    slope_v = BUMP * (_height(height, u, v + 1.0) - _height(height, u, v - 1.0))
    if slope_u == 0.0 and slope_v == 0.0:
        return
    across = np.arctan2(at[0], at[2] - 0.25)
    x, y, z = -slope_u * np.cos(across), slope_v, slope_u * np.sin(across)
    for k in range(3):
        normal[k] += turn[k, 0] * x + turn[k, 1] * y + turn[k, 2] * z


@compiled
def _eye(spot: Array, at: Array, centre: Array, gaze: Array, colour: Array) -> None:
    """Set the colours of sclera, iris and pupil around the direction of the gaze."""
    x, y, z = at[0] - centre[0], at[1] - centre[1], at[2] - centre[2]
    length = np.sqrt(x * x + y * y + z * z) + 1e-9
    x, y, z = x / length, y / length, z / length
    angle = np.arccos(min(max(x * gaze[0] + y * gaze[1] + z * gaze[2], -1.0), 1.0))
    pale = 1.0 - 0.25 * _step(0.7, 1.3, angle)
    iris = _step(IRIS + 0.04, IRIS - 0.03, angle)
    pupil = _step(PUPIL + 0.04, PUPIL - 0.02, angle)
    spoke = np.arctan2(y - gaze[1], x - gaze[0])
    fibre = 0.8 + 0.2 * np.sin(spoke * 9.0) * np.sin(spoke * 23.0 + angle * 9.0)
    fibre *= 1.0 - 0.6 * _step(0.75 * IRIS, IRIS, angle)
    spot[0], spot[1], spot[2] = 0.66 * pale, 0.62 * pale, 0.59 * pale
    for k in range(3):
        spot[k] = spot[k] * (1 - iris) + colour[k] * fibre * iris
        spot[k] = spot[k] * (1 - pupil) + 0.004 * pupil
    spot[STRENGTH], spot[GLOSS], spot[WRAP] = 0.9, 90.0, 0.0
    spot[OPEN] = 0.35 + 0.55 * _step(0.75, 0.2, y + 0.12)  # the upper lid shades the top of the eyeball


@compiled
def _tooth(spot: Array, normal: Array, at: Array, upper: bool, state: Array, turn: Array) -> None:
    """Set the colours of teeth and gums.

    `state` holds the whiteness, 1 where closed lips hide the teeth, and the z of the foremost tooth.
    """
    white = state[0] * (1.0 if upper else 0.9)
    arch = np.arctan2(at[0], at[2] - 1.15) * 6.5  # one unit is one tooth along the arch
    gap = abs(arch - np.floor(arch + 0.5))
    white *= 1.0 - 0.22 * _step(0.12, 0.0, gap)
    gum = _step(6.765, 6.79, at[1]) if upper else _step(6.53, 6.505, at[1])
    seen = 1.0 - state[1]  # nearly closed lips would otherwise show white specks between them
    spot[0] = (0.78 * white * (1 - gum) + 0.50 * gum) * seen + 0.2 * (1 - seen)
    spot[1] = (0.74 * white * (1 - gum) + 0.20 * gum) * seen + 0.05 * (1 - seen)
    spot[2] = (0.66 * white * (1 - gum) + 0.19 * gum) * seen
    spot[OPEN] = min(max(0.98 + (at[2] - state[2]) / 0.26, 0.06), 0.95 if upper else 0.7) * (0.1 + 0.9 * seen)
    spot[STRENGTH], spot[GLOSS], spot[SHADE] = 0.3 * seen, 40.0, 0.35
    x, z = at[0] * 1.4, at[2] - 1.1  # the arch is too coarse for its own normals: point outwards from its middle
    for k in range(3):
        normal[k] = turn[k, 0] * x + turn[k, 2] * z
