"""The calibration error by hand and against torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from deadpan.metrics.classification import Classification
from deadpan.metrics.reliability import BINS, reliability


def answered(probabilities: list[list[float]], truth: list[int]) -> Classification:
    target = np.eye(len(probabilities[0]), dtype=np.float32)[truth]
    return Classification(("neutral", "fear", "sadness"), np.array(probabilities, np.float32), target)


def test_reliability_by_hand() -> None:
    sure, unsure = [0.9, 0.1, 0.0], [0.2, 0.45, 0.35]
    out = reliability(answered([sure, sure, sure, unsure], [0, 0, 1, 1]), bins=10)
    assert out["bins"] == [
        {"low": 0.4, "high": 0.5, "pictures": 1, "confidence": 0.45, "accuracy": 1.0},
        {"low": 0.8, "high": 0.9, "pictures": 3, "confidence": 0.9, "accuracy": 0.6667},
    ]
    assert out["ece"] == pytest.approx(3 / 4 * (0.9 - 2 / 3) + 1 / 4 * 0.55, abs=1e-4)


def test_the_error_agrees_with_torchmetrics() -> None:
    draw = np.random.default_rng(0)
    probabilities = draw.dirichlet(np.ones(3), 500).astype(np.float32)
    truth = draw.integers(0, 3, 500)
    out = reliability(answered(probabilities.tolist(), truth.tolist()))
    theirs = multiclass_calibration_error(torch.from_numpy(probabilities), torch.from_numpy(truth), 3, BINS, "l1")
    assert out["ece"] == pytest.approx(float(theirs), abs=1e-4)
    assert sum(each["pictures"] for each in out["bins"]) == 500


def test_certain_and_right_is_calibrated() -> None:
    out = reliability(answered([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [0, 1]))
    assert out["ece"] == 0
    assert out["bins"] == [{"low": 0.9333, "high": 1.0, "pictures": 2, "confidence": 1.0, "accuracy": 1.0}]
