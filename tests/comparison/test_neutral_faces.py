"""What is measured of generated neutral faces, by hand: distance, identity, and what a classifier still reads."""

from __future__ import annotations

import dataclasses
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from deadpan.comparison.neutral_faces import chosen, compare_answers, expression_left, resized
from deadpan.evaluation.answers import Answers
from deadpan.prediction.predictor import Predictor
from deadpan.prediction.results import Recognition
from tests.support.answers import some_answers


def grey_answers() -> Answers:
    """Six pictures, of which 0, 2 and 4 are paired and truly neutral, happiness and fear: 100, changed to 151 in half.

    The generated face is 10 levels off everywhere.
    """
    answers = some_answers(6)
    true = np.full((6, 32, 32, 3), 100, np.uint8)
    images = true.copy()
    images[:, :, 16:] = 151
    images[answers.target.argmax(1) == 0] = 100
    return dataclasses.replace(answers, images=images, true_neutral=true, neutral=true + 10)


def halfway(one: Tensor, other: Tensor) -> Tensor:
    return torch.full((len(one),), 0.5)


def test_distance_to_the_true_neutral_face_by_hand() -> None:
    out = compare_answers(grey_answers(), halfway)
    assert {kind: out[kind]["pictures"] for kind in out} == {"expressive": 2, "neutral": 1}
    assert out["expressive"]["l1"] == pytest.approx(10 / 255, abs=1e-4)
    region = 16 * 32 + 30  # a pixel beyond the edge too, but for two corners
    assert out["expressive"]["copy_l1"] == pytest.approx(51 / 255 * 16 * 32 / region, abs=1e-4)
    assert (out["neutral"]["l1"], out["neutral"]["copy_l1"], out["neutral"]["copy_ssim"]) == (
        pytest.approx(10 / 255, abs=1e-4),
        0,
        1,
    )
    assert out["expressive"]["identity"] == out["neutral"]["copy_identity"] == 0.5
    assert "identity" not in compare_answers(grey_answers(), None)["expressive"]


def test_a_mean_without_any_picture_is_none() -> None:
    answers = grey_answers()
    unchanged = dataclasses.replace(answers, images=answers.true_neutral)
    assert compare_answers(unchanged, None)["expressive"]["l1"] is None
    assert compare_answers(dataclasses.replace(answers, paired=np.zeros(6, bool)), None) == {}
    with pytest.raises(ValueError, match="no generated neutral faces"):
        compare_answers(dataclasses.replace(answers, neutral=None), None)


class BrightnessReader:
    """Reads happiness in bright pictures and neutral in others; it knows no fear."""

    name, image_size, expressions = "bright", 16, ("neutral", "happiness")

    def predict_faces(self, aligned: NDArray[np.uint8]) -> Recognition:
        assert aligned.shape[1:] == (16, 16, 3)
        bright = (aligned.mean((1, 2, 3)) > 120).astype(np.float64)
        return Recognition(np.stack([1 - bright, bright], 1), None)


def test_what_a_classifier_still_reads_by_hand() -> None:
    reader = cast(Predictor, BrightnessReader())
    out = expression_left(grey_answers(), reader)
    assert out == {
        "judge": "bright (released)",
        "pictures": 2,  # happiness twice: neutral is no expression to leave, fear is unknown to it
        "read_as_neutral": 1.0,
        "recognised": 0.0,
        "image_read_as_neutral": 0.0,
        "image_recognised": 1.0,
    }
    afraid = grey_answers().take(np.array([1, 4]))
    assert expression_left(afraid, reader) is None


def test_the_released_network_reads_faces_of_another_size() -> None:
    out = expression_left(grey_answers())
    assert out is not None
    assert out["pictures"] == 4
    assert out["judge"] == "cnn (released)"


def test_the_choice_of_pictures_goes_by_name_and_not_by_order() -> None:
    answers = some_answers(40)
    rows = chosen(answers, np.ones(40, bool), 10)
    assert len(set(rows.tolist())) == 10
    turned = answers.take(np.arange(40)[::-1])
    assert set(turned.names[chosen(turned, np.ones(40, bool), 10)]) == set(answers.names[rows])
    assert sorted(chosen(answers, answers.paired, 100)) == np.flatnonzero(answers.paired).tolist()


def test_pictures_are_resized_for_the_judge() -> None:
    assert resized(np.full((2, 8, 8, 3), 7, np.uint8), 4).tolist() == np.full((2, 4, 4, 3), 7).tolist()
