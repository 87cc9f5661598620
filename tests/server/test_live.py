"""A live conversation: one answer for each picture, the face at rest, and what ends it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from deadpan.faces.relaxing import shape_of_expression
from deadpan.prediction.predictor import Predictor
from deadpan.server import live
from deadpan.server.app import Server
from deadpan.video.rest import features, intensity
from tests.server.conftest import BASE

URL = f"ws{BASE[4:]}/v1/live"


def test_one_answer_for_each_picture(client: TestClient, model_file: Path, girl: Path, portrait: Path) -> None:
    predictor = Predictor(model_file)
    with client.websocket_connect(URL) as socket:
        socket.send_text('{"smooth": false}')
        for photograph in (girl, portrait, girl):
            socket.send_bytes(photograph.read_bytes())
            answer = socket.receive_json()
            assert answer["faces"] == [face.as_json() for face in predictor.predict(photograph)]
            assert (answer["rest"], answer["error"]) == (False, None)
        socket.send_bytes(b"no picture")
        assert socket.receive_json()["error"].startswith("not a picture")
        socket.send_bytes(girl.read_bytes())
        assert socket.receive_json()["error"] is None


def test_probabilities_are_smoothed_until_the_client_ends_it(client: TestClient, photos: list[Path]) -> None:
    with client.websocket_connect(URL) as socket:

        def read(name: str) -> dict[str, float]:
            path = next(path for path in photos if path.name == f"london_107_{name}.jpg")
            socket.send_bytes(path.read_bytes())
            (face,) = socket.receive_json()["faces"]
            return dict(face["probabilities"])

        before, smoothed = read("neutral"), read("happiness")
        socket.send_text('{"smooth": false}')
        after = read("happiness")
        assert after != before
        for name, value in smoothed.items():
            assert min(before[name], after[name]) - 1e-6 <= value <= max(before[name], after[name]) + 1e-6
        assert smoothed != after
        socket.send_text('{"smooth": true}')
        assert read("neutral") == before  # what was before the pause is forgotten
        assert read("happiness") != after


def test_the_distance_from_rest_is_that_of_a_video(client: TestClient, photos: list[Path], model_file: Path) -> None:
    paths = [
        next(path for path in photos if path.name == f"london_107_{name}.jpg") for name in ("neutral", "happiness")
    ]
    with client.websocket_connect(URL) as socket:
        socket.send_text('{"smooth": false}')
        socket.send_text('{"rest": true}')
        distances = []
        for path in paths:
            socket.send_bytes(path.read_bytes())
            distances.append(socket.receive_json()["faces"][0]["distance_from_rest"])
    found = [Predictor(model_file).predict(path)[0] for path in paths]
    rest, smile = (
        features(list(face.probabilities.values()), shape_of_expression(face.mesh.astype(np.float64)))
        for face in found
        if face.mesh is not None
    )
    assert distances[0] == 0
    assert distances[1] == pytest.approx(intensity(smile[None], rest)[0], abs=1e-4) and distances[1] > 0.2


def test_the_face_at_rest_of_a_model_that_cannot_compare(client: TestClient, photos: list[Path]) -> None:
    rest, smile = (
        next(path for path in photos if path.name == f"london_107_{name}.jpg") for name in ("neutral", "happiness")
    )
    with client.websocket_connect(f"{URL}?pictures=true") as socket:
        socket.send_text('{"rest": true}')
        socket.send_bytes(rest.read_bytes())
        first = socket.receive_json()
        assert first["rest"] and set(first["faces"][0]["change"].values()) == {0.0}
        assert first["faces"][0]["pictures"]["face"].startswith("data:image/png;base64,")
        socket.send_bytes(smile.read_bytes())
        (face,) = socket.receive_json()["faces"]
        for name, change in face["change"].items():
            before = first["faces"][0]["probabilities"][name]
            assert change == pytest.approx(face["probabilities"][name] - before, abs=2e-6)
        assert sum(face["change"].values()) == pytest.approx(0, abs=1e-5)
        socket.send_text('{"rest": false}')
        socket.send_bytes(smile.read_bytes())
        last = socket.receive_json()
        assert not last["rest"] and "change" not in last["faces"][0]


def test_the_face_at_rest_of_a_model_that_compares(
    client: TestClient, server: Server, comparing_model_file: Path, photos: list[Path]
) -> None:
    rest, smile = (
        next(path for path in photos if path.name == f"london_107_{name}.jpg") for name in ("neutral", "happiness")
    )
    expected = Predictor(comparing_model_file, rest_face=rest).predict(smile)[0]
    with client.websocket_connect(f"{URL}?model=comparing") as socket:
        socket.send_text('{"smooth": false}')
        socket.send_text('{"rest": true}')
        socket.send_bytes(rest.read_bytes())
        socket.receive_json()
        socket.send_bytes(smile.read_bytes())
        (face,) = socket.receive_json()["faces"]
    assert face["probabilities"] == expected.as_json()["probabilities"]
    assert server.predictors["comparing"].predict(smile)[0].probabilities != expected.probabilities


def test_a_picture_without_one_face_is_no_face_at_rest(client: TestClient, girl: Path) -> None:
    grey = io.BytesIO()
    Image.new("RGB", (60, 50)).save(grey, "PNG")
    with client.websocket_connect(URL) as socket:
        socket.send_text('{"rest": true}')
        socket.send_bytes(grey.getvalue())
        answer = socket.receive_json()
        assert answer["error"] == "the rest face must be a picture of one person; found 0 faces" and not answer["rest"]
        socket.send_bytes(girl.read_bytes())
        assert not socket.receive_json()["rest"]


@pytest.mark.parametrize("text", ["", "hello", "[]", '{"rest": 1}', '{"rest": true, "more": 1}', "[" * 100_000])
def test_a_message_that_is_not_understood_ends_it(client: TestClient, text: str) -> None:
    with client.websocket_connect(URL) as socket:
        socket.send_text(text)
        with pytest.raises(WebSocketDisconnect) as ended:
            socket.receive_json()
        assert ended.value.code == 1003


def test_silence_ends_it(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "IDLE", 0.05)
    with client.websocket_connect(URL) as socket:
        with pytest.raises(WebSocketDisconnect) as ended:
            socket.receive_json()
        assert ended.value.code == 1013


def test_an_unknown_model_and_too_many_connections(client: TestClient, server: Server) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(f"{URL}?model=nobody"):
        pass
    server.admission.live += server.settings.live
    try:
        with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect(URL):
            pass
        assert refused.value.status_code == 429 and refused.value.headers["Retry-After"] == "10"
    finally:
        server.admission.live -= server.settings.live
    assert server.admission.live == 0
