"""The reader of BP4D on a generated miniature of its documented tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.datasets import bp4d
from deadpan.datasets.sample import DatasetError
from tests.support.data_trees import expression_of, touch, write_bp4d


def test_bp4d(tmp_path: Path) -> None:
    write_bp4d(tmp_path)
    samples = bp4d.read(tmp_path)
    assert {sample.subject for sample in samples} == {"F001", "M018"}
    assert len({sample.sequence for sample in samples}) == 16
    elicited = {
        str(s.attributes["elicited"]): expression_of(s, bp4d.EXPRESSIONS)
        for s in samples
        if s.attributes["part"] == "task"
    }
    assert elicited == {name: name for name in bp4d.EXPRESSIONS[1:]}
    happy = [sample for sample in samples if sample.sequence == "F001/T1"]
    assert [sample.frame for sample in happy] == [0, 10, 20]
    assert [expression_of(sample, bp4d.EXPRESSIONS) for sample in happy] == ["neutral", "happiness", "happiness"]
    assert happy[0].attributes["elicited"] == "happiness" and happy[0].attributes["gender"] == "female"
    assert happy[1].picture == tmp_path / "F001/T1/0010.jpg" and happy[1].name == "F001/T1/0010.jpg"
    pain = [sample for sample in samples if sample.sequence == "F001/T6"]
    assert [(s.frame, s.attributes["part"], s.attributes["elicited"]) for s in pain] == [
        (0, "neutral", "physical pain")
    ]


def test_bp4d_coded_frames_and_listed_neutral_ones(tmp_path: Path) -> None:
    write_bp4d(tmp_path, above="2D+3D/")
    rows = ["0,1,2,12", *(f"{number},{number % 2},9,1" for number in range(12, 20))]
    touch(tmp_path, "AUCoding/AU_OCC/F001_T1.csv", text="\n".join(rows) + "\n")
    touch(tmp_path, "neutral.txt", text="# chosen by hand\nF001/T1/0003.jpg\n\nM018\\T4\\0007\nF001/T2/9999.jpg\n")
    samples = bp4d.read(tmp_path, step=3)
    happy = [sample for sample in samples if sample.sequence == "F001/T1"]
    assert [(sample.frame, sample.attributes["part"]) for sample in happy] == [
        (3, "neutral"),
        (12, "task"),
        (15, "task"),
        (18, "task"),
    ]
    assert {key: value for key, value in happy[2].attributes.items() if key[:2] == "AU"} == {"AU01": 1.0, "AU12": 1.0}
    neutral = [sample.name for sample in samples if sample.attributes["part"] == "neutral"]
    assert neutral == ["F001/T1/0003.jpg", "M018/T4/0007.jpg"]
    assert len([sample for sample in samples if sample.sequence == "F001/T2"]) == 10  # no coding: all frames
    (tmp_path / "AUCoding").rename(tmp_path / "2D+3D" / "AUCoding")  # beside the people
    assert len([s for s in bp4d.read(tmp_path, step=3) if s.sequence == "F001/T1"]) == 4
    other = tmp_path / "other.txt"
    touch(tmp_path, "other.txt", text="F001/T1/0000.jpg\n")
    assert bp4d.read(tmp_path, neutral=other)[0].frame == 0
    with pytest.raises(DatasetError, match=r"absent\.txt does not exist"):
        bp4d.read(tmp_path, neutral=tmp_path / "absent.txt")


@pytest.mark.parametrize(
    ("place", "text", "complaint"),
    [
        ("AUCoding/AU_OCC/F001_T1.csv", "0,1\n12,yes\n", "F001_T1.csv: expected a row of action units.*'yes'"),
        ("AUCoding/AU_OCC/F001_T1.csv", "0,1\n12,1,1\n", "F001_T1.csv: expected a row of action units"),
        ("AUCoding/AU_OCC/F001_T1.csv", "frame,smile\n12,1\n", "F001_T1.csv: expected a row of action units"),
        ("neutral.txt", "F001/T1/0000.jpg\nsomewhere\n", "neutral.txt, line 2: expected a frame .* got 'somewhere'"),
    ],
)
def test_bp4d_damaged_files_are_named(place: str, text: str, complaint: str, tmp_path: Path) -> None:
    write_bp4d(tmp_path)
    touch(tmp_path, place, text=text)
    with pytest.raises(DatasetError, match=complaint):
        bp4d.read(tmp_path)


def test_a_tree_of_people_without_tasks_is_no_bp4d(tmp_path: Path) -> None:
    touch(tmp_path, "F001/Angry/000.jpg")  # BU-4DFE
    with pytest.raises(DatasetError, match="holds F001; expected"):
        bp4d.read(tmp_path)
