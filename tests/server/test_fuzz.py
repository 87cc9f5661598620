"""Whatever comes, the answer is a success or a 4xx, and the server goes on."""

from __future__ import annotations

import io
import json
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings, strategies
from hypothesis.strategies import DataObject, SearchStrategy
from PIL import Image
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from deadpan.server.app import Server
from deadpan.server.settings import Settings
from tests.server.conftest import BASE
from tests.support.films import write_film

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

KINDS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "ICO", "TGA", "JPEG2000")


def small(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((40, 30)).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


PICTURES = {kind: small(kind) for kind in KINDS}


CODECS = {".avi": "MJPG", ".webm": "VP80", ".mp4": "mp4v", ".ts": "MPG2"}


@lru_cache
def small_film(ending: str) -> bytes:
    grey = [np.full((32, 48, 3), 40 * number, np.uint8) for number in range(6)]
    with tempfile.TemporaryDirectory() as folder:
        return write_film(Path(folder, f"film{ending}"), grey, codec=CODECS[ending]).read_bytes()


@strategies.composite
def damaged(draw: Any, whole: SearchStrategy[bytes]) -> bytes:
    """A file, cut short, with other bytes in places, or followed by more."""
    content = bytearray(draw(whole))
    for _ in range(draw(strategies.integers(0, 6))):
        content[draw(strategies.integers(0, len(content) - 1))] = draw(strategies.integers(0, 255))
    end = draw(strategies.one_of(strategies.just(len(content)), strategies.integers(1, len(content))))
    more: bytes = draw(strategies.binary(max_size=30))
    return bytes(content[:end]) + more


ANY: SearchStrategy[bytes] = strategies.one_of(
    damaged(strategies.sampled_from(KINDS).map(PICTURES.__getitem__)), strategies.binary(max_size=2000)
)
FILMS: SearchStrategy[bytes] = strategies.one_of(damaged(strategies.sampled_from(list(CODECS)).map(small_film)), ANY)


@QUICK
@given(contents=strategies.lists(ANY, min_size=1, max_size=3))
def test_any_bytes_to_predict(client: TestClient, contents: list[bytes]) -> None:
    response = client.post("/v1/predict", files=[("files", ("a", content)) for content in contents])
    assert response.status_code in (200, 422)
    if response.status_code == 200:
        assert len(response.json()["photographs"]) == len(contents)


@QUICK
@given(content=ANY)
def test_any_bytes_to_neutral(client: TestClient, content: bytes) -> None:
    assert client.post("/v1/neutral", files={"file": content}).status_code == 422  # there is no face in it


@QUICK
@given(content=FILMS, fps=strategies.sampled_from(["", "?fps=5", "?rest=0-1", "?fps=1000&smoothing=1"]))
def test_any_bytes_to_video(client: TestClient, content: bytes, fps: str) -> None:
    response = client.post(f"/v1/video{fps}", files={"file": content})
    assert response.status_code in (200, 422)
    if response.status_code == 200:
        kinds = [next(iter(json.loads(line))) for line in response.text.splitlines()]
        assert kinds[0] == "start" and kinds[-1] == "end" and set(kinds[1:-1]) <= {"progress", "row"}


@QUICK
@given(
    body=strategies.binary(max_size=500),
    kind=strategies.sampled_from(["multipart/form-data; boundary=x", "text/x", ""]),
)
def test_any_body(client: TestClient, body: bytes, kind: str) -> None:
    for content in (body, b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n' + body):
        response = client.post("/v1/predict", content=content, headers={"Content-Type": kind} if kind else {})
        assert 400 <= response.status_code < 500
        film = client.post("/v1/video", content=content, headers={"Content-Type": kind} if kind else {})
        assert 400 <= film.status_code < 500


@QUICK
@given(data=strategies.data())
def test_any_messages_to_live(client: TestClient, data: DataObject) -> None:
    messages = data.draw(strategies.lists(strategies.one_of(ANY, strategies.text(max_size=50)), max_size=4))
    with client.websocket_connect(f"ws{BASE[4:]}/v1/live") as socket:
        try:
            for message in messages:
                if isinstance(message, bytes):
                    socket.send_bytes(message)
                    assert {"faces", "rest", "error"} <= set(socket.receive_json())
                else:
                    socket.send_text(message)
        except WebSocketDisconnect as ended:
            assert ended.code == 1003


HEADER = strategies.text(strategies.characters(min_codepoint=33, max_codepoint=126), max_size=40)


@QUICK
@given(headers=strategies.dictionaries(strategies.sampled_from(["Host", "Origin", "Authorization", "Cookie"]), HEADER))
def test_any_headers(client: TestClient, headers: dict[str, str]) -> None:
    assert client.get("/v1/models", headers=headers).status_code in (200, 400, 403)


@pytest.fixture(scope="module")
def described(served: Settings) -> Any:
    """The OpenAPI description of a server of its own: schemathesis starts and ends it."""
    return schemathesis.openapi.from_asgi("/openapi.json", Server(served), headers={"Host": "localhost"})


OPERATIONS = ("POST /v1/predict", "POST /v1/neutral", "POST /v1/video", "GET /v1/models", "GET /healthz", "GET /readyz")


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_answers_are_as_described(described: Any, name: str) -> None:
    operations = {each.ok().label: each.ok() for each in described.get_all_operations()}
    assert set(operations) == set(OPERATIONS)

    @QUICK
    @given(case=operations[name].as_strategy())
    def ask(case: Any) -> None:
        # The description cannot say which bytes are a photograph or a video.
        case.call_and_validate(headers={"Host": "localhost"}, excluded_checks=[positive_data_acceptance])

    ask()


def test_the_server_still_works(client: TestClient, girl: Path) -> None:
    assert client.post("/v1/predict", files={"files": girl.read_bytes()}).status_code == 200
