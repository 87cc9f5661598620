"""The reader of JAFFE on a generated miniature of its documented tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.datasets import jaffe
from deadpan.datasets.sample import DatasetError
from deadpan.faces.photographs import read_photograph
from tests.support.data_trees import labels, put


def test_jaffe(tmp_path: Path) -> None:
    names = ["KA.AN1.39.tiff", "KA.DI1.42.tiff", "KA.FE4.48.TIFF", "KA.HA1.29.tiff", "KA.NE1.26.tiff"]
    put(tmp_path / "jaffedbase", *names, "YM.SA1.55.tiff", "YM.SU2.59.tiff", "montage.png")
    samples = jaffe.read(tmp_path)
    words = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
    assert list(labels(samples, jaffe.EXPRESSIONS).values()) == words
    assert [sample.subject for sample in samples] == ["KA"] * 5 + ["YM"] * 2
    assert samples[2].attributes == {"gender": "female", "take": 4.0}
    assert samples[2].name == "jaffedbase/KA.FE4.48.TIFF"
    assert read_photograph(tmp_path / samples[0].name).shape == (8, 8, 3)
    put(tmp_path, "KA.XX1.99.tiff")
    with pytest.raises(DatasetError, match=r"KA.XX1.99.tiff: unknown expression XX; expected one of NE, AN"):
        jaffe.read(tmp_path)
