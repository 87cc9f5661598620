"""Hair: a shell over the scalp and, under a fringe, the forehead; long hair beside the face; and the hair texture.

Single strands would cost too many triangles at these picture sizes. The shell is the skin's own mesh, lifted outwards,
and a texture with holes gives it a ragged edge. Expressions do not move the hair.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deadpan.synthetic.atlas import BAND, HEIGHT, WIDTH, Atlas
from deadpan.synthetic.noise import cloud, smoothstep
from deadpan.synthetic.person import Person
from deadpan.synthetic.rig import SKIN, Array, Head, Indices, normals

THICKNESS = {"bald": 0.0, "buzz": 0.012, "short": 0.06, "full": 0.13, "long": 0.1}  # template units (decimetres)
CURTAIN_ROWS, CURTAIN_COLUMNS = 24, 10  # grid of the long hair on each side of the face


def coverage(person: Person, position: npt.NDArray[np.floating], ears: npt.NDArray[np.floating]) -> Array:
    """Return how much hair (0..1) grows at template positions (..., 3), on scalp, temples and fringe.

    `ears` (...) is the mask of the ears, which stay free of hair.
    """
    if person.hair_style == "bald":
        return np.zeros(position.shape[:-1], np.float32)
    x, y, z = (position[..., i] for i in range(3))
    side = np.abs(x)
    line = person.hairline - person.temples * smoothstep(0.2, 0.62, side) + 0.06 * person.parting * x
    line = line - person.peak * np.exp(-((x / 0.12) ** 2))
    front = smoothstep(-0.08, 0.08, y - line)
    # beside the face the hair ends about two finger-widths in front of the ear and tapers to a sideburn
    reach = 0.52 + person.sideburns + 0.35 * smoothstep(7.25, 7.75, y)
    temple = smoothstep(0.12, -0.12, z - reach) * smoothstep(6.85, 7.1, y)
    cover = np.maximum(front, temple) * (ears < 0.3)
    return np.asarray(np.maximum(cover, _fringe(person, x, y)), np.float32)


def _fringe(person: Person, x: npt.NDArray[np.floating], y: npt.NDArray[np.floating]) -> Array:
    """Return the fringe's cover (0..1) at template positions; `tips` is the height of its lower edge at each x."""
    if person.fringe == "none":
        return np.zeros(x.shape, np.float32)
    sweep = np.sign(person.parting)
    tips = {
        "straight": person.fringe_end - 0.12 * x**2,
        "side": person.fringe_end + (0.12 - 0.45 * (x - 0.9 * person.parting) * sweep).clip(-0.15, 0.5),
        "curtain": person.fringe_end + 0.36 - 0.9 * np.abs(x - 0.25 * person.parting),
    }[person.fringe]
    inside = smoothstep(0.66, 0.58, np.abs(x))
    return smoothstep(-0.05, 0.05, y - np.maximum(tips, 7.42)) * inside


def paint_hair(atlas: Atlas, person: Person) -> Array:
    """Return the hair texture (HEIGHT + BAND, WIDTH, 4): linear RGB and opacity; below 0.5 the hair has a hole."""
    rng = np.random.default_rng([person.seed, 3])
    rows = HEIGHT + BAND
    strands = cloud(rng, 150, 10, WIDTH, rows) * 0.6 + cloud(rng, 60, 6, WIDTH, rows) * 0.5
    if person.curl > 0:
        strands = strands * (1 - 0.7 * person.curl) + 0.7 * person.curl * cloud(rng, 60, 48, WIDTH, rows)
    colour = np.array(person.hair, np.float32) * np.clip(1 + 0.55 * strands, 0.3, 1.9)[..., None]
    opacity = np.empty((rows, WIDTH), np.float32)
    cover = coverage(person, atlas.position, atlas.ears)
    opacity[:HEIGHT] = cover + 0.45 * strands[:HEIGHT] * ((cover > 0.02) & (cover < 0.98))
    edge = np.minimum(np.arange(WIDTH // 2), 24) / 24  # one half per side of the face; column 0 is the front edge
    half = np.concatenate([edge, edge])[None, :] + np.zeros((BAND, 1))
    tips = smoothstep(1.0, 0.85, np.linspace(0, 1, BAND))[:, None]
    opacity[HEIGHT:] = half * tips + 0.4 * strands[HEIGHT:]
    return np.concatenate([colour, opacity[..., None]], -1).astype(np.float32)


def hair_shell(head: Head, person: Person, vertices: Array) -> tuple[Array, Indices, Indices]:
    """Return the hair's shell: positions (E, 3), triangles (T, 3), and the head vertex (E,) below each position."""
    triangles = head.triangles[head.material == SKIN]
    cover = coverage(person, head.template, head.ears)
    grown = triangles[(cover[triangles].max(1) > 0.02) & (head.inside[triangles].max(1) < 0.5)]
    source, compact = np.unique(grown, return_inverse=True)
    rng = np.random.default_rng([person.seed, 4])
    bumps = 1 + (0.25 + 0.3 * person.curl) * cloud(rng, 12, 8, 64, 64)
    sample = bumps[
        (np.clip((head.template[source, 1] - 5) / 4, 0, 1) * 63).astype(int),
        (np.clip((head.template[source, 0] + 1) / 2, 0, 1) * 63).astype(int),
    ]
    lift = 0.012 + THICKNESS[person.hair_style] * smoothstep(0.2, 1.0, cover[source]) * sample
    front = smoothstep(0.6, 1.2, head.template[source, 2]) * smoothstep(8.2, 7.8, head.template[source, 1])
    lift = lift * (1 - front) + np.minimum(lift, 0.035 + 0.03 * person.curl) * front  # a fringe lies close to the skin
    outward = normals(vertices, triangles)[source]
    shell = (vertices[source] + outward * lift[:, None]).astype(np.float32)
    return shell, compact.reshape(-1, 3).astype(np.int32), source.astype(np.int32)


def curtains(head: Head, person: Person, vertices: Array) -> tuple[Array, Indices, Array]:
    """Return the long hair beside the face: positions (E, 3), triangles (T, 3), texels (E, 2); empty for short hair.

    Each side is a grid that hangs from the top of the head, bent around the head's axis like a curtain.
    """
    rng = np.random.default_rng([person.seed, 5])
    hangs = person.hair_style == "long" or (person.hair_style == "full" and rng.random() < 0.25)
    if not hangs:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros((0, 2), np.float32)
    end = rng.uniform(5.2, 6.0) if rng.random() < 0.65 else rng.uniform(6.1, 6.6)
    own = vertices[head.landmarks[[0, 16, 2, 14]], 0]
    width = float(np.abs(own).mean() / np.abs(head.template[head.landmarks[[0, 16, 2, 14]], 0]).mean())
    positions: list[Array] = []
    texels: list[Array] = []
    triangles: list[Indices] = []
    tucked = rng.random() < 0.25  # the hair is tucked behind the ears
    for sign, first in ((-1.0, 0), (1.0, WIDTH // 2)):
        down = np.linspace(0, 1, CURTAIN_ROWS)[:, None] * np.ones((1, CURTAIN_COLUMNS))
        back = np.ones((CURTAIN_ROWS, 1)) * np.linspace(0, 1, CURTAIN_COLUMNS)[None]
        y = 8.15 + (end - 8.15) * down
        edge = 1.45 if tucked else rng.uniform(0.75, 1.15)
        start = edge + 0.08 * np.sin(down * rng.uniform(3, 9) + rng.uniform(0, 6))
        start = start - 0.25 * smoothstep(7.2, 6.4, y) * rng.uniform(-0.3, 1)  # the tips may curve in below the cheek
        angle = start + (2.6 - start) * back
        dome = np.sqrt(np.clip(1 - (np.clip(y - 7.3, 0, 2) / 1.32) ** 2, 0, 1))
        wave = 1 + (0.02 + 0.04 * person.curl) * np.sin(down * rng.uniform(8, 20) + rng.uniform(0, 6))
        flare = 1 + rng.uniform(-0.02, 0.12) * smoothstep(7.2, 6.0, y)
        x = sign * width * (0.85 + THICKNESS[person.hair_style] * 0.4) * np.sin(angle) * dome * wave * flare
        z = 0.15 + 0.98 * np.cos(angle) * dome * wave
        base = len(positions) * CURTAIN_ROWS * CURTAIN_COLUMNS
        positions.append(np.stack([x, y, z], -1).reshape(-1, 3))
        column = first + back * (WIDTH // 2 - 2)
        texels.append(np.stack([column, HEIGHT + down * (BAND - 1)], -1).reshape(-1, 2))
        triangles.append(base + _grid(CURTAIN_ROWS, CURTAIN_COLUMNS))
    moved = np.concatenate(positions) + (vertices[head.landmarks] - head.template[head.landmarks]).mean(0)
    return moved.astype(np.float32), np.concatenate(triangles), np.concatenate(texels).astype(np.float32)


def _grid(rows: int, columns: int) -> Indices:
    """Return the triangles (T, 3) of a grid of rows x columns points."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    first = np.stack([corner, corner + 1, corner + columns], -1)
    second = np.stack([corner + 1, corner + columns + 1, corner + columns], -1)
    return np.concatenate([first, second]).astype(np.int32)
