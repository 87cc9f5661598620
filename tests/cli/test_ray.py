"""Commands on a Ray cluster that they start: Ctrl-C, SIGTERM and killed workers in the middle of the work."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from deadpan.cli.main import main
from tests.support.photos import many_names

pytest.importorskip("ray")
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in Linux's /proc")


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of every process."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            found[int(folder.name)] = parent, (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it has ended
            continue
    return found


def inside(root: int, name: str) -> list[int]:
    """The processes that `root` started, directly or not, whose command line contains `name`."""
    every = processes()

    def started(number: int) -> bool:
        while number in every and number != root:
            number = every[number][0]
        return number == root

    return [number for number, (_, command) in every.items() if name in command and number != root and started(number)]


class Running:
    """A deadpan command that runs in the background, in a session of its own, as in a terminal."""

    def __init__(self, *words: str | Path) -> None:
        command = [sys.executable, "-m", "deadpan", *map(str, words)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def wait_for(self, begun: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 180
        while not begun() and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert self.process.poll() is None, self.process.communicate()[1]

    def end(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Send a signal, Ctrl-C to all processes of the session; return exit code and messages."""
        workers = inside(self.process.pid, "ray::")
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        elif number is not None:
            self.process.send_signal(number)
        said = self.process.communicate(timeout=180)[1]
        assert "Traceback" not in said, said
        if number is not None:
            deadline = time.monotonic() + 30
            while set(workers) & set(processes()) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert not set(workers) & set(processes()), "workers are still running"
        return self.process.returncode, said


def rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def many(photos: list[Path], tmp_path: Path) -> Path:
    """2,600 names of the example photographs."""
    return many_names(tmp_path / "many", photos, copies=200)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_keeps_its_rows_and_goes_on(
    number: signal.Signals, code: int, many: Path, model_file: Path, tmp_path: Path
) -> None:
    out, kept = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    words: list[str | Path] = ["predict", many, "--model", model_file, "-o", out, "--ray", "local"]
    running = Running(*words)
    running.wait_for(lambda: len(rows(kept)) > 20)
    returned, said = running.end(number)
    assert returned == code
    found = rows(kept)
    done = len({row["path"] for row in found})
    assert 20 < done < 2600
    assert said == f"stopped after {done} of 2600 photographs; their results are in {kept}; add --resume to continue\n"
    for path in sorted(many.iterdir())[done + 40 :]:
        path.unlink()
    assert main([*map(str, words[:-2]), "--resume"]) == 0
    assert main(["predict", str(many), "--model", str(model_file), "-o", str(tmp_path / "straight.csv")]) == 0
    assert out.read_bytes() == (tmp_path / "straight.csv").read_bytes()


def test_killed_workers_lose_nothing(many: Path, model_file: Path, tmp_path: Path) -> None:
    for path in sorted(many.iterdir())[800:]:
        path.unlink()
    out, kept = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    running = Running("predict", many, "--model", model_file, "-o", out, "--ray", "local")
    workers: list[int] = []

    def working(least: int) -> bool:
        workers[:] = inside(running.process.pid, "ray::_read_here") if len(rows(kept)) > least else []
        return bool(workers)

    for least in (20, 300):
        running.wait_for(partial(working, least))
        os.kill(workers[0], signal.SIGKILL)
    assert running.end() == (0, "")
    assert main(["predict", str(many), "--model", str(model_file), "-o", str(tmp_path / "straight.csv")]) == 0
    assert out.read_bytes() == (tmp_path / "straight.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_evaluation_goes_on(number: signal.Signals, code: int, drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "evaluation"
    tiny = ["--width", "0.125", "--epochs", "4000", "--batch-size", "8", "--pictures-per-epoch", "8", "--threads", "1"]
    words: list[str | Path] = ["evaluate", "cnn", drawn, "--protocol", "subjects", "--folds", "2", "--out", out, *tiny]
    states = [out / "folds" / fold / "run" / "state.safetensors" for fold in ("01", "02")]
    running = Running(*words, "--ray", "local")
    running.wait_for(lambda: any(state.exists() for state in states))
    begun = time.monotonic()
    returned, said = running.end(number)
    assert returned == code and time.monotonic() - begun < 60
    assert said == "stopped after 0 folds; run the same command again to continue from the last finished epoch\n"
    assert any(state.exists() for state in states)
