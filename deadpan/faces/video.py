"""Reads the frames of video files in the order of decoding, without seeking.

To seek, OpenCV computes the position of a frame from an average rate. This gives the wrong frame if the rate varies,
and in MPEG program and transport streams.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from deadpan.errors import DeadpanError
from deadpan.faces.photographs import LFS_POINTER, PhotographError, check_file, is_lfs_pointer
from deadpan.jobs import cores
from deadpan.pixels import RGB

# Without this setting, FFmpeg writes a line about every damaged packet to standard error. It reads it at its first use.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video, turned upright by the orientation in the file's header."""

    index: int  # from 0, in the order of decoding
    time_s: float  # seconds since the start, never less than the time of the frame before
    pixels: RGB  # (H, W, 3)


class VideoFacts(NamedTuple):
    """The facts measured by decoding a whole video; all are 0 if it cannot be opened."""

    frames: int  # number of frames that decode
    announced: int  # number of frames in the header, which may be an estimate; 0 if the header has none
    width: int  # of the upright frames, in pixels
    height: int
    seconds: float  # until the end of the last frame
    announced_seconds: float  # duration by the header

    @property
    def cut_short(self) -> bool:
        """Whether less than 90 % of the announced frames, and of the announced duration, can be decoded."""
        return self.frames < 0.9 * self.announced and self.seconds < 0.9 * self.announced_seconds


NOTHING = VideoFacts(0, 0, 0, 0, 0.0, 0.0)

ATTEMPTS = 250
"""The video has ended after this many consecutive frames that cannot be decoded; more than one damaged second."""


@dataclass(frozen=True)
class Sampling:
    """Which frames of a video to read; SamplingError for a value out of range, or for both `every` and `fps`."""

    every: int = 1  # read every Nth frame, counted from the first frame in the time range
    fps: float | None = None  # frames per second, by time stamp: the first frame at or after each multiple of 1/fps
    start_s: float = 0.0  # start of the time range, in seconds from the beginning
    end_s: float | None = None  # end of the time range, exclusive; None: the end of the video

    def __post_init__(self) -> None:
        if self.every < 1:
            raise SamplingError(f"every must be at least 1 frame, got {self.every}")
        if self.fps is not None and not (0 < self.fps < math.inf):
            raise SamplingError(f"fps must be above 0 frames per second, got {self.fps}")
        if self.fps is not None and self.every != 1:
            raise SamplingError(f"give either every or fps, not both; got every {self.every} and fps {self.fps}")
        if not 0 <= self.start_s < math.inf:
            raise SamplingError(f"the start time must be 0 seconds or more, got {self.start_s}")
        if self.end_s is not None and not self.end_s > self.start_s:
            raise SamplingError(f"the end time must be after the start time; got {self.start_s} s to {self.end_s} s")


class SamplingError(DeadpanError):
    """Invalid settings for the frames to read."""


@dataclass
class Film:
    """An open video that can be read once, in order."""

    path: Path
    capture: cv2.VideoCapture
    rate: float = field(init=False)  # average frames per second, from the header; 0 if the header has none
    announced: int = field(init=False)  # number of frames, from the header
    announced_seconds: float = field(init=False)  # duration, from the header
    width: int = field(init=False)  # of the upright frames, in pixels
    height: int = field(init=False)
    decoded: int = 0  # number of frames decoded so far, including those that were not selected
    seconds: float = 0.0  # until the end of the last decoded frame
    reached: bool = False  # whether the end of the selected time range was reached

    def __post_init__(self) -> None:
        self.rate, self.announced, self.width, self.height = _header(self.capture)
        self.announced_seconds = self.announced / self.rate if self.rate else 0.0

    @property
    def cut_short(self) -> bool:
        """Whether clearly fewer frames were decoded than the header announces; meaningful after the last frame."""
        facts = (self.decoded, self.announced, self.width, self.height, self.seconds, self.announced_seconds)
        return not self.reached and VideoFacts(*facts).cut_short

    def frames(self, sampling: Sampling | None = None) -> Iterator[Frame]:
        """Yield the selected frames (None: all), one at a time; damaged frames in the middle of a file are skipped.

        `Frame.index` counts all decoded frames from 0, including those that are not selected.
        """
        chosen = sampling or Sampling()
        last, due, failed, within = -1.0, chosen.start_s, 0, 0
        step = 1 / self.rate if self.rate else 0.0
        while failed < ATTEMPTS:
            if not self.capture.grab():
                failed += 1
                continue
            failed, last = 0, _time(self.capture, last)
            if chosen.end_s is not None and last >= chosen.end_s:
                self.reached = True
                return
            index, self.decoded, self.seconds = self.decoded, self.decoded + 1, last + step
            if last < chosen.start_s:
                continue
            if chosen.fps is None:
                wanted = within % chosen.every == 0
            else:
                wanted = last >= due - 1e-6
                due += max(0, math.floor((last - due) * chosen.fps + 1e-6) + 1) / chosen.fps if wanted else 0
            within += 1
            if wanted and (pixels := _retrieved(self.capture)) is not None:
                yield Frame(index, last, pixels)


@contextmanager
def open_film(video: str | Path) -> Iterator[Film]:
    """Open a video to read it once; PhotographError if the file is not a video."""
    with _opened(Path(video)) as capture:
        yield Film(Path(video), capture)


def read_frames(video: str | Path, indices: Collection[int] | None = None) -> Iterator[Frame]:
    """Decode a video once and yield the frames `indices` (None: all), one at a time, in the order of decoding.

    Raises PhotographError at the start if the file is not a video, and at the end if a frame of `indices` could not be
    read. All readable frames of a damaged or truncated video are yielded before that.
    """
    missing = None if indices is None else set(indices)
    with _opened(Path(video)) as film:
        index, last = 0, -1.0
        while (missing is None or missing) and film.grab():
            last = _time(film, last)
            if (missing is None or index in missing) and (pixels := _retrieved(film)) is not None:
                yield Frame(index, last, pixels)
                if missing is not None:
                    missing.remove(index)
            index += 1
    if missing:
        raise PhotographError(f"{video}: frame {min(missing)} cannot be read; the video has {index} readable frames")


def read_frame(video: str | Path, index: int) -> RGB:
    """Read frame `index` of a video as (H, W, 3) uint8 RGB; PhotographError if there is no such frame.

    To read several frames, use `read_frames`, which decodes the video once.
    """
    return next(read_frames(video, [index])).pixels


def measure_videos(videos: Sequence[Path]) -> list[VideoFacts]:
    """Decode whole videos on all cores and count their frames; results are cached until a file changes."""
    with ThreadPoolExecutor(cores()) as pool:  # OpenCV decodes outside Python's lock
        return list(pool.map(_measure, videos))


def _measure(video: Path) -> VideoFacts:
    try:
        state = video.stat()
    except OSError:
        return NOTHING
    return _measured(video, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=65536)
def _measured(video: Path, _size: int, _modified: int) -> VideoFacts:
    try:
        with _opened(video, threads=1) as film:
            rate, announced, width, height = _header(film)
            frames, last = 0, -1.0
            while film.grab():
                last, frames = _time(film, last), frames + 1
    except PhotographError:
        return NOTHING
    step = 1 / rate if rate else 0.0
    return VideoFacts(frames, announced, width, height, max(last, 0.0) + step, announced * step)


@contextmanager
def _opened(path: Path, threads: int = 0) -> Iterator[cv2.VideoCapture]:
    check_file(path, "video")
    # Only FFmpeg is used: other backends read a picture or a text file as a sequence of files, and rotate differently.
    # The path is absolute because FFmpeg would read `concat:a.mp4` as a protocol.
    settings = [cv2.CAP_PROP_N_THREADS, threads or max(cv2.getNumThreads(), 1)]
    film = cv2.VideoCapture(str(path.resolve()), cv2.CAP_FFMPEG, settings)
    film.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    try:
        if not film.isOpened():
            with suppress(OSError):
                if is_lfs_pointer(path.open("rb").read(64)):
                    raise PhotographError(f"{path}: {LFS_POINTER}")
            raise PhotographError(f"{path}: not a video that can be opened")
        yield film
    finally:
        film.release()


def _header(film: cv2.VideoCapture) -> tuple[float, int, int, int]:
    """Frames per second, number of frames, width and height in the header; 0 for a value that the header lacks."""
    rate, announced = film.get(cv2.CAP_PROP_FPS), film.get(cv2.CAP_PROP_FRAME_COUNT)
    width, height = (int(film.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
    return max(rate, 0.0), max(int(announced), 0), width, height


def _retrieved(film: cv2.VideoCapture) -> RGB | None:
    """The pixels of the frame that was just decoded, (H, W, 3) uint8 RGB; None if they cannot be retrieved."""
    decoded, pixels = film.retrieve()
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8) if decoded else None


def _time(film: cv2.VideoCapture, last: float) -> float:
    """The time in seconds of the frame just decoded; if it has no time stamp, estimated from the frame rate."""
    time = film.get(cv2.CAP_PROP_POS_MSEC) / 1000
    rate = film.get(cv2.CAP_PROP_FPS)
    return time if time > last else max(last, 0.0) + (1 / rate if rate > 0 else 0.0)
