"""Relaxes an expression: predicts the neutral mesh of a face in the same pose, and warps the photograph to it.

A small network predicts the neutral mesh. It was trained on rendered people, each with and without expression, and on
people who were photographed several times (recipes/relax.py).
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

STRONGEST = 1.5  # greatest strength

UPPER_LIP, LOWER_LIP = list(INNER_LIPS[:10:-1]), list(INNER_LIPS[1:10])
"""Mesh points of the inner lips; the points with the same index lie above each other."""

UPPER_EDGE, LOWER_EDGE = [185, 40, 39, 37, 0, 267, 269, 270, 409], [146, 91, 181, 84, 17, 314, 405, 321, 375]
"""Mesh points of the outer lips, each next to the point of UPPER_LIP or LOWER_LIP with the same index."""

INTO_LIPS, CLOSED_BY = 0.2, 0.06
"""If the mouth closes by CLOSED_BY eye distances or more, this share (INTO_LIPS) of the lips' height is treated as
teeth."""

MOST_MOVED, STILL, MOVING = 60, 0.008, 0.02
"""The MOST_MOVED points with the largest displacement decide how much a face is moved: not at all if their mean
displacement is at most STILL, fully from MOVING on, and partly between the two."""

GAIN = 1.2
"""Factor on the displacement, because the face mesh underestimates motion. For 30 people of the London Set who were
held out from training, relaxing reduced the error in the mouth's width when they smile to 29 % with a factor of 1.0,
and to 25 % with 1.2 or 1.3."""

SHUT_GAP = 0.025
"""Distance, in eye distances, that the mesh reports between the inner lips of a closed mouth."""

STEPS = ((0.0, 0.0, 1.0), (0.01, 0.01, 0.96), (-0.01, 0.01, 1.04), (0.01, -0.01, 1.04), (-0.01, -0.01, 0.96))
"""Shifts (right, down; shares of the side) and scales of the squares in which the mesh is read and averaged."""


class StrengthError(DeadpanError):
    """A strength that is out of range."""


class RelaxedFace(NamedTuple):
    """One relaxed face: its mesh before and after, and the motion of the pixels."""

    mesh: Floats  # (468, 3) in pixels of the photograph
    relaxed: Floats  # (468, 3) the points after relaxing
    motion: Motion


def check_strength(strength: float) -> None:
    """Raise StrengthError unless the strength is in 0..STRONGEST."""
    if not 0 <= strength <= STRONGEST:
        raise StrengthError(f"strength must be between 0 and {STRONGEST}, got {strength}")


def relax_face(photograph: RGB, mesh: Floats, strength: float = 1.0) -> tuple[RGB, RelaxedFace]:
    """Relax the face with this mesh (468, 3); returns the new photograph, and the meshes and the motion.

    `strength` scales the motion: 0 keeps the expression, 1 gives the predicted neutral face, values up to 1.5
    exaggerate the motion. Raises StrengthError for other values.
    """
    steady = steady_mesh(photograph, mesh)
    relaxed = relax_mesh(steady, strength)
    found = motion(without_teeth(steady, relaxed), relaxed, triangles(), *photograph.shape[:2])
    return moved(photograph, found), RelaxedFace(steady, relaxed, found)


def triangles() -> NDArray[np.int64]:
    """(T, 3): the triangles between the points of `warping.with_ring`, including those inside an open mouth."""
    return _network()["triangles"]


def steady_mesh(photograph: RGB, mesh: Floats) -> Floats:
    """Read the mesh (468, 3) in several slightly different squares and average the results."""
    x, y, side, roll = Mesh(np.asarray(mesh, np.float64), 0.0).square
    squares = [(x + right * side, y + down * side, side * scale, roll) for right, down, scale in STEPS]
    readings = [read_mesh(photograph, square) for square in squares]
    mean: Floats = np.mean([reading.points for reading in readings], axis=0)
    return mean


def relax_mesh(mesh: Floats, strength: float = 1.0) -> Floats:
    """Predict the neutral mesh of the same person in the same pose: (468, 3) -> (468, 3).

    Raises StrengthError unless `strength` is in 0..1.5.
    """
    check_strength(strength)
    face = upright(mesh)
    moved = face.points + strength * _decided(_symmetric_displacement(face.points, _network()))
    return face.back(_shut(face.points, moved))


class Upright(NamedTuple):
    """A face rotated to look ahead, at the size of the mean face, and the transform that rotated it."""

    points: Floats  # (468, 3)
    scale: float
    turn: Floats  # (3, 3)
    shift: Floats  # (3,)

    def back(self, points: Floats) -> Floats:
        """Transform points (468, 3) of the upright face back to pixels of the photograph."""
        placed: Floats = (points - self.shift) @ self.turn / self.scale
        return placed


def upright(mesh: Floats) -> Upright:
    """Rotate a mesh (468, 3) upright, fitted by the points that no expression moves."""
    network = _network()
    scale, turn, shift = similarity_in_space(mesh, network["shape"], network["rigid"])
    return Upright(scale * mesh @ turn.T + shift, scale, turn, shift)


def with_depth(flat: Floats) -> Floats:
    """Add depth to a mesh (468, 2): that of the mean face in the pose that fits the mesh best. Returns (468, 3)."""
    network = _network()
    shape, weights = network["shape"], network["rigid"] / network["rigid"].sum()
    centre = weights @ shape
    root = np.sqrt(weights)[:, None]
    camera = np.linalg.lstsq(root * (shape - centre), root * (flat - weights @ flat), rcond=None)[0].T  # (2, 3)
    u, singular, v = np.linalg.svd(camera, full_matrices=False)
    ahead = np.cross(*(u @ v))
    return np.column_stack([flat, singular.mean() * (shape - centre) @ ahead])


def expression_of(face: Upright) -> Floats:
    """Predict the displacement (468, 3) of each point of an upright face by its expression."""
    return face.points - relax_mesh(face.points)


def shape_error(face: Upright) -> float:
    """The root mean square distance of the points that no expression moves from those of the mean face."""
    network = _network()
    weights = network["rigid"] / network["rigid"].sum()
    return float(np.sqrt(weights @ ((face.points - network["shape"]) ** 2).sum(axis=1)))


def shape_of_expression(mesh: Floats) -> Floats:
    """Predict how a mesh (468, 3) differs from the same person's neutral mesh: (50,), near 0 for a neutral face.

    Its length is that of the displacements of all points together, in distances of the outer eye corners, whatever the
    pose and the size of the face. The difference between two such vectors of one person does not depend on how well the
    neutral mesh is predicted.
    """
    shape: Floats = _directions() @ _symmetric_displacement(upright(mesh).points, _network()).ravel()
    return shape


@functools.lru_cache(maxsize=1)
def _directions() -> Floats:
    """(50, 1404): an orthonormal basis of all displacements that the network can predict."""
    basis: Floats = np.linalg.qr(_network()["outputs"].T)[0].T
    return basis


def similarity_in_space(points: Floats, onto: Floats, weights: Floats) -> tuple[float, Floats, Floats]:
    """Fit scale, rotation (3, 3) and shift (3,) from `points` to `onto`, both (N, 3), by weighted least squares.

    The solution is that of Umeyama (1991).
    """
    weights = weights / weights.sum()
    centre, target = weights @ points, weights @ onto
    from_centre, from_target = points - centre, onto - target
    u, singular, v = np.linalg.svd((weights[:, None] * from_target).T @ from_centre)
    signs = np.array([1, 1, np.sign(np.linalg.det(u @ v))])
    turn = (u * signs) @ v
    scale = float((singular * signs).sum() / (weights @ (from_centre**2).sum(axis=1)))
    return scale, turn, target - scale * turn @ centre


def _symmetric_displacement(points: Floats, network: dict[str, NDArray[Any]]) -> Floats:
    """The mean of the displacements (468, 3) predicted for an upright face and for its mirror image."""
    mirror, flip = network["mirror"], np.array([-1, 1, 1])
    mirrored = _displacement(points[mirror] * flip, network)[mirror] * flip
    displacement: Floats = (_displacement(points, network) + mirrored) / 2
    return displacement


def _displacement(upright: Floats, network: dict[str, NDArray[Any]]) -> Floats:
    """Predict the displacement (468, 3) from an upright mesh to its neutral mesh: the mean of M networks."""
    features = (upright.ravel() - network["mean"]) @ network["inputs"]  # (K,)
    hidden = _swish(features @ network["first"] + network["first_bias"])[:, None]  # (M, 1, H)
    hidden = _swish(hidden @ network["second"] + network["second_bias"][:, None])  # (M, 1, H)
    amounts = (hidden @ network["last"]).sum(axis=(0, 1)) + features @ network["linear"] + network["last_bias"]  # (O,)
    displacement: Floats = (amounts @ network["outputs"]).reshape(-1, 3)
    return displacement


def _decided(displacement: Floats) -> Floats:
    """Scale the displacement by GAIN, and down to zero if it is as small as that of faces without expression."""
    lengths = np.sort(np.linalg.norm(displacement[:, :2], axis=1))
    share = np.clip((lengths[-MOST_MOVED:].mean() - STILL) / (MOVING - STILL), 0, 1)
    decided: Floats = GAIN * share**2 * (3 - 2 * share) * displacement
    return decided


def _swish(values: Floats) -> Floats:
    swished: Floats = values / (1 + np.exp(-values))
    return swished


def _shut(before: Floats, after: Floats) -> Floats:
    """Correct the lips in `after`: lips that have approached each other touch, and they never cross."""
    result = after.copy()
    was, is_now = (points[LOWER_LIP, 1] - points[UPPER_LIP, 1] for points in (before, after))
    wanted = is_now - np.clip(was - is_now, 0, SHUT_GAP)
    wanted = np.maximum(wanted, np.minimum(was, 0))
    result[UPPER_LIP, 1] += (is_now - wanted) / 2
    result[LOWER_LIP, 1] -= (is_now - wanted) / 2
    return result


def without_teeth(mesh: Floats, relaxed: Floats) -> Floats:
    """Move the inner lips of `mesh` outwards if the mouth closes: the mesh network takes the teeth's edge for lip."""
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
