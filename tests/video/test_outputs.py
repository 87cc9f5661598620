"""What is made of a video that was read: episodes, captions, tiers, events, a plot, pictures."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from deadpan.errors import DeadpanError
from deadpan.faces.photographs import read_photograph
from deadpan.faces.video import Sampling, open_film
from deadpan.files import OutputError, is_own_png
from deadpan.video import plot
from deadpan.video.captions import elan, is_own_eaf, is_own_vtt, webvtt
from deadpan.video.episodes import Episode, episodes, labels
from deadpan.video.events import Event, EventError, TimeError, read_events, seconds, summarise
from deadpan.video.pictures import draw_faces, is_own_video, write_annotated, write_key_frames
from deadpan.video.plot import plot_video
from deadpan.video.results import VideoFace, VideoResult, row_type
from tests.support.films import SIDE, write_film

NAMES = ("neutral", "happiness", "anger")


def result(path: Path = Path("talk.avi"), rest: bool = True) -> VideoResult:
    """Face 0 is happy from 1 to 2 s with the apex at 1.5; face 1 is in sight from 3 to 4 s, neutral."""
    rows = np.zeros(100, row_type(len(NAMES)))
    rows["frame"], rows["time_s"] = np.arange(100), np.arange(100) / 25
    rows["face"] = np.where(rows["time_s"] < 3, 0, 1)
    rows["box"] = (40, 60, 160, 200)
    height = np.clip(1 - np.abs(rows["time_s"] - 1.5) / 0.6, 0, 1) * (rows["face"] == 0)
    rows["probabilities"] = np.stack([0.9 - 0.8 * height, 0.05 + 0.75 * height, 0.05 + 0.05 * height], axis=1)
    rows["distance"] = height if rest else np.nan
    return VideoResult(path, NAMES, rows, 25.0)


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    frames = [np.full((SIDE, SIDE, 3), 40 + n, np.uint8) for n in range(100)]
    return write_film(tmp_path / "talk.avi", frames)


def test_an_episode_has_its_apex_where_the_distance_is_largest() -> None:
    (episode,) = episodes(result())
    assert (episode.face, episode.expression, episode.apex_frame) == (0, "happiness", 37)
    assert 0.9 < episode.start_s < 1.1 and 1.9 < episode.end_s < 2.1
    assert episode.distance == pytest.approx(0.967, abs=0.01) and 0.7 < episode.confidence < 0.8
    (without,) = episodes(result(rest=False))
    assert without.distance is None and without.apex_frame == episode.apex_frame and without.start_s > episode.start_s


def test_short_episodes_are_left_out_and_gaps_end_them() -> None:
    video = result()
    video.rows["distance"][:] = 0
    video.rows["distance"][50:53] = 0.9
    assert episodes(video) == []
    video.rows["distance"][20:75] = 0.9
    video.rows["time_s"][40:] += 5
    assert [round(each.start_s, 2) for each in episodes(video)] == [0.8, 6.6]


def test_a_face_apart_from_rest_shows_what_is_most_probable_but_neutral() -> None:
    probabilities = np.array([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.2, 0.3, 0.5]])
    assert labels(NAMES, probabilities, np.array([0.5, 0.1, np.nan, np.nan])).tolist() == [1, -1, -1, 2]
    assert labels(("anger", "fear"), probabilities[:, :2], np.array([0.5, 0.1, np.nan, 0.5])).tolist() == [0, -1, 0, 1]


def test_captions(tmp_path: Path) -> None:
    text = webvtt([Episode(0, "happiness", 3599.5, 3661.0, 3600.0, 5, 0.934, 0.62)])
    assert text.startswith("WEBVTT\n")
    assert "\n00:59:59.500 --> 01:01:01.000\nface 0: happiness 93%, 0.62 from rest\n" in text
    assert "from rest" not in webvtt([Episode(1, "fear", 1.0, 2.0, 1.0, 5, 0.9, None)])
    (tmp_path / "own.vtt").write_text(text)
    (tmp_path / "other.vtt").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n")
    assert is_own_vtt(tmp_path / "own.vtt") and not is_own_vtt(tmp_path / "other.vtt")


def test_tiers_for_elan(tmp_path: Path) -> None:
    text = elan(episodes(result()), tmp_path / "talk.mp4")
    document = ElementTree.fromstring(text)
    slots = {each.get("TIME_SLOT_ID"): int(each.get("TIME_VALUE", "")) for each in document.iter("TIME_SLOT")}
    (tier,) = document.iter("TIER")
    (annotation,) = tier.iter("ALIGNABLE_ANNOTATION")
    assert tier.get("TIER_ID") == "face 0" and annotation.findtext("ANNOTATION_VALUE") == "happiness"
    start, end = (slots[annotation.get(f"TIME_SLOT_REF{number}")] for number in (1, 2))
    assert 900 < start < 1100 and 1900 < end < 2100
    media = document.find("HEADER/MEDIA_DESCRIPTOR")
    assert media is not None and media.get("MIME_TYPE") == "video/mp4"
    own, edited = tmp_path / "own.eaf", tmp_path / "edited.eaf"
    own.write_text(text)
    edited.write_text(text.replace("</HEADER>", '<PROPERTY NAME="lastUsedAnnotationId">7</PROPERTY></HEADER>'))
    assert is_own_eaf(own) and not is_own_eaf(edited)


def test_times() -> None:
    assert [seconds(text) for text in ("75", "75.5", "1:15.5", "0:01:15", " 2:00 ")] == [75, 75.5, 75.5, 75, 120]
    for wrong in ("", "1:", "-3", "1:2:3:4", "later"):
        with pytest.raises(TimeError, match="expected a time in seconds"):
            seconds(wrong)


def test_events_are_read(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("\ufeffname,from,to,participant\nfilm,0:01,2,0\n talk ,2,1:00,\n", encoding="utf-8")
    assert read_events(path) == [Event("film", 1, 2, 0), Event("talk", 2, 60, None)]
    path.write_text("name,from,to\nall,0,9\n")
    assert read_events(path) == [Event("all", 0, 9)]
    for text, message in (
        ("name,from\n", "expected the columns name,from,to,participant; got name,from"),
        ("name,from,to\n", "no event found"),
        ("name,from,to\na,0,1\nb,x,2\n", "line 3: expected a time in seconds"),
        ("name,from,to\na,3,2\n", "line 2: an event must end after it begins; got 3 to 2"),
        (
            "name,from,to,participant\na,0,1,Anna\n",
            "expected the number of a face as participant, or nothing for everyone",
        ),
        ("", "got nothing"),
    ):
        path.write_text(text)
        with pytest.raises(EventError, match=message):
            read_events(path)
    with pytest.raises(EventError, match="cannot be read"):
        read_events(tmp_path / "none.csv")


def test_events_are_summed_up() -> None:
    events = [Event("film", 1.0, 2.0), Event("late", 3.0, 4.0, 0)]
    film, other, late = list(summarise(result(), events, "talk.avi", threshold=0.5))
    assert (film["participant"], film["frames"], film["apex_expression"]) == (0, 25, "happiness")
    assert film["distance_maximum"] == pytest.approx(0.967, abs=0.01) and film["latency_s"] == pytest.approx(0.48)
    assert film["time_above_s"] == pytest.approx(0.6, abs=0.05)
    assert film["distance_mean"] == pytest.approx(0.58, abs=0.03)
    assert film["happiness_maximum"] == pytest.approx(0.775, abs=0.01)
    assert (other["participant"], other["frames"]) == (1, 0) and "latency_s" not in other
    assert (late["participant"], late["frames"]) == (0, 0)
    (without, *_) = summarise(result(rest=False), events, "talk.avi")
    assert "distance_mean" not in without and without["latency_s"] == pytest.approx(0.48)


def test_a_plot_has_a_panel_for_each_person(tmp_path: Path) -> None:
    for name, video in (("rest", result()), ("none", result(rest=False))):
        plot_video(video, tmp_path / f"{name}.png", [Event("film", 1, 2)])
        assert is_own_png(tmp_path / f"{name}.png")
    with Image.open(tmp_path / "rest.png") as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    orange = (np.abs(pixels - (244, 181, 95)).max(axis=2) < 25).sum()  # happiness
    assert orange > 1000 and image.height > 400
    empty = VideoResult(Path("talk.avi"), NAMES, np.zeros(0, row_type(3)), 25.0)
    plot_video(empty, tmp_path / "empty.png")


def test_long_videos_keep_their_peaks_in_a_plot(monkeypatch: pytest.MonkeyPatch) -> None:
    heights = np.zeros(100_000)
    heights[77_777] = 0.9
    times, thin, _ = plot._thinned(np.arange(100_000) / 30, heights, np.zeros(100_000, int))
    assert len(thin) == plot.MOST_POINTS and thin.max() == 0.9
    assert times[thin.argmax()] == pytest.approx(77_777 / 30)


def test_without_matplotlib_a_plot_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(DeadpanError, match=r"a plot needs the package matplotlib: pip install 'deadpan\[train\]'"):
        plot_video(result(), tmp_path / "plot.png")


def test_the_annotated_video_marks_the_faces(grey: Path, tmp_path: Path) -> None:
    target = tmp_path / "marked.webm"
    write_annotated(result(grey), target, Sampling())
    assert is_own_video(target) and not is_own_video(grey)
    with open_film(target) as film:
        frames = list(film.frames())
        assert len(frames) == 100 and film.rate == pytest.approx(25)
    edge = frames[37].pixels[100:150, 39:42].reshape(-1, 3).mean(axis=0)
    assert edge == pytest.approx((242, 165, 65), abs=40)  # happiness is orange
    assert frames[37].pixels[10, 200] == pytest.approx(77, abs=8)
    assert not list(tmp_path.glob(".deadpan-*"))


def test_an_annotated_video_keeps_time_where_few_frames_are_read(grey: Path, tmp_path: Path) -> None:
    video = result(grey)
    few = VideoResult(grey, NAMES, video.rows[::10].copy(), 25.0)
    write_annotated(few, tmp_path / "few.webm", Sampling(every=10))
    with open_film(tmp_path / "few.webm") as film:
        assert film.rate == pytest.approx(2.5) and len(list(film.frames())) == 10
    nothing = VideoResult(grey, NAMES, video.rows[:0], 25.0)
    with pytest.raises(OutputError, match="no frame of the video was read"):
        write_annotated(nothing, tmp_path / "none.webm", Sampling())
    assert not (tmp_path / "none.webm").exists()


def test_key_frames_are_those_at_the_apexes(grey: Path, tmp_path: Path) -> None:
    video = result(grey)
    (path,) = write_key_frames(video, episodes(video), tmp_path, Sampling())
    assert path.name == "talk_0_00001.48_happiness.png"
    assert read_photograph(path)[10, 200] == pytest.approx(77, abs=4)
    path.write_text("mine")
    with pytest.raises(OutputError, match="was not written by deadpan"):
        write_key_frames(video, episodes(video), tmp_path, Sampling())


def test_marks_stay_inside_the_frame() -> None:
    face = VideoFace(0, (-5.0, -5.0, 99.0, 60.0), 1.0, {"neutral": 0.1, "happiness": 0.9}, 0.5)
    drawn = draw_faces(np.zeros((64, 96, 3), np.uint8), [face])
    assert drawn.shape == (64, 96, 3) and drawn.max() > 100
    assert json.dumps([face.expression, face.confidence]) == '["happiness", 0.9]'
    assert cv2.countNonZero(drawn[..., 0]) > 100
