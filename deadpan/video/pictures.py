"""Write the video with its faces marked, and the frames at the apexes; each decodes the video a second time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from deadpan.faces.video import Frame, Sampling, open_film
from deadpan.files import OutputError, is_own_png, replacing, write_png
from deadpan.pixels import RGB
from deadpan.video.episodes import Episode
from deadpan.video.plot import COLOURS
from deadpan.video.results import VideoFace, VideoFrame, VideoResult

DEFAULT_RATE = 25.0
"""Frames per second of the annotated video if the header of the original gives no rate."""

MOST_RATE = 60.0
"""Highest rate of an annotated video, in frames per second."""

MARK = b"\xec\x87deadpan"
"""An EBML Void element at the end of a WebM file: it marks files written by deadpan, and players skip it."""

Colour = tuple[int, int, int]


def write_annotated(video: VideoResult, path: Path, sampling: Sampling) -> None:
    """Write the video with its faces marked, as VP8 in WebM, without sound.

    Each face gets a rectangle, its number, its expression and a bar for the distance from rest. `sampling` must be the
    sampling with which the video was read. The result has a constant rate; if the rate of the video varies, frames are
    repeated or left out to keep the time. OutputError if no frame was read or OpenCV cannot write VP8.
    """
    rate = min(video.rate or DEFAULT_RATE, MOST_RATE)
    rate = min(sampling.fps or rate / sampling.every, rate)
    writer: cv2.VideoWriter | None = None
    written, first = 0, None
    with replacing(path) as partial, _ending_in_webm(partial) as place:
        for frame, seen in _together(video, sampling):
            drawn = draw_faces(frame.pixels, seen.faces)
            if writer is None:
                writer = _writer(place, rate, drawn)
                first = frame.time_s
            due = round((frame.time_s - (first or 0.0)) * rate) + 1
            for _ in range(max(0, due - written)):
                writer.write(np.ascontiguousarray(drawn[..., ::-1]))
            written = max(written, due)
        if writer is None:
            raise OutputError(f"{path} cannot be written: no frame of the video was read")
        writer.release()


def is_own_video(path: Path) -> bool:
    """Whether the file was written by `write_annotated`."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - len(MARK)))
        return file.read() == MARK


def write_key_frames(video: VideoResult, found: Sequence[Episode], folder: Path, sampling: Sampling) -> list[Path]:
    """Write the frame at the apex of each episode as NAME_FACE_SECONDS_EXPRESSION.png, with the face marked.

    `sampling` must be the sampling with which the video was read. Returns the paths of the files. OutputError if a file
    of that name exists and was not written by deadpan.
    """
    wanted: dict[int, list[Episode]] = {}
    for episode in found:
        wanted.setdefault(episode.apex_frame, []).append(episode)
    paths = []
    for frame, seen in _together(video, sampling):
        for episode in wanted.pop(frame.index, ()):
            faces = [face for face in seen.faces if face.face == episode.face]
            path = folder / key_frame_name(video.path, episode)
            if path.exists() and not is_own_png(path):
                raise OutputError(f"{path} was not written by deadpan; write the key frames into another directory")
            write_png(path, draw_faces(frame.pixels, faces))
            paths.append(path)
        if not wanted:
            break
    return paths


def key_frame_name(video: Path, episode: Episode) -> str:
    """The file name of the frame at an episode's apex."""
    return f"{video.stem}_{episode.face}_{episode.apex_s:08.2f}_{episode.expression}.png"


def draw_faces(frame: RGB, faces: Sequence[VideoFace]) -> RGB:
    """Draw on a copy of the frame, (H, W, 3) uint8 RGB: a rectangle, a label and a bar (distance from rest) per face.

    The colour is that of the expression.
    """
    drawn = frame.copy()
    unit = max(1, round(min(frame.shape[:2]) / 360))
    for face in faces:
        left, top, right, bottom = (round(value) for value in face.box)
        colour = _rgb(COLOURS.get(face.expression, "#888888"))
        cv2.rectangle(drawn, (left, top), (right, bottom), colour, 2 * unit)
        text = f"{face.face} {face.expression} {face.confidence:.0%}"
        _label(drawn, text, (left - unit, top), colour, unit)
        if face.distance_from_rest is not None:
            _bar(drawn, face.distance_from_rest, (left, bottom + 3 * unit, right, bottom + 9 * unit), colour)
    return drawn


def _label(drawn: RGB, text: str, corner: tuple[int, int], colour: Colour, unit: int) -> None:
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.45 * unit
    (width, height), base = cv2.getTextSize(text, font, scale, unit)
    left, bottom = corner[0], max(corner[1], height + base + 4 * unit)
    left = max(0, min(left, drawn.shape[1] - width - 6 * unit))
    cv2.rectangle(drawn, (left, bottom - height - base - 3 * unit), (left + width + 6 * unit, bottom), colour, -1)
    dark = sum(colour) > 380
    ink = (20, 20, 20) if dark else (255, 255, 255)
    cv2.putText(drawn, text, (left + 3 * unit, bottom - base), font, scale, ink, unit, cv2.LINE_AA)


def _bar(drawn: RGB, share: float, box: tuple[int, int, int, int], colour: Colour) -> None:
    left, top, right, bottom = box
    cv2.rectangle(drawn, (left, top), (right, bottom), (40, 40, 40), -1)
    cv2.rectangle(drawn, (left, top), (left + round((right - left) * share), bottom), colour, -1)


def _rgb(code: str) -> Colour:
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def _together(video: VideoResult, sampling: Sampling) -> Iterator[tuple[Frame, VideoFrame]]:
    """Decode the video again, and yield each frame with its result."""
    frames = video.frames()
    with open_film(video.path) as film:
        for frame in film.frames(sampling):
            seen = next(frames, None)
            if seen is None:
                return
            yield frame, seen


def _writer(path: Path, rate: float, frame: RGB) -> cv2.VideoWriter:
    size = (frame.shape[1], frame.shape[0])
    with _without_messages():  # OpenCV warns that WebM has no tag for VP8, and then writes VP8
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"VP80"), rate, size)
    if not writer.isOpened():
        raise OutputError(
            f"the installed OpenCV cannot write VP8 with {size[0]} x {size[1]} pixels at {rate:.3g} frames per second"
        )
    return writer


@contextmanager
def _without_messages() -> Iterator[None]:
    """Suppress what OpenCV's native code writes to standard error."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _ending_in_webm(partial: Path) -> Iterator[Path]:
    """Yield a path that ends in .webm, so that OpenCV chooses WebM; at the end, rename that file to `partial`."""
    place = partial.with_suffix(".webm")
    try:
        yield place
        with place.open("ab") as file:
            file.write(MARK)
        place.replace(partial)
    finally:
        place.unlink(missing_ok=True)
