"""The reader of RAF-DB on a generated miniature of its documented tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.datasets import rafdb
from deadpan.datasets.sample import DatasetError
from tests.support.data_trees import expression_of, labels, put


def write_rafdb(root: Path, labels: str | None = None) -> Path:
    basic = root / "basic"
    put(basic, *(f"Image/aligned/train_0000{code}_aligned.jpg" for code in range(1, 8)))
    put(basic, "Image/aligned/test_0001_aligned.JPG", "Image/original/train_00001.jpg", "Image/original/test_0001.jpg")
    lines = [f"train_0000{code}.jpg {code}" for code in range(1, 8)] + ["test_0001.jpg 4", "test_0002.jpg 4", ""]
    (basic / "EmoLabel").mkdir()
    (basic / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines) if labels is None else labels)
    manual = basic / "Annotation" / "manual"
    manual.mkdir(parents=True)
    points = "137.5\t188.0\n" * 5
    (manual / "train_00001_manu_attri.txt").write_text(f"{points}1\n2\n3\n")
    (manual / "train_00002_manu_attri.txt").write_text(f"{points}2\n0\n0\n")
    return basic


def test_rafdb(tmp_path: Path) -> None:
    basic = write_rafdb(tmp_path)
    samples = rafdb.read(tmp_path)
    assert [sample.name for sample in samples] == [sample.name for sample in rafdb.read(basic)]
    words = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral", "happiness"]
    assert list(labels(samples, rafdb.EXPRESSIONS).values()) == words
    assert samples[0].name == "Image/aligned/train_00001_aligned.jpg"
    assert [sample.split for sample in samples] == ["train"] * 7 + ["test"]  # test_0002.jpg is not there
    assert samples[0].attributes == {"gender": "female", "ethnicity": "asian", "age": "40-69"}
    assert samples[1].attributes == {"ethnicity": "caucasian", "age": "0-3"}  # gender 2: unsure
    assert samples[2].attributes == {}
    assert all(sample.cropped for sample in samples)


def test_rafdb_photographs_instead_of_crops(tmp_path: Path) -> None:
    write_rafdb(tmp_path)
    samples = rafdb.read(tmp_path, aligned=False)
    assert [sample.name for sample in samples] == ["Image/original/train_00001.jpg", "Image/original/test_0001.jpg"]
    assert not any(sample.cropped for sample in samples)


@pytest.mark.parametrize("line", ["train_00002.jpg 8", "train_00002.jpg happy", "train_00002.jpg", "a b 3"])
def test_rafdb_damaged_labels(line: str, tmp_path: Path) -> None:
    write_rafdb(tmp_path, f"train_00001.jpg 1\n{line}\n")
    with pytest.raises(DatasetError, match=r"list_patition_label.txt, line 2: expected .*CODE 1 to 7"):
        rafdb.read(tmp_path)


def test_rafdb_damaged_annotation_and_no_pictures(tmp_path: Path) -> None:
    basic = write_rafdb(tmp_path)
    annotation = basic / "Annotation" / "manual" / "train_00001_manu_attri.txt"
    for text in ("1\n2\nold\n", "1\n2\n"):
        annotation.write_text(text)
        with pytest.raises(DatasetError, match=r"train_00001_manu_attri.txt: expected gender"):
            rafdb.read(tmp_path)
    (basic / "Image").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match=r"none of the pictures that list_patition_label.txt lists"):
        rafdb.read(tmp_path)


WORDS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")


def write_sorted(root: Path) -> None:
    put(root, *(f"train/{code}/train_0000{code}_aligned.jpg" for code in range(1, 8)), "test/4/test_0001_aligned.jpg")


@pytest.mark.parametrize("above", ["", "DATASET", "raf-db/archive/DATASET"])
def test_rafdb_in_class_folders_without_a_list(above: str, tmp_path: Path) -> None:
    write_sorted(tmp_path / above)
    samples = rafdb.read(tmp_path)
    found = [expression_of(sample, rafdb.EXPRESSIONS) for sample in samples if sample.split == "train"]
    assert found == list(WORDS)
    assert [sample.split for sample in samples].count("test") == 1
    assert all(sample.cropped for sample in samples)


def test_rafdb_tables_beside_class_folders_or_instead_of_them(tmp_path: Path) -> None:
    write_sorted(tmp_path)
    (tmp_path / "test_labels.csv").write_text("image,label\ntest_0001_aligned.jpg,4\n")
    assert len(rafdb.read(tmp_path)) == 8
    (tmp_path / "test_labels.csv").write_text("image,label\ntest_0001_aligned.jpg,5\n")
    with pytest.raises(DatasetError, match="the table says sadness, but the folder says happiness"):
        rafdb.read(tmp_path)
    put(tmp_path / "flat", "train/a.jpg", "val_set/b.jpg", "train/unlisted.jpg")
    (tmp_path / "flat" / "labels.csv").write_text("Image,Label\na.jpg,1\nb.jpg,7\n")
    samples = rafdb.read(tmp_path / "flat")
    assert labels(samples, rafdb.EXPRESSIONS) == {"train/a.jpg": "surprise", "val_set/b.jpg": "neutral"}
    assert [sample.split for sample in samples] == ["train", "validation"] and not samples[0].cropped


def test_rafdb_basic_one_level_down(tmp_path: Path) -> None:
    write_rafdb(tmp_path).rename(tmp_path / "raf-basic")
    assert len(rafdb.read(tmp_path)) == 8
    (tmp_path / "unpacked").mkdir()
    (tmp_path / "raf-basic").rename(tmp_path / "unpacked" / "RAF_basic")
    assert len(rafdb.read(tmp_path)) == 8


def test_rafdb_names_the_compound_subset(tmp_path: Path) -> None:
    write_rafdb(tmp_path)
    for folder in ("compound", "subset"):
        put(tmp_path / folder, "Image/aligned/train_00001_aligned.jpg")
        (tmp_path / folder / "EmoLabel").mkdir()
        (tmp_path / folder / "EmoLabel" / "list_patition_label.txt").write_text("train_00001.jpg 11\n")
        with pytest.raises(DatasetError, match="compound subset, eleven compound expressions"):
            rafdb.read(tmp_path / folder)
    (tmp_path / "subset" / "EmoLabel" / "list_patition_label.txt").unlink()
    assert len(rafdb.read(tmp_path)) == 8  # the basic subset beside it
    put(tmp_path / "sorted", *(f"train/{code}/train_{code}.jpg" for code in (1, 2, 11)))
    with pytest.raises(DatasetError, match="class folders up to 11: eleven compound expressions"):
        rafdb.read(tmp_path / "sorted")
