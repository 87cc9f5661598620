"""The whole chain on drawn people written out in CK+'s layout, by the commands of the README."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deadpan.cli.main import main
from tests.support.ckplus_tree import write_ckplus_tree

TINY = ("--width", "0.125", "--batch-size", "16", "--precision", "32-true", "--threads", "1")
EPOCHS = {
    "derl": ("--generator-epochs", "1", "--classifier-epochs", "2"),
    "cnn": ("--epochs", "2"),
}


def test_from_a_tree_of_ckplus_to_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree, data = write_ckplus_tree(tmp_path, people=6), tmp_path / "ckplus.parquet"
    assert main(["data", "check", "ckplus", str(tree)]) == 1  # drawn people are fewer than CK+'s
    counted = capsys.readouterr().out.split()
    assert counted[counted.index("sequences") + 1] == "42"
    assert main(["prepare", "ckplus", str(tree), str(data), "--workers", "1"]) == 0
    runs = []
    for method, epochs in EPOCHS.items():
        out = tmp_path / method
        command = ["evaluate", method, str(data), "--protocol", "ckplus-7", "--folds", "3", "--out", str(out)]
        assert main([*command, *TINY, *epochs, "--robustness", "6"]) == 0
        facts = json.loads((out / "evaluation.json").read_text())
        assert [fold["status"] for fold in facts["folds"]] == ["done"] * 3
        assert sum(fold["test_pictures"] for fold in facts["folds"]) == 6 * 7 * 3
        assert facts["protocol"]["paper"][0]["value"] == 97.3 and facts["selection"] == "last epoch"
        printed = capsys.readouterr().out
        assert "single pictures" in printed and "sequences, majority" in printed and "97.30 %" in printed
        runs.append(str(out))
    assert main(["compare", *runs, "--out", str(tmp_path / "report")]) == 0
    compared = json.loads((tmp_path / "report" / "comparison.json").read_text())
    assert [run["method"] for run in compared["runs"]] == list(EPOCHS)
    assert compared["runs"][0]["sequence"]["majority"]["n"] == 6 * 7
    assert (tmp_path / "report" / "report.html").stat().st_size > 10_000
    log = [json.loads(line) for line in (tmp_path / "derl/folds/01/run/log.jsonl").read_text().splitlines()]
    assert log[0]["stage"] == "generator" and log[0]["copy_l1"] > 0  # neutral frames were there to learn from
