"""The quality of a face: of photographs that were shrunk, blurred, darkened or painted over, and of rendered people."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from deadpan.cli.main import main
from deadpan.faces.alignment import centre, warp
from deadpan.faces.detection import make_detector
from deadpan.faces.landmarks import Located, locate, locate_crop
from deadpan.faces.photographs import read_photograph
from deadpan.faces.quality import Quality, quality, turn_of
from deadpan.pixels import RGB
from deadpan.prediction.predictor import Predictor
from deadpan.synthetic.figure import make_figure
from deadpan.synthetic.render import Studio, sample_scene
from tests.support.photos import PHOTOS

NAMES = sorted(path.name for path in PHOTOS.iterdir() if path.suffix in (".jpg", ".png"))
JAW = (93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323)
MASK = (*JAW, 347, 197, 118)


def face_in(photograph: RGB) -> Located:
    (face,) = make_detector()(photograph)
    return locate(photograph, face, 64)


def photograph(name: str) -> tuple[RGB, Located]:
    pixels = read_photograph(PHOTOS / name)
    return pixels, face_in(pixels)


def masked(pixels: RGB, located: Located, shade: int) -> RGB:
    assert located.mesh is not None
    painted = pixels.copy()
    cv2.fillPoly(painted, [located.mesh[list(MASK), :2].round().astype(np.int32)], (shade, shade, shade))
    return painted


def with_sunglasses(pixels: RGB, located: Located) -> RGB:
    assert located.mesh is not None
    painted = pixels.copy()
    for outer, inner in ((33, 133), (263, 362)):
        ends = located.mesh[[outer, inner], :2]
        centre, half = ends.mean(axis=0).round().astype(int), np.linalg.norm(ends[0] - ends[1]) / 2
        axes = (round(1.45 * half), round(1.1 * half))
        cv2.ellipse(painted, tuple(map(int, centre)), axes, 0, 0, 360, (25, 25, 30), -1)
    return painted


@pytest.mark.parametrize("name", NAMES)
def test_a_face_in_good_view_has_no_mark(name: str) -> None:
    pixels, located = photograph(name)
    found = quality(pixels, located, 64)
    assert found.marks == ()
    assert found.cover < 0.06 and found.sharpness > 0.6 and found.size > 70
    assert found.turn is not None and found.turn < 20


@pytest.mark.parametrize("name", ["london_006_happiness.jpg", "london_119_neutral.jpg", "girl_happiness.png"])
def test_a_blurred_face_is_marked_at_any_size_and_in_any_light(name: str) -> None:
    pixels, located = photograph(name)
    assert located.mesh is not None
    eyes = float(np.linalg.norm(located.mesh[263] - located.mesh[33]))
    sharp = quality(pixels, located, 64).sharpness
    dark = (pixels * 0.4 + 10).astype(np.uint8)
    assert quality(dark, located, 64).sharpness == pytest.approx(sharp, abs=0.05)
    last = sharp
    for share in (0.03, 0.06, 0.12):
        soft = np.asarray(cv2.GaussianBlur(pixels, (0, 0), share * eyes), np.uint8)
        assert quality(soft, located, 64).sharpness < last - 0.1
        last = quality(soft, located, 64).sharpness
    assert "blurred" in quality(soft, located, 64).marks
    half = np.asarray(cv2.resize(pixels, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA), np.uint8)
    small = Located(located.matrix, located.mesh * 0.4)
    assert quality(half, small, 64).sharpness == pytest.approx(sharp, abs=0.2)
    assert quality(half, small, 64).size == pytest.approx(0.4 * eyes)


def test_an_aligned_face_gives_the_quality_of_its_photograph() -> None:
    pixels, located = photograph("london_137_happiness.jpg")
    aligned = centre(warp(pixels, located.matrix, 64), 64)
    assert quality(pixels, located, 64, aligned) == pytest.approx(quality(pixels, located, 64), rel=1e-6)


def test_a_small_face_is_marked() -> None:
    pixels, located = photograph("london_107_neutral.jpg")
    assert located.mesh is not None
    factor = float(8 / np.linalg.norm(located.mesh[263] - located.mesh[33]))
    tiny = np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    found = quality(tiny, Located(located.matrix, located.mesh * factor), 64)
    assert found.marks == ("small",)
    assert found.size == pytest.approx(8)


@pytest.mark.parametrize("name", NAMES)
def test_masks_and_sunglasses_are_marked(name: str) -> None:
    pixels, located = photograph(name)
    for shade in (40, 190):
        assert quality(masked(pixels, located, shade), located, 64).cover > 0.3
    assert "covered" in quality(with_sunglasses(pixels, located), located, 64).marks


def test_turn_follows_rendered_people_and_is_the_same_in_a_mirror() -> None:
    figure = make_figure("makehuman", 100)
    read = {}
    for yaw in (-50, -30, 0, 30, 50):
        scene = dataclasses.replace(sample_scene(3), yaw=float(yaw), pitch=0.0, roll=0.0, occluder="none")
        picture, _ = Studio(figure, scene, 192).picture({})
        mesh, mirrored = (face_in(np.ascontiguousarray(each)).mesh for each in (picture, picture[:, ::-1]))
        assert mesh is not None and mirrored is not None
        read[yaw] = turn_of(mesh)
        assert turn_of(mirrored) == pytest.approx(read[yaw], abs=4)
    assert read[0] < 15
    for yaw in (-30, 30):
        assert read[yaw] == pytest.approx(30, abs=8)
    for yaw in (-50, 50):
        assert 38 < read[yaw] < 60


def test_a_turned_photograph_does_not_count_as_turned_away() -> None:
    pixels, _ = photograph("london_119_neutral.jpg")
    turned = np.ascontiguousarray(np.rot90(pixels))
    found = quality(turned, face_in(turned), 64)
    assert found.marks == () and found.turn is not None and found.turn < 12


def test_a_face_without_a_mesh_is_measured_by_what_aligns_it() -> None:
    pixels, located = photograph("london_006_neutral.jpg")
    whole = quality(pixels, located, 64)
    for size in (48, 64):
        found = quality(pixels, Located(face_matrix(pixels, size), None), size)
        assert found.turn is None and found.marks == ("unclear",)
        assert found.size == pytest.approx(whole.size, rel=0.06)
        assert found.cover == pytest.approx(whole.cover, abs=0.03)


def face_matrix(pixels: RGB, size: int) -> Any:
    (face,) = make_detector()(pixels)
    return locate(pixels, face, size).matrix


def test_a_blank_crop_has_a_quality() -> None:
    blank = np.full((60, 60, 3), 128, np.uint8)
    found = quality(blank, locate_crop(blank, 64), 64)
    assert found.sharpness == 0 and 0 <= found.cover <= 1 and {"blurred", "unclear"} <= set(found.marks)


def test_each_mark_has_its_number() -> None:
    good = Quality(60, 1.0, 5.0, 0.0)
    assert good.marks == ()
    worse = {
        "small": {"size": 5.0},
        "blurred": {"sharpness": 0.05},
        "turned": {"turn": 70.0},
        "covered": {"cover": 0.4},
    }
    for mark, change in worse.items():
        assert good._replace(**change).marks == (mark,)
    assert good._replace(turn=None).marks == ("unclear",)


def test_predict_writes_quality_and_marks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels, located = photograph("london_006_neutral.jpg")
    file = tmp_path / "masked.png"
    Image.fromarray(masked(pixels, located, 190)).save(file)
    (face,) = Predictor("cnn").predict(file)
    assert face.marks == face.quality.marks and "covered" in face.marks
    table = tmp_path / "out.csv"
    assert main(["predict", str(file), "--model", "cnn", "--json", str(tmp_path / "out"), "--csv", str(table)]) == 0
    written = json.loads((tmp_path / "out").read_text())["faces"][0]
    assert written["marks"] == list(face.marks)
    assert written["quality"] == face.quality.as_json() and list(written["quality"]) == list(Quality._fields)
    header, row = (line.split(",") for line in table.read_text().splitlines())
    cells = dict(zip(header, row, strict=True))
    assert cells["marks"] == " ".join(face.marks) and float(cells["cover"]) == written["quality"]["cover"]
    capsys.readouterr()
    assert main(["predict", str(file), "--model", "cnn"]) == 0
    assert "covered" in capsys.readouterr().out
