"""Ctrl-C, SIGTERM and a full disk in the middle of the work: what was done is kept, and the message says so."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from deadpan.cli.main import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and limits")

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}

EITHER = pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, "2"), (signal.SIGTERM, "1")])


@pytest.fixture
def many(girl: Path, tmp_path: Path) -> list[Path]:
    """2,000 names of one photograph."""
    names = [tmp_path / "photos" / f"{index:04d}.png" for index in range(2000)]
    names[0].parent.mkdir()
    for name in names:
        name.symlink_to(girl)
    return names


def stopped(arguments: list[str], number: signal.Signals, begun: Callable[[], bool]) -> tuple[int, str]:
    """Run deadpan and end it once `begun`, Ctrl-C as a terminal sends it to all processes; exit code and messages."""
    command = [sys.executable, "-m", "deadpan", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 300
        while not begun() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None, process.stderr and process.stderr.read()
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        said = process.communicate(timeout=240)[1].decode()
    assert "Traceback" not in said, said
    return process.returncode, said


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.parametrize("number", CODES)
def test_predict_keeps_what_it_has_read(
    number: signal.Signals, model_file: Path, many: list[Path], tmp_path: Path
) -> None:
    out, table = tmp_path / "out.jsonl", tmp_path / "out.csv"
    out.write_text("")  # of an earlier run: untouched
    kept, kept_table = Path(f"{out}.partial"), Path(f"{table}.partial")
    arguments = ["predict", *map(str, many), "--model", str(model_file), "--json", str(out), "--csv", str(table)]
    code, said = stopped(arguments, number, lambda: lines(kept) > 2)
    assert code == CODES[number]
    answers = [json.loads(line) for line in kept.read_text().splitlines()]
    done = len(answers)
    assert 2 < done < len(many)
    assert [answer["path"] for answer in answers] == [str(path) for path in many[:done]]
    with kept_table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) in (done, done - 1)
    count = len(rows)
    assert f"stopped after {count} of 2000 photographs; their results are in {kept}, {kept_table}" in said
    assert said.rstrip().endswith(f"the next one is {many[count]}")
    assert out.read_text() == "" and not table.exists()


def test_a_partial_file_is_not_overwritten(model_file: Path, girl: Path, tmp_path: Path) -> None:
    kept = tmp_path / "out.jsonl.partial"
    kept.write_text("hours of work\n")
    command = [sys.executable, "-m", "deadpan", "predict", str(girl), "--model", str(model_file)]
    done = subprocess.run([*command, "--json", str(tmp_path / "out.jsonl")], capture_output=True, text=True)
    assert done.returncode == 2
    assert f"{kept} holds the results of an interrupted run" in done.stderr
    assert kept.read_text() == "hours of work\n" and not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_a_full_disk_cuts_no_record(option: str, model_file: Path, many: list[Path], tmp_path: Path) -> None:
    out, limit = tmp_path / "out", 5000
    command = [sys.executable, "-m", "deadpan", "predict", *map(str, many), "--model", str(model_file)]
    code = f"import resource, os, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    code += "; os.execv(sys.executable, sys.argv[1:])"
    limited = [sys.executable, "-c", code, *command, option, str(out)]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    text = Path(f"{out}.partial").read_text()
    assert 0 < len(text) <= limit and text.endswith("\n")
    records = text.splitlines() if option == "--json" else text.splitlines()[1:]
    assert f"stopped after {len(records)} of 2000 photographs" in done.stderr
    assert f"their results are in {out}.partial; add --resume to continue" in done.stderr
    assert "File too large" in done.stderr
    names = [json.loads(record)["path"] if option == "--json" else record.partition(",")[0] for record in records]
    assert names == [str(path) for path in many[: len(records)]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device_is_said(model_file: Path, girl: Path) -> None:
    command = [sys.executable, "-m", "deadpan", "predict", str(girl), "--model", str(model_file), "--json", "/dev/full"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: /dev/full: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_standard_output_may_be_full(model_file: Path, girl: Path) -> None:
    command = [sys.executable, "-m", "deadpan", "predict", str(girl), "--model", str(model_file), "--json", "-"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: [Errno 28] No space left on device\n"


def read_parts(out: Path) -> list[str]:
    """The names in the parts of an interrupted preparation."""
    return [str(name) for name in pq.read_table(f"{out}.partial")["name"].to_pylist()]


@EITHER
def test_prepare_goes_on_where_it_stopped(
    number: signal.Signals, workers: str, many: list[Path], tmp_path: Path
) -> None:
    table, out, straight = tmp_path / "faces.csv", tmp_path / "faces.parquet", tmp_path / "straight.parquet"
    table.write_text("path,expression\n" + "".join(f"{name},happiness\n" for name in many[:600]))
    arguments = ["prepare", "csv", str(table), str(out), "--detector", "none", "--workers", workers]
    code, said = stopped(arguments, number, lambda: len(list(Path(f"{out}.partial").glob("0*.parquet"))) > 1)
    assert code == CODES[number]
    names = read_parts(out)
    assert 128 <= len(names) < 600 and len(names) % 64 == 0
    assert said.lstrip() == f"stopped after {len(names)} of 600 pictures; run the same command again to continue\n"
    assert not out.exists()
    other = subprocess.run([sys.executable, "-m", "deadpan", *arguments, "--image-size", "96"], capture_output=True)
    assert other.returncode == 2 and b"with another image_size" in other.stderr
    assert read_parts(out) == names
    labels = table.read_text()
    table.write_text(labels.replace("happiness", "fear"))  # the same names under other labels
    other = subprocess.run([sys.executable, "-m", "deadpan", *arguments], capture_output=True)
    assert other.returncode == 2 and b"with another samples" in other.stderr
    table.write_text(labels)
    assert main(arguments) == 1  # `many` is one photograph under many names, which the report says
    assert main(["prepare", "csv", str(table), str(straight), "--detector", "none"]) == 1
    assert out.read_bytes() == straight.read_bytes()
    assert not Path(f"{out}.partial").exists()


def test_prepare_keeps_its_parts_when_the_disk_is_full(
    many: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = tmp_path / "faces.csv", tmp_path / "faces.parquet"
    table.write_text("path,expression\n" + "".join(f"{name},happiness\n" for name in many[:200]))
    arguments = ["prepare", "csv", str(table), str(out), "--detector", "none", "--workers", "1"]
    write = pq.write_table

    def full(rows: Any, path: Path) -> None:
        if len(list(path.parent.glob("0*.parquet"))) == 2:
            path.write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(rows, path)

    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", full)
        assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "stopped after 128 of 200 pictures" in said and "No space left on device" in said
    assert len(read_parts(out)) == 128
    assert main(arguments) == 1
    assert pq.read_table(out)["name"].to_pylist() == [str(name) for name in many[:200]]


@EITHER
def test_synthesize_goes_on_where_it_stopped(number: signal.Signals, workers: str, tmp_path: Path) -> None:
    out = tmp_path / "people"
    arguments = ["synthesize", str(out), "--people", "16", "--pictures", "2", "--size", "48", "--workers", workers]
    code, said = stopped(arguments, number, lambda: (out / "00001").exists())
    assert code == CODES[number]
    done = sorted(path.name for path in out.glob("0*"))
    assert 2 <= len(done) < 16
    assert said.lstrip() == f"stopped after {len(done)} of 16 people; run the same command again to continue\n"
    before = {name: (out / name / "rows.jsonl").stat().st_mtime_ns for name in done}
    assert main(arguments) == 0
    assert before == {name: (out / name / "rows.jsonl").stat().st_mtime_ns for name in done}
    assert len((out / "samples.jsonl").read_text().splitlines()) == 32


def test_train_and_evaluate_go_on_where_they_stopped(drawn: Path, tmp_path: Path) -> None:
    tiny = ["--width", "0.125", "--epochs", "400", "--batch-size", "8", "--pictures-per-epoch", "8", "--threads", "1"]
    run, out = tmp_path / "run", tmp_path / "evaluation"
    train = ["train", "cnn", "--data", str(drawn), "--out", str(run), *tiny]
    code, said = stopped(train, signal.SIGINT, (run / "state.safetensors").exists)
    assert code == 130
    assert f", stored in {run}; add --resume to continue\n" in said
    evaluate = ["evaluate", "cnn", str(drawn), "--protocol", "subjects", "--folds", "2", "--jobs", "2"]
    evaluate += ["--out", str(out), *tiny]
    states = [out / "folds" / fold / "run" / "state.safetensors" for fold in ("01", "02")]
    begun = time.monotonic()
    code, said = stopped(evaluate, signal.SIGTERM, lambda: all(state.exists() for state in states))
    assert code == 143 and time.monotonic() - begun < 120
    assert "stopped after 0 folds; run the same command again to continue" in said
    assert all(state.exists() for state in states)
