"""Creases of the skin: grooves that movements press into the face, and wrinkles that age leaves.

The meshes are too coarse to fold, but photographs show an expression in these lines too. So each crease is a height map
over the atlas, and shading darkens its groove and tilts the surface at its sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from deadpan.synthetic.atlas import BOTTOM, HEIGHT, REACH, TOP, WIDTH, atlas_of
from deadpan.synthetic.noise import smoothstep
from deadpan.synthetic.rig import Array

# one height map each; "left" and "right" are the person's own
FOLDS = (
    "forehead",
    "forehead_inner",
    "glabella",
    "nasolabial_left",
    "nasolabial_right",
    "crow",
    "lower_lid",
    "nose_bridge",
    "chin",
    "dimple_left",
    "dimple_right",
)

# the part of the atlas around the face; only this part has creases
ROWS = slice(int((TOP - 8.05) / (TOP - BOTTOM) * HEIGHT), int((TOP - 6.3) / (TOP - BOTTOM) * HEIGHT))

COLUMNS = slice(int((0.5 - 1.0 / (2 * REACH)) * WIDTH), int((0.5 + 1.0 / (2 * REACH)) * WIDTH))


@cache
def fold_maps(name: str, assets: Path | None = None) -> Array:
    """Return one height map per crease, (len(FOLDS), rows, columns) over [ROWS, COLUMNS]; grooves are negative.

    Each map is an analytic shape in template coordinates, so one set serves every head family.
    """
    position = atlas_of(name, assets).position[ROWS, COLUMNS]
    x, y = position[..., 0], position[..., 1]
    side = np.abs(x)
    left, right = smoothstep(-0.02, 0.02, x), smoothstep(0.02, -0.02, x)
    band = np.exp(-((x / 0.42) ** 4)) * smoothstep(7.58, 7.66, y) * smoothstep(8.0, 7.85, y)
    lines = np.maximum(0, np.sin((y + 0.03 * np.cos(x * 4)) * 68)) ** 3
    frown = np.exp(-(((y - 7.52) / 0.09) ** 2)) * np.exp(-(((side - 0.055) / 0.018) ** 2))
    # the nasolabial fold runs from the wing of the nose around the corner of the mouth; the cheek beside it bulges
    across = side - (0.19 + 0.30 * (7.02 - y) - 0.12 * (7.02 - y) ** 2)
    along = smoothstep(6.55, 6.72, y) * smoothstep(7.06, 6.97, y)
    cheek = np.exp(-((across / 0.034) ** 2)) - 0.55 * np.exp(-(((across - 0.10) / 0.075) ** 2))
    rays = np.maximum(0, np.sin((y - 7.33) / np.maximum(side - 0.38, 0.08) * 9)) ** 2
    crow = np.exp(-(((side - 0.56) / 0.07) ** 2) - ((y - 7.33) / 0.1) ** 2) * rays
    lid = np.exp(-(((y - 7.235 - 0.25 * (side - 0.31) ** 2) / 0.018) ** 2)) * np.exp(-(((side - 0.31) / 0.15) ** 4))
    bridge = np.exp(-((x / 0.1) ** 4) - ((y - 7.33) / 0.07) ** 2) * np.maximum(0, np.sin((y + side * 0.5) * 95)) ** 2
    chin = np.exp(-((side / 0.13) ** 4) - ((y - 6.49) / 0.028) ** 2)
    dimple = np.exp(-(((side - 0.285) / 0.022) ** 2) - ((y - 6.70) / 0.065) ** 2)
    maps = [
        band * lines, band * lines * np.exp(-((x / 0.2) ** 2)), frown, along * cheek * left, along * cheek * right,
        crow, lid, bridge, chin, dimple * left, dimple * right,
    ]  # fmt: skip
    return np.ascontiguousarray(-np.stack(maps), dtype=np.float32)


def fold_depths(weights: Mapping[str, float], age: float) -> Array:
    """Return the depth (about 0..1.3) of each crease, in the order of FOLDS.

    `weights` are blendshape weights under ARKit's names and `age` is in years. The depths are our choice, by eye.
    """

    def mean(shape: str) -> float:
        return 0.5 * (weights.get(shape + "Left", 0.0) + weights.get(shape + "Right", 0.0))

    firm = 0.35 + 0.011 * min(age, 75)  # the same movement creases older skin more deeply
    lined = max(0.0, age - 38) / 40  # wrinkles that stay visible in a relaxed face

    def cheek(side: str) -> float:
        pulls = {"mouthSmile": 1.0, "noseSneer": 0.9, "cheekSquint": 0.4, "mouthUpperUp": 0.6}
        return 1.1 * firm * max(gain * weights.get(shape + side, 0.0) for shape, gain in pulls.items()) + 0.4 * lined

    inner, outer = weights.get("browInnerUp", 0.0), mean("browOuterUp")
    depths = {
        "forehead": 0.75 * firm * outer + 0.3 * lined,
        "forehead_inner": 0.6 * firm * max(0.0, inner - outer),
        "glabella": 1.0 * firm * mean("browDown") + 0.25 * lined,
        "nasolabial_left": cheek("Left"),
        "nasolabial_right": cheek("Right"),
        "crow": 0.6 * firm * mean("cheekSquint") + 0.35 * lined,
        "lower_lid": 0.7 * firm * max(mean("cheekSquint"), mean("eyeSquint")) + 0.3 * lined,
        "nose_bridge": 0.7 * mean("noseSneer"),
        "chin": 0.6 * weights.get("mouthShrugLower", 0.0) + 0.3 * weights.get("mouthRollLower", 0.0),
        "dimple_left": 0.9 * weights.get("mouthDimpleLeft", 0.0),
        "dimple_right": 0.9 * weights.get("mouthDimpleRight", 0.0),
    }
    return np.array([depths[name] for name in FOLDS], np.float32)


def folded(maps: Array, depths: Array) -> Array:
    """Return the height of the skin (rows, columns) over [ROWS, COLUMNS]: the maps' sum, weighted by their depths."""
    height = np.zeros(maps.shape[1:], np.float32)
    for one, depth in zip(maps, depths, strict=True):
        if depth > 0:
            height += depth * one
    return height
