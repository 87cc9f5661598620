"""An uploaded video: the command line's rows as JSON lines, what is refused, and what stops when a client leaves."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from deadpan.cli.main import main
from deadpan.faces.photographs import PhotographError
from deadpan.server import videos
from deadpan.server.app import Server
from deadpan.server.settings import Settings
from deadpan.server.videos import MEDIA_TYPE, open_upload
from tests.server.conftest import BASE
from tests.support.films import OTHER, RATE, smiling, write_film
from tests.support.running_server import running
from tests.support.waiting import figure, until

VIDEOS = Path(__file__).parents[1] / "data" / "videos"

Line = dict[str, dict[str, Any]]


def lines(response: httpx.Response) -> list[Line]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith(MEDIA_TYPE)
    return [json.loads(line) for line in response.text.splitlines()]


def of_kind(found: list[Line], kind: str) -> list[dict[str, Any]]:
    return [line[kind] for line in found if kind in line]


def post(client: Any, content: bytes, query: str = "", name: str = "talk.avi") -> httpx.Response:
    response: httpx.Response = client.post(f"/v1/video{query}", files={"file": (name, content)})
    return response


@pytest.mark.parametrize(
    ("query", "options"), [("", []), ("?fps=5&rest=0:00-0:01&smoothing=0", ["--fps", "5", "--rest", "0-1"])]
)
def test_the_rows_are_the_command_lines(
    client: TestClient, film: Path, model_file: Path, tmp_path: Path, query: str, options: list[str]
) -> None:
    found = lines(post(client, film.read_bytes(), query))
    smoothing = ["--smoothing", "0"] if "smoothing" in query else []
    words = ["predict", str(film), "--model", str(model_file), "-o", str(tmp_path / "rows.jsonl")]
    assert main([*words, *options, *smoothing]) == 0
    expected = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    rows = of_kind(found, "row")
    assert [{**row, "input": ""} for row in rows] == [{**row, "input": ""} for row in expected]
    assert {row["input"] for row in rows} == {"talk.avi"}
    start, *_ = of_kind(found, "start")
    assert (start["model"], start["width"], start["height"], start["rate"]) == ("tiny", 240, 240, RATE)
    assert start["seconds"] == pytest.approx(OTHER[1])
    progress = of_kind(found, "progress")
    assert progress[-1]["frames"] == len({row["frame"] for row in rows})
    assert [each["frames"] for each in progress] == sorted({each["frames"] for each in progress})
    assert [next(iter(line)) for line in found[:2]] == ["start", "progress"]
    assert found[-1] == {"end": {"frames": progress[-1]["frames"], "stopped": None}}


@pytest.mark.parametrize("kind", ["talk.webm", "talk.mp4"])
@pytest.mark.parametrize("system", ["this", "another"])
def test_other_containers(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, system: str
) -> None:
    if system == "another":
        monkeypatch.delattr(os, "memfd_create", raising=False)
    codec = {"talk.webm": "VP80", "talk.mp4": "mp4v"}[kind]
    content = write_film(tmp_path / kind, smiling(), codec=codec).read_bytes()
    found = lines(post(client, content, "?fps=2", kind))
    assert found[-1]["end"] == {"frames": 9, "stopped": None}


@pytest.mark.parametrize("kind", ["plain.mp4", "variable_rate.mp4", "program_stream.mpg", "transport_stream.ts"])
def test_other_codecs(client: TestClient, kind: str) -> None:
    found = lines(post(client, (VIDEOS / kind).read_bytes(), "?fps=2", kind))
    assert [round(row["time_s"], 1) for row in of_kind(found, "row")] == pytest.approx([0, 0.5, 1, 1.5], abs=0.11)
    assert found[-1]["end"] == {"frames": 4, "stopped": None}


def test_a_damaged_video_gives_what_can_be_read(client: TestClient, film: Path) -> None:
    content = film.read_bytes()
    found = lines(post(client, content[: len(content) // 2], "?fps=5"))
    assert found[-1]["end"]["stopped"] == "stopped at 0:02 of 0:04"
    times = [row["time_s"] for row in of_kind(found, "row")]
    assert 1.5 < times[-1] < 2.5 and found[-1]["end"]["frames"] == len(times)


def test_what_is_not_a_video(client: TestClient, girl: Path, film: Path) -> None:
    for content in (b"", b"no video", girl.read_bytes(), film.read_bytes()[:100]):
        response = post(client, content)
        assert response.status_code == 422
        assert response.json()["detail"].startswith("talk.avi: ")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?rest=later", "expected auto, none or a time range"),
        ("?rest=2-1", "rest must be a time range"),
        ("?fps=0", "fps: "),
        ("?fps=nan", "fps: "),
        ("?smoothing=60", "smoothing: "),
    ],
)
def test_settings_that_cannot_be(client: TestClient, film: Path, query: str, said: str) -> None:
    response = post(client, film.read_bytes(), query)
    assert response.status_code == 422 and said in response.json()["detail"]
    assert post(client, film.read_bytes(), "?model=nobody").status_code == 404


NAMING_OTHERS = {
    "concat": "ffconcat version 1.0\nfile talk.avi\n",
    "playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:4.4,\ntalk.avi\n#EXT-X-ENDLIST\n",
    "session": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
}


@pytest.mark.parametrize("kind", NAMING_OTHERS)
def test_a_file_that_names_other_files_or_addresses_is_refused(
    client: TestClient, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / "talk.avi").write_bytes(film.read_bytes())
    monkeypatch.chdir(tmp_path)
    content = NAMING_OTHERS[kind].encode()
    assert post(client, content).status_code == 422
    monkeypatch.delattr(os, "memfd_create", raising=False)
    assert post(client, content).status_code == 422
    if kind == "concat":  # FFmpeg would open it if it were allowed to
        monkeypatch.delenv("OPENCV_FFMPEG_CAPTURE_OPTIONS")
        with open_upload(io.BytesIO(content), 50_000_000):
            pass


def test_frames_of_too_many_pixels(film: Path) -> None:
    said = r"far too many pixels, expected at most 0.05 million; got 240 x 240"
    with pytest.raises(PhotographError, match=said), open_upload(io.BytesIO(film.read_bytes()), 50_000):
        pass


def test_a_video_of_too_many_frames(served: Settings, film: Path) -> None:
    limited = Server(dataclasses.replace(served, max_frames=20))
    with TestClient(limited, base_url=BASE) as client:
        end = lines(post(client, film.read_bytes()))[-1]["end"]
    assert 20 <= end["frames"] < 100
    assert end["stopped"].endswith("this server reads at most 20 frames of a video")


def test_the_limit_of_a_video_is_its_own(served: Settings, film: Path) -> None:
    limited = Server(dataclasses.replace(served, max_mb=0.1, max_video_mb=0.6))
    with TestClient(limited, base_url=BASE) as client:
        assert len(film.read_bytes()) > 200_000
        assert lines(post(client, film.read_bytes(), "?fps=1"))[-1]["end"]["stopped"] is None
        assert post(client, bytes(700_000)).status_code == 413
        assert client.post("/v1/predict", files={"files": film.read_bytes()}).status_code == 413


def test_without_the_token(served: Settings, film: Path) -> None:
    with TestClient(Server(dataclasses.replace(served, token="0123456789abcdef")), base_url=BASE) as client:
        assert post(client, film.read_bytes()).status_code == 401
        client.headers["Authorization"] = "Bearer 0123456789abcdef"
        assert post(client, film.read_bytes(), "?fps=1").status_code == 200


def test_a_page_of_another_site(client: TestClient, film: Path) -> None:
    response = client.post("/v1/video", files={"file": film.read_bytes()}, headers={"Origin": "https://evil.example"})
    assert response.status_code == 403


@pytest.mark.parametrize("system", ["this", "another"])
def test_nothing_is_written_to_the_disk(
    client: TestClient, film: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    if system == "another":
        monkeypatch.delattr(os, "memfd_create", raising=False)

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("a file was made")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", fail)
    assert lines(post(client, film.read_bytes() + bytes(1_200_000), "?fps=2"))[-1]["end"]["frames"] == 9


@pytest.fixture(scope="module")
def url(served: Settings) -> Iterator[str]:
    with running(dataclasses.replace(served, videos=1, max_video_mb=20)) as address:
        yield address


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A minute and a half, which takes much longer to read than a test waits."""
    frames = list(smiling())[:80] * 30
    return write_film(tmp_path_factory.mktemp("film") / "long.mp4", frames, codec="mp4v").read_bytes()


def test_a_client_that_leaves_stops_the_work(url: str, long_film: bytes, girl: Path) -> None:
    with httpx.stream("POST", f"{url}v1/video", files={"file": long_film}, timeout=60) as response:
        found = response.iter_lines()
        assert json.loads(next(found))["start"]["rate"] == RATE
        assert json.loads(next(found))["progress"]["frames"] > 0
        busy = httpx.post(f"{url}v1/video", files={"file": b"x"}, timeout=60)
        assert busy.status_code == 429 and busy.json()["detail"] == "1 videos are being read; try again"
        assert int(busy.headers["Retry-After"]) >= 1
        photograph = httpx.post(f"{url}v1/predict", files={"files": girl.read_bytes()}, timeout=60)
        assert photograph.status_code == 200  # between the frames
    until(lambda: figure(url, "deadpan_requests_running") == 0)
    read = figure(url, "deadpan_frames_total")
    assert 0 < read < 2000
    after = httpx.post(f"{url}v1/predict", files={"files": girl.read_bytes()}, timeout=60)
    assert after.status_code == 200
    assert figure(url, "deadpan_frames_total") == read
    assert httpx.post(f"{url}v1/video", files={"file": b"x"}, timeout=60).status_code == 422


def test_an_error_of_the_server_frees_the_place(
    url: str, film: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(videos, "table_rows", lambda *_: 1 / 0)
        with pytest.raises(httpx.RemoteProtocolError):  # the answer ends before its end
            httpx.post(f"{url}v1/video?fps=1", files={"file": film.read_bytes()}, timeout=60)
    until(lambda: figure(url, "deadpan_requests_running") == 0)
    assert httpx.post(f"{url}v1/video?fps=1", files={"file": film.read_bytes()}, timeout=60).status_code == 200


def test_the_server_restricts_the_formats(server: Server) -> None:
    assert "format_whitelist;mov,matroska," in os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"]
