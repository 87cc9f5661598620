"""The skin texture of one person, with lips, brows, beard and clothes; painted once for all pictures."""

from __future__ import annotations

import numpy as np

from deadpan.synthetic.atlas import HEIGHT, WIDTH, Atlas
from deadpan.synthetic.noise import cloud, smoothstep
from deadpan.synthetic.person import Person
from deadpan.synthetic.rig import Array


def paint_skin(atlas: Atlas, person: Person) -> Array:
    """Return the skin texture (HEIGHT, WIDTH, 4): linear RGB albedo in 0..1 and the strength of the highlight.

    Coordinates below are template units: x to the person's left, y up, z to the front.
    """
    rng = np.random.default_rng([person.seed, 2])
    x, y, z = (atlas.position[..., i] for i in range(3))
    side = np.abs(x)
    skin = np.array(person.skin, np.float32)
    wide, middle = cloud(rng, 14, 9, WIDTH, HEIGHT), cloud(rng, 55, 34, WIDTH, HEIGHT)
    fine = cloud(rng, 190, 118, WIDTH, HEIGHT)
    albedo = skin * (1 + person.blotches * (0.05 * wide + 0.04 * middle + 0.05 * fine))[..., None]
    albedo *= 1 - _redness(atlas, person)[..., None] * np.array([-0.15, 1.0, 0.9], np.float32)
    under_eye = np.exp(-(((side - 0.29) / 0.15) ** 2) - ((y - 7.22) / 0.05) ** 2)
    tired = under_eye * (0.10 + 0.003 * person.age) * rng.uniform(0.4, 1.3) + atlas.lids * 0.12
    albedo *= 1 - tired[..., None] * np.array([0.7, 1.0, 0.9], np.float32)
    if person.freckles > 0:
        where = np.exp(-((side / 0.5) ** 4) - ((y - 7.05) / 0.25) ** 2)
        spots = smoothstep(0.25, 0.6, cloud(rng, 110, 70, WIDTH, HEIGHT)) * where * person.freckles * 0.35
        albedo *= 1 - spots[..., None] * np.array([0.6, 0.9, 1.0], np.float32)
    shine = np.full((HEIGHT, WIDTH), 0.14 * person.shine, np.float32)
    shine *= 1 + 0.8 * np.exp(-((x / 0.12) ** 2) - ((y - 7.1) / 0.25) ** 2) + 0.4 * smoothstep(7.55, 7.75, y)
    albedo = _lips(albedo, shine, atlas, person, fine)
    albedo = _brows(albedo, atlas, person, rng)
    albedo = _beard(albedo, shine, atlas, person, rng)
    cloth = smoothstep(6.0, 5.9, y + 0.25 * z)[..., None]
    weave = (1 + 0.25 * fine)[..., None] * np.array(person.clothes, np.float32)
    albedo = albedo * (1 - cloth) + weave * cloth
    shine *= 1 - 0.8 * cloth[..., 0]
    return np.concatenate([np.clip(albedo, 0.002, 1.0), shine[..., None]], -1).astype(np.float32)


def _redness(atlas: Atlas, person: Person) -> Array:
    """Return how red cheeks, nose and ears are (HEIGHT, WIDTH); dark skin shows less of it."""
    x, y = atlas.position[..., 0], atlas.position[..., 1]
    cheeks = 0.8 * np.exp(-(((np.abs(x) - 0.42) / 0.16) ** 2) - ((y - 6.98) / 0.17) ** 2)
    nose = 0.6 * np.exp(-((x / 0.13) ** 2) - ((y - 7.0) / 0.1) ** 2)
    red: Array = ((cheeks + nose + 0.4 * atlas.ears) * 0.16 * person.blotches * (1 - 0.12 * person.melanin)).astype(
        np.float32
    )
    return red


def _lips(albedo: Array, shine: Array, atlas: Atlas, person: Person, fine: Array) -> Array:
    """Return `albedo` with the lips coloured, and make `shine` stronger there."""
    skin = np.array(person.skin, np.float32)
    colour = skin * np.array([0.80, 0.50, 0.50]) * (1 - 0.25 * person.lipstick)
    colour = colour + person.lipstick * np.array([0.28, 0.02, 0.04])
    cover = (0.85 * atlas.lips)[..., None]
    shine += 0.14 * atlas.lips * (0.5 + person.lipstick)
    painted: Array = albedo * (1 - cover) + colour * cover * (1 + 0.12 * fine)[..., None]
    return painted


def _brows(albedo: Array, atlas: Atlas, person: Person, rng: np.random.Generator) -> Array:
    """Return `albedo` with the brows: an arch of short hairs above each eye."""
    side, y = np.abs(atlas.position[..., 0]), atlas.position[..., 1]
    along = (side - 0.09) / 0.42
    arch = 7.51 + person.brow_rise + person.brow_arch * np.sin(np.clip(along, 0, 1) * 2.2) - 0.035 * along
    thick = person.brow_width * np.clip(1.25 - 0.75 * along, 0.25, 1.2)
    cover = np.exp(-(np.abs((y - arch) / thick) ** 3)) * smoothstep(-0.1, 0.1, along) * smoothstep(1.08, 0.85, along)
    hairs = cloud(rng, 260, 60, WIDTH, HEIGHT)
    cover = (cover * person.brow_density * (0.85 + 0.2 * hairs)).clip(0, 1)[..., None]
    painted: Array = albedo * (1 - cover) + np.array(person.brow, np.float32) * cover
    return painted


def _beard(albedo: Array, shine: Array, atlas: Atlas, person: Person, rng: np.random.Generator) -> Array:
    """Return `albedo` with the person's beard, and make `shine` weaker there."""
    if person.beard == "none":
        return albedo
    x, y, z = (atlas.position[..., i] for i in range(3))
    side = np.abs(x)
    jaw = smoothstep(6.95, 6.6, y - 0.33 * smoothstep(0.3, 0.68, side)) * smoothstep(-0.1, 0.4, z)
    upper = np.exp(-((side / 0.23) ** 4) - ((y - 6.86 + 0.25 * side**2) / 0.052) ** 4)
    chin = np.exp(-((side / 0.2) ** 4) - ((y - 6.40) / 0.15) ** 4)
    corners = 0.8 * np.exp(-(((side - 0.25) / 0.05) ** 2) - ((y - 6.65) / 0.22) ** 4)
    cover = {
        "stubble": np.maximum(jaw, upper),
        "moustache": upper,
        "goatee": np.maximum(np.maximum(upper, chin), corners),
        "full": np.maximum(np.maximum(jaw, upper), corners),
    }[person.beard]
    cover = cover * (1 - atlas.lips) * smoothstep(6.0, 6.2, y)
    if person.beard == "stubble":
        grain = 0.72 + 0.28 * cloud(rng, 300, 190, WIDTH, HEIGHT)
        ink = 0.5 * np.array(person.brow) + 0.15 * np.array(person.skin)
    else:
        grain = np.clip(0.95 + 0.2 * cloud(rng, 300, 120, WIDTH, HEIGHT), 0, 1)
        cover = smoothstep(0.15, 0.75, cover + 0.1 * cloud(rng, 300, 120, WIDTH, HEIGHT) * (cover > 0.02))
        ink = np.array(person.hair) * 0.8
    cover = (cover * person.beard_density * grain).clip(0, 1)[..., None]
    shine *= 1 - 0.6 * cover[..., 0]
    strands = 1 + 0.3 * cloud(rng, 300, 80, WIDTH, HEIGHT)[..., None]
    painted: Array = albedo * (1 - cover) + ink.astype(np.float32) * strands * cover
    return painted
