"""Upright meshes, and pairs of a person's shapes with and without expression, for recipes/relax.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from deadpan.faces.relaxing import LOWER_LIP, UPPER_LIP
from deadpan.faces.warping import INNER_LIPS

Floats = NDArray[np.floating[Any]]

FLIP = np.array([-1, 1, 1])
EYE_CORNERS = [33, 263]
LIPS = [*INNER_LIPS, 61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185]
BROWS = [46, 52, 53, 55, 63, 65, 66, 70, 105, 107, 276, 282, 283, 285, 293, 295, 296, 300, 334, 336]
EYES = [*(33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)]
EYES += [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466]
TRUSTED = 12.0  # least presence


class Frame(NamedTuple):
    """The upright reference: outer eye corners at (-0.5, 0) and (0.5, 0)."""

    shape: Floats  # (468, 3)
    rigid: Floats  # (468,) weights of the points that do not move
    mirror: NDArray[np.intp]  # (468,) index of the same point on the other side

    def fit(self, meshes: Floats) -> tuple[Floats, Floats, Floats]:
        """Scales (N,), rotations (N, 3, 3) and shifts (N, 3) that bring meshes (N, 468, 3) to the reference."""
        rows = np.flatnonzero(self.rigid)
        weights = self.rigid[rows] / self.rigid[rows].sum()
        source, target = meshes[:, rows].astype(np.float64), self.shape[rows]
        centres, middle = np.einsum("k,nki->ni", weights, source), weights @ target
        source, target = source - centres[:, None], target - middle
        u, singular, v = np.linalg.svd((weights[:, None] * target).T @ source)
        signs = np.ones_like(singular)
        signs[:, 2] = np.sign(np.linalg.det(u @ v))
        turns = (u * signs[:, None]) @ v
        scales = (singular * signs).sum(axis=1) / np.einsum("k,nki->n", weights, source**2)
        return scales, turns, middle - scales[:, None] * np.einsum("nij,nj->ni", turns, centres)

    def flipped(self, shapes: Floats) -> Floats:
        """The mirror images."""
        return np.asarray(shapes[:, self.mirror] * FLIP)


def moved(fit: tuple[Floats, Floats, Floats], meshes: Floats) -> Floats:
    """Apply the similarity transforms to meshes (N, 468, 3)."""
    scales, turns, shifts = fit
    return np.asarray(scales[:, None, None] * (meshes @ turns.transpose(0, 2, 1)) + shifts[:, None], np.float32)


def upright(shape: Floats) -> Floats:
    """Rotate a shape so that left to right is x and forehead to chin is y, and scale it to an eye distance of 1."""
    across = np.sum(
        [shape[b] - shape[a] for a, b in ((33, 263), (133, 362), (61, 291), (234, 454), (127, 356))], axis=0
    )
    across /= np.linalg.norm(across)
    down = shape[152] - shape[10]
    down -= across * (across @ down)
    down /= np.linalg.norm(down)
    turned = (shape - shape[EYE_CORNERS].mean(axis=0)) @ np.stack([across, down, np.cross(across, down)]).T
    return np.asarray(turned / np.linalg.norm(turned[33] - turned[263]))


def make_frame(neutral: Floats, expressive: Floats, twins: Floats) -> Frame:
    """The mean neutral shape, made symmetric, with the points that moved least between twins of rendered people."""
    frame = Frame(upright(neutral[0].astype(np.float64)), np.ones(468), np.arange(468))
    for _ in range(4):
        shape = upright(moved(frame.fit(neutral), neutral).mean(axis=0, dtype=np.float64))
        distances = np.linalg.norm(shape[:, None] * FLIP - shape[None], axis=2)
        mirror = linear_sum_assignment(distances + distances.T)[1]
        shape = (shape + shape[mirror] * FLIP) / 2
        frame = Frame(shape, frame.rigid, mirror)
        fit = frame.fit(twins)
        motion = (moved(fit, expressive) - moved(fit, twins))[..., :2]
        moves = np.sqrt((motion**2).sum(axis=2).mean(axis=0))
        moves = (moves + moves[mirror]) / 2
        frame = frame._replace(rigid=np.where(moves < 0.022, 1 / (moves**2 + 0.01**2), 0))
    return frame._replace(rigid=frame.rigid / frame.rigid.max())


class Photographs(NamedTuple):
    """Pairs of one person's shapes: with an expression, and the mean of the person's other neutral ones."""

    shape: Floats  # (N, 468, 3)
    rest: Floats  # (N, 468, 3)
    expression: NDArray[Any]
    subject: NDArray[Any]


def mouth(shapes: Floats) -> tuple[Floats, Floats, Floats]:
    """Gap between the inner lips, width, and rise of the corners, in eye distances."""
    gap = (shapes[:, LOWER_LIP[3:6], 1] - shapes[:, UPPER_LIP[3:6], 1]).mean(axis=1)
    rise = shapes[:, [0, 17, 13, 14], 1].mean(axis=1) - shapes[:, [61, 291], 1].mean(axis=1)
    return gap, np.linalg.norm(shapes[:, 61, :2] - shapes[:, 291, :2], axis=1), rise


def pairs_of(data: Mapping[str, NDArray[Any]], frame: Frame, noisy: bool) -> tuple[Photographs, Floats, NDArray[Any]]:
    """Pairs, and the neutral shapes with their subjects; noisy labels are used only if the shape agrees."""
    fit = frame.fit(data["mesh"])
    shapes, subject, expression = moved(fit, data["mesh"]), data["subject"], data["expression"]
    rest = expression == "neutral"
    if noisy:
        gap, width, rise = mouth(shapes)
        off = np.sqrt(((shapes - frame.shape) ** 2).sum(axis=2) @ frame.rigid / frame.rigid.sum())
        yaw = np.degrees(np.arctan2(fit[1][:, 2, 0], fit[1][:, 0, 0]))
        shut = (gap < 0.075 * width) & (rise < np.quantile(rise[rest], 0.78))
        rest = rest & shut & (off < np.quantile(off[rest], 0.93)) & (np.abs(yaw) < 35)
    rows, targets = [], []
    for index in np.flatnonzero(rest | (expression != "neutral")):
        others = np.flatnonzero(rest & (subject == subject[index]) & (np.arange(len(rest)) != index))
        if len(others) and subject[index]:
            rows.append(index)
            targets.append(shapes[others].mean(axis=0))
        elif not noisy and rest[index]:  # a reliable neutral face is its own neutral face
            rows.append(index)
            targets.append(shapes[index])
    pairs = Photographs(shapes[rows], np.stack(targets), expression[rows], subject[rows])
    return pairs, shapes[rest], subject[rest]
