"""Frames of videos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from deadpan.datasets.sample import VideoFrame
from deadpan.faces.photographs import PhotographError
from deadpan.faces.video import frame_count, read_frame
from deadpan.preparation.sample import read_picture
from tests.support.data_trees import write_video


def test_frames_are_counted(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", 12)
    (tmp_path / "b.avi").write_text("version https://git-lfs.github.com/spec/v1")
    assert (frame_count(tmp_path / "a.avi"), frame_count(tmp_path / "b.avi")) == (12, 0)
    assert frame_count(tmp_path / "absent.avi") == 0


def test_a_frame_of_a_video(tmp_path: Path) -> None:
    path = tmp_path / "film.avi"
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for level in (0, 120, 240):
        film.write(np.full((48, 64, 3), (level, 0, 0), np.uint8))  # blue in OpenCV's order
    film.release()
    pixels = read_picture(VideoFrame(path, 2))
    assert pixels.shape == (48, 64, 3)
    assert pixels[..., 2].mean() == pytest.approx(240, abs=6) and pixels[..., 0].mean() < 12
    turned = read_picture(VideoFrame(path, 2, turn=90))
    assert turned.shape == (64, 48, 3) and np.array_equal(turned, np.rot90(pixels, -1))
    with pytest.raises(PhotographError, match="no frame 9 can be read"):
        read_frame(path, 9)
    with pytest.raises(PhotographError):
        read_frame(tmp_path / "gone.avi", 0)
