"""deadpan tells nobody: nothing is written to the home folder, and no socket to the internet is opened."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.photos import PHOTOS

WAIT = 120
"""Seconds that the process stays alive: ONNX Runtime reports from a thread, some time after the first session."""

STRACE = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


def environment(home: Path) -> dict[str, str]:
    """The environment of a user with another home folder, who has set nothing about reports."""
    places = ("XDG_", "ORT_", "RAY_", "MPL", "APPDATA", "LOCALAPPDATA")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(places)}
    return {**kept, "HOME": str(home), "USERPROFILE": str(home)}


def test_recognising_leaves_the_home_folder_empty(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    girl = str(PHOTOS / "girl_happiness.png")
    out = ["--json", str(tmp_path / "out.jsonl"), "--panel", str(tmp_path), "--neutral-dir", str(tmp_path)]
    for words in (["predict", girl, *out], ["models"], ["models", "derl"], ["data", "list"], ["predict", "--help"]):
        command = [sys.executable, "-m", "deadpan", *words]
        subprocess.run(command, env=environment(home), stdout=subprocess.DEVNULL, check=True)
    assert list(home.rglob("*")) == []
    assert (tmp_path / "out.jsonl").stat().st_size > 0


@pytest.mark.parametrize(("given", "expected"), [(None, "1"), ("0", "0")])
def test_reports_are_off_unless_the_user_has_chosen(given: str | None, expected: str, tmp_path: Path) -> None:
    code = "import deadpan.onnx_runtime, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    chosen = {} if given is None else {"ORT_DISABLE_TELEMETRY": given}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env={**environment(tmp_path), **chosen}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


def internet_sockets(command: list[str], home: Path) -> list[str]:
    """The system calls by which a command and its children open sockets to the internet or use them."""
    log = home.parent / "strace.txt"
    traced = ["strace", "--follow-forks", "--trace=socket,connect,sendto,sendmsg,sendmmsg", f"--output={log}", *command]
    subprocess.run(traced, env=environment(home), stdout=subprocess.DEVNULL, check=True)
    return [line for line in log.read_text().splitlines() if "AF_INET" in line]


@STRACE
def test_a_socket_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    code = "import socket; socket.socket().close()"
    assert internet_sockets([sys.executable, "-c", code], tmp_path / "home")


@STRACE
@pytest.mark.slow
def test_recognising_opens_no_socket_to_the_internet(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    photograph = str(PHOTOS / "girl_happiness.png")
    code = f"import time, deadpan; assert deadpan.load().predict({photograph!r}); time.sleep({WAIT})"
    assert internet_sockets([sys.executable, "-c", code], home) == []
    assert list(home.rglob("*")) == []


@STRACE
def test_a_server_connects_to_nobody(tmp_path: Path, film: Path) -> None:
    httpx = pytest.importorskip("httpx", reason="the development tools are not installed")
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    home, log = tmp_path / "home", tmp_path / "strace.txt"
    home.mkdir()
    code = """
import os
from deadpan.server.run import listen, serve
from deadpan.server.settings import Settings
listening = listen("127.0.0.1", 0, None)
print(os.getpid(), listening.getsockname()[1], flush=True)
serve(Settings(models=("cnn",)), listening)
"""
    command = ["strace", "--follow-forks", "--trace=connect", f"--output={log}", sys.executable, "-c", code]
    with subprocess.Popen(command, env=environment(home), stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        process, port = map(int, server.stdout.readline().split())
        files = {"files": (PHOTOS / "girl_happiness.png").read_bytes()}
        answer = httpx.post(f"http://127.0.0.1:{port}/v1/predict", files=files, timeout=120)
        video = httpx.post(f"http://127.0.0.1:{port}/v1/video?fps=2", files={"file": film.read_bytes()}, timeout=120)
        os.kill(process, signal.SIGTERM)
    assert '{"end":{"frames":9,"stopped":null}}' in video.text
    assert answer.json()["photographs"][0]["faces"][0]["expression"] == "happiness"
    assert [line for line in log.read_text().splitlines() if "AF_INET" in line] == []
    assert list(home.rglob("*")) == []


@STRACE
@pytest.mark.slow
def test_training_opens_no_socket_to_the_internet(drawn: Path, tmp_path: Path) -> None:
    home, run, out = tmp_path / "home", tmp_path / "run", tmp_path / "evaluation"
    home.mkdir()
    tiny = ["--width", "0.125", "--epochs", "1", "--batch-size", "8", "--pictures-per-epoch", "16", "--threads", "1"]
    for words in (
        ["train", "cnn", "--data", str(drawn), "--out", str(run), "--tensorboard", *tiny],
        ["export", str(run)],
        ["score", str(run), str(drawn)],
        ["evaluate", "cnn", str(drawn), "--protocol", "subjects", "--folds", "2", "--out", str(out), *tiny],
        ["compare", str(out), "--out", str(tmp_path / "report")],
    ):
        assert internet_sockets([sys.executable, "-m", "deadpan", *words], home) == [], words[0]
