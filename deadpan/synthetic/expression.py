"""From an expression and its intensity to facial movements: blendshape weights and action units.

The recipes follow each expression's action units; the weights are our choice, by eye. Every picture, the neutral ones
included, also gets a small random variation (`small_variation`). Without it all neutral pictures would show the same
mesh, and neutral would be trivial to recognise.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from deadpan.expressions import EXPRESSIONS

Weights = dict[str, float]

SIDED = (
    "browDown",
    "browOuterUp",
    "cheekSquint",
    "eyeBlink",
    "eyeSquint",
    "eyeWide",
    "mouthDimple",
    "mouthFrown",
    "mouthLowerDown",
    "mouthPress",
    "mouthSmile",
    "mouthStretch",
    "mouthUpperUp",
    "noseSneer",
)
"""Blendshapes that exist separately for the person's left and right half (ARKit's names)."""

# The variants of each expression: (relative frequency, blendshape weights at intensity 1). People differ in how they
# show an expression, for example with an open or a closed mouth. Contempt's own words are resolved by `_one_sided`.
RECIPES: dict[str, tuple[tuple[float, Weights], ...]] = {
    "neutral": ((1.0, {}),),
    "anger": (
        (0.6, {"browDown": 1.15, "eyeSquint": 0.6, "noseSneer": 0.35, "mouthPress": 0.8, "mouthRollUpper": 0.3,
               "mouthRollLower": 0.35, "eyeWide": 0.15}),
        (0.2, {"browDown": 1.15, "eyeSquint": 0.3, "eyeWide": 0.4, "noseSneer": 0.6, "jawOpen": 0.25,
               "mouthFunnel": 0.3, "mouthLowerDown": 0.6, "mouthUpperUp": 0.6}),
        (0.2, {"browDown": 1.2, "eyeSquint": 0.5, "noseSneer": 0.5, "mouthFrown": 0.45, "mouthShrugLower": 0.5,
               "mouthPress": 0.4}),
    ),
    "contempt": ((1.0, {"smirk": 0.55, "dimple": 1.0, "press": 0.4, "squint": 0.3, "pull": 0.22}),),
    "disgust": (
        (0.7, {"noseSneer": 1.15, "browDown": 0.55, "cheekSquint": 0.55, "eyeSquint": 0.45, "mouthUpperUp": 0.8,
               "mouthFrown": 0.4, "mouthShrugLower": 0.35}),
        (0.3, {"noseSneer": 1.15, "browDown": 0.5, "cheekSquint": 0.55, "eyeSquint": 0.45, "mouthUpperUp": 0.9,
               "jawOpen": 0.16, "mouthLowerDown": 0.35, "mouthFrown": 0.3}),
    ),
    "fear": (
        (0.7, {"browInnerUp": 0.95, "browOuterUp": 0.45, "browDown": 0.45, "eyeWide": 0.95, "mouthStretch": 0.9,
               "jawOpen": 0.22, "mouthLowerDown": 0.35}),
        (0.3, {"browInnerUp": 1.0, "browOuterUp": 0.6, "browDown": 0.3, "eyeWide": 1.0, "mouthStretch": 0.6,
               "jawOpen": 0.5, "mouthLowerDown": 0.3}),
    ),
    "happiness": (
        (0.30, {"mouthSmile": 0.9, "cheekSquint": 0.6, "eyeSquint": 0.35, "mouthDimple": 0.2}),
        (0.45, {"mouthSmile": 0.95, "cheekSquint": 0.75, "eyeSquint": 0.4, "jawOpen": 0.14, "mouthUpperUp": 0.6,
                "mouthRollUpper": 0.3, "mouthLowerDown": 0.4, "mouthStretch": 0.15}),
        (0.25, {"mouthSmile": 1.05, "cheekSquint": 0.95, "eyeSquint": 0.6, "jawOpen": 0.34, "mouthUpperUp": 0.7,
                "mouthRollUpper": 0.3, "mouthLowerDown": 0.5, "mouthStretch": 0.2, "browOuterUp": 0.1}),
    ),
    "sadness": (
        (0.75, {"browInnerUp": 0.95, "browDown": 0.35, "mouthFrown": 0.95, "mouthShrugLower": 0.45, "eyeBlink": 0.2,
                "eyeSquint": 0.15}),
        (0.25, {"browInnerUp": 1.0, "browDown": 0.45, "mouthFrown": 0.9, "eyeSquint": 0.6, "cheekSquint": 0.5,
                "mouthStretch": 0.4, "mouthLowerDown": 0.3, "jawOpen": 0.1, "eyeBlink": 0.2}),
    ),
    "surprise": (
        (0.7, {"browInnerUp": 0.95, "browOuterUp": 1.0, "eyeWide": 0.95, "jawOpen": 0.65}),
        (0.3, {"browInnerUp": 0.95, "browOuterUp": 1.0, "eyeWide": 0.9, "jawOpen": 0.4, "mouthFunnel": 0.4}),
    ),
}  # fmt: skip

# Small movements that nobody would call an expression: (shape, probability, largest weight).
SMALL = (
    ("eyeBlink", 0.5, 0.22),
    ("eyeSquint", 0.3, 0.18),
    ("eyeWide", 0.2, 0.15),
    ("jawOpen", 0.35, 0.06),
    ("browInnerUp", 0.2, 0.14),
    ("browOuterUp", 0.2, 0.14),
    ("browDown", 0.25, 0.18),
    ("mouthPress", 0.3, 0.2),
    ("mouthSmile", 0.2, 0.08),
    ("mouthFrown", 0.2, 0.12),
    ("mouthShrugLower", 0.2, 0.15),
    ("mouthPucker", 0.15, 0.12),
    ("mouthRollLower", 0.15, 0.12),
    ("mouthLeft", 0.12, 0.15),
    ("mouthRight", 0.12, 0.15),
    ("jawForward", 0.1, 0.2),
)

ACTION_UNITS: dict[str, tuple[str, ...]] = {
    "AU1": ("browInnerUp",),
    "AU2": ("browOuterUp",),
    "AU4": ("browDown",),
    "AU5": ("eyeWide",),
    "AU6": ("cheekSquint",),
    "AU7": ("eyeSquint",),
    "AU9": ("noseSneer",),
    "AU10": ("mouthUpperUp",),
    "AU12": ("mouthSmile",),
    "AU14": ("mouthDimple",),
    "AU15": ("mouthFrown",),
    "AU16": ("mouthLowerDown",),
    "AU17": ("mouthShrugLower",),
    "AU18": ("mouthPucker",),
    "AU20": ("mouthStretch",),
    "AU22": ("mouthFunnel",),
    "AU24": ("mouthPress",),
    "AU26": ("jawOpen",),
    "AU28": ("mouthRollLower", "mouthRollUpper"),
    "AU43": ("eyeBlink",),
}
"""The blendshapes that display each action unit of the Facial Action Coding System."""

# Shapes of the same name move less in one head family than in the other. These gains make both look alike.
GAINS: dict[str, Weights] = {
    "makehuman": {
        "mouthUpperUp": 1.5,
        "mouthLowerDown": 1.5,
        "cheekSquint": 1.1,
        "mouthStretch": 1.3,
        "browDown": 1.3,
        "noseSneer": 1.2,
    },
    "ict": {
        "cheekSquint": 0.75,
        "mouthUpperUp": 0.7,
        "mouthLowerDown": 0.7,
        "eyeWide": 0.8,
        "noseSneer": 0.85,
        "mouthRollUpper": 0.5,
    },
}


def expression_weights(expression: str, intensity: float, rng: np.random.Generator, jitter: float = 0.18) -> Weights:
    """Return the blendshape weights (0..1.2) of `expression` at an `intensity` in 0..1.2.

    `rng` chooses the variant of the expression; every weight varies by a relative standard deviation of `jitter`. The
    same `rng` state at two intensities gives the same variant, so the frames of a sequence form one growing movement.
    ValueError for an unknown expression or an intensity out of range.
    """
    if expression not in RECIPES:
        raise ValueError(f"unknown expression {expression!r}; known are {', '.join(EXPRESSIONS)}")
    if not 0.0 <= intensity <= 1.2:
        raise ValueError(f"intensity must lie between 0 and 1.2; got {intensity}")
    recipes = RECIPES[expression]
    odds = np.array([odds for odds, _ in recipes])
    recipe = recipes[int(rng.choice(len(recipes), p=odds / odds.sum()))][1]
    if expression == "contempt":
        recipe = _one_sided(recipe, str(rng.choice(["Left", "Right"])))
    lean = rng.normal(0.0, 0.07)  # faces move a little more on one side
    weights: Weights = {}
    for shape, weight in recipe.items():
        size = weight * float(np.clip(1 + rng.normal(0.0, jitter), 0.4, 1.5))
        if shape in SIDED:
            weights[shape + "Left"] = size * (1 + lean)
            weights[shape + "Right"] = size * (1 - lean)
        else:
            weights[shape] = size
    return {shape: min(weight * intensity, 1.2) for shape, weight in weights.items() if weight * intensity > 0.0}


def _one_sided(recipe: Weights, side: str) -> Weights:
    """Return contempt's recipe with its words replaced by the blendshapes of one side, "Left" or "Right"."""
    names = {
        "smirk": "mouthSmile" + side,
        "dimple": "mouthDimple" + side,
        "press": "mouthPress" + side,
        "squint": "cheekSquint" + side,
        "pull": "mouth" + side,
    }
    return {names[part]: weight for part, weight in recipe.items()}


def small_variation(rng: np.random.Generator, amount: float = 1.0) -> Weights:
    """Return weights (at most 0.22 times `amount`) of slight movements without expression, as in any photograph."""
    weights: Weights = {}
    for shape, often, largest in SMALL:
        if rng.random() >= often:
            continue
        size = float(rng.random() ** 1.5) * largest * amount
        if shape in SIDED:
            lean = rng.normal(0.0, 0.15)
            weights[shape + "Left"], weights[shape + "Right"] = size * (1 + lean), size * (1 - lean)
        else:
            weights[shape] = size
    return weights


def add(*parts: Mapping[str, float]) -> Weights:
    """Return the sum of several weight tables, each weight clipped to 0..1.2."""
    total: Weights = {}
    for part in parts:
        for shape, weight in part.items():
            total[shape] = total.get(shape, 0.0) + weight
    return {shape: float(np.clip(weight, 0.0, 1.2)) for shape, weight in total.items()}


def action_units(weights: Mapping[str, float]) -> dict[str, float]:
    """Return the intensity (0..1.2) of each action unit that `weights` displays; the stronger side counts."""
    units: dict[str, float] = {}
    for unit, shapes in ACTION_UNITS.items():
        seen = [weights.get(shape + side, 0.0) for shape in shapes for side in ("", "Left", "Right")]
        if max(seen) > 0.0:
            units[unit] = round(max(seen), 4)
    return units


def for_head(head: str, weights: Mapping[str, float]) -> Weights:
    """Return `weights` multiplied by the gains of the head family `head`."""
    gains = GAINS.get(head, {})
    return {s: w * gains.get(s.removesuffix("Left").removesuffix("Right"), 1.0) for s, w in weights.items()}


def onset(frames: int) -> list[float]:
    """Return each frame's share of the apex, from 0 at the first frame to 1 at the last, along an S-curve.

    ValueError for fewer than 2 frames.
    """
    if frames < 2:
        raise ValueError(f"a sequence from onset to apex needs at least 2 frames; got {frames}")
    steps = np.linspace(0.0, 1.0, frames)
    return [float(t * t * (3 - 2 * t)) for t in steps]
