"""Figures against hand counts and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deadpan.metrics.classification import Classification
from deadpan.metrics.neutral_faces import CHANGED, changed_region, region_l1


def classification() -> Classification:
    truth = [0, 0, 0, 0, 1, 1, 2]
    answer = [0, 0, 0, 1, 1, 0, 2]
    eye = np.eye(4, dtype=np.float32)
    return Classification(("neutral", "anger", "happiness", "sadness"), eye[answer], eye[truth])


def test_accuracies_by_hand() -> None:
    figures = classification()
    assert figures.accuracy == pytest.approx(5 / 7)
    assert figures.balanced_accuracy == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert figures.recall == {"neutral": 0.75, "anger": 0.5, "happiness": 1.0}
    assert figures.confusion.tolist() == [[3, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert figures.macro_f1 == pytest.approx((2 * 3 / 8 + 2 * 1 / 4 + 1) / 3)
    assert figures.summary()["pictures"] == 7


def test_the_changed_region_is_where_the_pair_differs() -> None:
    image = torch.zeros(1, 3, 16, 16)
    neutral = image.clone()
    neutral[:, :, 4:9, 4:9] = 0.5  # a quarter of the range
    region = changed_region(image, neutral)
    assert region[0, 0, 6, 6] == 1
    assert region[0, 0, 13, 13] == 0
    assert changed_region(image, image + CHANGED).sum() == 0  # in [-1, 1] this is half of the threshold
    assert region_l1(image, neutral, torch.ones(1, 1, 16, 16)).item() == pytest.approx(0.25 * 25 / 256)
    assert torch.isnan(region_l1(image, image, changed_region(image, image))).all()
