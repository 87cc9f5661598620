"""The reader of SFEW 2.0 on a generated miniature of its documented tree."""

from __future__ import annotations

from pathlib import Path

from deadpan.datasets import sfew
from tests.support.data_trees import labels, put


def test_sfew(tmp_path: Path) -> None:
    airheads, bridget = "Airheads_000519240_00000005.png", "Bridget_Jones_010203000_00000012.png"
    put(tmp_path, f"Train/Angry/{airheads}", f"Train/Train_Aligned_Faces/Angry/{airheads}", f"Train/Happy/{bridget}")
    put(tmp_path, f"Val_Aligned_Faces_new/Val_Aligned_Faces_new/Surprise/{bridget}", "Test/Test_Aligned_Faces/1.png")
    samples = sfew.read(tmp_path)
    assert labels(samples, sfew.EXPRESSIONS) == {
        f"Train/Train_Aligned_Faces/Angry/{airheads}": "anger",
        f"Train/Happy/{bridget}": "happiness",
        f"Val_Aligned_Faces_new/Val_Aligned_Faces_new/Surprise/{bridget}": "surprise",
    }
    assert [(sample.split, sample.cropped) for sample in samples] == [
        ("train", True),
        ("train", False),
        ("validation", True),
    ]
    assert (samples[0].sequence, samples[0].frame) == ("Airheads_000519240", 5)
    assert (samples[1].sequence, samples[1].frame) == ("Bridget_Jones_010203000", 12)
    assert samples[1].attributes == {"film": "Bridget_Jones"}
    frames = [sample.name for sample in sfew.read(tmp_path, aligned=False) if not sample.cropped]
    assert frames == [f"Train/Angry/{airheads}", f"Train/Happy/{bridget}"]
