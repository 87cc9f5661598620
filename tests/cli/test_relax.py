"""The command relax: the same size, the same facts, never over a photograph, nothing half written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deadpan.cli.main import main
from deadpan.faces.photographs import read_photograph
from deadpan.prediction.relaxing import MARK
from tests.support.photos import PHOTOS

Captured = pytest.CaptureFixture[str]

MAKE, ORIENTATION = 0x010F, 0x0112


@pytest.fixture
def smile(tmp_path: Path) -> Path:
    path = tmp_path / "smile.jpg"
    path.write_bytes((PHOTOS / "london_107_happiness.jpg").read_bytes())
    return path


@pytest.fixture
def wall(tmp_path: Path) -> Path:
    path = tmp_path / "wall.png"
    Image.new("RGB", (300, 200), "grey").save(path)
    return path


def relax(*arguments: str | Path) -> int:
    return main(["relax", *map(str, arguments)])


def test_a_photograph_is_written_in_its_own_size_with_its_face_at_rest(smile: Path, tmp_path: Path) -> None:
    assert relax(smile, "-o", tmp_path / "rest.jpg") == 0
    before, after = read_photograph(smile), read_photograph(tmp_path / "rest.jpg")
    assert after.shape == before.shape
    changed = np.abs(after.astype(int) - before).max(axis=2)
    assert changed.max() > 100
    assert changed[:40].max() < 20  # above the head there is nothing but JPEG


def test_a_directory_gets_each_in_its_own_format(smile: Path, tmp_path: Path) -> None:
    portrait = tmp_path / "portrait.png"
    Image.open(smile).save(portrait)
    assert relax(smile, portrait, "--out", tmp_path / "rest") == 0
    written = {path.name: Image.open(path).format for path in (tmp_path / "rest").iterdir()}
    assert written == {"smile.jpg": "JPEG", "portrait.png": "PNG"}


def test_exif_stays_and_orientation_is_spent(smile: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[MAKE], exif[ORIENTATION] = "A camera", 6
    turned = tmp_path / "turned.jpg"
    Image.open(smile).transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif, icc_profile=b"a profile")
    assert relax(turned, "-o", tmp_path / "rest.jpg") == 0
    with Image.open(tmp_path / "rest.jpg") as rest:
        assert rest.getexif()[MAKE] == "A camera"
        assert ORIENTATION not in rest.getexif()
        assert rest.info["icc_profile"] == b"a profile"
        assert rest.size == Image.open(smile).size


def test_the_result_says_what_it_is_and_may_be_written_again(smile: Path, tmp_path: Path) -> None:
    for name in ("rest.jpg", "rest.png"):
        assert relax(smile, "-o", tmp_path / name) == 0
        with Image.open(tmp_path / name) as rest:
            assert MARK in str(rest.info)
        assert relax(smile, "-o", tmp_path / name, "--strength", "0.5") == 0


def test_strength_0_changes_nothing(smile: Path, tmp_path: Path) -> None:
    assert relax(smile, "-o", tmp_path / "rest.png", "--strength", "0") == 0
    assert np.array_equal(read_photograph(tmp_path / "rest.png"), read_photograph(smile))


def test_one_face_of_two(smile: Path, tmp_path: Path) -> None:
    pair = tmp_path / "pair.png"
    photograph = np.asarray(Image.open(smile))
    Image.fromarray(np.hstack([photograph, photograph])).save(pair)
    assert relax(pair, "-o", tmp_path / "rest.png", "--face", "1") == 0
    rest, width = read_photograph(tmp_path / "rest.png"), photograph.shape[1]
    assert np.array_equal(rest[:, : width // 2 + 100], photograph[:, : width // 2 + 100])
    assert (rest[:, width:] != photograph).any()


@pytest.mark.parametrize("out", ["smile.jpg", "."])
def test_no_photograph_given_is_written_over(out: str, smile: Path, tmp_path: Path, capsys: Captured) -> None:
    before = smile.read_bytes()
    assert relax(smile, "-o", tmp_path / out) == 2
    assert "smile.jpg is one of the input photographs" in capsys.readouterr().err
    assert smile.read_bytes() == before


def test_a_file_of_somebody_else_is_not_replaced(smile: Path, wall: Path, capsys: Captured) -> None:
    before = wall.read_bytes()
    assert relax(smile, "-o", wall) == 2
    assert "wall.png exists and" in capsys.readouterr().err
    assert wall.read_bytes() == before


def test_two_results_never_share_a_name(smile: Path, tmp_path: Path, capsys: Captured) -> None:
    other = tmp_path / "other" / "smile.jpg"
    other.parent.mkdir()
    other.write_bytes(smile.read_bytes())
    assert relax(smile, other, "-o", tmp_path / "rest") == 2
    assert "would both be written to" in capsys.readouterr().err
    assert relax(smile, other, "-o", tmp_path / "rest.jpg") == 2
    assert "give -o a directory" in capsys.readouterr().err


def test_a_photograph_without_a_face_is_named_and_the_others_are_done(
    smile: Path, wall: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert relax(wall, smile, "-o", tmp_path / "rest") == 1
    assert "wall.png: no face found" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "rest").iterdir()] == ["smile.jpg"]
    assert relax(wall, "-o", tmp_path / "rest") == 2


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--face", "3"), "there is no face 3; found 1"),
        (("--strength", "2"), "strength must be between 0 and 1.5, got 2.0"),
    ],
)
def test_wrong_use_says_what_was_expected(
    flags: tuple[str, str], said: str, smile: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert relax(smile, "-o", tmp_path / "rest.jpg", *flags) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "rest.jpg").exists()


def test_without_photographs_the_usage_is_said(tmp_path: Path, capsys: Captured) -> None:
    assert relax("-o", tmp_path) == 2
    assert "usage: deadpan relax PHOTO... -o OUT" in capsys.readouterr().err
