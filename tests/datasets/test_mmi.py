"""The reader of MMI on a generated miniature of its documented tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.datasets import mmi, read
from deadpan.datasets.sample import DatasetError, VideoFrame
from tests.support.data_trees import expression_of, touch, write_video


def write_session(root: Path, number: int, clip: str, emotion: str | None, view: str = "0") -> Path:
    folder = root / "Sessions" / str(number)
    touch(
        folder,
        "session.xml",
        text=f'<?xml version="1.0"?><session><track filename="{clip}.avi" view="{view}"/></session>',
    )
    tag = "" if emotion is None else f'<Metatag Name="Emotion" Value="{emotion}"/>'
    touch(folder, f"{clip}.xml", text=f'<?xml version="1.0"?><clip><Metatag Name="Coder" Value="x"/>{tag}</clip>')
    touch(folder, f"._{clip}.avi", ".DS_Store")
    return folder


def write_mmi(root: Path) -> None:
    write_video(write_session(root, 1, "S001-001", None) / "S001-001.avi", 9)  # action units only: no emotion
    folder = write_session(root, 12, "S001-100", "1")
    write_video(folder / "S001-100.avi", 9, (640, 480))
    touch(folder, "S001-100-oao_aucs.xml", text='<a><ActionUnit Number="4"/><ActionUnit Number="17"/></a>')
    write_video(write_session(root, 13, "S002-099", "6", view="2") / "S002-099.AVI", 5)
    write_video(write_session(root, 14, "S002-100", "4", view="1") / "S002-100.avi", 5)
    write_video(write_session(root, 15, "S003-102", "8") / "S003-102.avi", 5)  # no basic expression
    touch(write_session(root, 16, "S003-103", "3"), "S003-103.avi", text="no video at all")
    touch(write_session(root, 17, "S004-001", "5"), "S004-001.jpg")
    (root / "Sessions" / "18").mkdir()


def test_mmi(tmp_path: Path) -> None:
    write_mmi(tmp_path)
    samples = mmi.read(tmp_path)
    assert [(sample.name, expression_of(sample, mmi.EXPRESSIONS)) for sample in samples] == [
        ("12/S001-100.avi#0", "neutral"),
        *((f"12/S001-100.avi#{index}", "anger") for index in (3, 4, 5)),
        ("13/S002-099.AVI#0", "neutral"),
        *((f"13/S002-099.AVI#{index}", "surprise") for index in (1, 2, 3)),
        ("16/S003-103.avi#0", "fear"),  # cannot be opened: preparing lists it
        ("17/S004-001.jpg", "sadness"),
    ]
    peak = samples[2]
    assert peak.picture == VideoFrame(tmp_path / "Sessions/12/S001-100.avi", 4)
    assert (peak.subject, peak.sequence, peak.frame) == ("S001", "12/S001-100.avi", 4)
    assert peak.attributes == {"part": "peak", "phase": 0.5, "view": "frontal", "AU04": 1.0, "AU17": 1.0}
    assert samples[4].attributes["view"] == "both" and samples[0].attributes["part"] == "neutral"
    still = samples[-1]
    assert (still.subject, still.sequence, still.frame) == ("S004", "", -1)
    assert still.picture == tmp_path / "Sessions/17/S004-001.jpg"


def test_mmi_all_frames(tmp_path: Path) -> None:
    write_mmi(tmp_path)
    samples = read("mmi", tmp_path, all_frames=True)
    clip = [sample for sample in samples if sample.sequence == "12/S001-100.avi"]
    parts = [sample.attributes["part"] for sample in clip]
    assert parts == ["neutral", "onset", "onset", "peak", "peak", "peak", "offset", "offset", "offset"]
    assert {expression_of(sample, mmi.EXPRESSIONS) for sample in clip[1:]} == {"anger"}
    with pytest.raises(DatasetError, match="kdef cannot be read with all frames; ckplus, oulu, mmi, bu4dfe can"):
        read("kdef", tmp_path, all_frames=True)


def test_mmi_views(tmp_path: Path) -> None:
    write_mmi(tmp_path)
    write_video(write_session(tmp_path, 19, "S005-001", "2") / "S005-001.avi", 4, (720, 576))
    samples = {
        (s.subject, s.attributes["view"], s.picture.turn if isinstance(s.picture, VideoFrame) else 0)
        for s in mmi.read(tmp_path / "Sessions", profile=True, wanted=1)
        if s.sequence
    }
    assert {("S002", "profile", 270.0), ("S005", "frontal", 90.0), ("S002", "both", 0.0)} <= samples


def test_mmi_without_a_session_file_or_emotion(tmp_path: Path) -> None:
    write_mmi(tmp_path)
    (tmp_path / "Sessions/12/session.xml").unlink()
    (tmp_path / "Sessions/13/S002-099.xml").unlink()
    samples = mmi.read(tmp_path)
    assert [sample.attributes["view"] for sample in samples[:4]] == [""] * 4
    assert not any(sample.name.startswith("13/") for sample in samples)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('<clip><Metatag Name="Emotion" Value="happy"/></clip>', "S001-100.xml: expected the emotion as a number"),
        ("<clip><Metatag", "S001-100.xml: expected an XML annotation with Metatag elements"),
    ],
)
def test_mmi_damaged_annotations_are_named(text: str, complaint: str, tmp_path: Path) -> None:
    write_mmi(tmp_path)
    touch(tmp_path, "Sessions/12/S001-100.xml", text=text)
    with pytest.raises(DatasetError, match=complaint):
        mmi.read(tmp_path)


def test_mmi_with_clips_but_no_emotion(tmp_path: Path) -> None:
    write_video(write_session(tmp_path, 1, "S001-001", None) / "S001-001.avi", 3)
    with pytest.raises(DatasetError, match="1 clips, none of them with an emotion"):
        mmi.read(tmp_path)
