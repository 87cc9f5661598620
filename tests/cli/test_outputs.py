"""No command destroys a picture, an input or a file that deadpan did not write; devices and pipes are written to."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from deadpan.cli.main import main

Captured = pytest.CaptureFixture[str]

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX devices, pipes and links")


@pytest.fixture
def copies(girl: Path, portrait: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two photographs that a test may lose."""
    return Path(shutil.copy(girl, tmp_path / "a.png")), Path(shutil.copy(portrait, tmp_path / "b.jpg"))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("option", ["--json", "--csv", "--panel", "--neutral-dir"])
def test_an_option_that_swallows_a_photograph_is_refused(
    option: str, model_file: Path, copies: tuple[Path, Path], capsys: Captured
) -> None:
    first, second = copies
    before = contents(first.parent)
    assert main(["predict", "--model", str(model_file), option, str(first), str(second)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {first} ") and f"{option} " in said
    assert contents(first.parent) == before


@pytest.mark.parametrize("option", ["--json", "--csv", "--panel", "--neutral-dir"])
def test_a_name_of_a_picture_that_is_not_there_is_refused(
    option: str, model_file: Path, copies: tuple[Path, Path], capsys: Captured
) -> None:
    first, second = copies
    first.unlink()
    assert main(["predict", "--model", str(model_file), option, str(first), str(second)]) == 2
    assert "has the name of a picture" in capsys.readouterr().err
    assert not first.exists()


@POSIX
@pytest.mark.parametrize("link", ["hard", "symbolic", "path"])
def test_an_input_under_another_name_is_refused(
    link: str, model_file: Path, copies: tuple[Path, Path], capsys: Captured
) -> None:
    first, _ = copies
    other = first.parent / "results.jsonl"
    if link == "hard":
        other.hardlink_to(first)
    elif link == "symbolic":
        other.symlink_to(first)
    else:
        first = first.rename(other)
        other = first.parent / ".." / first.parent.name / first.name
    before = first.read_bytes()
    assert main(["predict", str(first), "--model", str(model_file), "--json", str(other)]) == 2
    assert f"{other} is an input, and --json would overwrite it" in capsys.readouterr().err
    assert first.read_bytes() == before


def test_the_model_and_the_rest_face_are_inputs_too(
    comparing_model_file: Path, copies: tuple[Path, Path], tmp_path: Path
) -> None:
    model = Path(shutil.copy(comparing_model_file, tmp_path / "model.onnx"))
    rest = copies[0].rename(tmp_path / "rest")
    command = ["predict", str(copies[1]), "--model", str(model), "--rest-face", str(rest)]
    before = contents(tmp_path)
    assert main([*command, "--json", str(model)]) == 2
    assert main([*command, "--csv", str(rest)]) == 2
    assert contents(tmp_path) == before


@pytest.mark.parametrize("option", ["--json", "--csv"])
@pytest.mark.parametrize("text", ["my notes\n", '{"path": "mine"}\n', "[1]\n", "path,width\n1,2\n", "\x00\xff"])
def test_a_file_of_the_user_is_refused_and_an_own_or_empty_one_replaced(
    option: str, text: str, model_file: Path, girl: Path, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "notes"
    out.write_text(text)
    command = ["predict", str(girl), "--model", str(model_file), option, str(out)]
    assert main(command) == 2
    assert "was not written by this command" in capsys.readouterr().err
    assert out.read_text() == text
    out.write_text("")
    assert main(command) == 0
    written = out.read_bytes()
    assert written
    assert main(command) == 0
    assert out.read_bytes() == written


def test_json_and_csv_of_one_file_are_refused(model_file: Path, girl: Path, tmp_path: Path) -> None:
    names = ["--json", str(tmp_path / "out"), "--csv", str(tmp_path / "." / "new" / ".." / "out")]
    assert main(["predict", str(girl), "--model", str(model_file), *names]) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "name"),
    [("--panel", "a.panel.png"), ("--neutral-dir", "a_0.face.png"), ("--neutral-dir", "a_0.neutral.png")],
)
def test_a_picture_of_the_user_is_refused_and_an_own_one_replaced(
    option: str, name: str, model_file: Path, copies: tuple[Path, Path], capsys: Captured
) -> None:
    folder = copies[0].parent
    command = ["predict", str(copies[0]), "--model", str(model_file), option, str(folder)]
    Image.new("RGB", (5, 5)).save(folder / name)
    before = contents(folder)
    assert main(command) == 2
    assert f"{option} would overwrite {folder / name}" in capsys.readouterr().err
    assert contents(folder) == before
    (folder / name).unlink()
    assert main(command) == 0 == main(command)
    assert (folder / name).is_file()


def test_a_panel_never_replaces_a_photograph_that_is_read(model_file: Path, copies: tuple[Path, Path]) -> None:
    folder = copies[0].parent
    command = ["predict", "--model", str(model_file), "--panel", str(folder), str(copies[0])]
    assert main(command) == 0
    before = contents(folder)
    assert main([*command, str(folder / "a.panel.png")]) == 2
    assert contents(folder) == before


@POSIX
def test_a_link_stays_and_permissions_are_kept(model_file: Path, girl: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real.jsonl")
    (tmp_path / "real.jsonl").touch(0o600)
    assert main(["predict", str(girl), "--model", str(model_file), "--json", str(tmp_path / "link")]) == 0
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "real.jsonl").read_text())["faces"]
    assert stat.S_IMODE((tmp_path / "real.jsonl").stat().st_mode) == 0o600


@POSIX
@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_a_pipe_is_written_to(option: str, model_file: Path, girl: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert main(["predict", str(girl), "--model", str(model_file), option, str(pipe)]) == 0
    reader.join(20)
    assert b"girl_happiness.png" in read[0]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@POSIX
@pytest.mark.parametrize("device", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/null"])
def test_devices_are_written_to(device: str, model_file: Path, girl: Path, tmp_path: Path) -> None:
    if not Path(device).exists():
        pytest.skip(f"no {device} here")
    before = Path("/dev/null").stat()
    command = [sys.executable, "-m", "deadpan", "predict", str(girl), "--model", str(model_file), "--json", device]
    piped = subprocess.run(command, capture_output=True, check=True).stdout
    with (tmp_path / "log").open("a") as log:  # as `>> log` does: what is there stays
        log.write("before\n")
        log.flush()
        subprocess.run(command, stdout=log, check=True)
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[0] == "before"
    for answers in (piped.decode().splitlines(), lines[1:]):
        assert [len(json.loads(line)["faces"]) for line in answers] == ([] if device == "/dev/null" else [1])
    assert (Path("/dev/null").stat().st_rdev, Path("/dev/null").stat().st_ino) == (before.st_rdev, before.st_ino)


def assert_refused(arguments: list[str | Path], folder: Path, capsys: Captured) -> None:
    """The command ends with 2 and one line, and every file of the folder is as it was."""
    before = contents(folder)
    capsys.readouterr()
    assert main([str(each) for each in arguments]) == 2, arguments
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1, said
    assert contents(folder) == before


def test_every_other_command_refuses_to_replace_what_is_not_its_own(
    drawn: Path, girl: Path, tmp_path: Path, capsys: Captured
) -> None:
    picture, notes = Path(shutil.copy(girl, tmp_path / "a.png")), tmp_path / "notes.json"
    notes.write_text('{"mine": 1}')
    data, other = (Path(shutil.copy(drawn, tmp_path / f"{name}.parquet")) for name in ("data", "other"))
    tiny: list[str | Path] = ["--width", "0.125", "--epochs", "1", "--batch-size", "8", "--pictures-per-epoch", "8"]
    train: list[str | Path] = ["train", "cnn", "--data", data, *tiny, "--out"]
    run, figures = tmp_path / "run", tmp_path / "figures.json"
    assert main([*map(str, train), str(run)]) == 0
    assert main(["score", str(run), str(data), "--json", str(figures)]) == 0
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "cnn.onnx").write_text("mine")
    (mine / "report.html").write_text("mine")
    for out in (picture, notes, data, f"{tmp_path}/./data.parquet", tmp_path, run / "config.json"):
        assert_refused(["score", run, f"{data}@train" if out == data else data, "--json", out], tmp_path, capsys)
    for out in (picture, notes, data, mine, mine / "cnn.onnx", run / "config.json"):
        assert_refused(["export", run, "--out", out], tmp_path, capsys)
    for out in (picture, notes, data):
        assert_refused([*train, out], tmp_path, capsys)
        assert_refused(["synthesize", out, "--people", "1"], tmp_path, capsys)
        assert_refused(["compare", run, "--out", out], tmp_path, capsys)
    for out in (mine, run, tmp_path):
        assert_refused(["compare", run, "--out", out], tmp_path, capsys)
        assert_refused(["synthesize", out, "--people", "1"], tmp_path, capsys)
    assert_refused(["evaluate", "cnn", data, "--protocol", "subjects", "--folds", "2", "--out", run], tmp_path, capsys)
    table = tmp_path / "faces.csv"
    table.write_text("path,expression\na.png,happiness\n")
    for out in (table, picture, notes, tmp_path, run / "model.safetensors"):
        assert_refused(["prepare", "csv", table, out, "--detector", "none"], tmp_path, capsys)
    (tmp_path / "other.parquet.skipped.jsonl").write_text("mine\n")
    assert_refused(["prepare", "csv", table, other, "--detector", "none"], tmp_path, capsys)
    (tmp_path / "other.parquet.skipped.jsonl").unlink()
    assert (
        main(["prepare", "csv", str(table), str(other), "--detector", "none"]) == 0
    )  # a prepared file may be replaced
    assert main(["score", str(run), str(data), "--json", str(figures)]) == 0  # figures too
    assert main(["export", str(run)]) == 0 == main(["export", str(run), "--metrics", str(figures)])
