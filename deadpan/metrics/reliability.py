"""Calibration: whether a model's confidence matches how often it is right."""

from __future__ import annotations

from typing import Any

import numpy as np

from deadpan.metrics.classification import Classification

BINS = 15
"""As in Guo et al. 2017, On calibration of modern neural networks, arXiv 1706.04599."""


def reliability(answers: Classification, bins: int = BINS) -> dict[str, Any]:
    """The expected calibration error and the reliability bins of N answers, ready for JSON.

    {"ece": x, "bins": [{"low", "high", "pictures", "confidence", "accuracy"}]}. The bins (low, high] have equal width
    over the predicted expression's probability; empty bins are left out. ECE is the mean of |accuracy - confidence|
    over the bins, weighted by their pictures.
    """
    confidence = answers.probabilities.max(1).astype(np.float64)
    right = answers.right
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence) - 1, 0, bins - 1)
    out: list[dict[str, Any]] = []
    error = 0.0
    for index in np.unique(place):
        inside = place == index
        sure, hits = float(confidence[inside].mean()), float(right[inside].mean())
        limits = {"low": round(float(edges[index]), 4), "high": round(float(edges[index + 1]), 4)}
        out.append({**limits, "pictures": int(inside.sum()), "confidence": round(sure, 4), "accuracy": round(hits, 4)})
        error += float(inside.mean()) * abs(hits - sure)
    return {"ece": round(error, 4), "bins": out}
