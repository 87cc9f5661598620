"""The reader of BP4D+ on a generated miniature of its documented tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.datasets import bp4d, bp4dplus
from deadpan.datasets.sample import DatasetError
from tests.support.data_trees import expression_of, write_bp4d


def test_bp4dplus_has_other_tasks(tmp_path: Path) -> None:
    write_bp4d(tmp_path, tasks=10, above="2D+3D/")
    samples = bp4dplus.read(tmp_path)
    found = {(s.sequence, expression_of(s, bp4dplus.EXPRESSIONS)) for s in samples if s.subject == "F001"}
    expected = {1: "happiness", 2: "surprise", 3: "sadness", 4: "surprise", 7: "fear", 9: "anger", 10: "disgust"}
    assert {pair for pair in found if pair[1] != "neutral"} == {(f"F001/T{n}", word) for n, word in expected.items()}
    assert len([pair for pair in found if pair[1] == "neutral"]) == 10
    with pytest.raises(DatasetError, match=r"T10 is none of the tasks T1 to T8; (.|\n)*bp4dplus"):
        bp4d.read(tmp_path)
