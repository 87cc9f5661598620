"""The predicted rest: the same in every pose and mirrored, nearer to the true one, and still where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest

from deadpan.faces.detection import WholePicture, make_detector
from deadpan.faces.landmarks import mesh_of
from deadpan.faces.networks import Floats
from deadpan.faces.photographs import read_photograph
from deadpan.faces.relaxing import StrengthError, relax_face, relax_mesh, similarity_in_space, steady_mesh
from tests.support.photos import PHOTOS

LONDON = ("006", "107", "119", "137")


def mesh_in(name: str) -> Floats:
    photograph = read_photograph(PHOTOS / name)
    found = make_detector()(photograph)[0].mesh
    assert found is not None
    return steady_mesh(photograph, found.astype(np.float64))


def eyes_apart(mesh: Floats) -> float:
    return float(np.linalg.norm(mesh[263] - mesh[33]))


def mouth_width(mesh: Floats) -> float:
    return float(np.linalg.norm(mesh[61, :2] - mesh[291, :2])) / eyes_apart(mesh)


def corner_rise(mesh: Floats) -> float:
    return float(mesh[[0, 17, 13, 14], 1].mean() - mesh[[61, 291], 1].mean()) / eyes_apart(mesh)


def lip_gap(mesh: Floats) -> float:
    return float(mesh[[87, 14, 317], 1].mean() - mesh[[82, 13, 312], 1].mean()) / eyes_apart(mesh)


@pytest.fixture(scope="module")
def smile() -> Floats:
    return mesh_in("london_107_happiness.jpg")


def test_strength_0_leaves_the_mesh(smile: Floats) -> None:
    np.testing.assert_allclose(relax_mesh(smile, 0.0), smile, atol=1e-6)


def test_strength_scales_the_motion_of_the_cheeks(smile: Floats) -> None:
    cheeks = [50, 280, 205, 425]
    whole, half = relax_mesh(smile)[cheeks] - smile[cheeks], relax_mesh(smile, 0.5)[cheeks] - smile[cheeks]
    np.testing.assert_allclose(half, whole / 2, atol=1e-6)


@pytest.mark.parametrize("strength", [-0.1, 1.6, float("nan")])
def test_a_strength_out_of_range_is_refused(smile: Floats, strength: float) -> None:
    with pytest.raises(StrengthError, match=r"between 0 and 1\.5"):
        relax_mesh(smile, strength)


def test_a_turned_shifted_and_scaled_mesh_is_relaxed_alike(smile: Floats) -> None:
    yaw, roll = 0.4, 0.7
    around_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    around_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])

    def placed(mesh: Floats) -> Floats:
        result: Floats = 1.7 * mesh @ (around_z @ around_y).T + [40.0, -25.0, 3.0]
        return result

    np.testing.assert_allclose(relax_mesh(placed(smile)), placed(relax_mesh(smile)), atol=1e-6)


def test_similarity_in_space_finds_a_known_one() -> None:
    rng = np.random.default_rng(0)
    points, weights = rng.normal(size=(20, 3)), rng.uniform(size=20)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    scale, found, shift = similarity_in_space(points, 2.5 * points @ turn.T + [1.0, 2.0, 3.0], weights)
    assert scale == pytest.approx(2.5)
    np.testing.assert_allclose(found, turn, atol=1e-9)
    np.testing.assert_allclose(shift, [1.0, 2.0, 3.0], atol=1e-9)


@pytest.mark.parametrize("measure", [mouth_width, corner_rise, lip_gap])
def test_smiles_come_nearer_to_the_true_rest(measure: object) -> None:
    assert callable(measure)
    before, after = [], []
    for subject in LONDON:
        smiling, rest = (mesh_in(f"london_{subject}_{name}.jpg") for name in ("happiness", "neutral"))
        before.append(abs(measure(smiling) - measure(rest)))
        after.append(abs(measure(relax_mesh(smiling)) - measure(rest)))
    assert sum(after) < 0.5 * sum(before)


def test_faces_at_rest_hardly_move() -> None:
    for subject in LONDON:
        rest = mesh_in(f"london_{subject}_neutral.jpg")
        assert np.abs(relax_mesh(rest) - rest)[:, :2].mean() < 0.004 * eyes_apart(rest)


def test_an_old_print_is_relaxed_too() -> None:
    smiling, rest = (mesh_in(f"duchenne_man_{name}.png") for name in ("happiness_galvanised", "neutral"))
    assert abs(mouth_width(relax_mesh(smiling)) - mouth_width(rest)) < abs(mouth_width(smiling) - mouth_width(rest))


def test_the_photograph_follows_the_mesh(smile: Floats) -> None:
    photograph = read_photograph(PHOTOS / "london_107_happiness.jpg")
    result, face = relax_face(photograph, smile)
    read_again = steady_mesh(result, face.relaxed)
    assert mouth_width(read_again) < mouth_width(smile) - 0.5 * (mouth_width(smile) - mouth_width(face.relaxed))
    assert lip_gap(read_again) < 0.3 * lip_gap(smile)


def test_a_crop_without_a_detected_mesh_has_its_mesh_read() -> None:
    photograph = read_photograph(PHOTOS / "london_107_happiness.jpg")
    left, top, right, bottom = (round(edge) for edge in make_detector()(photograph)[0].box)
    crop = np.ascontiguousarray(photograph[top:bottom, left:right])
    mesh = mesh_of(crop, WholePicture()(crop)[0])
    assert mesh is not None
    known = mesh_in("london_107_happiness.jpg")
    np.testing.assert_allclose(mesh[[33, 263, 61, 291], :2], known[[33, 263, 61, 291], :2] - [left, top], atol=6)


def test_a_picture_of_no_face_has_no_mesh() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    assert mesh_of(noise, WholePicture()(noise)[0]) is None
