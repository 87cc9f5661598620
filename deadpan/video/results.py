"""The result for a video: frames with their faces. Rows are kept on disk, unless asked otherwise, to save memory."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deadpan.faces.networks import Floats

SHAPE = 50
"""Length of the vector that describes how a face differs in shape from the neutral face predicted for it."""

NO_FACE = -1
"""The face number in the row of a frame without a face."""

AT_ONCE = 4096
"""Number of rows that are smoothed, or converted to Python objects, at a time."""

Rows = NDArray[Any]
"""Rows (N,) of `row_type`, in the order of the frames; a frame without a face has one row with face NO_FACE."""


def row_type(expressions: int) -> np.dtype[Any]:
    """The data type of a row, for a model with this number of expressions."""
    return np.dtype(
        [
            ("frame", np.int32),
            ("time_s", np.float64),
            ("face", np.int32),
            ("box", np.float32, (4,)),
            ("score", np.float32),
            ("turn", np.float32),  # degrees between the direction of the face and the camera
            ("probabilities", np.float32, (expressions,)),
            ("shape", np.float32, (SHAPE,)),
            ("distance", np.float32),  # distance from rest, 0..1; NaN if unknown
        ]
    )


@dataclass(frozen=True)
class VideoFace:
    """One face in one frame."""

    face: int  # from 0, in the order in which the people of the video were first seen
    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels of the upright frame
    score: float  # the face mesh's confidence that a face is present, 0..1
    probabilities: dict[str, float]  # one for each of the model's expressions; they sum to 1
    distance_from_rest: float | None  # 0 (at rest) to 1; None if the person's face at rest is unknown

    @property
    def expression(self) -> str:
        """The most probable expression."""
        return max(self.probabilities, key=lambda name: self.probabilities[name])

    @property
    def confidence(self) -> float:
        """The probability of `expression`."""
        return self.probabilities[self.expression]


@dataclass(frozen=True)
class VideoFrame:
    """One frame of a video."""

    frame: int  # from 0, in the order of decoding
    time_s: float  # since the start of the video
    faces: list[VideoFace]  # from left to right; empty if no face is visible


class RowStore:
    """Rows in a temporary file, which `close` deletes."""

    def __init__(self, expressions: int) -> None:
        self._type = row_type(expressions)
        self._file = tempfile.TemporaryFile(prefix="deadpan-")  # noqa: SIM115  (closed by `close`)
        self._count = 0

    def append(self, rows: Rows) -> None:
        """Add rows at the end."""
        self._file.write(rows.tobytes())
        self._count += len(rows)

    def rows(self) -> Rows:
        """All rows so far, mapped from the file: changes to the array change the file."""
        self._file.flush()
        if not self._count:
            return np.zeros(0, self._type)
        return np.memmap(self._file, self._type, "r+", shape=(self._count,))

    def close(self) -> None:
        """Close and delete the file."""
        self._file.close()


class RowsInMemory:
    """Rows in memory, for where nothing may be written to the disk."""

    def __init__(self, expressions: int) -> None:
        self._parts = [np.zeros(0, row_type(expressions))]

    def append(self, rows: Rows) -> None:
        """Add rows at the end."""
        self._parts.append(rows.copy())

    def rows(self) -> Rows:
        """All rows so far; changes to the array change the rows."""
        self._parts = [np.concatenate(self._parts)]
        return self._parts[0]

    def close(self) -> None:
        """Free the memory."""
        self._parts = []


@dataclass(frozen=True, eq=False)
class VideoResult:
    """The result for a video."""

    path: Path
    expressions: tuple[str, ...]
    rows: Rows
    rate: float  # average frames per second, from the header; 0 if the header has none
    stopped: str | None = None  # "stopped at 0:12 of 0:55" if reading ended before the end of the video, else None
    temperature: float = 1.0  # by which the model's log-probabilities were divided to calibrate them

    def frames(self) -> Iterator[VideoFrame]:
        """Iterate over the frames that were read, in order."""
        return frames_of(self.rows, self.expressions)

    def people(self) -> dict[int, NDArray[np.intp]]:
        """Map the number of each person to the indices (N,) of that person's rows."""
        numbers = np.array(self.rows["face"])
        order = np.argsort(numbers, kind="stable")
        faces, starts = np.unique(numbers[order], return_index=True)
        parts = zip(faces.tolist(), np.split(order, starts[1:]), strict=False)  # one part even for no rows
        return {face: indices for face, indices in parts if face != NO_FACE}

    def series(self, indices: NDArray[np.intp]) -> tuple[Floats, Floats, Floats]:
        """The times (N,) in seconds, probabilities (N, K) and distances from rest (N,) of the rows `indices` (N,)."""
        rows = self.rows
        times, distances = rows["time_s"][indices], rows["distance"][indices]
        return times, rows["probabilities"][indices].astype(np.float64), distances.astype(np.float64)


def frames_of(rows: Rows, expressions: Sequence[str]) -> Iterator[VideoFrame]:
    """Convert rows (N,) to frames; the rows of one frame must be adjacent."""
    start = 0
    while start < len(rows):
        block = np.array(rows[start : start + AT_ONCE])
        numbers = block["frame"]
        if start + AT_ONCE < len(rows):  # the last frame may continue in the next block
            block = block[: np.searchsorted(numbers, numbers[-1])] if numbers[0] != numbers[-1] else block
        ends = [*(np.flatnonzero(np.diff(block["frame"])) + 1), len(block)]
        for begin, end in zip([0, *ends], ends, strict=False):
            faces = [_face(row, expressions) for row in block[begin:end] if row["face"] != NO_FACE]
            yield VideoFrame(int(block["frame"][begin]), float(block["time_s"][begin]), faces)
        start += len(block)


def _face(row: Any, expressions: Sequence[str]) -> VideoFace:
    distance = float(row["distance"])
    return VideoFace(
        face=int(row["face"]),
        box=tuple(row["box"].tolist()),
        score=float(row["score"]),
        probabilities=dict(zip(expressions, row["probabilities"].tolist(), strict=True)),
        distance_from_rest=None if math.isnan(distance) else distance,
    )


def columns(expressions: Sequence[str]) -> dict[str, type]:
    """The columns of the table of a video and the type of each; the table has one row per frame and face."""
    box = dict.fromkeys(("x", "y", "width", "height", "face_score"), float)
    start: dict[str, type] = {"input": str, "frame": int, "time_s": float, "face": int, **box}
    return {**start, **dict.fromkeys(expressions, float), "expression": str, "confidence": float, **DISTANCE}


DISTANCE: dict[str, type] = {"distance_from_rest": float}

START = ("input", "frame", "time_s", "face", "x", "y", "width", "height", "face_score")
"""The first columns of every table of a video."""


def table_rows(name: str, frame: VideoFrame) -> list[dict[str, Any]]:
    """The table rows of one frame of the video `name`: one per face, or one with empty cells if there is no face."""
    start = {"input": name, "frame": frame.frame, "time_s": round(frame.time_s, 6)}
    rows = []
    for face in frame.faces:
        left, top, right, bottom = face.box
        box = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        distance = face.distance_from_rest
        rows.append(
            {
                **start,
                "face": face.face,
                **{key: round(value, 1) for key, value in box.items()},
                "face_score": round(face.score, 4),
                **{key: round(value, 6) for key, value in face.probabilities.items()},
                "expression": face.expression,
                "confidence": round(face.confidence, 6),
                "distance_from_rest": None if distance is None else round(distance, 4),
            }
        )
    return rows or [start]


Progress = Callable[[int, float], None]
"""A function that is called with the number of frames and of seconds of the video read so far."""
