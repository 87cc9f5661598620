"""The reader of CREMA-D on a generated miniature of its documented tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.datasets import cremad
from deadpan.datasets.sample import DatasetError
from deadpan.faces.photographs import PhotographError
from tests.support.data_trees import frame_shown, labels, write_video


def write_cremad(root: Path) -> None:
    codes = ["1001_DFA_ANG_XX", "1001_IEO_DIS_LO", "1001_IEO_FEA_MD", "1002_IEO_HAP_HI", "1002_IWL_NEU_XX"]
    for name in [*codes, "1002_ITH_SAD_X", "1064_IEO_DIS_MD"]:
        write_video(root / "VideoFlash" / f"{name}.flv", 9)
    (root / "VideoFlash" / "1003_DFA_SAD_XX.FLV").write_text("version https://git-lfs.github.com/spec/v1")
    (root / "VideoFlash" / ".DS_Store").write_bytes(b"litter")
    (root / "AudioWAV").mkdir()
    (root / "AudioWAV" / "1001_DFA_ANG_XX.wav").write_bytes(b"")
    table = '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n'
    (root / "VideoDemographics.csv").write_text(table)


def test_cremad(tmp_path: Path) -> None:
    write_cremad(tmp_path)
    samples = cremad.read(tmp_path)
    assert labels(samples, cremad.EXPRESSIONS) == {
        "VideoFlash/1001_DFA_ANG_XX.flv#4": "anger",
        "VideoFlash/1001_IEO_DIS_LO.flv#4": "disgust",
        "VideoFlash/1001_IEO_FEA_MD.flv#4": "fear",
        "VideoFlash/1002_IEO_HAP_HI.flv#4": "happiness",
        "VideoFlash/1002_ITH_SAD_X.flv#4": "sadness",
        "VideoFlash/1002_IWL_NEU_XX.flv#4": "neutral",
        "VideoFlash/1003_DFA_SAD_XX.FLV#0": "sadness",  # cannot be opened: kept, to be reported
    }
    assert [sample.subject for sample in samples] == ["1001"] * 3 + ["1002"] * 3 + ["1003"]
    assert (samples[1].sequence, samples[1].frame, frame_shown(samples[1])) == ("1001_IEO_DIS_LO", 4, 4)
    assert samples[1].attributes == {
        "sentence": "IEO",
        "intensity": "low",
        "age": 51.0,
        "gender": "male",
        "race": "caucasian",
        "ethnicity": "not hispanic",
    }
    levels = [sample.attributes["intensity"] for sample in samples]
    assert levels == ["unspecified", "low", "medium", "high", "unspecified", "unspecified", "unspecified"]
    assert samples[-1].attributes == {"sentence": "DFA", "intensity": "unspecified"}
    with pytest.raises(PhotographError):
        frame_shown(samples[-1])


def test_cremad_with_more_frames(tmp_path: Path) -> None:
    write_cremad(tmp_path)
    samples = cremad.read(tmp_path, frames=3)
    assert [sample.frame for sample in samples if sample.sequence == "1001_DFA_ANG_XX"] == [2, 4, 6]
    assert len(samples) == 6 * 3 + 1


def test_cremad_damage(tmp_path: Path) -> None:
    write_cremad(tmp_path)
    table = tmp_path / "VideoDemographics.csv"
    table.write_text("ActorID,Age\n1001,old\n")
    with pytest.raises(DatasetError, match=r"VideoDemographics.csv, line 2: Age must be a number, got 'old'"):
        cremad.read(tmp_path)
    table.write_text("Actor,Age\n1001,51\n")
    with pytest.raises(DatasetError, match="lacks the column ActorID; it has Actor, Age"):
        cremad.read(tmp_path)
    table.unlink()
    write_video(tmp_path / "VideoFlash" / "1001_DFA_JOY_XX.flv", 2)
    with pytest.raises(DatasetError, match=r"1001_DFA_JOY_XX.flv: unknown emotion or intensity"):
        cremad.read(tmp_path)
