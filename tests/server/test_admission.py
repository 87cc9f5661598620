"""Too many requests, slow clients and clients that leave, over real connections."""

from __future__ import annotations

import contextlib
import dataclasses
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from deadpan.prediction.predictor import Predictor
from deadpan.server import connections
from deadpan.server.settings import Settings
from tests.support.running_server import running
from tests.support.waiting import PATIENCE, figure, until

LITTLE = 0.4


@pytest.fixture(scope="module")
def url(served: Settings) -> Iterator[str]:
    """A server that admits two requests."""
    with running(dataclasses.replace(served, admitted=2)) as address:
        yield address


@pytest.fixture(scope="module")
def impatient(served: Settings) -> Iterator[str]:
    """A server with so little patience that even a good client may be cut where the machine is slow."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(connections, "PATIENCE", LITTLE)
        with running(dataclasses.replace(served, admitted=2, patience=LITTLE, body_seconds=1.5)) as address:
            yield address


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as opened:
        yield opened


def head(length: int, path: str = "/v1/predict") -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: multipart/form-data; boundary=x")
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def everything(opened: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    parts = []
    try:
        while part := opened.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@contextmanager
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Inside, the network does not answer; the event is set once it has begun with a photograph."""
    begun, go, read = threading.Event(), threading.Event(), Predictor.read

    def waiting(self: Predictor, found: Any) -> Any:
        begun.set()
        go.wait(2 * PATIENCE)
        return read(self, found)

    with monkeypatch.context() as patched:
        patched.setattr(Predictor, "read", waiting)
        try:
            yield begun
        finally:
            go.set()


def test_too_many_requests_are_answered_before_their_body(
    url: str, girl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[int] = []

    def post() -> None:
        answers.append(httpx.post(f"{url}v1/predict", files={"files": girl.read_bytes()}, timeout=PATIENCE).status_code)

    with stuck(monkeypatch):
        threads = [threading.Thread(target=post) for _ in range(2)]
        for thread in threads:
            thread.start()
        until(lambda: figure(url, "deadpan_requests_running") == 2)
        with connected(url) as third:
            third.sendall(head(1_900_000))  # and not one byte of the body
            answer = third.recv(65536)
        assert answer.startswith(b"HTTP/1.1 429 ")
        seconds = next(line for line in answer.lower().splitlines() if line.startswith(b"retry-after: "))
        assert 1 <= int(seconds.split()[1]) <= 60
        assert httpx.get(f"{url}readyz", timeout=PATIENCE).status_code == 503
        whole = httpx.post(f"{url}v1/predict", files={"files": bytes(1_900_000)}, timeout=PATIENCE)
        assert whole.status_code == 429 and whole.json()["detail"].startswith("too many requests")
        assert httpx.get(f"{url}healthz", timeout=PATIENCE).status_code == 200
    for thread in threads:
        thread.join()
    assert answers == [200, 200]
    until(lambda: httpx.get(f"{url}readyz", timeout=PATIENCE).status_code == 200)


def test_a_client_that_left_is_skipped(url: str, girl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = httpx.Request("POST", f"{url}v1/predict", files={"files": girl.read_bytes()})
    body = request.read()
    kind = request.headers["Content-Type"]
    text = head(len(body)).replace(b"multipart/form-data; boundary=x", kind.encode()) + body
    before = figure(url, "deadpan_left_total")
    with stuck(monkeypatch) as begun, connected(url) as first:
        first.sendall(text)
        assert begun.wait(PATIENCE)
        with connected(url) as second:
            second.sendall(text)
            until(lambda: figure(url, "deadpan_queue") == 1)
        until(lambda: figure(url, "deadpan_requests_running") == 1)
    until(lambda: figure(url, "deadpan_left_total") == before + 1)
    until(lambda: figure(url, "deadpan_requests_running") == 0)


@pytest.mark.parametrize("sent", [b"", b"POST /v1/predict HTTP/1.1\r\nHost: loc", b"GET /healthz HTTP/1.1\r\n\r"])
def test_a_client_that_sends_no_request_is_cut(impatient: str, sent: bytes) -> None:
    with connected(impatient) as opened:
        opened.sendall(sent)
        assert everything(opened) == b""


def test_a_client_that_stops_in_its_body_is_cut(impatient: str) -> None:
    with connected(impatient) as opened:
        opened.sendall(head(1000) + b"--x\r\n")
        answer = everything(opened)
    assert answer.startswith(b"HTTP/1.1 408 ") and b"did not arrive in time" in answer


def test_a_client_that_trickles_is_cut(served: Settings) -> None:
    with running(dataclasses.replace(served, body_seconds=1.5)) as url, connected(url) as opened:
        opened.sendall(head(1000) + b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n')
        for _ in range(900):
            if select.select([opened], [], [], 0.05)[0]:
                break
            opened.sendall(b"-")
        answer = everything(opened)
    assert answer.startswith(b"HTTP/1.1 408 ") and b"did not arrive in time" in answer


def test_a_client_that_does_not_take_its_answers_is_cut(impatient: str) -> None:
    parts = urlsplit(impatient)
    with socket.socket() as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        opened.connect((parts.hostname, parts.port))
        opened.settimeout(PATIENCE)
        request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
        opened.sendall(request * 1000)  # about 14 MB of answers
        time.sleep(1)
        with pytest.raises(ConnectionError):  # a reset
            for _ in range(600):
                opened.sendall(request)
                time.sleep(LITTLE / 4)


def test_slow_clients_leave_no_room_taken(impatient: str, girl: Path) -> None:
    def works() -> bool:
        with contextlib.suppress(httpx.HTTPError):  # it may cut this client too
            return httpx.post(f"{impatient}v1/predict", files={"files": girl.read_bytes()}).status_code == 200
        return False

    until(works)
