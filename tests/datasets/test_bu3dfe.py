"""The reader of BU-3DFE on a generated miniature of its documented tree."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from deadpan.datasets import bu3dfe
from deadpan.datasets.sample import DatasetError
from tests.support.data_trees import expression_of, touch


def write_bu3dfe(root: Path) -> None:
    for subject, ethnicity in (("F0001", "WH"), ("M0044", "AE")):
        for code in ("NE00", "AN01", "AN04", "DI02", "FE03", "HA01", "SA02", "SU04"):
            stem = f"{root}/BU_3DFE/{subject}/{subject}_{code}{ethnicity}"
            touch(root, *(f"{stem}_{rest}" for rest in ("F2D.bmp", "F3D.bmp", "F3D.wrl", "F3D.bnd", "RAW.wrl")))
    touch(root, "BU_3DFE/F0001/Thumbs.db", "BU_3DFE/F0001/._F0001_NE00WH_F2D.bmp", "BU_3DFE/M0001/M0001_HA04LA_F2D.BMP")


def test_bu3dfe(tmp_path: Path) -> None:
    write_bu3dfe(tmp_path)
    samples = bu3dfe.read(tmp_path)
    assert Counter(expression_of(sample, bu3dfe.EXPRESSIONS) for sample in samples) == {
        "neutral": 2,
        "anger": 4,
        "disgust": 2,
        "fear": 2,
        "happiness": 3,
        "sadness": 2,
        "surprise": 2,
    }
    assert {sample.subject for sample in samples} == {"F0001", "M0001", "M0044"}
    by_name = {sample.name: sample for sample in samples}
    strong = by_name["F0001/F0001_AN04WH_F2D.bmp"]
    assert strong.attributes == {"intensity": 4.0, "gender": "female", "ethnicity": "WH", "kind": "F2D"}
    assert strong.picture == tmp_path / "BU_3DFE" / strong.name and strong.twin is None
    assert (strong.sequence, strong.frame) == ("", -1)
    assert by_name["M0001/M0001_HA04LA_F2D.BMP"].attributes["gender"] == "male"
    assert by_name["M0044/M0044_NE00AE_F2D.bmp"].attributes["intensity"] == 0
    assert len(bu3dfe.read(tmp_path / "BU_3DFE", kind="F3D")) == 16
    with pytest.raises(DatasetError, match="there is no RAW picture below it"):
        bu3dfe.read(tmp_path, kind="RAW")
    with pytest.raises(ValueError, match="kind must be F2D, F3D, RAW, got 'F4D'"):
        bu3dfe.read(tmp_path, kind="F4D")


def test_bu3dfe_unknown_code_is_named(tmp_path: Path) -> None:
    write_bu3dfe(tmp_path)
    touch(tmp_path, "BU_3DFE/F0001/F0001_XX01WH_F2D.bmp")
    with pytest.raises(DatasetError, match=r"F0001_XX01WH_F2D.bmp: 'XX' is not an expression"):
        bu3dfe.read(tmp_path)
