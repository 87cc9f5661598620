"""Counting a copy: whole, partial, with bad pictures, and not there at all."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest

from deadpan import datasets
from deadpan.cli.main import main
from deadpan.datasets import DATASETS
from deadpan.datasets.check import Line, check
from deadpan.datasets.sample import DatasetError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Four pictures of two people in two sequences, one missing, one empty, one no picture."""
    rows = [
        "path,expression,subject,sequence",
        "a.png,neutral,1,s1",
        "b.png,happy,1,s1",
        "c.png,happy,2,s1",
        "d.png,sad,2,",
    ]
    (tmp_path / "table.csv").write_text("\n".join(rows) + "\n")
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((9, 9, 3), np.uint8))
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "c.png").write_text("no picture")
    return tmp_path / "table.csv"


def expect(monkeypatch: pytest.MonkeyPatch, **counts: int) -> None:
    csv = DATASETS["csv"]
    facts = dataclasses.replace(csv.facts, counts=counts)
    monkeypatch.setitem(datasets.DATASETS, "csv", dataclasses.replace(csv, facts=facts))


def test_numbers_stand_beside_what_is_known(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expect(monkeypatch, subjects=2, pictures=5, happiness=2, fear=1)
    found = check("csv", table)
    assert found.lines == [
        Line("subjects", 2, 2),
        Line("sequences", 2, None),
        Line("pictures", 4, 5),
        Line("neutral", 1, None),
        Line("fear", 0, 1),
        Line("happiness", 2, 2),
        Line("sadness", 1, None),
    ]
    assert [line.what for line in found.lines if line.differs] == ["pictures", "fear"]
    assert [line.split(":")[0] for line in found.bad] == ["b.png", "c.png", "d.png"]
    assert found.bad[0] == "b.png: empty" and found.bad[2] == "d.png: missing"
    assert not found.whole


def test_pictures_are_opened_on_demand(table: Path) -> None:
    bad = check("csv", table, pictures=True).bad
    assert [line.split(":")[0] for line in bad] == ["b.png", "c.png", "d.png"]


def test_the_command_says_what_differs(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expect(monkeypatch, pictures=5)
    assert main(["data", "check", "csv", str(table)]) == 1
    out = capsys.readouterr()
    assert "pictures" in out.out and "expected 5" in out.out
    assert "b.png: empty" in out.err
    for name in ("a.png", "b.png", "c.png", "d.png"):
        cv2.imwrite(str(table.parent / name), np.random.default_rng(ord(name[0])).integers(0, 255, (9, 9, 3)))
    expect(monkeypatch, pictures=4)
    assert main(["data", "check", "csv", str(table), "--pictures"]) == 0
    assert main(["data", "check", "csv", str(table.parent / "gone.csv")]) == 2
    assert main(["data", "check", "cvs", str(table)]) == 2
    assert "unknown data set 'cvs'" in capsys.readouterr().err


def test_the_list_names_every_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in DATASETS)


def test_facts_say_where_to_get_what_is_absent(tmp_path: Path) -> None:
    facts = DATASETS["ferplus"].facts
    text = str(facts.absent(tmp_path, "no fer2013.csv"))
    assert text.startswith(f"{tmp_path}: no fer2013.csv; expected") and facts.tree in text and facts.request in text
    with pytest.raises(DatasetError):
        raise facts.absent(tmp_path, "nothing")
