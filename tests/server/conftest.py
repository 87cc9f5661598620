"""A server in this process with tiny models, and a client that calls it by a name it answers to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")

import cv2
from PIL import Image
from starlette.formparsers import MultiPartParser
from starlette.testclient import TestClient

from deadpan.server.app import Server
from deadpan.server.settings import Settings

BASE = "http://127.0.0.1:8000"


@pytest.fixture(scope="session")
def served(model_file: Path, comparing_model_file: Path) -> Settings:
    return Settings(models=(str(model_file), str(comparing_model_file)), max_mb=2)


@pytest.fixture(scope="module", autouse=True)
def limits() -> Iterator[None]:
    """Take back what a server sets for its whole process."""
    pixels, spooled, log = Image.MAX_IMAGE_PIXELS, MultiPartParser.spool_max_size, cv2.utils.logging.getLogLevel()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "")
        yield
    Image.MAX_IMAGE_PIXELS, MultiPartParser.spool_max_size = pixels, spooled
    cv2.utils.logging.setLogLevel(log)


@pytest.fixture(scope="module")
def server(served: Settings) -> Server:
    return Server(served)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[TestClient]:
    with TestClient(server, base_url=BASE) as opened:
        yield opened
