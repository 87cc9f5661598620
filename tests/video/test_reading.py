"""A video read from end to end: rows, numbers, times, the face at rest, and what a damaged file still has."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from deadpan.faces.photographs import PhotographError
from deadpan.faces.video import Sampling, SamplingError, open_film
from deadpan.prediction.predictor import Predictor
from deadpan.video import rest as rest_module
from deadpan.video import smoothing
from deadpan.video.reading import VideoSettings, ahead, clock, open_video
from deadpan.video.rest import RestError, estimate_rest, features, intensity
from deadpan.video.results import RowStore, VideoFrame, VideoResult, columns, frames_of, row_type, table_rows
from tests.support.films import EMPTY, OTHER, SMILE, portrait, smiling, write_film
from tests.support.photos import PHOTOS, VIDEOS


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor("cnn")


@pytest.fixture(scope="module")
def frames(predictor: Predictor, film: Path) -> list[VideoFrame]:
    return list(predictor.predict_video(film))


def distances(frames: list[VideoFrame], start: float, end: float) -> list[float]:
    found = [face.distance_from_rest for frame in frames if start <= frame.time_s < end for face in frame.faces]
    return [value for value in found if value is not None]


def test_every_frame_comes_in_order_with_its_faces(frames: list[VideoFrame]) -> None:
    assert [frame.frame for frame in frames] == list(range(110))
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(110) / 25)
    numbers = {tuple(face.face for face in frame.faces) for frame in frames if frame.time_s < EMPTY[0]}
    assert numbers == {(0,)}
    assert all(not frame.faces for frame in frames if EMPTY[0] <= frame.time_s < EMPTY[1])
    assert frames[-1].faces[0].face == 1 and OTHER[0] < frames[-1].time_s
    face = frames[0].faces[0]
    assert sum(face.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert face.confidence == face.probabilities[face.expression]


def test_the_distance_from_the_own_face_at_rest_follows_the_smile(frames: list[VideoFrame]) -> None:
    calm, smile = distances(frames, 0, 0.8), distances(frames, SMILE[0] + 0.1, SMILE[1] - 0.1)
    assert max(calm) < 0.1 and min(smile) > 0.3
    apex = max((frame for frame in frames if frame.faces), key=lambda frame: frame.faces[0].distance_from_rest or 0)
    assert SMILE[0] - 0.1 <= apex.time_s <= SMILE[1] + 0.1
    assert apex.faces[0].expression == "happiness"


def test_rest_can_be_given_as_a_time_a_photograph_or_not_at_all(predictor: Predictor, film: Path) -> None:
    upside_down = list(predictor.predict_video(film, rest=SMILE))
    assert min(distances(upside_down, 0, 0.8)) > 0.3 and max(distances(upside_down, 1.4, 1.8)) < 0.1
    assert distances(upside_down, *OTHER) == []  # the other person is not in sight while the first one smiles
    photograph = list(predictor.predict_video(film, rest=PHOTOS / "london_107_neutral.jpg"))
    assert max(distances(photograph, 0, 0.8)) < 0.15 and min(distances(photograph, 1.4, 1.8)) > 0.3
    assert distances(list(predictor.predict_video(film, rest=None)), 0, 9) == []


def test_a_rest_face_must_show_one_person(predictor: Predictor, film: Path) -> None:
    with pytest.raises(RestError, match="photograph of one person; found 0 faces"):
        next(predictor.predict_video(film, rest=np.zeros((50, 50, 3), np.uint8)))
    with pytest.raises(RestError, match="time range from 0 s or later to a later time, got 3 to 2"):
        next(predictor.predict_video(film, rest=(3, 2)))
    with pytest.raises(RestError, match="smoothing must be 0 to 60 seconds, got -1"):
        next(predictor.predict_video(film, smoothing=-1))


def test_a_given_rest_face_counts_only_where_one_face_is_in_sight(predictor: Predictor, tmp_path: Path) -> None:
    pair = np.ascontiguousarray(np.hstack([portrait(107), portrait(119)]))
    single = np.ascontiguousarray(np.hstack([portrait(107), np.full_like(portrait(119), 90)]))
    film = write_film(tmp_path / "pair.avi", [single] * 8 + [pair] * 20)
    found = list(predictor.predict_video(film, rest=portrait(107)))
    assert len(distances(found[:8], 0, 9)) == 8 and len(found[-1].faces) == 2
    assert distances(found[-3:], 0, 9) == []


def test_without_rest_and_smoothing_frames_come_while_the_video_is_read(predictor: Predictor, film: Path) -> None:
    before = threading.active_count()
    started = predictor.predict_video(film, rest=None, smoothing=0)
    first = list(islice(started, 3))
    assert [frame.frame for frame in first] == [0, 1, 2]
    assert isinstance(started, Iterator)
    started.close()
    assert threading.active_count() == before


def test_smoothing_calms_probabilities_and_keeps_their_sum(predictor: Predictor, film: Path) -> None:
    raw, calm = (
        np.array([[*frame.faces[0].probabilities.values()] for frame in found[:80]])
        for found in (
            list(predictor.predict_video(film, smoothing=0)),
            list(predictor.predict_video(film, smoothing=0.2)),
        )
    )
    assert np.abs(np.diff(calm, axis=0)).sum() < np.abs(np.diff(raw, axis=0)).sum()
    assert calm.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_blocks_make_no_difference(predictor: Predictor, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(predictor.predict_video(film))
    for module in (rest_module, smoothing):
        monkeypatch.setattr(module, "AT_ONCE", 13)
    monkeypatch.setattr("deadpan.video.results.AT_ONCE", 13)
    parts = list(predictor.predict_video(film))
    assert [frame.frame for frame in parts] == [frame.frame for frame in whole]
    for one, other in zip(whole, parts, strict=True):
        for face, same in zip(one.faces, other.faces, strict=True):
            assert same.distance_from_rest == pytest.approx(face.distance_from_rest, abs=1e-5)
            assert same.probabilities == pytest.approx(face.probabilities, abs=1e-5)


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(every=7), list(range(0, 60, 7))),
        (Sampling(fps=10), list(range(0, 60, 3))),
        (Sampling(fps=100), list(range(60))),
        (Sampling(start_s=0.5, end_s=1.0), list(range(15, 30))),
        (Sampling(every=5, start_s=0.5, end_s=1.0), [15, 20, 25]),
    ],
)
def test_frames_are_chosen_by_number_rate_and_time(sampling: Sampling, expected: list[int]) -> None:
    with open_film(VIDEOS / "plain.mp4") as film:
        assert [frame.index for frame in film.frames(sampling)] == expected
        assert film.announced == 60 and film.rate == pytest.approx(30) and not film.cut_short


def test_a_rate_is_kept_where_that_of_the_video_varies() -> None:
    with open_film(VIDEOS / "variable_rate.mp4") as film:
        times = [frame.time_s for frame in film.frames(Sampling(fps=10))]
    assert np.diff(times) == pytest.approx(0.1, abs=0.04)


def test_choices_that_make_no_sense() -> None:
    for settings, text in (
        ({"every": 0}, "every must be at least 1 frame, got 0"),
        ({"fps": 0.0}, "fps must be above 0 frames per second, got 0.0"),
        ({"every": 2, "fps": 5.0}, "either every or fps"),
        ({"start_s": -1.0}, "0 seconds or more, got -1.0"),
        ({"start_s": 2.0, "end_s": 1.0}, "the end time must be after the start time; got 2.0 s to 1.0 s"),
    ):
        with pytest.raises(SamplingError, match=text):
            Sampling(**settings)


def test_what_is_damaged_in_the_middle_is_left_out(tmp_path: Path) -> None:
    content = bytearray((VIDEOS / "plain.mp4").read_bytes())
    size = len(content)
    content[int(0.4 * size) : int(0.45 * size)] = b"\xff" * (int(0.45 * size) - int(0.4 * size))
    (tmp_path / "damaged.mp4").write_bytes(content)
    with open_film(tmp_path / "damaged.mp4") as film:
        times = [frame.time_s for frame in film.frames()]
        assert 50 < len(times) < 60 and times[-1] > 1.9 and not film.cut_short


def test_a_truncated_video_says_where_it_stopped(predictor: Predictor, tmp_path: Path) -> None:
    content = (VIDEOS / "plain.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) * 6 // 10])
    with open_video(predictor, tmp_path / "cut.mp4") as reading:
        result = reading.read()
        assert result.stopped == "stopped at 0:00 of 0:02"
        assert 15 < len(list(result.frames())) < 50
    with open_video(predictor, tmp_path / "cut.mp4", VideoSettings(Sampling(end_s=0.3))) as reading:
        assert reading.read().stopped is None
    (tmp_path / "no.mp4").write_text("no video")
    with pytest.raises(PhotographError, match="not a video that can be opened"):
        next(predictor.predict_video(tmp_path / "no.mp4"))


def test_progress_is_told_and_what_was_read_can_be_had_at_any_time(predictor: Predictor, film: Path) -> None:
    told: list[tuple[int, float]] = []
    with open_video(predictor, film) as reading:
        reading.read(lambda frames, seconds: told.append((frames, seconds)))
        assert told[-1][0] == 110 and told[-1][1] == pytest.approx(109 / 25) and len(told) > 1
    with open_video(predictor, film) as reading:
        blocks = reading.blocks()
        next(blocks)
        blocks.close()
        early = list(reading.result().frames())
        assert 0 < len(early) < 110 and early[0].faces[0].distance_from_rest is not None


def synthetic_result(count: int, turn: float = 0.0) -> VideoResult:
    rows = np.zeros(count, row_type(2))
    rows["frame"], rows["time_s"], rows["turn"] = np.arange(count), np.arange(count) / 10, turn
    rows["probabilities"] = 0.5
    return VideoResult(Path("film.mp4"), ("neutral", "happiness"), rows, 10.0)


def test_the_rest_is_the_median_of_the_frames_nearest_to_neutral() -> None:
    video = synthetic_result(100)
    video.rows["shape"][:, 0] = np.linspace(1, 2, 100)
    video.rows["shape"][40:60, 0] = 0.01
    found = estimate_rest(video, np.arange(100), None)
    assert found is not None and found[2] == pytest.approx(0.1)
    within = estimate_rest(video, np.arange(100), (0.0, 1.05))
    assert within is not None and within[2] == pytest.approx(10 * np.linspace(1, 2, 100)[5], abs=0.01)


def test_too_few_frames_or_a_face_that_is_turned_away_give_no_rest() -> None:
    assert estimate_rest(synthetic_result(4), np.arange(4), None) is None
    assert estimate_rest(synthetic_result(50, turn=60), np.arange(50), None) is None
    assert estimate_rest(synthetic_result(50), np.arange(50), (8.0, 9.0)) is None


def test_features_do_not_depend_on_how_sure_a_model_was_made() -> None:
    shape = np.zeros((2, 50))
    plain = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
    surer = plain ** (1 / 0.5)
    surer /= surer.sum(1, keepdims=True)
    assert np.allclose(features(surer, shape, 0.5), features(plain, shape))
    assert not np.allclose(features(surer, shape), features(plain, shape))


def test_intensity_rises_from_0_to_1() -> None:
    found = intensity(np.linspace(0, 60, 200)[:, None], np.zeros(1))
    assert found[0] == 0 and found[-1] == 1 and (np.diff(found) >= 0).all()


def test_rows_come_back_from_the_disk() -> None:
    store = RowStore(2)
    assert len(store.rows()) == 0
    store.append(synthetic_result(3).rows)
    rows = store.rows()
    rows["distance"] = 0.25
    assert store.rows()["distance"].tolist() == [0.25] * 3
    rows["face"][1] = -1
    frames = list(frames_of(rows, ("neutral", "happiness")))
    assert [len(frame.faces) for frame in frames] == [1, 0, 1]
    shape = columns(("neutral", "happiness"))
    assert list(table_rows("film.mp4", frames[0])[0]) == list(shape)
    assert table_rows("film.mp4", frames[1]) == [{"input": "film.mp4", "frame": 1, "time_s": 0.1}]
    store.close()


def test_ahead_keeps_the_order_raises_and_ends_its_thread() -> None:
    assert list(ahead(range(50), 3)) == list(range(50))

    def broken() -> Iterator[int]:
        yield 1
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        list(ahead(broken(), 2))
    before = threading.active_count()
    endless = ahead(itertools.count(), 2)
    next(endless)
    endless.close()
    assert threading.active_count() == before


def test_clock() -> None:
    assert [clock(value) for value in (0.9, 12, 75.5, 3723)] == ["0:00", "0:12", "1:15", "1:02:03"]


def test_a_detector_for_crops_reads_videos_of_crops(tmp_path: Path) -> None:
    crops = [np.ascontiguousarray(frame[40:200, 44:196]) for frame in islice(smiling(), 20)]
    found = list(Predictor("cnn", "none").predict_video(write_film(tmp_path / "crop.avi", crops)))
    assert [[face.face for face in frame.faces] for frame in found] == [[0]] * 20
