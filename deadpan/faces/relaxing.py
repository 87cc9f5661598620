"""Taking the expression off a face by its shape: the mesh of a face -> the same person's mesh at rest, pose kept.

A small network learnt it from rendered people with their neutral twins and from people photographed several times
(recipes/relax.py). The photograph is then warped from the one mesh to the other.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deadpan.errors import DeadpanError
from deadpan.faces.mesh import Mesh, read_mesh
from deadpan.faces.networks import ASSETS, Floats
from deadpan.faces.warping import INNER_LIPS, Motion, motion, moved
from deadpan.pixels import RGB

STRONGEST = 1.5

UPPER_LIP, LOWER_LIP = list(INNER_LIPS[:10:-1]), list(INNER_LIPS[1:10])
"""Points of the inner lips that lie above each other."""

UPPER_EDGE, LOWER_EDGE = [185, 40, 39, 37, 0, 267, 269, 270, 409], [146, 91, 181, 84, 17, 314, 405, 321, 375]
"""The points of the outer lips beside them."""

INTO_LIPS, CLOSED_BY = 0.2, 0.06
"""Share of the lips' height that is taken for teeth where a mouth closes by CLOSED_BY or more eye distances."""

MOST_MOVED, STILL, MOVING = 60, 0.008, 0.02
"""A face whose MOST_MOVED points would be moved by STILL on average is left as it is, from MOVING on moved wholly."""

GAIN = 1.2
"""The face mesh reports less of a motion than there is. Of the error of a smile's width 29 % was left with 1.0 and
25 % with 1.2 and 1.3, on 30 people of the London Set, by networks that had not trained on them."""

SHUT_GAP = 0.025
"""How far apart, in distances of the outer eye corners, the mesh sees the inner lips of a mouth that is shut."""

STEPS = ((0.0, 0.0, 1.0), (0.01, 0.01, 0.96), (-0.01, 0.01, 1.04), (0.01, -0.01, 1.04), (-0.01, -0.01, 0.96))
"""Shifts (shares of the side) and scales of the squares whose readings are averaged."""


class StrengthError(DeadpanError):
    """A strength that is out of range."""


class RelaxedFace(NamedTuple):
    """What was done to one face."""

    mesh: Floats  # (468, 3) in pixels of the photograph
    relaxed: Floats  # (468, 3) where the points were brought
    motion: Motion


def check_strength(strength: float) -> None:
    """StrengthError where the strength is out of range."""
    if not 0 <= strength <= STRONGEST:
        raise StrengthError(f"strength must be between 0 and {STRONGEST}, got {strength}")


def relax_face(photograph: RGB, mesh: Floats, strength: float = 1.0) -> tuple[RGB, RelaxedFace]:
    """The photograph with the face of this mesh (468, 3) at rest, and what was done to it.

    `strength` scales the motion: 0 leaves the face as it is, 1 is the predicted rest, up to 1.5 goes beyond it.
    """
    steady = steady_mesh(photograph, mesh)
    relaxed = relax_mesh(steady, strength)
    found = motion(without_teeth(steady, relaxed), relaxed, triangles(), *photograph.shape[:2])
    return moved(photograph, found), RelaxedFace(steady, relaxed, found)


def triangles() -> NDArray[np.int64]:
    """(T, 3): the triangles between the points of `warping.with_ring`; an open mouth has some of its own."""
    return _network()["triangles"]


def steady_mesh(photograph: RGB, mesh: Floats) -> Floats:
    """The mean of several readings of a mesh (468, 3), in squares that differ a little."""
    x, y, side, roll = Mesh(np.asarray(mesh, np.float64), 0.0).square
    squares = [(x + right * side, y + down * side, side * scale, roll) for right, down, scale in STEPS]
    readings = [read_mesh(photograph, square) for square in squares]
    mean: Floats = np.mean([reading.points for reading in readings], axis=0)
    return mean


def relax_mesh(mesh: Floats, strength: float = 1.0) -> Floats:
    """(468, 3) -> (468, 3): the same person in the same pose at rest."""
    check_strength(strength)
    network = _network()
    scale, turn, shift = similarity_in_space(mesh, network["shape"], network["rigid"])
    upright = scale * mesh @ turn.T + shift
    mirror, flip = network["mirror"], np.array([-1, 1, 1])
    there = _displacement(upright, network)
    mirrored = _displacement(upright[mirror] * flip, network)[mirror] * flip
    rested = _shut(upright, upright + strength * _decided((there + mirrored) / 2))
    placed: Floats = (rested - shift) @ turn / scale
    return placed


def similarity_in_space(points: Floats, onto: Floats, weights: Floats) -> tuple[float, Floats, Floats]:
    """Scale, rotation (3, 3) and shift (3,) that bring points (N, 3) nearest to others, weighted (Umeyama 1991)."""
    weights = weights / weights.sum()
    centre, target = weights @ points, weights @ onto
    from_centre, from_target = points - centre, onto - target
    u, singular, v = np.linalg.svd((weights[:, None] * from_target).T @ from_centre)
    signs = np.array([1, 1, np.sign(np.linalg.det(u @ v))])
    turn = (u * signs) @ v
    scale = float((singular * signs).sum() / (weights @ (from_centre**2).sum(axis=1)))
    return scale, turn, target - scale * turn @ centre


def _displacement(upright: Floats, network: dict[str, NDArray[Any]]) -> Floats:
    """Displacement (468, 3) from the shape to the neutral one, both upright: the mean of M networks."""
    features = (upright.ravel() - network["mean"]) @ network["inputs"]  # (K,)
    hidden = _swish(features @ network["first"] + network["first_bias"])[:, None]  # (M, 1, H)
    hidden = _swish(hidden @ network["second"] + network["second_bias"][:, None])  # (M, 1, H)
    amounts = (hidden @ network["last"]).sum(axis=(0, 1)) + features @ network["linear"] + network["last_bias"]  # (O,)
    displacement: Floats = (amounts @ network["outputs"]).reshape(-1, 3)
    return displacement


def _decided(displacement: Floats) -> Floats:
    """The displacement, none where it is so small that faces at rest have it too."""
    lengths = np.sort(np.linalg.norm(displacement[:, :2], axis=1))
    share = np.clip((lengths[-MOST_MOVED:].mean() - STILL) / (MOVING - STILL), 0, 1)
    decided: Floats = GAIN * share**2 * (3 - 2 * share) * displacement
    return decided


def _swish(values: Floats) -> Floats:
    swished: Floats = values / (1 + np.exp(-values))
    return swished


def _shut(before: Floats, after: Floats) -> Floats:
    """`after`, where lips that have come nearer to each other meet, and none passes the other."""
    result = after.copy()
    was, is_now = (points[LOWER_LIP, 1] - points[UPPER_LIP, 1] for points in (before, after))
    wanted = is_now - np.clip(was - is_now, 0, SHUT_GAP)
    wanted = np.maximum(wanted, np.minimum(was, 0))
    result[UPPER_LIP, 1] += (is_now - wanted) / 2
    result[LOWER_LIP, 1] -= (is_now - wanted) / 2
    return result


def without_teeth(mesh: Floats, relaxed: Floats) -> Floats:
    """`mesh` with the inner lips moved outwards where they close: the network takes the edge of the teeth for lip."""
    eyes = np.linalg.norm(mesh[263] - mesh[33])
    was, now = (np.linalg.norm(points[LOWER_LIP] - points[UPPER_LIP], axis=1) for points in (mesh, relaxed))
    share = INTO_LIPS * np.clip((was - now) / (CLOSED_BY * eyes), 0, 1)[:, None]
    result = mesh.copy()
    for inner, outer in ((UPPER_LIP, UPPER_EDGE), (LOWER_LIP, LOWER_EDGE)):
        result[inner] += share * (mesh[outer] - mesh[inner])
    return result


@functools.lru_cache(maxsize=1)
def _network() -> dict[str, NDArray[Any]]:
    with np.load(ASSETS / "relaxing.npz") as file:
        return {
            name: file[name].astype(np.float64) if file[name].dtype.kind == "f" else file[name].astype(np.int64)
            for name in file.files
        }
