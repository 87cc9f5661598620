"""The person: one seed decides the shape of the head, age, sex, skin, hair, brows, eyes, beard and glasses.

All probabilities and ranges are our choice. They aim at variety, not at the statistics of a population.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from deadpan.synthetic.rig import Array, Head

Colour = tuple[float, float, float]

# sRGB values to linear light by a power of 2.2; from the fairest to the darkest skin (our choice by eye)
SKINS = np.array([[0.91, 0.77, 0.70], [0.86, 0.70, 0.61], [0.77, 0.59, 0.48],
                  [0.61, 0.44, 0.34], [0.44, 0.31, 0.24], [0.31, 0.215, 0.17]]) ** 2.2  # fmt: skip
HAIRS = np.array([[0.05, 0.04, 0.035], [0.12, 0.08, 0.05], [0.25, 0.15, 0.08], [0.45, 0.30, 0.14],
                  [0.75, 0.60, 0.35], [0.35, 0.12, 0.05], [0.62, 0.61, 0.60]]) ** 1.6  # fmt: skip
GREY = 6
IRISES = np.array([[0.16, 0.09, 0.04], [0.28, 0.17, 0.07], [0.25, 0.30, 0.15],
                   [0.25, 0.40, 0.55], [0.45, 0.50, 0.52]]) ** 1.6  # fmt: skip

# Standard deviation of the shape details, by group. It is about 60 % of the largest spread that still looks human, so
# that no person becomes a caricature.
SPREAD = {
    "asym": 0.04, "ears": 0.25, "eyes": 0.14, "mouth": 0.14, "nose": 0.15, "head": 0.11, "cheek": 0.18, "chin": 0.17,
    "forehead": 0.2, "eyebrows": 0.25,
}  # fmt: skip
# MakeHuman stores each detail as two one-sided shapes whose names end in opposite words
OPPOSITES = (("incr", "decr"), ("up", "down"), ("in", "out"), ("forward", "backward"), ("concave", "convex"),
             ("uncompress", "compress"))  # fmt: skip


@dataclass(frozen=True)
class Person:
    """Everything that stays the same in all pictures of one person; colours are linear RGB in 0..1."""

    seed: int
    age: float  # years
    sex: str  # "female" or "male"
    ancestry: tuple[float, float, float]  # shares of the African, Asian and European shapes
    modes: dict[str, float]  # identity mode -> weight
    melanin: float  # 0 fair .. 5 dark
    skin: Colour
    hair: Colour
    hair_style: str  # "bald", "buzz", "short", "full", "long"
    hairline: float  # height in template units
    temples: float  # how far the hairline comes down at the sides
    peak: float  # how far it comes down in the middle
    sideburns: float  # how far hair grows in front of the ears
    parting: float  # -1 .. 1, from the person's right to the left
    fringe: str  # "none", "straight", "side", "curtain"
    fringe_end: float  # height of its tips
    curl: float  # 0 straight .. 1 curly
    brow: Colour
    brow_width: float
    brow_rise: float
    brow_arch: float
    brow_density: float
    iris: Colour
    beard: str  # "none", "stubble", "moustache", "goatee", "full"
    beard_density: float
    lipstick: float
    freckles: float
    blotches: float
    shine: float
    teeth: float  # whiteness, 0..1
    glasses: str  # "none", "thin", "thick", "round", "sun"
    frame: Colour
    clothes: Colour


def make_person(head: Head, seed: int) -> Person:
    """Return the person of this seed; the same seed gives the same person on every machine."""
    rng = np.random.default_rng([seed, 1])
    ancestry = rng.dirichlet([0.3, 0.3, 0.5])
    male = bool(rng.random() < 0.5)
    low, high = ((7, 16), (17, 45), (45, 65), (65, 82))[int(rng.choice(4, p=[0.1, 0.6, 0.22, 0.08]))]
    age = float(rng.uniform(low, high))
    melanin = float(np.clip(ancestry @ [4.3, 1.5, 0.6] + rng.normal(0, 0.45), 0, 4.99))
    step = int(melanin)
    skin = SKINS[step] * (1 - melanin + step) + SKINS[min(step + 1, 5)] * (melanin - step)
    hair, brow = _hair_colour(rng, float(ancestry[2]), age)
    looks = _looks(rng, male, age, float(ancestry[2]))
    fair = ancestry[2] > 0.5
    return Person(
        seed=seed,
        age=age,
        sex="male" if male else "female",
        ancestry=(float(ancestry[0]), float(ancestry[1]), float(ancestry[2])),
        modes=MODES[head.name](head, rng, male, age, ancestry),
        melanin=melanin,
        skin=_colour(skin * (1 + rng.normal(0, 0.03, 3))),
        hair=hair,
        brow=brow,
        iris=_colour(IRISES[int(rng.choice(5, p=[0.25, 0.2, 0.15, 0.25, 0.15])) if fair else int(rng.choice(2))]),
        clothes=_colour(rng.uniform(0.02, 0.7) * (1 + rng.normal(0, 0.3, 3))),
        **looks,
    )


def _colour(value: np.ndarray) -> Colour:
    """Return three numbers as a colour, clipped to 0..1."""
    r, g, b = (float(np.clip(part, 0.0, 1.0)) for part in value)
    return (r, g, b)


def _hair_colour(rng: np.random.Generator, european: float, age: float) -> tuple[Colour, Colour]:
    """Return the colours of hair and brows; brows turn grey half as much as hair."""
    if european > 0.5:
        index = int(rng.choice(7, p=[0.27, 0.25, 0.2, 0.12, 0.1, 0.04, 0.02]))
    else:
        index = int(rng.choice(3, p=[0.7, 0.2, 0.1]))
    grey = float(np.clip((age - 45 + rng.normal(0, 8)) / 25, 0, 1))
    hair = (HAIRS[index] * (1 - grey) + HAIRS[GREY] * grey) * (1 + rng.normal(0, 0.1))
    brow = HAIRS[index] * (1 - 0.5 * grey) + HAIRS[GREY] * 0.5 * grey
    return _colour(hair), _colour(brow * 0.7)


def _looks(rng: np.random.Generator, male: bool, age: float, european: float) -> dict[str, Any]:
    """Return the fields of Person that do not depend on the head family, by name."""
    styles = ["bald", "buzz", "short", "full", "long"]
    odds = [0.1, 0.2, 0.42, 0.23, 0.05] if male else [0.0, 0.02, 0.13, 0.27, 0.58]
    if male and age < 25:
        odds = [0.0, 0.2, 0.45, 0.28, 0.07]
    style = str(rng.choice(styles, p=odds))
    covered = style in ("short", "full", "long")
    fringe_odds = [0.72, 0.1, 0.14, 0.04] if male else [0.45, 0.2, 0.22, 0.13]
    fringe = str(rng.choice(["none", "straight", "side", "curtain"], p=fringe_odds)) if covered else "none"
    beards = ["none", "stubble", "moustache", "goatee", "full"]
    beard = str(rng.choice(beards, p=[0.48, 0.27, 0.06, 0.07, 0.12])) if male and age > 19 else "none"
    glasses = ["none", "thin", "thick", "round", "sun"]
    frame = rng.choice([0.01, 0.03, 0.12, 0.4], p=[0.4, 0.3, 0.2, 0.1]) * (1 + rng.normal(0, 0.12, 3))
    return {
        "hair_style": style,
        "hairline": float(rng.normal(8.0, 0.055) + (0.004 * max(0.0, age - 30) if male else 0.0)),
        "temples": float(rng.uniform(0.2, 0.36)),
        "peak": float(max(0.0, rng.normal(0.0, 0.05))),
        "sideburns": float(rng.normal(0.0, 0.05)),
        "parting": float(np.clip(rng.normal(0, 0.45), -1, 1)),
        "fringe": fringe,
        "fringe_end": float(rng.uniform(7.58, 7.85)),
        "curl": float(rng.choice([0.0, 0.3, 1.0], p=[0.5, 0.3, 0.2])),
        "brow_width": float(rng.uniform(0.026, 0.042) * (1.15 if male else 0.8)),
        "brow_rise": float(rng.normal(0, 0.012)),
        "brow_arch": float(rng.uniform(0.025, 0.07)),
        "brow_density": float(rng.uniform(0.6, 0.95)),
        "beard": beard,
        "beard_density": float(rng.uniform(0.25, 0.55) if beard == "stubble" else rng.uniform(0.7, 1.0)),
        "lipstick": float(rng.uniform(0.2, 0.9)) if not male and age > 15 and rng.random() < 0.5 else 0.0,
        "freckles": max(0.0, float(rng.normal(-0.2, 0.5))) if european > 0.5 else 0.0,
        "blotches": float(rng.uniform(0.4, 1.3)),
        "shine": float(rng.uniform(0.4, 1.5)),
        "teeth": float(rng.uniform(0.5, 1.0)),
        "glasses": str(rng.choice(glasses, p=[0.79, 0.08, 0.08, 0.04, 0.01])),
        "frame": _colour(frame),
    }


def _makehuman_modes(head: Head, rng: np.random.Generator, male: bool, age: float, ancestry: Array) -> dict[str, float]:
    """Return the weights of MakeHuman's macro shapes (sex, age, ancestry, muscle, weight) and of its details.

    A macro shape stands for one combination; its weight is the product of its parts' shares, as in MakeHuman.
    """
    gender = float(np.clip((1.0 if male else 0.0) + rng.normal(0, 0.1) * (1 if not male else -1), 0, 1))
    child = float(np.clip((25 - age) / 15, 0, 1))
    old = float(np.clip((age - 25) / 65, 0, 1))
    muscle, weight = (float(np.clip(rng.normal(0.5, 0.18), 0, 1)) for _ in range(2))
    builds = {
        build: max(0.0, 1 - abs(value - at) * 2)
        for part, value in (("muscle", muscle), ("weight", weight))
        for build, at in ((f"min{part}", 0.0), (f"average{part}", 0.5), (f"max{part}", 1.0))
    }
    modes: dict[str, float] = {}
    for sex, sex_share in (("male", gender), ("female", 1 - gender)):
        for stage, stage_share in (("child", child), ("young", 1 - child - old), ("old", old)):
            share = sex_share * stage_share
            for origin, part in zip(("african", "asian", "caucasian"), ancestry, strict=True):
                modes[f"macro/{origin}-{sex}-{stage}"] = share * float(part)
            for m in ("minmuscle", "averagemuscle", "maxmuscle"):
                for w in ("minweight", "averageweight", "maxweight"):
                    modes[f"macro/universal-{sex}-{stage}-{m}-{w}"] = share * builds[m] * builds[w]
    known = set(head.mode_names)
    modes = {name: weight for name, weight in modes.items() if weight > 0 and name in known}
    return modes | _details(head, rng)


def _details(head: Head, rng: np.random.Generator) -> dict[str, float]:
    """Return the weights of the detail shapes.

    Two opposite shapes share one random number, since only one of them can apply. So do the left and right halves, to
    keep the face symmetric; the group "asym" alone makes it asymmetric.
    """
    skipped = ("breast", "trunk", "neck", "ear-shape", "head/head-trans", "head/head-age")
    groups: dict[str, list[tuple[str, int]]] = {}
    for name in head.mode_names:
        group = name.split("/")[0]
        if group not in SPREAD or any(word in name for word in skipped):
            continue
        key, sign = name.replace("/l-", "/").replace("/r-", "/"), 1
        for plus, minus in OPPOSITES:
            if name.endswith("-" + plus):
                key = key.removesuffix(plus) + plus
                break
            if name.endswith("-" + minus):
                key, sign = key.removesuffix(minus) + plus, -1
                break
        groups.setdefault(key, []).append((name, sign))
    details: dict[str, float] = {}
    for names in groups.values():
        spread = SPREAD[names[0][0].split("/")[0]]
        draw = float(rng.normal(0, spread))
        for name, sign in names:
            size = abs(float(rng.normal(0, spread))) if name.startswith("asym") else max(0.0, draw * sign)
            if size > 0:
                details[name] = min(size, 0.6)
    return details


def _ict_modes(head: Head, rng: np.random.Generator, male: bool, age: float, ancestry: Array) -> dict[str, float]:
    """Return the weights of ICT-FaceKit's identity modes.

    The modes are scaled so that people are normally distributed with unit variance. 0.8 avoids extreme faces.
    """
    return {name: float(np.clip(rng.normal(0, 0.8), -2, 2)) for name in head.mode_names}


MODES = {"makehuman": _makehuman_modes, "ict": _ict_modes}
