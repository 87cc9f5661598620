"""A terminal obeys control characters; those of file names never reach one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deadpan.cli.main import main
from deadpan.printable import printable

ODD = "a\x1b]0;owned\x07\x1b[31m\n\x9b2J\u202eb"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs file names with control characters")


def test_what_is_printable() -> None:
    assert printable("a\x1b[31m\r\n\tb\x7f\x9b") == r"a\x1b[31m\r\n\tb\x7f\x9b"
    assert printable("\u202e\u2028\udce9") == r"\u202e\u2028\udce9"
    assert printable("Zoë 写真\u3000é") == "Zoë 写真\u3000é"
    assert printable("\U0001f468\u200d\U0001f469") == "\U0001f468\u200d\U0001f469"


def assert_harmless(text: str) -> None:
    """The odd name has been printed, and nothing of it that a terminal obeys."""
    assert r"a\x1b]0;owned\x07\x1b[31m\n\x9b2J\u202eb" in text
    assert not set(text) & set("\x1b\x07\x9b\u202e")


@pytest.mark.parametrize("kind", ["photograph", "no photograph", "absent", "model", "detector", "output"])
def test_predict(kind: str, girl: Path, model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd, arguments = tmp_path / ODD, [str(girl)]
    if kind == "photograph":
        shutil.copy(girl, odd)
    elif kind != "absent":
        odd.write_text("mine")
    if kind in ("photograph", "no photograph", "absent"):
        arguments = [str(odd)]
    option = {"model": "--model", "detector": "--detector", "output": "--json"}.get(kind)
    arguments += [option, str(odd)] if option else []
    model = [] if kind == "model" else ["--model", str(model_file)]
    assert main(["predict", *arguments, *model]) == (0 if kind == "photograph" else 2)
    printed = capsys.readouterr()
    assert_harmless(printed.out + printed.err)


def test_unknown_words(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([ODD], ["predict", f"--{ODD}"], ["models", ODD], ["data", "check", ODD, "."], ["train", ODD]):
        assert main(words) == 2
        printed = capsys.readouterr()
        assert not set(printed.out + printed.err) & set("\x1b\x07\x9b\u202e")


def test_data_commands(girl: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / ODD / "happiness"
    folder.mkdir(parents=True)
    shutil.copy(girl, folder / "girl.png")
    (folder / f"{ODD}.png").write_text("no picture")
    out = tmp_path / f"{ODD}.parquet"
    assert main(["data", "check", "folders", str(folder.parent), "--pictures"]) == 1
    assert main(["prepare", "folders", str(folder.parent), str(out), "--workers", "1"]) == 1
    printed = capsys.readouterr()
    assert_harmless(printed.out + printed.err)
    shutil.copy(folder / "girl.png", folder / f"{ODD}again.png")  # a finding that names the picture
    assert main(["data", "check", "folders", str(folder.parent), "--pictures"]) == 1
    printed = capsys.readouterr()
    assert_harmless(printed.out + printed.err)
    assert main(["score", "derl", str(out)]) == 0
    printed = capsys.readouterr()
    assert_harmless(printed.out + printed.err)


def test_train_and_export(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, data = tmp_path / ODD, Path(shutil.copy(drawn, tmp_path / f"{ODD}.parquet"))
    tiny = ["--width", "0.125", "--epochs", "1", "--batch-size", "8", "--pictures-per-epoch", "8", "--threads", "1"]
    words = ["train", "cnn", "--data", str(data), "--validation", str(data), "--out", str(run), *tiny]
    assert main(words) == 0
    assert main([*words, "--resume"]) == 0
    assert main(["export", str(run)]) == 0
    assert main(["evaluate", str(run), str(data), "--protocol", "subjects"]) == 2
    printed = capsys.readouterr()
    assert_harmless(printed.out + printed.err)


def test_a_table_is_escaped_on_a_terminal_alone(girl: Path, model_file: Path, tmp_path: Path) -> None:
    odd = tmp_path / ODD
    shutil.copy(girl, odd)
    command = [sys.executable, "-m", "deadpan", "predict", str(odd), "--model", str(model_file), "--csv", "-"]
    piped = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()
    assert ODD in piped
    reading, writing = os.openpty()
    subprocess.run(command, stdout=writing, check=True)
    os.close(writing)
    shown = b""
    with open(reading, "rb", buffering=0) as terminal:  # noqa: PTH123 - a descriptor
        try:
            while chunk := terminal.read(4096):
                shown += chunk
        except OSError:  # Linux says so that nobody writes any more
            pass
    text = shown.decode()  # a line break in a quoted field is one of the table
    assert r"a\x1b]0;owned\x07\x1b[31m" in text and r"\x9b2J\u202eb" in text
    assert not set(text) & set("\x1b\x07\x9b\u202e")
