"""From drawn people to an answer on a photograph, by the commands of the README."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deadpan.cli.main import main
from deadpan.expressions import EXPRESSIONS
from deadpan.training.provenance import command_line


def test_the_whole_chain(tmp_path: Path, girl: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people, data, run = tmp_path / "people", tmp_path / "people.parquet", tmp_path / "run"
    assert main(["synthesize", str(people), "--people", "2", "--pictures", "8", "--size", "72", "--workers", "1"]) == 0
    assert main(["prepare", "synthetic", str(people), str(data), "--workers", "1"]) == 0
    flags = ["--width", "0.125", "--generator-epochs", "1", "--classifier-epochs", "1", "--batch-size", "8"]
    assert main(["train", "derl", "--data", str(data), "--out", str(run), "--weights", "1", *flags]) == 0
    assert main(["score", str(run), str(data), "--json", str(tmp_path / "figures.json")]) == 0
    more = tmp_path / "more.json"
    more.write_text('{"photographs": {"accuracy": 0.5}}')
    assert main(["export", str(run), "--metrics", str(tmp_path / "figures.json"), str(more)]) == 0
    card = json.loads((run / "derl.json").read_text())
    assert card["metrics"]["people.parquet"]["all"]["pictures"] == 16
    assert card["metrics"]["photographs"] == {"accuracy": 0.5}
    assert "--width 0.125" in card["recipe"]
    capsys.readouterr()
    assert main(["predict", str(girl), "--model", str(run / "derl.onnx"), "--json", "-"]) == 0
    line = json.loads(capsys.readouterr().out)
    assert len(line["faces"]) == 1
    assert line["faces"][0]["residue"] > 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["train", "derl", "--data", "x.parquet", "--out", "run"], "x.parquet does not exist"),
        (["train", "derl", "--data", "x", "--out", "run", "--tetha", "3"], "Known options: --data, --out"),
        (["train", "dreal", "--data", "x", "--out", "run"], "dreal"),
        (["prepare", "moon", "root", "out.parquet"], "unknown data set 'moon'; known are ckplus, oulu"),
        (["export", "nowhere"], "does not exist"),
        (["score", "nowhere", "x.parquet"], "no model named 'nowhere'"),
        (["synthesize", "out", "--people", "0"], "people"),
        (["synthesize", "out", "--assets", __file__], "assets are for head 'ict' only"),
        (["synthesize", "out", "--head", "ict", "--assets", __file__], "is not a converted ICT head"),
        (["prepare", "csv", "faces.csv", "faces.csv"], "prepare needs a new Parquet file, not the data"),
    ],
)
def test_wrong_use_ends_with_two_and_says_what_to_do(
    arguments: list[str],
    text: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["train", "evaluate", "synthesize", "prepare", "export", "score", "predict", "models"]
)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert command in capsys.readouterr().out


def test_the_command_in_a_card_repeats_switches_that_are_off() -> None:
    recipe = {
        "method": "errnet",
        "data": ["people.parquet"],
        "validation": [],
        "expressions": list(EXPRESSIONS),
        "config": {"landmarks": False, "segments": True, "stem_stride": 2},
        "training": {"tensorboard": True},
        "augmentation": {"blur": 0.5},
    }
    command = command_line(recipe)
    expected = "--no-landmarks --stem-stride 2 --tensorboard --augment.blur 0.5 --out RUN"
    assert command == f"deadpan train errnet --data people.parquet {expected}"
