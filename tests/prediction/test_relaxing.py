"""Predictor.relax: photographs at rest, in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deadpan import Predictor
from deadpan.faces.photographs import read_photograph
from deadpan.prediction.relaxing import RelaxError


@pytest.fixture(scope="module")
def predictor(model_file: Path) -> Predictor:
    return Predictor(model_file)


def test_the_result_has_the_size_of_the_photograph_and_says_what_moved(predictor: Predictor, portrait: Path) -> None:
    before = read_photograph(portrait)
    relaxed = predictor.relax(portrait)
    assert relaxed.photograph.shape == before.shape
    assert len(relaxed.faces) == 1
    face = relaxed.faces[0]
    x, y = face.motion.corner
    height, width = face.motion.flow.shape[:2]
    changed = (relaxed.photograph != before).any(axis=2)
    assert changed[y : y + height, x : x + width].sum() == changed.sum() > 0
    moved = np.linalg.norm((face.relaxed - face.mesh)[:, :2], axis=1)
    assert moved[[61, 291]].min() > 3  # the corners of the mouth
    assert moved[[33, 133, 362, 263]].max() < 3  # those of the eyes


def test_a_photograph_is_not_changed_in_place(predictor: Predictor, portrait: Path) -> None:
    photograph = read_photograph(portrait)
    before = photograph.copy()
    predictor.relax(photograph)
    assert np.array_equal(photograph, before)


def test_no_face_gives_the_photograph_back(predictor: Predictor) -> None:
    wall = np.full((200, 300, 3), 128, np.uint8)
    relaxed = predictor.relax(wall)
    assert relaxed.faces == []
    assert np.array_equal(relaxed.photograph, wall)


def test_a_face_that_is_not_there_is_an_error(predictor: Predictor, portrait: Path) -> None:
    with pytest.raises(RelaxError, match="there is no face 1; found 1"):
        predictor.relax(portrait, face=1)
