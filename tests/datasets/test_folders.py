"""The reader of class folders on small ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.cli.main import main
from deadpan.datasets import read
from deadpan.datasets.sample import DatasetError
from deadpan.expressions import EXPRESSIONS
from tests.support.data_trees import expression_of, put


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


def test_folders_named_by_numbers_ask_for_their_meaning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, "train/1/a.png", "train/2/b.png", "test/1/c.png", "test/8/d.png")
    with pytest.raises(DatasetError, match=r"'1' is not an expression; .* --classes 1=surprise 2=fear"):
        read("folders", tmp_path)
    found = read("folders", tmp_path, classes="1=surprise,2=Fear 8=none")
    assert {sample.name: expression_of(sample, EXPRESSIONS) for sample in found} == {
        "test/1/c.png": "surprise",
        "train/1/a.png": "surprise",
        "train/2/b.png": "fear",
    }
    assert read("folders", tmp_path, classes={"1": "surprise", "2": "fear", "8": None}) == found
    main(["data", "check", "folders", str(tmp_path), "--classes", "1=surprise", "2=fear", "8=none"])
    assert "surprise  2" in capsys.readouterr().out
    for wrong in ("1", "1=bored", "=fear"):
        assert main(["data", "check", "folders", str(tmp_path), "--classes", wrong]) == 2


def test_folders_deeper_and_in_other_spellings(tmp_path: Path) -> None:
    put(
        tmp_path, "data/Images/Train/0_Angry/a.png", "data/Images/val/3 - happy/b.png", "data/Images/val/SUPRISE/c.jfif"
    )
    found = {(sample.split, expression_of(sample, EXPRESSIONS)) for sample in read("folders", tmp_path)}
    assert found == {("Train", "anger"), ("val", "happiness"), ("val", "surprise")}
