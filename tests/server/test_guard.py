"""Other sites, other names of this machine and people without the token are kept out before anything is read."""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from deadpan.server.app import Server
from deadpan.server.guard import HEADERS
from deadpan.server.settings import Settings
from deadpan.server.site import FILES
from tests.server.conftest import BASE

TOKEN = "a token of 26 letters".replace(" ", "-") + "-more"


@pytest.fixture(scope="module")
def guarded(served: Settings) -> Iterator[TestClient]:
    with TestClient(Server(dataclasses.replace(served, token=TOKEN)), base_url=BASE) as opened:
        yield opened


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST"])
def test_names_of_this_machine(client: TestClient, host: str) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["", "evil.example", "127.0.0.1.evil.example", "127.0.0.1@evil.example", "localhost:x"]
)
def test_a_name_that_was_pointed_to_this_machine(client: TestClient, host: str) -> None:
    response = client.get("/v1/models", headers={"Host": host})
    assert response.status_code == 400 and "in the Host header" in response.json()["detail"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9", "http://localhost:8000", ""])
def test_a_page_of_another_site(client: TestClient, girl: Path, origin: str) -> None:
    headers = {"Origin": origin}
    assert client.post("/v1/predict", files={"files": girl.read_bytes()}, headers=headers).status_code == 403
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(f"ws{BASE[4:]}/v1/live", headers=headers),
    ):
        pass
    assert refused.value.status_code == 403


def test_the_own_page(client: TestClient, girl: Path) -> None:
    headers = {"Origin": BASE}
    assert client.post("/v1/predict", files={"files": girl.read_bytes()}, headers=headers).status_code == 200


@pytest.mark.parametrize("path", [*FILES, "/healthz", "/readyz", "/openapi.json"])
def test_what_is_open(guarded: TestClient, path: str) -> None:
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff"])
def test_without_the_token(guarded: TestClient, girl: Path, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given.encode("latin-1")}
    for method, path in (("GET", "/v1/models"), ("GET", "/metrics"), ("POST", "/v1/predict"), ("GET", "/anything")):
        response = guarded.request(method, path, headers=headers)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert TOKEN not in response.text


def test_with_the_token(guarded: TestClient, girl: Path) -> None:
    headers = {"Authorization": f"bearer {TOKEN}", "Host": "any.example"}
    assert guarded.get("/v1/models", headers=headers).status_code == 200
    assert guarded.post("/v1/predict", files={"files": girl.read_bytes()}, headers=headers).status_code == 200
    assert guarded.get("/metrics", headers=headers).status_code == 200


def test_a_live_connection_and_the_token(guarded: TestClient, girl: Path) -> None:
    encoded = base64.urlsafe_b64encode(TOKEN.encode()).decode().rstrip("=")
    url = f"ws{BASE[4:]}/v1/live"
    with guarded.websocket_connect(url, subprotocols=["deadpan", f"deadpan.token.{encoded}"]) as socket:
        assert socket.accepted_subprotocol == "deadpan"
        socket.send_bytes(girl.read_bytes())
        assert len(socket.receive_json()["faces"]) == 1
    for offered in ([], ["deadpan"], ["deadpan", "deadpan.token.AAAA"], ["deadpan", "deadpan.token.%"]):
        with pytest.raises(WebSocketDenialResponse) as refused, guarded.websocket_connect(url, subprotocols=offered):
            pass
        assert refused.value.status_code == 401


def test_every_answer_carries_the_headers(client: TestClient, guarded: TestClient) -> None:
    asked = ("/", "/page.js", "/v1/models", "/nothing", "/metrics", "/v1/predict")
    for response in (*map(client.get, asked), *map(guarded.get, asked)):
        assert {name: response.headers.get(name) for name in HEADERS} == HEADERS


def test_the_page_fits_its_own_policy_and_asks_nobody_else(client: TestClient) -> None:
    for path in FILES:
        text = client.get(path).text
        assert not re.search(r"""["'(](https?:)?//(?!www\.w3\.org/2000/svg)[a-z]""", text), path
        assert not re.search(
            r"<style|<script(?! type=\"module\" src=\"/)|\son[a-z]+=|\sstyle=|javascript:|\beval\(", text
        ), path
    page = client.get("/").text
    assert set(re.findall(r'(?:src|href)="(/[^"]*)"', page)) <= {*FILES, "/openapi.json"}
