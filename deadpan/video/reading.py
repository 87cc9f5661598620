"""Read a video in one pass: decode its frames, follow and read the faces, and store the rows.

Decoding, following and reading each run in their own thread; OpenCV and ONNX Runtime release Python's lock.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from deadpan.faces.alignment import Alignment, centre, warp
from deadpan.faces.face import Detector, Face
from deadpan.faces.landmarks import locate
from deadpan.faces.networks import Floats
from deadpan.faces.photographs import Photograph, read_photograph
from deadpan.faces.quality import turn_of
from deadpan.faces.relaxing import shape_of_expression
from deadpan.faces.tracking import TrackedFace, Tracker
from deadpan.faces.video import Film, Frame, Sampling, open_film
from deadpan.pixels import RGB
from deadpan.video.rest import AUTO, NONE, Rest, RestError, RestRule, features, finish
from deadpan.video.results import (
    NO_FACE,
    Progress,
    Rows,
    RowsInMemory,
    RowStore,
    VideoFrame,
    VideoResult,
    frames_of,
    row_type,
)

BATCH = 16
"""Faces in one run of the network."""

WAIT = 64
"""The network runs after at most this many frames, even if they have fewer than BATCH faces."""

AHEAD = 8
"""Most frames that are decoded in advance."""

Item = TypeVar("Item")


class Answers(Protocol):
    """A model's predictions for N aligned faces."""

    @property
    def probabilities(self) -> Floats:
        """The probabilities (N, K) of the expressions."""


class Reader(Protocol):
    """A model with a face detector, such as `Predictor`."""

    expressions: tuple[str, ...]
    image_size: int
    alignment: Alignment
    temperature: float  # by which the model's log-probabilities were divided to calibrate them

    @property
    def detector(self) -> Detector:
        """The face detector."""

    def predict_faces(self, aligned: RGB, *, neutral: bool = True) -> Answers:
        """Read aligned faces, (N, S, S, 3) uint8 RGB; if `neutral` is false, generate no neutral faces."""


@dataclass(frozen=True)
class VideoSettings:
    """The settings for reading a video; RestError if `rest` or `smoothing` is out of range."""

    sampling: Sampling = field(default_factory=Sampling)
    rest: Rest = AUTO
    smoothing: float = 0.1  # standard deviation of the Gaussian over time, 0 to 60 seconds; 0: no smoothing

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing <= 60:
            raise RestError(f"smoothing must be 0 to 60 seconds, got {self.smoothing}")
        if isinstance(self.rest, tuple) and not 0 <= self.rest[0] < self.rest[1]:
            raise RestError(
                f"rest must be a time range from 0 s or later to a later time, got {self.rest[0]} to {self.rest[1]} s"
            )

    @property
    def needs_the_whole(self) -> bool:
        """Whether the whole video must be read before the first frame is final."""
        return self.smoothing > 0 or not (self.rest is None or self.rest == NONE)


class VideoReading:
    """A video that is being read; `result` can be called at any time and covers the frames read so far."""

    def __init__(self, reader: Reader, film: Film, settings: VideoSettings, *, on_disk: bool = True) -> None:
        """Prepare to read an open video; if `on_disk` is false, the rows are kept in memory."""
        self._reader, self._film, self._settings = reader, film, settings
        self._store = RowStore(len(reader.expressions)) if on_disk else RowsInMemory(len(reader.expressions))
        self._rest = _rule(reader, settings.rest)

    @property
    def film(self) -> Film:
        """The open video."""
        return self._film

    def blocks(self) -> Generator[Rows, None, None]:
        """Read the video and yield the rows of several complete frames at a time, without smoothing and distances."""
        for rows in read_rows(self._reader, self._film, self._settings.sampling):
            self._store.append(rows)
            yield rows

    def read(self, progress: Progress | None = None) -> VideoResult:
        """Read the whole video and return the result; `progress` is called after every block of frames."""
        with closing(self.blocks()) as blocks:
            for rows in blocks:
                if progress is not None and len(rows):
                    progress(int(rows["frame"][-1]) + 1, float(rows["time_s"][-1]))
        return self.result()

    def result(self) -> VideoResult:
        """Return the result for the frames read so far, smoothed and with distances from rest."""
        film = self._film
        stopped = f"stopped at {clock(film.seconds)} of {clock(film.announced_seconds)}" if film.cut_short else None
        reader = self._reader
        result = VideoResult(
            film.path, reader.expressions, self._store.rows(), film.rate, stopped, temperature=reader.temperature
        )
        finish(result, self._rest, self._settings.smoothing)
        return result

    def close(self) -> None:
        """Delete the rows."""
        self._store.close()


@contextmanager
def open_video(reader: Reader, video: str | Path, settings: VideoSettings | None = None) -> Iterator[VideoReading]:
    """Open a video to read the faces in it.

    The result of `VideoReading.read` is valid only inside the `with` block. PhotographError if the file is not a video,
    RestError if the rest face in `settings` cannot be used.
    """
    with open_film(video) as film, closing(VideoReading(reader, film, settings or VideoSettings())) as reading:
        yield reading


def predict_video(reader: Reader, video: str | Path, settings: VideoSettings) -> Generator[VideoFrame, None, None]:
    """Yield the frames of a video, one at a time; if `settings.needs_the_whole`, only after the whole video is read."""
    with open_video(reader, video, settings) as reading:
        if settings.needs_the_whole:
            yield from reading.read().frames()
        else:
            with closing(reading.blocks()) as blocks:
                for rows in blocks:
                    rows["distance"] = np.nan
                    yield from frames_of(rows, reader.expressions)


def _rule(reader: Reader, rest: Rest) -> RestRule:
    if rest is None or (isinstance(rest, str) and rest == NONE):
        return NONE
    if isinstance(rest, tuple):
        return rest
    return AUTO if isinstance(rest, str) and rest == AUTO else rest_features(reader, rest)


def rest_features(reader: Reader, photograph: Photograph) -> Floats:
    """Compute the features (F,) of the only face in a photograph; RestError if there is not exactly one."""
    pixels = read_photograph(photograph)
    faces = [each.face for each in Tracker(reader.detector)(pixels, 0.0)]
    if len(faces) != 1:
        raise RestError(f"the rest face must be a photograph of one person; found {len(faces)} faces")
    seen = _see(reader, pixels, TrackedFace(0, faces[0]))
    found = reader.predict_faces(seen.aligned[None], neutral=False)
    vector: Floats = features(found.probabilities, seen.shape[None], reader.temperature)[0]
    return vector


class Seen(NamedTuple):
    """One face of one frame, ready for the model."""

    id: int
    face: Face
    aligned: RGB  # (S, S, 3)
    turn: float  # degrees between the direction of the face and the camera
    shape: Floats  # (50,) shape of the expression


class SeenFrame(NamedTuple):
    """The faces of one frame, without its pixels."""

    number: int
    time_s: float
    faces: list[Seen]


def read_rows(reader: Reader, film: Film, sampling: Sampling) -> Iterator[Rows]:
    """Yield the rows of the sampled frames, several complete frames at a time; the distances are NaN."""
    with closing(ahead(film.frames(sampling), AHEAD)) as frames, closing(ahead(_seen(reader, frames), WAIT)) as seen:
        waiting: list[SeenFrame] = []
        for frame in seen:
            waiting.append(frame)
            if sum(len(each.faces) for each in waiting) >= BATCH or len(waiting) >= WAIT:
                yield _rows(reader, waiting)
                waiting = []
        if waiting:
            yield _rows(reader, waiting)


def _seen(reader: Reader, frames: Iterable[Frame]) -> Iterator[SeenFrame]:
    tracker = Tracker(reader.detector)
    for frame in frames:
        faces = tracker(frame.pixels, frame.time_s)
        yield SeenFrame(frame.index, frame.time_s, [_see(reader, frame.pixels, each) for each in faces])


def _see(reader: Reader, frame: RGB, tracked: TrackedFace) -> Seen:
    size, face = reader.image_size, tracked.face
    located = locate(frame, face, size, reader.alignment)
    aligned = centre(warp(frame, located.matrix, size), size)
    assert located.mesh is not None  # every tracked face has a mesh
    return Seen(tracked.id, face, aligned, turn_of(located.mesh), shape_of_expression(located.mesh))


def _rows(reader: Reader, frames: list[SeenFrame]) -> Rows:
    faces = [face for frame in frames for face in frame.faces]
    rows = np.zeros(sum(max(1, len(frame.faces)) for frame in frames), row_type(len(reader.expressions)))
    rows["distance"] = np.nan
    index = 0
    for frame in frames:
        alone: list[Seen | None] = [None]
        for seen in frame.faces or alone:
            row: Any = rows[index]
            row["frame"], row["time_s"], row["face"] = frame.number, frame.time_s, NO_FACE
            if seen is not None:
                row["face"], row["box"], row["score"] = seen.id, seen.face.box, seen.face.score
                row["turn"], row["shape"] = seen.turn, seen.shape
            index += 1
    if faces:
        found = reader.predict_faces(np.stack([face.aligned for face in faces]), neutral=False)
        rows["probabilities"][rows["face"] != NO_FACE] = found.probabilities
    return rows


def ahead(items: Iterable[Item], count: int) -> Generator[Item, None, None]:
    """Yield the same items, but fetch them in a separate thread, at most `count` in advance."""
    found: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(count)
    stopped = threading.Event()

    def put(item: Item | None, error: BaseException | None) -> None:
        while not stopped.is_set():
            with suppress(queue.Full):
                found.put((item, error), timeout=0.1)
                break

    def work() -> None:
        try:
            for item in items:
                put(item, None)
                if stopped.is_set():
                    return
            put(None, StopIteration())
        except BaseException as error:  # raised again where the items are used
            put(None, error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, error = found.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        thread.join()


def clock(seconds: float) -> str:
    """Format seconds as minutes and seconds, with hours if needed: 0:12, 1:02:03."""
    whole = int(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
