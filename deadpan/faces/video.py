"""Frames of video files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan.faces.photographs import PhotographError, _check_file


def read_frame(video: str | Path, index: int) -> NDArray[np.uint8]:
    """Read frame `index`, counted from 0, of a video as (H, W, 3) uint8 RGB; PhotographError where it has none."""
    import cv2

    path = Path(video)
    _check_file(path)
    film = cv2.VideoCapture(str(path))
    try:
        film.set(cv2.CAP_PROP_POS_FRAMES, index)
        found, frame = film.read()
    finally:
        film.release()
    if not found:
        raise PhotographError(f"{path}: no frame {index} can be read from this video")
    return np.ascontiguousarray(frame[..., ::-1])


def frame_count(video: Path) -> int:
    """How many frames a video has, by decoding where its header says nothing; 0 if it cannot be opened."""
    film = cv2.VideoCapture(str(video))
    try:
        count = int(film.get(cv2.CAP_PROP_FRAME_COUNT)) if film.isOpened() else 0
        if film.isOpened() and count <= 0:  # streams such as Flash may carry no length
            count = 0
            while film.grab():
                count += 1
    finally:
        film.release()
    return count
