"""The reader of BU-4DFE on a generated miniature of its documented tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.datasets import bu4dfe
from deadpan.datasets.sample import DatasetError
from tests.support.data_trees import expression_of, touch


def write_bu4dfe(root: Path) -> None:
    for person, word, count in (("F001", "Angry", 9), ("F001", "Sad", 9), ("M043", "Surprise", 2)):
        place = f"BU_4DFE/{person}/{word}"
        touch(root, *(f"{place}/{number:03d}{end}" for number in range(count) for end in (".jpg", ".mtl", ".wrl")))
    touch(root, "BU_4DFE/.DS_Store", "BU_4DFE/F001/Sad/.DS_Store", "BU_4DFE/tools/Angry/000.jpg")


def test_bu4dfe(tmp_path: Path) -> None:
    write_bu4dfe(tmp_path)
    samples = bu4dfe.read(tmp_path)
    assert [(sample.name, expression_of(sample, bu4dfe.EXPRESSIONS)) for sample in samples] == [
        ("F001/Angry/000.jpg", "neutral"),
        *((f"F001/Angry/00{index}.jpg", "anger") for index in (3, 4, 5)),
        ("F001/Sad/000.jpg", "neutral"),
        *((f"F001/Sad/00{index}.jpg", "sadness") for index in (3, 4, 5)),
        ("M043/Surprise/000.jpg", "neutral"),
        ("M043/Surprise/001.jpg", "surprise"),
    ]
    apex = samples[2]
    assert (apex.subject, apex.sequence, apex.frame) == ("F001", "F001/Angry", 4)
    assert apex.attributes == {"part": "peak", "phase": 0.5, "gender": "female"}
    assert apex.picture == tmp_path / "BU_4DFE" / apex.name
    whole = bu4dfe.read(tmp_path / "BU_4DFE", wanted=1, all_frames=True)[:9]
    assert [s.attributes["part"] for s in whole] == ["neutral", *["onset"] * 3, "peak", *["offset"] * 4]
    touch(tmp_path, "BU_4DFE/F001/Models/000.jpg")
    with pytest.raises(DatasetError, match="'Models' is not an expression"):
        bu4dfe.read(tmp_path)
