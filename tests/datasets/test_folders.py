"""The reader of class folders on small ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.datasets import read
from deadpan.datasets.sample import DatasetError
from deadpan.expressions import EXPRESSIONS
from tests.support.data_trees import expression_of


def test_folders(tmp_path: Path) -> None:
    for place in ("happy/b.jpg", "happy/deep/a.PNG", "test/anger/c.jpeg", "train/neutral/c.jpeg", "anger/notes.txt"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    found = {sample.name: (expression_of(sample, EXPRESSIONS), sample.split) for sample in read("folders", tmp_path)}
    assert found == {
        "happy/b.jpg": ("happiness", ""),
        "happy/deep/a.PNG": ("happiness", ""),
        "test/anger/c.jpeg": ("anger", "test"),
        "train/neutral/c.jpeg": ("neutral", "train"),
    }
    (tmp_path / "holidays").mkdir()
    with pytest.raises(DatasetError, match="'holidays' is not an expression"):
        read("folders", tmp_path)
