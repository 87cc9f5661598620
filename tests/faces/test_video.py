"""Frames of videos: the numbers painted on them say which they really are."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from deadpan.datasets.pictures import read_pictures
from deadpan.datasets.sample import Sample, VideoFrame
from deadpan.faces.photographs import PhotographError
from deadpan.faces.video import measure_videos, read_frame, read_frames
from deadpan.pixels import RGB
from tests.support.data_trees import write_video
from tests.support.photos import VIDEOS

EVERY = list(range(60))
SHOWN = {
    "plain.mp4": EVERY,
    "variable_rate.mp4": [n for n in EVERY if not 20 <= n < 44 or n % 3 == 0],
    "program_stream.mpg": EVERY,
    "transport_stream.ts": EVERY,
    "edit_list.mp4": EVERY[10:],
}


def number(pixels: RGB) -> int:
    """What the eight squares along the top of a 128 x 128 frame say."""
    grey = pixels.mean(axis=2)
    return sum(1 << k for k in range(8) if grey[4:12, 16 * k + 5 : 16 * k + 11].mean() > 127)


def samples_of(video: Path, indices: list[int], turn: int = 0) -> list[Sample]:
    return [Sample(VideoFrame(video, index, turn), f"{video.name}#{index}", (1.0,)) for index in indices]


@pytest.mark.parametrize("name", SHOWN)
def test_every_frame_is_the_one_that_was_asked_for(name: str) -> None:
    shown = SHOWN[name]
    frames = list(read_frames(VIDEOS / name))
    assert [number(frame.pixels) for frame in frames] == shown
    assert [frame.index for frame in frames] == list(range(len(shown)))
    for index in (0, 1, 23, 30, 37, len(shown) - 1):
        assert number(read_frame(VIDEOS / name, index)) == shown[index]
    assert measure_videos([VIDEOS / name])[0].frames == len(shown)


@pytest.mark.parametrize("name", SHOWN)
def test_times_are_those_of_the_frames(name: str) -> None:
    times = np.array([frame.time_s for frame in read_frames(VIDEOS / name)])
    expected = (np.array(SHOWN[name]) - SHOWN[name][0]) / 30
    assert np.abs(times - expected).max() < 0.001
    assert (np.diff(times) > 0).all()


def test_the_wanted_frames_take_one_pass_in_the_order_of_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    capture = cv2.VideoCapture

    def count(*arguments: object) -> cv2.VideoCapture:
        opened.append(arguments[0])
        return capture(*arguments)

    monkeypatch.setattr(cv2, "VideoCapture", count)
    frames = list(read_frames(VIDEOS / "program_stream.mpg", [40, 3, 17]))
    assert [(frame.index, number(frame.pixels)) for frame in frames] == [(3, 3), (17, 17), (40, 40)]
    samples = samples_of(VIDEOS / "program_stream.mpg", [50, 2, 50, 9])
    read = {
        sample.name: number(pixels) for sample, pixels in read_pictures(samples) if not isinstance(pixels, Exception)
    }
    assert read == {f"program_stream.mpg#{index}": index for index in (2, 9, 50)}
    assert len(opened) == 2


def test_what_a_truncated_video_still_has_is_read(tmp_path: Path) -> None:
    for name in ("plain.mp4", "program_stream.mpg", "transport_stream.ts"):
        whole = (VIDEOS / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) * 6 // 10])
        read: list[int] = []
        with pytest.raises(
            PhotographError, match=rf"{name}: frame 59 cannot be read; the video has \d\d readable frames"
        ):
            read += [number(frame.pixels) for frame in read_frames(tmp_path / name, [0, 9, 59])]
        good = [number(frame.pixels) for frame in read_frames(tmp_path / name)]
        assert 15 <= len(good) < 55
        results = {sample.name: pixels for sample, pixels in read_pictures(samples_of(tmp_path / name, [0, 9, 59]))}
        assert isinstance(results.pop(f"{name}#59"), PhotographError)
        assert [number(pixels) for pixels in results.values() if not isinstance(pixels, Exception)] == [0, 9]
    cut, whole_facts = measure_videos([tmp_path / "plain.mp4", VIDEOS / "plain.mp4"])
    assert cut.cut_short and cut.announced == 60
    assert (whole_facts.frames, whole_facts.width, whole_facts.height, whole_facts.cut_short) == (60, 128, 128, False)
    assert whole_facts.seconds == pytest.approx(2)


def test_a_turn_in_the_header_is_applied(tmp_path: Path) -> None:
    content = bytearray((VIDEOS / "plain.mp4").read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # version and flags, times, track, duration, layer, volume come before
    one = 0x10000
    quarter = [0, one, 0, -one, 0, 0, 128 * one, 0, 1 << 30]  # clockwise, and moved back into view
    content[matrix : matrix + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in quarter)
    (tmp_path / "turned.mp4").write_bytes(content)
    upright, turned = read_frame(VIDEOS / "plain.mp4", 21), read_frame(tmp_path / "turned.mp4", 21)
    assert np.abs(np.rot90(upright, -1).astype(int) - turned).mean() < 2
    (pair,) = read_pictures(samples_of(VIDEOS / "plain.mp4", [21], turn=90))
    assert np.array_equal(np.asarray(pair[1]), np.rot90(upright, -1))


def test_frames_are_counted(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", 12)
    (tmp_path / "b.avi").write_text("version https://git-lfs.github.com/spec/v1")
    counts = [facts.frames for facts in measure_videos([tmp_path / name for name in ("a.avi", "b.avi", "absent.avi")])]
    assert counts == [12, 0, 0]
    shutil.copy(VIDEOS / "plain.mp4", tmp_path / "a.avi")  # the file has changed
    assert measure_videos([tmp_path / "a.avi"])[0].frames == 60


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "pointer.mp4").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(PhotographError, match=r"pointer.mp4: a Git LFS pointer in place of the file"):
        read_frame(tmp_path / "pointer.mp4", 0)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(PhotographError, match=r"text.mp4: not a video that can be opened"):
        next(read_frames(tmp_path / "text.mp4"))
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(PhotographError, match=r"empty.mp4: empty, expected a video"):
        read_frame(tmp_path / "empty.mp4", 0)
    with pytest.raises(PhotographError, match=r"gone.avi: no such file"):
        read_frame(tmp_path / "gone.avi", 0)


def test_colours_are_not_exchanged(tmp_path: Path) -> None:
    film = cv2.VideoWriter(str(tmp_path / "blue.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    film.write(np.full((48, 64, 3), (240, 0, 0), np.uint8))  # blue in OpenCV's order
    film.release()
    pixels = read_frame(tmp_path / "blue.avi", 0)
    assert pixels.shape == (48, 64, 3)
    assert pixels[..., 2].mean() == pytest.approx(240, abs=6) and pixels[..., 0].mean() < 12
    with pytest.raises(PhotographError, match="frame 9 cannot be read"):
        read_frame(tmp_path / "blue.avi", 9)
