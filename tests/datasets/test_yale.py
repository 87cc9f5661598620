"""The reader of Yale on a generated miniature of its documented tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.datasets import yale
from deadpan.faces.photographs import read_photograph
from tests.support.data_trees import labels, put


@pytest.mark.parametrize("suffix", ["", ".gif", ".GIF"])
def test_yale(suffix: str, tmp_path: Path) -> None:
    words = ["centerlight", "glasses", "happy", "leftlight", "noglasses", "normal", "rightlight", "sad", "sleepy"]
    put(tmp_path, *(f"subject01.{word}{suffix}" for word in [*words, "surprised", "wink"]))
    put(tmp_path, f"subject04.sad{suffix}", f"subject04.normal{suffix}", "subject01.gif")
    samples = yale.read(tmp_path)
    assert labels(samples, yale.EXPRESSIONS) == {
        f"subject01.happy{suffix}": "happiness",
        f"subject01.normal{suffix}": "neutral",
        f"subject01.sad{suffix}": "sadness",
        f"subject01.surprised{suffix}": "surprise",
        f"subject04.normal{suffix}": "neutral",  # subject04.sad is a copy of it
    }
    assert [sample.subject for sample in samples] == ["01"] * 4 + ["04"]
    assert isinstance(samples[0].picture, Path)
    assert read_photograph(samples[0].picture).shape == (8, 8, 3)
