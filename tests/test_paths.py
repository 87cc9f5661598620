"""A path may be a string everywhere, and one given alone is one path, not its letters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import deadpan as dp
from deadpan.evaluation.evaluate import absolute
from deadpan.files import paths_of


def test_one_path_is_not_its_letters() -> None:
    assert paths_of("a.jpg") == paths_of(Path("a.jpg")) == paths_of([Path("a.jpg")]) == ["a.jpg"]
    assert paths_of(("a.jpg", Path("b.jpg"))) == ["a.jpg", "b.jpg"]
    assert paths_of([]) == []


def test_functions_of_several_files_take_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    evaluation = dp.Evaluation("out", "data.parquet", "cross", "cnn", extra="more.parquet", test=[Path("test.parquet")])
    assert evaluation.extra == ("more.parquet",) and evaluation.test == ("test.parquet",)
    with pytest.raises(ValueError, match=re.escape("runs holds no evaluation.json")):
        dp.compare("runs")
    with pytest.raises(dp.DeadpanError, match=re.escape("gone.parquet does not exist")):
        dp.train("cnn", dp.METHODS["cnn"].Config(), "gone.parquet", "run")
    with pytest.raises(dp.DeadpanError, match=re.escape("gone.parquet does not exist")):
        dp.score("derl", "gone.parquet")
    assert not list(tmp_path.iterdir())


def test_an_evaluation_of_strings_holds_in_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = dp.Evaluation("out", "data.parquet", "cross", model="model.onnx", test="test.parquet", start="before")
    found = absolute(given)
    assert (
        found.out == tmp_path / "out" and found.model == tmp_path / "model.onnx" and found.start == tmp_path / "before"
    )
    assert found.data == str(tmp_path / "data.parquet") and found.test == (str(tmp_path / "test.parquet"),)
    assert given.folder(0) == Path("out/folds/01")
    assert absolute(dp.Evaluation("out", "data.parquet", "cross", model="derl")).model == "derl"  # a released model
