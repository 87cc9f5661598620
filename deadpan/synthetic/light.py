"""Light: one main lamp, light from sky and ground, and a fill or rim lamp.

The kinds range from soft studio light to hard side light, because photographs do too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deadpan.synthetic.rig import Array

KINDS = ("soft", "front", "side", "hard", "top", "rim")


@dataclass(frozen=True)
class Light:
    """The lamps of one scene.

    Directions point from the face to the lamp: x to the viewer's right, y up, z towards the viewer. Colours are linear
    RGB.
    """

    kind: str
    key_direction: Array  # (3,) unit
    key: Array  # (3,)
    sky: Array  # (3,) ambient light from above
    ground: Array  # (3,) ambient light from below
    fill_direction: Array  # (3,) unit
    fill: Array  # (3,)
    shadow: float  # 0..1, the share of the key light that a shadow removes
    blur: float  # width of the shadow's edge in texels of the shadow map
    exposure: float  # factor on the automatic exposure; 1 leaves it unchanged


def sample_light(rng: np.random.Generator) -> Light:
    """Return random light: in about a third of the scenes it is hard or comes from the side."""
    kind = str(rng.choice(KINDS, p=[0.3, 0.16, 0.18, 0.14, 0.12, 0.1]))
    turn = {"soft": 0.8, "front": 0.25, "side": 1.25, "hard": 1.0, "top": 0.5, "rim": 0.9}[kind]
    azimuth = float(rng.uniform(-turn, turn))
    if kind == "side":
        azimuth = float(rng.choice([-1, 1]) * rng.uniform(0.8, 1.35))
    low, high = {"top": (0.8, 1.2), "front": (-0.05, 0.35)}.get(kind, (-0.1, 0.8))
    height = float(rng.uniform(low, high))
    strength = {"soft": 0.55, "front": 0.9, "side": 0.95, "hard": 1.15, "top": 0.9, "rim": 0.6}[kind]
    around = {"soft": 0.75, "front": 0.4, "side": 0.3, "hard": 0.25, "top": 0.4, "rim": 0.5}[kind]
    warmth = float(rng.normal(0, 0.07))
    key = strength * rng.uniform(0.8, 1.2) * np.array([1 + warmth, 1.0, 1 - warmth])
    ambient = around * rng.uniform(0.75, 1.25)
    tint = rng.normal(0, 0.05, 3)
    other = -np.sign(azimuth or 1.0)
    fill_azimuth = other * rng.uniform(0.6, 1.3) if kind != "rim" else other * rng.uniform(1.7, 2.3)
    fill = 0.7 if kind == "rim" else float(rng.uniform(0, 0.25))
    return Light(
        kind=kind,
        key_direction=_direction(azimuth, height),
        key=key.astype(np.float32),
        sky=(ambient * (1 + tint) * 1.0).astype(np.float32),
        ground=(ambient * (1 - tint) * rng.uniform(0.3, 0.75)).astype(np.float32),
        fill_direction=_direction(float(fill_azimuth), float(rng.uniform(-0.2, 0.5))),
        fill=(fill * (1 + rng.normal(0, 0.08, 3))).astype(np.float32),
        shadow=float(rng.uniform(0.4, 0.7) if kind == "soft" else rng.uniform(0.75, 1.0)),
        blur=float(rng.uniform(2.0, 3.5) if kind in ("soft", "rim") else rng.uniform(0.8, 2.2)),
        exposure=float(np.exp(rng.normal(0, 0.2))),
    )


def _direction(azimuth: float, height: float) -> Array:
    """Return the unit vector (3,) at an azimuth and a height in radians; azimuth 0 is straight in front of the face."""
    flat = np.cos(height)
    return np.array([np.sin(azimuth) * flat, np.sin(height), np.cos(azimuth) * flat], np.float32)
