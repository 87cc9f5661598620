"""The findings of `data check` and `prepare`: pictures left out, repeated or blank, and truncated videos."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deadpan.cli.main import main
from deadpan.datasets import DATASETS
from deadpan.datasets.check import check
from deadpan.datasets.findings import left_out
from deadpan.datasets.sample import DatasetError
from deadpan.preparation.prepare import prepare
from tests.support.data_trees import touch
from tests.support.photos import PHOTOS, VIDEOS

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def noise(*paths: Path) -> None:
    """Write a picture of its own to each path."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(list(path.as_posix().encode())).integers(0, 255, (48, 48, 3), np.uint8)
        Image.fromarray(pixels).save(path)


def said(name: str, root: Path, *, pictures: bool = False) -> dict[str, int]:
    return {finding.what: finding.number for finding in check(name, root, pictures=pictures).findings}


@pytest.fixture
def fer(tmp_path: Path) -> Path:
    noise(
        *(
            tmp_path / f"{split}/{word}/{n}.png"
            for split in ("train", "test")
            for word in ("angry", "sad")
            for n in "12"
        )
    )
    return tmp_path


def test_a_clean_copy_has_no_findings(fer: Path) -> None:
    found = check("folders", fer)
    assert found.findings == [] and found.bad == [] and found.whole


def test_folders_that_are_not_read_are_counted(fer: Path) -> None:
    noise(fer / "extra/faces/1.png", fer / "extra/faces/2.png", fer / "train/bored/3.jpg", fer / "cover.png")
    assert said("fer2013", fer) == {
        "left out, the whole folder extra": 2,
        "left out, the whole folder train/bored": 1,
        "left out, unknown names or labels in the folder itself": 1,
    }


def test_names_that_are_dropped_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise(*(tmp_path / name for name in ("KA.AN1.39.tiff", "KA.HA1.29.tiff", "KA.AN1.39.tiff.bmp", "KA-SA1.png")))
    touch(tmp_path, "KA.SU1.40.psd", text="x")
    assert main(["data", "check", "jaffe", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "unknown names or labels in the folder itself: 2 (KA-SA1.png, KA.AN1.39.tiff.bmp)" in printed
    assert "left out, .psd is not a supported format: 1 (KA.SU1.40.psd)" in printed


def test_what_a_reader_leaves_out_on_purpose_is_no_reason_to_worry(tmp_path: Path) -> None:
    for number, word in enumerate(("happy", "normal", "glasses", "wink")):
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (9, 9), np.uint8)).save(
            tmp_path / f"subject01.{word}.gif"
        )
    (finding,) = check("yale", tmp_path).findings
    assert finding.intended and finding.number == 2 and "glasses" in finding.what


@pytest.mark.parametrize("place", ["train/angry/1.png", "test/sad/2.png"])
def test_pointers_and_unopenable_files_are_found_without_being_asked_for(place: str, fer: Path) -> None:
    for content, complaint in (
        (POINTER, "Git LFS pointer"),
        ("<html>not found</html>", "not a picture"),
        ("", "empty"),
    ):
        (fer / place).write_text(content)
        found = check("folders", fer)
        assert len(found.bad) == 1 and found.bad[0].startswith(place) and complaint in found.bad[0]
        assert not found.whole


def test_pointers_are_found_among_any_number_of_pictures(tmp_path: Path) -> None:
    noise(*(tmp_path / f"happy/{number:04}.png" for number in range(300)))
    (tmp_path / "happy" / "0150.png").write_text(POINTER)
    Image.new("RGB", (48, 48), (9, 9, 9)).save(tmp_path / "happy" / "0151.png")
    found = check("folders", tmp_path)
    assert found.bad == ["happy/0150.png: a Git LFS pointer in place of the file: fetch the file with `git lfs pull`"]
    assert [(finding.what, finding.examples) for finding in found.findings] == [
        ("pictures of one colour", ["happy/0151.png"])
    ]


def test_pictures_that_occur_twice(fer: Path) -> None:
    shutil.copy(fer / "train/angry/1.png", fer / "train/angry/copy.png")
    assert said("folders", fer) == {"pictures that occur twice": 1}
    shutil.copy(fer / "train/angry/2.png", fer / "test/angry/copy.png")
    shutil.copy(fer / "train/sad/2.png", fer / "test/angry/other.png")
    expected = {
        "pictures that occur twice": 3,
        "pictures that occur in two splits": 2,
        "pictures that occur under two labels": 1,
    }
    assert said("folders", fer) == expected


def test_pictures_of_the_same_pixels_are_found_when_all_are_opened(fer: Path) -> None:
    Image.open(fer / "train/angry/1.png").save(fer / "test/angry/again.bmp")
    assert said("folders", fer) == {}
    assert said("folders", fer, pictures=True) == {
        "pictures that occur twice": 1,
        "pictures that occur in two splits": 1,
    }


def test_large_files_that_differ_in_one_byte_are_not_the_same(fer: Path) -> None:
    """A difference that lies between the places that are compared first."""
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(fer / "train/sad/a.bmp")
    content = bytearray((fer / "train/sad/a.bmp").read_bytes())
    content[20000] ^= 1
    (fer / "train/sad/b.bmp").write_bytes(content)
    assert said("folders", fer) == {}
    shutil.copy(fer / "train/sad/b.bmp", fer / "test/sad/c.bmp")
    assert said("folders", fer) == {"pictures that occur twice": 1, "pictures that occur in two splits": 1}


def test_one_picture_of_two_people(tmp_path: Path) -> None:
    noise(tmp_path / "a.png", tmp_path / "b.png")
    rows = ["path,name,expression,subject", "a.png,1,happy,anna", "a.png,2,happy,ben", "b.png,3,sad,ben"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    assert said("csv", tmp_path) == {"pictures that occur twice": 1, "pictures that occur under two people": 1}


def test_videos_cut_short_and_repeated(tmp_path: Path) -> None:
    for place in ("happy/anna.mp4", "sad/ben.mp4"):
        (tmp_path / place).parent.mkdir(parents=True)
        shutil.copy(VIDEOS / "plain.mp4", tmp_path / place)
    whole = (VIDEOS / "plain.mp4").read_bytes()
    (tmp_path / "happy" / "cut.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    (tmp_path / "happy" / "pointer.mp4").write_text(POINTER)
    found = check("videos", tmp_path)
    assert [line.split(":")[0] for line in found.bad] == ["happy/pointer.mp4#0"]
    said = {finding.what: finding for finding in found.findings}
    assert said["pictures that occur under two labels"].number == 6
    assert said["truncated videos"].examples[0].startswith("cut.mp4 (") and "of 60 frames" in str(said)


@pytest.mark.parametrize("where", [lambda root: root, lambda root: root / "manifest.csv"])
def test_a_table_may_list_a_part_of_its_folder(where: Callable[[Path], Path], tmp_path: Path) -> None:
    noise(tmp_path / "a.png", tmp_path / "b.png")
    (tmp_path / "manifest.csv").write_text("path,expression\na.png,happy\n")
    found = check("csv", where(tmp_path))
    assert found.whole and all(finding.intended for finding in found.findings)


def test_prepare_says_the_same_and_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "data"
    for split in ("train", "test"):
        (root / split / "happy").mkdir(parents=True)
        shutil.copy(PHOTOS / "london_006_happiness.jpg", root / split / "happy")
    out = tmp_path / "out.parquet"
    report = prepare("folders", root, out, workers=1)
    assert not report.complete and report.kept == 2
    assert main(["prepare", "folders", str(root), str(out)]) == 1
    printed = capsys.readouterr().out
    assert "pictures that occur twice: 1 (test/happy/london_006_happiness.jpg = train/happy" in printed
    assert "pictures that occur in two splits: 1" in printed
    shutil.copy(PHOTOS / "london_107_happiness.jpg", root / "test" / "happy" / "london_006_happiness.jpg")
    assert main(["prepare", "folders", str(root), str(out)]) == 0
    noise(root / "cover.png")
    assert main(["prepare", "folders", str(root), str(out)]) == 1
    assert "left out, unknown names or labels in the folder itself: 1 (cover.png)" in capsys.readouterr().out


def test_common_copies_are_compared_with_their_own_numbers(tmp_path: Path) -> None:
    noise(tmp_path / "CK+48/anger/S010_004_00000017.png", tmp_path / "CK+48/happy/S010_006_00000011.png")
    found = check("ckplus", tmp_path)
    assert found.copy == "CK+48"
    assert {line.what: line.expected for line in found.lines if line.found} == {
        "subjects": 118,
        "sequences": 327,
        "pictures": 981,
        "anger": 135,
        "happiness": 207,
    }


def test_nothing_is_left_out_of_a_file() -> None:
    with pytest.raises(DatasetError):
        check("csv", Path("absent.csv"))
    assert left_out([], Path("absent.csv"), DATASETS["csv"].facts) == []
