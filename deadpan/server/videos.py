"""Reading an uploaded video: from memory, its network runs in the inference thread, the answer as JSON lines.

The frames are decoded and the faces followed in threads of their own, the network runs in the inference thread, between
the photographs. FFmpeg can read formats that name other files or addresses, such as playlists. `allow_only_containers`
forbids them.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import anyio
import cv2
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from deadpan.faces.alignment import Alignment
from deadpan.faces.face import Detector
from deadpan.faces.photographs import PhotographError
from deadpan.faces.video import Film
from deadpan.pixels import RGB
from deadpan.prediction.predictor import Predictor
from deadpan.prediction.results import Recognition
from deadpan.server.inference import Inference, Task
from deadpan.server.metrics import Metrics
from deadpan.server.settings import Settings
from deadpan.video.reading import VideoReading, VideoSettings, clock
from deadpan.video.results import NO_FACE, columns, table_rows

CONTAINERS = ("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "ogg")
"""FFmpeg's names of the formats that are read: MP4 and MOV, Matroska and WebM, AVI, MPEG, FLV, WMV and Ogg."""

MOST_RATE = 1000.0
"""Most frames per second that are read: all of any camera. It bounds the work of smoothing a file with absurd times."""

TOGETHER = 200
"""Rows in one part of the answer."""

MEDIA_TYPE = "application/jsonl"


def allow_only_containers(max_pixels: int) -> None:
    """Let FFmpeg read only CONTAINERS with frames of at most `max_pixels`, in this whole process.

    Every other format is refused, above all those that make FFmpeg open other files or listen on the network.
    """
    options = {"format_whitelist": ",".join(CONTAINERS), "max_pixels": str(max_pixels)}
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "|".join(f"{name};{value}" for name, value in options.items())
    cv2.utils.logging.setLogLevel(0)  # OpenCV writes a line to standard error for every upload that is not a video


@contextmanager
def open_upload(file: BinaryIO, max_pixels: int) -> Iterator[Film]:
    """Move a video into memory that FFmpeg can read, and open it; PhotographError if it is not a video."""
    with _in_memory(file) as source:
        threads = [cv2.CAP_PROP_N_THREADS, max(cv2.getNumThreads(), 1)]
        capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, threads)  # type: ignore[arg-type]
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        try:
            if not capture.isOpened():
                raise PhotographError("not a video that can be opened")
            film = Film(Path("video"), capture)
            if film.width * film.height > max_pixels:
                size = f"{film.width} x {film.height}"
                raise PhotographError(f"far too many pixels, expected at most {max_pixels / 1e6:g} million; got {size}")
            yield film
        finally:
            capture.release()


@contextmanager
def _in_memory(file: BinaryIO) -> Iterator[str | io.BytesIO]:
    """Move an upload into a file in memory and yield its path, or yield a stream where the system has no such files.

    OpenCV (5.0) loses 80 bytes whenever it reads from a stream, 2 % of a file's size. It also needs the stream to live
    longer than the capture.
    """
    file.seek(0)
    if not hasattr(os, "memfd_create"):  # Windows, macOS
        with file:
            stream = io.BytesIO(file.read())
        yield stream
        return
    with os.fdopen(os.memfd_create("video"), "wb", buffering=0) as memory:
        with file:
            shutil.copyfileobj(file, memory)
        yield f"/proc/self/fd/{memory.fileno()}"


class QueuedReader:
    """A model whose network runs in the inference thread."""

    def __init__(self, predictor: Predictor, inference: Inference) -> None:
        self._predictor, self._inference = predictor, inference
        self.expressions: tuple[str, ...] = predictor.expressions
        self.image_size: int = predictor.image_size
        self.alignment: Alignment = predictor.alignment
        self.temperature: float = predictor.temperature

    @property
    def detector(self) -> Detector:
        """The face detector, which runs in the thread that calls it."""
        return self._predictor.detector

    def predict_faces(self, aligned: RGB, *, neutral: bool = True) -> Recognition:
        """Read aligned faces (N, S, S, 3) in the inference thread, and wait for the result."""
        task = Task(lambda: self._predictor.predict_faces(aligned, neutral=neutral))
        found: Recognition = self._inference.submit(task).result()
        return found


class Upload(NamedTuple):
    """An uploaded video and what to do with it."""

    file: BinaryIO  # closed as soon as its content is moved
    name: str
    predictor: Predictor
    settings: VideoSettings


def lines(upload: Upload, inference: Inference, limits: Settings, metrics: Metrics) -> Generator[str, None, None]:
    """Read a video and yield parts of the answer, each one or several JSON lines; PhotographError at the start.

    The lines are {"start": ...}, several {"progress": ...}, one {"row": ...} for each row of the table that
    `deadpan predict` writes, and {"end": ...}.
    """
    reader = QueuedReader(upload.predictor, inference)
    with (
        open_upload(upload.file, limits.max_pixels) as film,
        closing(VideoReading(reader, film, upload.settings, on_disk=False)) as reading,
    ):
        facts = {"width": film.width, "height": film.height, "rate": film.rate, "seconds": film.announced_seconds}
        start = {"model": upload.predictor.name, "input": upload.name, "expressions": list(reader.expressions), **facts}
        yield _line("start", start)
        count, reached = 0, 0.0
        with closing(reading.blocks()) as blocks:
            for rows in blocks:
                frames = len(set(rows["frame"].tolist()))
                metrics.frames.inc(frames)
                metrics.faces.inc(int((rows["face"] != NO_FACE).sum()))
                count, reached = count + frames, float(rows["time_s"][-1])
                yield _line("progress", {"frames": count, "time_s": round(reached, 3)})
                if count >= limits.max_frames:
                    break
        result = reading.result()
        names = columns(reader.expressions)
        waiting = []
        for frame in result.frames():
            for row in table_rows(upload.name, frame):
                waiting.append(_line("row", {name: row.get(name) for name in names}))
            if len(waiting) >= TOGETHER:
                yield "".join(waiting)
                waiting = []
        stopped = result.stopped
        if count >= limits.max_frames:
            stopped = f"stopped at {clock(reached)}: this server reads at most {limits.max_frames} frames of a video"
        yield "".join(waiting) + _line("end", {"frames": count, "stopped": stopped})


def _line(kind: str, facts: dict[str, Any]) -> str:
    return json.dumps({kind: facts}, separators=(",", ":")) + "\n"


class Lines:
    """The parts of an answer, each made in a worker thread, one at a time."""

    def __init__(self, parts: Generator[str, None, None]) -> None:
        self._parts = parts
        self._one_at_a_time = threading.Lock()

    async def next(self) -> str | None:
        """The next part; None after the last one."""
        return await asyncio.to_thread(self._next)

    async def close(self) -> None:
        """Stop the work, also if the caller has been cancelled; returns when the video is closed."""
        with anyio.CancelScope(shield=True):
            await asyncio.to_thread(self._close)

    def _next(self) -> str | None:
        with self._one_at_a_time:
            return next(self._parts, None)

    def _close(self) -> None:
        with self._one_at_a_time:  # a part may still be in the making
            self._parts.close()


class StreamedLines(StreamingResponse):
    """An answer whose work stops when the client leaves."""

    def __init__(self, first: str, rest: Lines) -> None:
        async def parts() -> AsyncIterator[str]:
            yield first
            while (part := await rest.next()) is not None:
                yield part

        super().__init__(parts(), media_type=MEDIA_TYPE)
        self._rest = rest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the lines."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._rest.close()
