"""Live smoothing over time: which faces of two pictures are the same, and when one is forgotten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deadpan.prediction.predictor import Predictor
from deadpan.prediction.results import FaceResult
from deadpan.server.live import Steady, overlap


@pytest.fixture(scope="module")
def face(model_file: Path, girl: Path) -> FaceResult:
    return Predictor(model_file).predict(girl)[0]


def at(face: FaceResult, left: float, neutral: float) -> FaceResult:
    """The face at another place, with only two expressions."""
    probabilities = {"neutral": neutral, "happiness": 1 - neutral}
    expression = "neutral" if neutral > 0.5 else "happiness"
    return replace(face, box=(left, 0.0, left + 100, 100.0), probabilities=probabilities, expression=expression)


def test_overlap_of_boxes() -> None:
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 20, 10)) == overlap((0, 0, 1, 1), (5, 5, 6, 6)) == 0


def test_each_face_is_smoothed_on_its_own(face: FaceResult) -> None:
    steady = Steady()
    steady([at(face, 0, 0.9), at(face, 500, 0.1)], 0.0)
    left, right, new = steady([at(face, 10, 0.1), at(face, 510, 0.9), at(face, 900, 0.3)], 0.1)
    assert 0.1 < left.probabilities["neutral"] < 0.9 and 0.1 < right.probabilities["neutral"] < 0.9
    assert left.probabilities["neutral"] == pytest.approx(1 - right.probabilities["neutral"])
    assert new.probabilities == pytest.approx({"neutral": 0.3, "happiness": 0.7})
    assert left.expression == max(left.probabilities, key=left.probabilities.__getitem__)
    assert sum(left.probabilities.values()) == pytest.approx(1)


def test_a_face_that_was_long_away_is_a_new_one(face: FaceResult) -> None:
    steady = Steady()
    steady([at(face, 0, 0.9)], 0.0)
    steady([], 0.1)
    (again,) = steady([at(face, 0, 0.1)], 0.2)
    assert again.probabilities["neutral"] > 0.11
    (late,) = steady([at(face, 0, 0.9)], 5.0)
    assert late.probabilities["neutral"] == pytest.approx(0.9)
