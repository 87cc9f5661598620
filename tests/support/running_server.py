"""A server that listens on this machine, and what a webcam shows to Chromium."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import uvicorn

from deadpan.faces.photographs import read_photograph
from deadpan.server.run import configuration, listen, url_of
from deadpan.server.settings import Settings


@contextmanager
def running(settings: Settings) -> Iterator[str]:
    """The address of a server that runs in a thread."""
    listening = listen("127.0.0.1", 0, settings.token)
    server = uvicorn.Server(configuration(settings))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server ended at its start"
            time.sleep(0.02)
        yield url_of(listening, "127.0.0.1")
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def webcam(path: Path, photographs: list[Path], seconds_each: float = 2.0) -> Path:
    """A raw film that Chromium takes for a webcam: 640 x 480, 10 frames a second, one photograph at a time."""
    with path.open("wb") as file:
        file.write(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n")
        for photograph in photographs:
            pixels = read_photograph(photograph)
            factor = min(640 / pixels.shape[1], 480 / pixels.shape[0])
            small = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            frame = np.full((480, 640, 3), 128, np.uint8)
            top, left = (480 - small.shape[0]) // 2, (640 - small.shape[1]) // 2
            frame[top : top + small.shape[0], left : left + small.shape[1]] = small
            planes = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420), np.uint8).tobytes()
            file.write((b"FRAME\n" + planes) * round(10 * seconds_each))
    return path
