"""Folders, lists and archives as users read them: tables by ending, a resumed run, the bar, and what a stop leaves."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deadpan.cli.main import main
from tests.support.tiny_model import tiny_model

Captured = pytest.CaptureFixture[str]

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals, limits and terminals")

NAMES = ("out.csv", "out.jsonl", "out.parquet")


@pytest.fixture
def album(girl: Path, tmp_path: Path) -> Path:
    """Forty names of a photograph, one of them broken."""
    folder = tmp_path / "album"
    folder.mkdir()
    for index in range(40):
        (folder / f"{index:02d}.png").symlink_to(girl)
    (folder / "07.png").unlink()
    (folder / "07.png").write_text("no picture")
    return folder


def command(model: Path, *words: str | Path) -> list[str]:
    return ["predict", "--model", str(model), *map(str, words)]


def rows(path: Path) -> list[dict[str, Any]]:
    if path.is_dir() or path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    if ".jsonl" in path.name:
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", NAMES)
def test_a_table_by_the_ending_of_its_name(
    name: str, model_file: Path, album: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert main(command(model_file, album, "-o", tmp_path / name)) == 1
    said = capsys.readouterr().err
    assert "07.png: not a picture" in said and said.endswith("\n1 of 40 photographs could not be read\n")
    found = rows(tmp_path / name)
    assert [Path(row["path"]).name for row in found] == [f"{index:02d}.png" for index in range(40)]
    assert [str(row["face"]) for row in found[:2]] == ["0", "0"]
    assert found[7]["error"].startswith("not a picture") and found[7]["face"] in (None, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["album", name]


def test_format_in_place_of_an_ending(model_file: Path, girl: Path, tmp_path: Path, capsys: Captured) -> None:
    assert main(command(model_file, girl, "--format", "jsonl")) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["path"] == str(girl) and row["face"] == 0
    assert main(command(model_file, girl, "-o", "-", "--format", "csv")) == 0
    assert capsys.readouterr().out.startswith("path,width,height,face,")
    assert main(command(model_file, girl, "-o", "s3://bucket/faces.csv")) == 2
    assert "s3:/bucket/faces.csv is an address; expected a path on this machine" in capsys.readouterr().err
    assert main(command(model_file, girl, "-o", tmp_path / "faces.txt")) == 2
    assert "faces.txt from its name; expected a name that ends in" in capsys.readouterr().err
    assert main(command(model_file, girl, "--format", "parquet")) == 2
    assert "Parquet cannot be written to standard output" in capsys.readouterr().err
    assert main(command(model_file, girl, "-o", tmp_path / "a.csv", "--csv", tmp_path / "a.csv")) == 2
    assert "-o and --csv cannot both be written to" in capsys.readouterr().err


def test_a_list_on_standard_input(model_file: Path, album: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "deadpan", *command(model_file, "-", "-o", tmp_path / "out.csv")]
    names = "\n".join(str(path) for path in sorted(album.iterdir())[:3])
    done = subprocess.run(words, input=names, text=True, capture_output=True)
    assert done.returncode == 0 and done.stderr == ""
    assert len(rows(tmp_path / "out.csv")) == 3
    empty = subprocess.run(words, input="", text=True, capture_output=True)
    assert empty.returncode == 2 and "standard input lists no photograph" in empty.stderr


@pytest.mark.parametrize("way", [*NAMES, "--json"])
def test_a_resumed_run_equals_a_straight_one(
    way: str, model_file: Path, album: Path, tmp_path: Path, capsys: Captured
) -> None:
    option, name = ("--json", "out.jsonl") if way == "--json" else ("-o", way)
    straight, out, panels = tmp_path / f"straight-{name}", tmp_path / name, tmp_path / "faces"
    assert main(command(model_file, album, option, straight)) == 1
    removed = [album / f"{index:02d}.png" for index in range(12, 40)]
    targets = [path.readlink() for path in removed]
    for path in removed:
        path.unlink()
    assert main(command(model_file, album, option, out)) == 1  # the first twelve
    for path, target in zip(removed, targets, strict=True):
        path.symlink_to(target)
    capsys.readouterr()
    assert main(command(model_file, album, option, out, "--resume", "--neutral-dir", panels)) == 1
    said = capsys.readouterr().err
    assert said == "1 of 40 photographs could not be read\n"  # 07.png was not read again
    if name.endswith("parquet"):
        assert pq.read_table(out) == pq.read_table(straight)
    else:
        assert out.read_bytes() == straight.read_bytes()
    assert len(list(panels.iterdir())) in (2 * 28, 2 * 29)
    assert main(command(model_file, album, option, out, "--resume")) == 1  # nothing is left to do
    assert len(rows(out)) == 40


@pytest.mark.parametrize("way", [*NAMES, "--json"])
def test_resume_refuses_the_file_of_another_model(
    way: str, model_file: Path, girl: Path, tmp_path: Path, capsys: Captured
) -> None:
    option, name = ("--json", "out.jsonl") if way == "--json" else ("-o", way)
    out = tmp_path / name
    assert main(command(model_file, girl, option, out)) == 0
    before = out.read_bytes()
    digits = hashlib.sha256(model_file.read_bytes()).hexdigest()[:12]
    assert [row["model"] for row in rows(out)] == [f"tiny@{digits}"]
    other = tiny_model(tmp_path / "other.onnx", description={"comment": "the same name and expressions"})
    theirs = hashlib.sha256(other.read_bytes()).hexdigest()[:12]
    assert main(command(other, girl, option, out, "--resume")) == 2
    said = capsys.readouterr().err
    assert f"{out} was written by the model tiny@{digits}, and this is tiny@{theirs}" in said
    assert out.read_bytes() == before and not Path(f"{out}.partial").exists()
    assert main(command(model_file, girl, option, out, "--resume")) == 0
    assert len(rows(out)) == 1


def test_resume_needs_one_file_of_the_same_kind(model_file: Path, girl: Path, tmp_path: Path, capsys: Captured) -> None:
    assert main(command(model_file, girl, "--resume")) == 2
    assert "--resume needs one of -o, --json and --csv; got" in capsys.readouterr().err
    assert main(command(model_file, girl, "--resume", "-o", tmp_path / "a.csv", "--json", tmp_path / "b")) == 2
    (tmp_path / "a.csv").write_text("my notes\n")
    assert main(command(model_file, girl, "--resume", "-o", tmp_path / "a.csv")) == 2
    assert (tmp_path / "a.csv").read_text() == "my notes\n"
    (tmp_path / "b").write_text(
        '{"path": "a", "width": 1, "height": 1, "error": null, "faces": [{"probabilities": {}}]}\n'
    )
    assert main(command(model_file, girl, "--resume", "--json", tmp_path / "b")) == 2
    assert "--resume needs the same model" in capsys.readouterr().err


def test_a_table_of_pictures_resumed_with_panels(
    model_file: Path, album: Path, tmp_path: Path, capsys: Captured
) -> None:
    contents = [path.read_bytes() for path in sorted(album.iterdir())]
    table, out = tmp_path / "photos.parquet", tmp_path / "out.csv"
    pq.write_table(pa.table({"image": contents[:10]}), table)
    assert main(command(model_file, table, "-o", out, "--panel", tmp_path)) == 1
    assert len(list(tmp_path.glob("*.panel.png"))) == 9
    pq.write_table(pa.table({"image": contents}), table)
    assert main(command(model_file, table, "-o", out, "--resume")) == 1
    assert capsys.readouterr().err.endswith("1 of 40 photographs could not be read\n")
    assert [row["path"] for row in rows(out)] == [f"{table}/{index}" for index in range(40)]
    assert main(command(model_file, table, "-o", table)) == 2
    assert "is an input, and -o would overwrite it" in capsys.readouterr().err


def test_panels_of_an_archive(model_file: Path, girl: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.write(girl, "inner/girl.png")
    assert main(command(model_file, tmp_path / "a.zip", "--panel", tmp_path)) == 0
    assert (tmp_path / "girl.panel.png").is_file()


@POSIX
def test_a_picture_named_on_standard_input_is_not_replaced(model_file: Path, girl: Path, tmp_path: Path) -> None:
    mine = tmp_path / "girl_happiness.panel.png"
    mine.write_bytes(girl.read_bytes())
    words = [sys.executable, "-m", "deadpan", *command(model_file, "-", "--panel", tmp_path)]
    done = subprocess.run(words, input=f"{girl}\n", text=True, capture_output=True)
    assert done.returncode == 2 and "was not written by deadpan" in done.stderr
    assert mine.read_bytes() == girl.read_bytes()


@POSIX
@pytest.mark.parametrize("option", ["--json", "-o"])
def test_the_bar_is_shown_on_a_terminal_beside_a_file(
    option: str, model_file: Path, album: Path, tmp_path: Path
) -> None:
    ours, theirs = os.openpty()
    words = [sys.executable, "-m", "deadpan", *command(model_file, album, option, tmp_path / "out.jsonl")]
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                part = os.read(ours, 10_000)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            said += part
    os.close(ours)
    assert process.returncode == 1
    text = said.decode()
    assert "/40" in text and "07.png: not a picture" in text and "0:00:" in text
    piped = subprocess.run([*words[:-1], tmp_path / "other.jsonl"], capture_output=True, text=True)
    assert "/40" not in piped.stderr


def stopped(words: list[str], number: signal.Signals, begun: Callable[[], bool]) -> tuple[int, str]:
    with subprocess.Popen([sys.executable, "-m", "deadpan", *words], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 300
        while not begun() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(number)
        said = process.communicate(timeout=240)[1].decode()
    assert "Traceback" not in said
    return process.returncode, said


@POSIX
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_parquet_file_is_readable_and_goes_on(
    number: signal.Signals, code: int, model_file: Path, girl: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "many", tmp_path / "out.parquet"
    folder.mkdir()
    for index in range(1500):
        (folder / f"{index:04d}.png").symlink_to(girl)
    picture = tmp_path / "faces" / "0020_0.face.png"
    words = command(model_file, folder, "-o", out, "--neutral-dir", tmp_path / "faces")
    returned, said = stopped(words, number, picture.exists)
    assert returned == code
    found = rows(Path(f"{out}.partial"))
    assert 20 <= len(found) < 1500
    assert [Path(row["path"]).name for row in found] == [f"{index:04d}.png" for index in range(len(found))]
    assert f"stopped after {len(found)} of 1500 photographs; their results are in {out}.partial" in said
    assert said.endswith("; add --resume to continue\n") and not out.exists()
    for index in range(len(found) + 5, 1500):
        (folder / f"{index:04d}.png").unlink()
    assert main([*words, "--resume"]) == 0
    assert [Path(row["path"]).name for row in rows(out)] == [f"{index:04d}.png" for index in range(len(found) + 5)]


@POSIX
def test_a_full_disk_keeps_the_parts_of_a_parquet_file(model_file: Path, girl: Path, tmp_path: Path) -> None:
    code = "import resource, sys; limit, part_rows = map(int, sys.argv[1:3]); "
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)); "
    code += "from deadpan.prediction import tables; tables.PART_ROWS = part_rows; "
    code += "from deadpan.cli.main import main; sys.exit(main(sys.argv[3:]))"
    (tmp_path / "many").mkdir()
    for index in range(40):
        (tmp_path / "many" / f"{index:02d}.png").symlink_to(girl)
    for limit, part_rows, kept in ((3000, 100, 0), (15_000, 4, 40)):  # too little for a part; for the whole file
        out = tmp_path / f"{part_rows}.parquet"
        words = [sys.executable, "-c", code, str(limit), str(part_rows)]
        words += command(model_file, tmp_path / "many", "-o", out)
        done = subprocess.run(words, capture_output=True, text=True)
        assert done.returncode == 2 and "Traceback" not in done.stderr and "File too large" in done.stderr, done.stderr
        assert not out.exists()
        found = rows(Path(f"{out}.partial")) if kept else []
        assert len(found) == kept
        assert ("stopped after 40 of 40" in done.stderr) == bool(kept)
