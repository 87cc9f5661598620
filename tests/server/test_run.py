"""`deadpan serve` and `deadpan live` as processes: what is refused at the start, and what ends them."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from deadpan.cli import serve as commands
from deadpan.cli.main import main
from deadpan.prediction.predictor import Predictor
from deadpan.server import run
from deadpan.server.run import hosts_of, listen, url_of, when_it_listens
from deadpan.server.settings import ServeError, Settings, address_of, check_address, read_token
from tests.support.running_server import running
from tests.support.waiting import PATIENCE, figure, until

Captured = pytest.CaptureFixture[str]

TOKEN = "0123456789abcdef"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return tmp_path / "token"


# what is refused


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1"])
def test_a_public_address_without_a_token_is_refused(host: str, capsys: Captured) -> None:
    assert main(["serve", "--host", host]) == 2
    assert "give a token with --token-file" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "::1%lo"])
def test_addresses_of_this_machine(host: str) -> None:
    check_address(host, host, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "70000"], "--port must be 0 to 65535; got 70000"),
        (["--max-mb", "0"], "--max-mb must be above 0 and at most 1000; got 0"),
        (["--max-video-mb", "5000"], "--max-video-mb must be above 0 and at most 4000; got 5000"),
        (["--workers", "0"], "--workers must be 1 to 64; got 0"),
        (["--host", "no such host"], "--host no such host: no such address"),
        (["--port", "0", "--model", "nobody"], "no model named 'nobody'"),
        (["--port", "0", "--model", "nobody", "--workers", "2"], "no model named 'nobody'"),
        (["--port", "0", "--model", "cnn", "cnn"], "two models are named cnn"),
        (["--token-file", "nothing"], "nothing: No such file"),
    ],
)
def test_settings_that_cannot_be(words: list[str], said: str, capsys: Captured) -> None:
    assert main(["serve", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "at least 16 characters in the first line, got 0"),
        (b"short\n", "got 5"),
        (b"0123456789 abcdef\n", "without spaces"),
        ("0123456789abcdefä".encode(), "ASCII"),
        (b"\xff" * 20, "got bytes that are not text"),
    ],
)
def test_tokens_that_cannot_be(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ServeError, match=said):
        read_token(tmp_path / "token")


def test_a_token(token_file: Path) -> None:
    assert read_token(token_file) == TOKEN
    check_address("0.0.0.0", "0.0.0.0", TOKEN)


def test_an_address_in_use(capsys: Captured) -> None:
    with listen("127.0.0.1", 0, None) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 2
        assert f"cannot listen on 127.0.0.1, port {port}: " in capsys.readouterr().err
        assert url_of(taken, "127.0.0.1") == f"http://127.0.0.1:{port}/"
    assert address_of("localhost", 80)[1][0] in ("127.0.0.1", "::1")
    assert hosts_of("::1")[-1] == "[::1]" and hosts_of("127.0.0.2")[-1] == "127.0.0.2"


def test_without_the_extra() -> None:
    code = "import sys; sys.modules['uvicorn'] = None; from deadpan.cli.main import main; sys.exit(main(['serve']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "needs the package uvicorn: pip install 'deadpan[serve]'" in done.stderr


# processes


@contextlib.contextmanager
def process(*words: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server in a process of its own, and its address."""
    command = [sys.executable, "-m", "deadpan", *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as started:
        try:
            assert started.stderr is not None
            line = started.stderr.readline()
            found = re.search(r"http://\S+", line)
            assert found, line + started.stderr.read()
            ends = time.monotonic() + PATIENCE
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"{found[0]}healthz", timeout=PATIENCE).status_code == 200:
                        break
                assert time.monotonic() < ends and started.poll() is None, "the server did not answer"
                time.sleep(0.05)
            yield started, found[0]
        finally:
            started.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_was_admitted_is_answered_before_the_end(number: signal.Signals, model_file: Path, girl: Path) -> None:
    request = httpx.Request("POST", "http://x/v1/predict", files=[("files", girl.read_bytes())] * 2)
    body = request.read()
    lines = ("POST /v1/predict HTTP/1.1", "Host: localhost", f"Content-Type: {request.headers['Content-Type']}")
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode()
    with process("serve", "--port", "0", "--model", model_file) as (started, url), contextlib.ExitStack() as stack:
        parts = urlsplit(url)
        address = (str(parts.hostname), int(parts.port or 0))
        clients = [stack.enter_context(socket.create_connection(address, PATIENCE)) for _ in range(3)]
        for client in clients:
            client.sendall(head + body[:1000])
        until(lambda: figure(url, "deadpan_requests_running") == 3)
        started.send_signal(number)
        until(lambda: not answers_calls(url))
        for client in clients:
            client.sendall(body[1000:])
        for client in clients:
            status, _, answer = client.makefile("rb").read().partition(b"\r\n\r\n")
            assert status.startswith(b"HTTP/1.1 200 ")
            assert len(json.loads(answer)["photographs"]) == 2
        assert started.wait(PATIENCE) == 0
        assert started.stderr is not None and started.stderr.read() == ""


def answers_calls(url: str) -> bool:
    try:
        return httpx.get(f"{url}healthz", timeout=PATIENCE).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_workers_share_the_work_and_tell_the_sum(model_file: Path, girl: Path, token_file: Path) -> None:
    words = (
        "serve",
        "--port",
        "0",
        "--workers",
        "2",
        "--model",
        model_file,
        "--token-file",
        token_file,
        "--host",
        "localhost",
    )
    with process(*words) as (started, url):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert httpx.get(f"{url}metrics", timeout=PATIENCE).status_code == 401
        for _ in range(8):
            answer = httpx.post(
                f"{url}v1/predict", files={"files": girl.read_bytes()}, headers=headers, timeout=PATIENCE
            )
            assert answer.status_code == 200
        total = "deadpan_photographs_total"
        until(lambda: figure(url, total, headers) == 8)  # a photograph is counted after it is answered
        for _ in range(4):  # whichever worker is asked
            assert figure(url, total, headers) == 8
        started.send_signal(signal.SIGTERM)
        assert started.wait(PATIENCE) == 0


def test_a_live_connection_ends_with_the_server(served: Settings, girl: Path) -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    with running(served) as url, connect(f"ws{url[4:]}v1/live", open_timeout=PATIENCE) as socket_:
        socket_.send(girl.read_bytes())
        assert len(json.loads(socket_.recv())["faces"]) == 1
        with pytest.raises(ConnectionClosed), connect(f"ws{url[4:]}v1/live", open_timeout=PATIENCE) as other:
            other.send(bytes(served.max_bytes + 1))
            other.recv()


# deadpan live


def test_live_opens_the_webcam_page(monkeypatch: pytest.MonkeyPatch, model_file: Path, capsys: Captured) -> None:
    opened: list[str] = []

    def run_instead(settings: Settings, listening: socket.socket, host: str, workers: int = 1) -> None:
        was_opened = threading.Event()

        def open_page(url: str) -> None:
            opened.append(url)
            was_opened.set()

        monkeypatch.setattr(webbrowser, "open", open_page)
        with listening:
            listening.settimeout(PATIENCE)
            connection, _ = listening.accept()
            with connection:
                assert connection.recv(1000).startswith(b"GET /healthz ")
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            assert was_opened.wait(PATIENCE)
        assert settings.token is None and settings.model_names == (str(model_file),)

    monkeypatch.setattr(commands, "_run", run_instead)
    assert main(["live", "--model", str(model_file)]) == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#live", opened[0])


def test_no_page_is_opened_where_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "OPEN_AFTER", 0.3)
    opened: list[bool] = []
    listening = listen("127.0.0.1", 0, None)
    when_it_listens(listening, lambda: opened.append(True))
    listening.close()
    time.sleep(0.6)
    assert opened == []


def test_the_default_model_comes_first() -> None:
    assert Settings().model_names[0] == Predictor().name
    assert sorted(Settings().model_names) == sorted(set(Settings().model_names))
