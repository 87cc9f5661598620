"""Faces keep their number while they are followed; a cut of the scene ends it."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from deadpan.faces.detection import WholePicture, make_detector
from deadpan.faces.face import Face
from deadpan.faces.tracking import KEPT, LOOK_EVERY, Tracker
from deadpan.pixels import RGB
from tests.support.films import RATE, portrait, smiling

PEOPLE = (6, 107, 119, 137)


class Counted:
    """The default detector, and how often it was asked."""

    def __init__(self) -> None:
        self.detect, self.calls = make_detector(), 0

    def __call__(self, photograph: RGB) -> list[Face]:
        self.calls += 1
        return self.detect(photograph)


def ids(tracker: Tracker, frames: list[RGB], start: int = 0) -> list[list[int]]:
    return [[face.id for face in tracker(frame, (start + n) / RATE)] for n, frame in enumerate(frames)]


def scene(*people: int) -> RGB:
    """Small portraits beside each other on a wall that grows brighter to the right; 0 leaves a place empty."""
    wall = np.repeat(np.linspace(60, 220, 640)[None, :, None], 360, axis=0).repeat(3, axis=2).astype(np.uint8)
    for place, person in enumerate(people):
        if person:
            face = cv2.resize(portrait(person), (160, 160), interpolation=cv2.INTER_AREA)
            wall[100:260, 80 + 320 * place : 240 + 320 * place] = face
    return wall


def moved(picture: RGB, x: float) -> RGB:
    height, width = picture.shape[:2]
    matrix = np.array([[1, 0, x], [0, 1, 0]], float)
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def test_one_number_while_a_face_smiles_and_a_new_one_after_a_pause() -> None:
    detector = Counted()
    found = ids(Tracker(detector), list(smiling()))
    runs = [(numbers, len(list(group))) for numbers, group in itertools.groupby(found)]
    assert [numbers for numbers, _ in runs if numbers] == [[0], [1]]
    assert runs[0][1] == 80
    assert detector.calls < len(found) / 8


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(PEOPLE, 2)))
def test_a_cut_to_another_person_in_the_same_place_ends_a_number(first: int, second: int) -> None:
    frames = [portrait(first)] * 3 + [portrait(second)] * 3
    assert ids(Tracker(make_detector()), frames) == [[0]] * 3 + [[1]] * 3


def test_two_people_are_told_apart_while_they_move() -> None:
    pair = scene(6, 137)
    frames = [moved(pair, 3 * n) for n in range(12)]
    tracker = Tracker(make_detector())
    boxes = [[face.face.box[0] for face in tracker(frame, n / RATE)] for n, frame in enumerate(frames)]
    assert ids(Tracker(make_detector()), frames) == [[0, 1]] * 12
    assert np.diff([left for left, _ in boxes]) == pytest.approx(3, abs=1.5)


def test_a_face_that_is_covered_for_a_moment_keeps_its_number_and_one_that_is_gone_for_long_does_not() -> None:
    picture = scene(6, 119)
    covered = picture.copy()
    covered[130:240, 100:220] = 120
    brief, long = round(0.4 * RATE), round((KEPT + 0.6) * RATE)
    frames = [picture] * 5 + [covered] * brief + [picture] * 10
    found = ids(Tracker(make_detector()), frames)
    assert found[0] == [0, 1] and found[8] == [1] and found[-1] == [0, 1]
    found = ids(Tracker(make_detector()), [picture] * 5 + [covered] * long + [picture] * 20)
    assert found[-1] == [2, 1]


def test_a_new_face_is_found_beside_one_that_is_followed() -> None:
    frames = [scene(6, 0)] * 3 + [scene(6, 119)] * (round(LOOK_EVERY * RATE) + 2)
    found = ids(Tracker(make_detector()), frames)
    assert found[0] == [0] and found[-1] == [0, 1]


def test_faces_of_crops_are_followed() -> None:
    crop = portrait(107)[40:200, 45:195]
    found = Tracker(WholePicture())(np.ascontiguousarray(crop), 0.0)
    assert len(found) == 1 and found[0].face.mesh is not None


def test_boxes_and_scores() -> None:
    (face,) = (each.face for each in Tracker(make_detector())(portrait(107), 0.0))
    left, top, right, bottom = face.box
    assert 0 <= left < right <= 240 and 0 <= top < bottom <= 240 and 0.9 < face.score <= 1
    assert face.mesh is not None and face.mesh.shape == (468, 3)
    assert ids(Tracker(make_detector()), [np.full((120, 160, 3), 90, np.uint8)] * 3) == [[]] * 3
