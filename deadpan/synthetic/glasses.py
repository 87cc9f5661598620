"""Glasses: two rims, a bridge and two temples, fitted to the person's own landmarks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deadpan.synthetic.person import Person
from deadpan.synthetic.rig import FRAME, LENS, Array, Head, Indices

SIDES, RING = 28, 6  # points along a rim, and around the cross-section of a tube
Mesh = tuple[Array, Indices, npt.NDArray[np.uint8]]  # positions (E, 3), triangles (T, 3), material (T,)


def make_glasses(head: Head, person: Person, vertices: Array) -> Mesh:
    """Return the mesh of the person's glasses: positions (E, 3), triangles (T, 3), material (T,); empty without any.

    The rims are superellipses around the eyes. Clear lenses are left out; only sunglasses have a lens.
    """
    if person.glasses == "none":
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32), np.zeros(0, np.uint8)
    rng = np.random.default_rng([person.seed, 6])
    points = vertices[head.landmarks]
    right, left = points[36:42].mean(0), points[42:48].mean(0)
    bridge = points[27]
    apart = float(left[0] - right[0])
    wide, tall, power = {  # half sizes as shares of the eye distance, and the superellipse's exponent
        "thin": (0.40, 0.27, 2.8),
        "thick": (0.42, 0.30, 3.5),
        "round": (0.37, 0.35, 2.0),
        "sun": (0.43, 0.34, 3.0),
    }[person.glasses]
    wide, tall = wide * apart * rng.uniform(0.94, 1.06), tall * apart * rng.uniform(0.9, 1.1)
    tube = apart * {"thin": 0.012, "thick": 0.032, "round": 0.015, "sun": 0.025}[person.glasses] * rng.uniform(0.8, 1.2)
    depth = max(float(points[19:25, 2].mean()), float(bridge[2])) + 0.04
    drop = rng.uniform(0.0, 0.06)
    parts: list[Mesh] = []
    inner = []
    for sign, eye in ((-1.0, right), (1.0, left)):
        angle = np.linspace(0, 2 * np.pi, SIDES, endpoint=False)
        c, s = np.cos(angle), np.sin(angle)
        x = eye[0] + sign * 0.02 * apart + wide * np.sign(c) * np.abs(c) ** (2 / power)
        y = eye[1] - drop + tall * np.sign(s) * np.abs(s) ** (2 / power)
        z = depth - 0.18 * np.abs(x - bridge[0]) ** 2  # frames are curved around the face
        rim = np.stack([x, y, z], -1)
        parts.append(_tube(rim, tube, closed=True))
        if person.glasses == "sun":
            parts.append(_disc(rim))
        near = rim[np.argmin(np.abs(x - bridge[0]))]
        far = rim[np.argmax(np.abs(x - bridge[0]))]
        inner.append(np.array([near[0], eye[1] - drop + 0.3 * tall, near[2]]))
        ear = np.array([sign * (abs(points[0, 0]) + abs(points[16, 0])) / 2 * 1.1, eye[1], 0.35])
        temple = np.array([far[0], eye[1] + 0.2 * tall, far[2]])
        hinge = np.array([temple[0] + 0.3 * (ear[0] - temple[0]), temple[1], temple[2] - 0.12])
        parts.append(_tube(np.stack([temple, hinge, ear]), tube, closed=False))
    arch = np.stack([inner[0], (inner[0] + inner[1]) / 2 + np.array([0, 0.02, 0.02]), inner[1]])
    parts.append(_tube(arch, tube, closed=False))
    return _join(parts)


def _tube(path: npt.NDArray[np.floating], radius: float, closed: bool) -> Mesh:
    """Return a tube of the given radius along `path` (n, 3); a closed path forms a ring."""
    ahead = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
    ahead = ahead / np.linalg.norm(ahead, axis=1, keepdims=True)
    across = np.cross(ahead, np.where(np.abs(ahead[:, 2:]) > 0.8, [[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    upright = np.cross(across, ahead)
    turn = np.linspace(0, 2 * np.pi, RING, endpoint=False)
    ring = across[:, None] * np.cos(turn)[:, None] + upright[:, None] * np.sin(turn)[:, None]
    positions = (path[:, None] + radius * ring).reshape(-1, 3)
    count = len(path)
    steps = np.arange(count if closed else count - 1)[:, None]
    k = np.arange(RING)[None]
    a, b = steps * RING + k, steps * RING + (k + 1) % RING
    c, d = (steps + 1) % count * RING + k, (steps + 1) % count * RING + (k + 1) % RING
    first, second = np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)
    triangles = np.concatenate([first, second])
    return positions.astype(np.float32), triangles.astype(np.int32), np.full(len(triangles), FRAME, np.uint8)


def _disc(rim: npt.NDArray[np.floating]) -> Mesh:
    """Return the lens that fills a rim (n, 3): a fan of triangles around the centre."""
    centre = rim.mean(0, keepdims=True)
    count = len(rim)
    k = np.arange(count)
    triangles = np.stack([np.full(count, count), k, (k + 1) % count], -1)
    return (
        np.concatenate([rim, centre]).astype(np.float32),
        triangles.astype(np.int32),
        np.full(len(triangles), LENS, np.uint8),
    )


def _join(parts: list[Mesh]) -> Mesh:
    """Return several meshes as one."""
    starts = np.cumsum([0] + [len(positions) for positions, _, _ in parts[:-1]])
    return (
        np.concatenate([positions for positions, _, _ in parts]).astype(np.float32),
        np.concatenate([triangles + start for (_, triangles, _), start in zip(parts, starts, strict=True)]).astype(
            np.int32
        ),
        np.concatenate([material for _, _, material in parts]),
    )
