"""The reader of KDEF on a generated miniature of its documented tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.datasets import kdef
from deadpan.datasets.sample import DatasetError
from tests.support.data_trees import labels, put


def test_kdef(tmp_path: Path) -> None:
    codes = {"AF": "fear", "AN": "anger", "DI": "disgust", "HA": "happiness"}
    codes |= {"NE": "neutral", "SA": "sadness", "SU": "surprise"}
    put(tmp_path, *(f"KDEF/AF01/AF01{code}{angle}.JPG" for code in codes for angle in ("S", "HL", "HR", "FL", "FR")))
    put(tmp_path, "KDEF/BF01/BF01NES.jpg", "KDEF/BM01/BM01NES.JPG", "AKDEF/FAFFL.JPG")
    samples = kdef.read(tmp_path)
    found = labels(samples, kdef.EXPRESSIONS)
    assert len(samples) == 37
    assert {name[14:16]: word for name, word in found.items() if name.startswith("KDEF/AF01")} == codes
    by_name = {sample.name: sample for sample in samples}
    assert {sample.subject for sample in samples} == {"F01", "M01"}
    assert by_name["KDEF/BF01/BF01NES.jpg"].subject == by_name["KDEF/AF01/AF01ANS.JPG"].subject == "F01"
    half = {"session": "A", "gender": "female", "view": "half", "side": "left"}
    assert by_name["KDEF/AF01/AF01ANHL.JPG"].attributes == half
    assert by_name["KDEF/BM01/BM01NES.JPG"].attributes == {"session": "B", "gender": "male", "view": "frontal"}


def test_kdef_names_without_an_expression(tmp_path: Path) -> None:
    put(tmp_path, "AF31/AF31V.JPG", "AM31/AM31H.JPG")
    samples = kdef.read(tmp_path)
    assert labels(samples, kdef.EXPRESSIONS) == {"AF31/AF31V.JPG": "sadness", "AM31/AM31H.JPG": "surprise"}
    assert [(sample.subject, sample.attributes["side"]) for sample in samples] == [("F31", "left"), ("M31", "right")]
    put(tmp_path, "AF31/AF31XXS.JPG")
    with pytest.raises(DatasetError, match=r"AF31XXS.JPG: unknown expression XX; expected one of NE, AN"):
        kdef.read(tmp_path)
