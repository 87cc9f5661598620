"""The reader of FER2013 on a generated miniature of its documented tree."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from deadpan.datasets import fer2013
from deadpan.datasets.sample import DatasetError
from deadpan.faces.photographs import read_photograph
from tests.support.data_trees import expression_of, labels, put

PIXELS = " ".join(["7"] * 48 * 48)


def write_fer2013(
    path: Path, *rows: tuple[object, ...], header: tuple[str, ...] = ("emotion", "pixels", "Usage")
) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def test_fer2013_table(tmp_path: Path) -> None:
    rows = [(code, PIXELS, usage) for code in range(7) for usage in ("Training", "PublicTest", "PrivateTest")]
    write_fer2013(tmp_path / "fer2013.csv", *rows)
    samples = fer2013.read(tmp_path)
    assert samples == fer2013.read(tmp_path / "fer2013.csv")
    found = labels(samples, fer2013.EXPRESSIONS)
    assert list(found) == [f"fer{number:07d}" for number in range(21)]
    assert list(found.values())[::3] == ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
    assert [sample.split for sample in samples[:3]] == ["train", "public_test", "private_test"]
    assert all(sample.cropped and sample.subject == "" for sample in samples)
    assert isinstance(samples[0].picture, bytes)
    assert (read_photograph(samples[0].picture) == np.full((48, 48, 3), 7)).all()


def test_fer2013_table_with_blanks_in_its_header(tmp_path: Path) -> None:
    header = ("emotion", " Usage", " pixels")
    write_fer2013(tmp_path / "icml_face_data.csv", (3, "Training", PIXELS), header=header)
    (sample,) = fer2013.read(tmp_path)
    assert (expression_of(sample, fer2013.EXPRESSIONS), sample.split) == ("happiness", "train")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ((7, PIXELS, "Training"), "line 3: emotion must be 0 to 6, got '7'"),
        (("happy", PIXELS, "Training"), "line 3: emotion must be 0 to 6, got 'happy'"),
        ((3, PIXELS, "Holiday"), "line 3: Usage must be one of Training"),
        ((3, "1 2 3", "Training"), "line 3: expected 2304 pixels of 0 to 255, got 3"),
        ((3, PIXELS.replace("7", "256", 1), "Training"), "line 3: expected 2304 pixels of 0 to 255"),
        ((3, PIXELS.replace("7", "x", 1), "Training"), "line 3: pixels must be numbers"),
    ],
)
def test_fer2013_damage_is_named_by_line(row: tuple[object, ...], complaint: str, tmp_path: Path) -> None:
    write_fer2013(tmp_path / "fer2013.csv", (0, PIXELS, "Training"), row)
    with pytest.raises(DatasetError, match=rf"fer2013.csv, {complaint}"):
        fer2013.read(tmp_path)


def test_fer2013_without_its_columns(tmp_path: Path) -> None:
    write_fer2013(tmp_path / "fer2013.csv", (0, 1), header=("label", "image"))
    with pytest.raises(DatasetError, match="lacks the columns emotion and pixels; it has label, image"):
        fer2013.read(tmp_path)


def test_fer2013_folders(tmp_path: Path) -> None:
    put(tmp_path, "train/angry/Training_3908.jpg", "test/happy/PublicTest_1.JPG", "test/surprise/PrivateTest_2.jpg")
    put(tmp_path, "test/neutral/other.png")
    samples = fer2013.read(tmp_path)
    assert labels(samples, fer2013.EXPRESSIONS) == {
        "train/angry/Training_3908.jpg": "anger",
        "test/happy/PublicTest_1.JPG": "happiness",
        "test/neutral/other.png": "neutral",
        "test/surprise/PrivateTest_2.jpg": "surprise",
    }
    assert [sample.split for sample in samples] == ["train", "public_test", "test", "private_test"]
    put(tmp_path, "train/contempt/Training_1.jpg")
    with pytest.raises(DatasetError, match="contempt is not a class of FER2013"):
        fer2013.read(tmp_path)


@pytest.mark.parametrize(
    ("places", "splits"),
    [
        (("images/train/angry/1.jpg", "images/validation/happy/2.jpg"), ["train", "validation"]),
        (("FER-2013/Training/0/1.png", "FER-2013/PublicTest/3/2.png"), ["train", "public_test"]),
        (("archive/x/train/0_Angry/a.png", "archive/x/test/3_Happy/b.png"), ["train", "test"]),
        (("train_set/Anger/a.jfif", "val/Happiness/deeper/b.jpeg"), ["train", "validation"]),
    ],
)
def test_fer2013_copies_in_other_folders(places: tuple[str, str], splits: list[str], tmp_path: Path) -> None:
    put(tmp_path, *places)
    samples = fer2013.read(tmp_path)
    assert list(labels(samples, fer2013.EXPRESSIONS).items()) == list(zip(places, ("anger", "happiness"), strict=True))
    assert [sample.split for sample in samples] == splits


def test_fer2013_table_in_a_folder_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "challenge" / "fer2013"
    folder.mkdir(parents=True)
    write_fer2013(folder / "FER2013.csv", (6, PIXELS, "PublicTest"))
    (sample,) = fer2013.read(tmp_path)
    assert (sample.split, expression_of(sample, fer2013.EXPRESSIONS)) == ("public_test", "neutral")
