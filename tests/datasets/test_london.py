"""The reader of London Set on a generated miniature of its documented tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.datasets import london
from deadpan.datasets.sample import DatasetError
from tests.support.data_trees import labels, put


def write_london(root: Path, table: str) -> None:
    put(root, "neutral_front/001_03.jpg", "neutral_front/002_03.JPG", "smiling_front/001_08.jpg")
    put(root, "neutral_left_profile/001_01.jpg", "smiling_front/999_07.jpg")
    (root / "neutral_front" / "001_03.tem").write_text("189\n")
    (root / "london_faces_info.csv").write_text(table)


def test_london(tmp_path: Path) -> None:
    write_london(tmp_path, "face_id,face_age,face_gender,face_eth\nX001,24.5,female,east_asian/white\nX002,NA,male,\n")
    samples = london.read(tmp_path)
    assert labels(samples, london.EXPRESSIONS) == {
        "neutral_front/001_03.jpg": "neutral",
        "neutral_front/002_03.JPG": "neutral",
        "smiling_front/001_08.jpg": "happiness",
    }
    assert [sample.subject for sample in samples] == ["001", "002", "001"]
    assert samples[0].attributes == {"gender": "female", "age": 24.5, "ethnicity": "east_asian/white"}
    assert samples[1].attributes == {"gender": "male"}
    (tmp_path / "london_faces_info.csv").unlink()
    assert [sample.attributes for sample in london.read(tmp_path)] == [{}, {}, {}]


def test_london_with_other_spellings_and_damage(tmp_path: Path) -> None:
    write_london(tmp_path, "face_id,face_age,face_sex\n001,24,male\n")
    assert london.read(tmp_path)[0].attributes == {"gender": "male", "age": 24.0}
    table = tmp_path / "london_faces_info.csv"
    table.write_text("face_id,face_age\n001,old\n")
    with pytest.raises(DatasetError, match=r"london_faces_info.csv, line 2: face_age must be a number, got 'old'"):
        london.read(tmp_path)
    table.write_text("person,face_age\n001,24\n")
    with pytest.raises(DatasetError, match="lacks the column face_id; it has person, face_age"):
        london.read(tmp_path)
