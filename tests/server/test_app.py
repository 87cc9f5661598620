"""What the routes answer: the same as the command line, one clear error for all else, and nothing on the disk."""

from __future__ import annotations

import base64
import io
import struct
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from deadpan.faces.photographs import read_photograph
from deadpan.prediction.predictor import Predictor
from deadpan.prediction.relaxing import MARK
from deadpan.prediction.results import PhotographResult
from deadpan.server.answers import Models, Predicted
from deadpan.server.app import Server
from deadpan.server.settings import Settings
from tests.server.conftest import BASE


def uploaded(*contents: bytes | Path) -> list[tuple[str, tuple[str, bytes]]]:
    named = [(each.name, each.read_bytes()) if isinstance(each, Path) else ("a.jpg", each) for each in contents]
    return [("files", pair) for pair in named]


def a_png(width: int, height: int) -> bytes:
    """The header of a PNG of this size, without its pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


# /v1/predict


def test_the_answer_is_the_command_lines(client: TestClient, model_file: Path, girl: Path, portrait: Path) -> None:
    response = client.post("/v1/predict", files=uploaded(girl, portrait))
    assert response.status_code == 200
    assert response.json()["model"] == "tiny"
    expected = [result.as_json() for result in Predictor(model_file).predict_files([girl, portrait])]
    for facts, path in zip(expected, (girl, portrait), strict=True):
        facts["path"] = path.name
    for got, wanted in zip(response.json()["photographs"], expected, strict=True):
        numbers = got["faces"][0].pop("probabilities"), wanted["faces"][0].pop("probabilities")
        assert numbers[0] == pytest.approx(numbers[1], abs=1e-5)  # the batch is summed in another order
        assert got == wanted


def test_one_broken_photograph_among_others(client: TestClient, girl: Path) -> None:
    response = client.post("/v1/predict", files=uploaded(b"no picture", girl, girl.read_bytes()[:2000]))
    assert response.status_code == 200
    broken, whole, short = response.json()["photographs"]
    assert broken["error"].startswith("not a picture in a supported format") and broken["faces"] == []
    assert whole["error"] is None and len(whole["faces"]) == 1
    assert short["error"].startswith("damaged or truncated")


def test_no_readable_photograph_is_422(client: TestClient) -> None:
    response = client.post("/v1/predict", files=uploaded(b"no picture", b""))
    assert response.status_code == 422
    assert response.json()["detail"].startswith("a.jpg: not a picture") and "a.jpg: empty" in response.json()["detail"]


def test_no_face_is_no_error(client: TestClient) -> None:
    grey = io.BytesIO()
    Image.new("RGB", (60, 50)).save(grey, "PNG")
    (photograph,) = client.post("/v1/predict", files=uploaded(grey.getvalue())).json()["photographs"]
    assert photograph == {"path": "a.jpg", "width": 60, "height": 50, "faces": [], "error": None}


def test_answers_are_as_described(client: TestClient, girl: Path) -> None:
    for query in ("", "?pictures=true", "?model=comparing&pictures=true"):
        answer = client.post(f"/v1/predict{query}", files=uploaded(girl)).json()
        Predicted.model_validate(answer)
    models = Models.model_validate(client.get("/v1/models").json())
    assert [each.name for each in models.models] == ["tiny", "comparing"]
    assert (models.max_mb, models.max_video_mb) == (2, 200)
    assert [each.compares for each in models.models] == [False, True]


def test_the_pictures_lead_from_the_face_to_the_face_at_rest(client: TestClient, girl: Path) -> None:
    def decoded(uri: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return read_photograph(base64.b64decode(uri.partition(",")[2]))

    (face,) = client.post("/v1/predict?pictures=true", files=uploaded(girl)).json()["photographs"][0]["faces"]
    rest = face["pictures"]["rest"]
    steps = [decoded(step).astype(float) for step in rest["steps"]]
    left, top, right, bottom = rest["box"]
    photograph = read_photograph(girl)[top:bottom, left:right]
    assert steps[0].shape == photograph.shape
    assert np.abs(steps[0] - photograph).mean() < 3  # JPEG
    away = [np.abs(step - steps[0]).mean() for step in steps]
    assert away == sorted(away) and away[-1] > 2
    assert rest["moved"] > 0.005
    assert decoded(face["pictures"]["face"]).shape == decoded(face["pictures"]["neutral"]).shape == (64, 64, 3)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\x1b[2J.jpg", "\udce4.jpg", "x" * 5000, "C:\\a.jpg"])
def test_file_names_are_repeated_and_nothing_else(client: TestClient, girl: Path, name: str) -> None:
    content = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="'
        + name.encode("utf-8", "surrogateescape")
        + b'"\r\n\r\n'
        + girl.read_bytes()
        + b"\r\n--x--\r\n"
    )
    for charset in ("", "; charset=unicode_escape", "; charset=utf-16", "; charset=nonsense"):
        headers = {"Content-Type": f"multipart/form-data; boundary=x{charset}"}
        response = client.post("/v1/predict", content=content, headers=headers)
        assert response.status_code in (200, 400, 422), response.text
        if response.status_code == 200:
            path = response.json()["photographs"][0]["path"]
            assert len(path) <= 255 and path.isprintable()


def test_an_unknown_model(client: TestClient, girl: Path) -> None:
    for name in ("nobody", "../../etc/passwd", "/etc/passwd.onnx"):
        response = client.post("/v1/predict", params={"model": name}, files=uploaded(girl))
        assert response.status_code == 404
        assert response.json()["detail"] == "no model of this name; expected one of tiny, comparing"


def test_what_is_not_as_described(client: TestClient, girl: Path) -> None:
    assert client.post("/v1/predict").status_code == 422
    assert "files: Field required" in client.post("/v1/predict").json()["detail"]
    assert client.post("/v1/predict", data={"files": "text"}).status_code == 422
    assert client.post("/v1/predict?pictures=perhaps", files=uploaded(girl)).status_code == 422
    assert client.post("/v1/predict", content=b"x", headers={"Content-Type": "multipart/form-data"}).status_code == 400
    assert client.post("/v1/predict", files=uploaded(*[b"x"] * 17)).status_code == 400
    assert client.get("/v1/predict").status_code == 405
    for path in ("/docs", "/redoc", "/../pyproject.toml", "/%2e%2e/pyproject.toml", "/static/index.html", "/app.py"):
        assert client.get(path).status_code == 404


# limits


def test_a_large_body_is_413(client: TestClient) -> None:
    assert client.post("/v1/predict", files=uploaded(bytes(2_100_000))).status_code == 413

    def chunks() -> Any:
        for _ in range(30):
            yield bytes(100_000)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/v1/predict", content=chunks(), headers=headers).status_code == 413


def test_many_pixels_are_refused_by_the_header(client: TestClient) -> None:
    for side in (7_100, 30_000):
        response = client.post("/v1/predict", files=uploaded(a_png(side, side)))
        assert response.status_code == 422
        assert "far too many pixels, expected at most 50 million" in response.json()["detail"]
    fits = client.post("/v1/predict", files=uploaded(a_png(7_000, 7_000)))
    assert "damaged or truncated" in fits.json()["detail"]


def test_a_large_picture_inside_a_small_one_is_refused(client: TestClient) -> None:
    inner = a_png(12_000, 12_000)
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22)
    response = client.post("/v1/predict", files=uploaded(struct.pack("<HHH", 0, 1, 1) + entry + inner))
    assert response.status_code == 422 and "far too many pixels" in response.json()["detail"]


def test_uploads_stay_in_memory(
    client: TestClient, girl: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def rollover(_: Any) -> None:
        raise AssertionError("an upload was written to the disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", rollover)
    noise = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (700, 700, 3), np.uint8)).save(noise, "PNG")
    assert len(noise.getvalue()) > 1_100_000
    with caplog.at_level("DEBUG"):
        assert client.post("/v1/predict", files=uploaded(noise.getvalue())).status_code == 200
        client.post("/v1/predict", files=[("files", ("a secret name.jpg", b"no picture"))])
    assert "a secret name" not in caplog.text


# /v1/neutral


def test_the_neutral_photograph_is_relaxed_at_its_own_size(client: TestClient, model_file: Path, girl: Path) -> None:
    response = client.post("/v1/neutral", files={"file": girl.read_bytes()})
    assert response.status_code == 200 and response.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(response.content)) as picture:
        assert picture.info["Comment"] == MARK and not picture.getexif()
    assert (read_photograph(response.content) == Predictor(model_file).relax(girl).photograph).all()
    unchanged = client.post("/v1/neutral?strength=0", files={"file": girl.read_bytes()})
    assert (read_photograph(unchanged.content) == read_photograph(girl)).all()


def test_what_cannot_be_relaxed(client: TestClient, girl: Path) -> None:
    def detail(query: str, content: bytes) -> str:
        response = client.post(f"/v1/neutral{query}", files={"file": content})
        assert response.status_code == 422
        return str(response.json()["detail"])

    grey = io.BytesIO()
    Image.new("RGB", (60, 50)).save(grey, "PNG")
    assert detail("", grey.getvalue()) == "no face found"
    assert detail("?face=1", girl.read_bytes()).startswith("there is no face 1; found 1")
    assert detail("", b"no picture").startswith("not a picture")
    assert detail("?strength=2", girl.read_bytes()).startswith("strength: ")
    assert detail("?strength=nan", girl.read_bytes()).startswith("strength: ")


# health


def test_health_and_figures(client: TestClient, server: Server, girl: Path) -> None:
    client.post("/v1/predict", files=uploaded(girl))
    assert client.get("/healthz").json() == client.get("/readyz").json() == {"status": "ok"}
    text = client.get("/metrics").text
    assert 'deadpan_requests_total{method="POST",path="/v1/predict",status="200"}' in text
    assert "deadpan_queue 0.0" in text and "deadpan_requests_running 0.0" in text
    server.admission.running += server.settings.admitted
    try:
        busy = client.get("/readyz")
        assert busy.status_code == 503 and int(busy.headers["Retry-After"]) >= 1
        assert client.get("/healthz").status_code == 200
    finally:
        server.admission.running -= server.settings.admitted


def test_the_end_of_a_server_is_the_end_of_its_thread(served: Settings) -> None:
    server = Server(served)
    with TestClient(server, base_url=BASE):
        assert server.inference.works()
    assert not server.inference.works()
    assert TestClient(server, base_url=BASE).get("/healthz").status_code == 503


def test_an_error_of_the_server_is_500_and_spoils_nothing(
    client: TestClient, server: Server, girl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = TestClient(server, base_url=BASE, raise_server_exceptions=False)
    with monkeypatch.context() as patched:
        patched.setattr(PhotographResult, "as_json", lambda *_: 1 / 0)
        assert patient.post("/v1/predict", files=uploaded(girl)).status_code == 500
    assert client.post("/v1/predict", files=uploaded(girl)).status_code == 200
