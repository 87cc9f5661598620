"""Frames of video files, read in the order in which they decode.

Nothing here seeks: OpenCV computes the place of a frame from an average rate, which gives another frame's pixels where
the rate varies and in MPEG program and transport streams.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from deadpan.faces.photographs import LFS_POINTER, PhotographError, check_file, is_lfs_pointer
from deadpan.jobs import cores
from deadpan.pixels import RGB


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video, turned upright as its header says."""

    index: int  # from 0, in the order of decoding
    time_s: float  # since the start, never less than the frame before
    pixels: RGB


class VideoFacts(NamedTuple):
    """What decoding a whole video shows; zeros if it cannot be opened."""

    frames: int  # that really decode
    announced: int  # by the header, which may only estimate; 0 where it says nothing
    width: int  # of the upright frames, in pixels
    height: int
    seconds: float  # until the end of the last frame
    announced_seconds: float

    @property
    def cut_short(self) -> bool:
        """Whether clearly fewer frames decode than the header announces, in number and in time."""
        return self.frames < 0.9 * self.announced and self.seconds < 0.9 * self.announced_seconds


NOTHING = VideoFacts(0, 0, 0, 0, 0.0, 0.0)


def read_frames(video: str | Path, indices: Collection[int] | None = None) -> Iterator[Frame]:
    """Decode a video once and yield the frames `indices` (None: all), in the order of decoding, one at a time.

    PhotographError at the start if the file is no video, and at the end if a wanted frame was not there: until then
    every frame that a damaged or truncated video still has is yielded.
    """
    missing = None if indices is None else set(indices)
    with _opened(Path(video)) as film:
        index, last = 0, -1.0
        while (missing is None or missing) and film.grab():
            last = _time(film, last)
            if missing is None or index in missing:
                decoded, pixels = film.retrieve()
                if decoded:
                    yield Frame(index, last, np.ascontiguousarray(pixels[..., ::-1]).astype(np.uint8, copy=False))
                    if missing is not None:
                        missing.remove(index)
            index += 1
    if missing:
        raise PhotographError(f"{video}: no frame {min(missing)} can be read: {index} frames of this video decode")


def read_frame(video: str | Path, index: int) -> RGB:
    """Frame `index` of a video as (H, W, 3) uint8 RGB; use `read_frames` for several. PhotographError if absent."""
    return next(read_frames(video, [index])).pixels


def measure_videos(videos: Sequence[Path]) -> list[VideoFacts]:
    """Decode whole videos to count their frames, on all cores; a file that has not changed is decoded once."""
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
            rate = max(film.get(cv2.CAP_PROP_FPS), 0.0)
            announced = max(int(film.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
            width, height = (int(film.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
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
    # FFmpeg alone: other backends take a picture or a text for a sequence of files, and rotate differently.
    # An absolute path, as FFmpeg would take `concat:a.mp4` for a protocol.
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


def _time(film: cv2.VideoCapture, last: float) -> float:
    """The time of the frame that was just decoded; the last ones of some streams carry none."""
    time = film.get(cv2.CAP_PROP_POS_MSEC) / 1000
    rate = film.get(cv2.CAP_PROP_FPS)
    return time if time > last else max(last, 0.0) + (1 / rate if rate > 0 else 0.0)
