"""Smoothing keeps peaks in their place; the one-euro filter follows quick changes."""

from __future__ import annotations

import numpy as np
import pytest

from deadpan.video import smoothing
from deadpan.video.smoothing import OneEuro, smoothed


def test_a_peak_stays_where_it_is_at_uneven_times() -> None:
    draw = np.random.default_rng(0)
    times = np.sort(draw.uniform(0, 10, 400))
    clean = np.exp(-0.5 * ((times - 5) / 0.8) ** 2)
    noisy = clean + draw.normal(0, 0.2, len(times))
    smooth = smoothed(noisy, times, 0.3)
    assert abs(times[smooth.argmax()] - 5) < 0.25
    assert np.abs(smooth - clean).mean() < 0.4 * np.abs(noisy - clean).mean()


def test_against_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoothing, "AT_ONCE", 7)
    draw = np.random.default_rng(1)
    times, values = np.cumsum(draw.uniform(0.01, 0.2, 40)), draw.normal(size=(40, 3))
    expected = []
    for time in times:
        near = np.abs(times - time) <= 3 * 0.15
        weights = np.exp(-0.5 * ((times[near] - time) / 0.15) ** 2)
        expected.append(weights @ values[near] / weights.sum())
    assert smoothed(values, times, 0.15) == pytest.approx(np.array(expected))


def test_what_needs_no_smoothing() -> None:
    values = np.array([1.0, 5.0, 2.0])
    assert np.array_equal(smoothed(values, [0, 1, 2], 0), values)
    assert np.array_equal(smoothed(values[:1], [0], 1.0), values[:1])
    assert smoothed(np.full((9, 2), 0.5), np.arange(9), 2.0) == pytest.approx(np.full((9, 2), 0.5))
    with pytest.raises(ValueError, match="0 seconds or more, got -1"):
        smoothed(values, [0, 1, 2], -1)


def test_one_euro_calms_what_rests_and_follows_a_jump() -> None:
    draw = np.random.default_rng(2)
    times = np.arange(300) / 30
    values = np.where(times < 5, 0.2, 0.9)[:, None] + draw.normal(0, 0.02, (300, 2))
    euro = OneEuro()
    out = np.stack([euro(value, time) for value, time in zip(values, times, strict=True)])
    assert out[60:140].std() < 0.7 * values[60:140].std()
    assert np.abs(out[165] - 0.9).max() < 0.1  # half a second after the jump
    slow = OneEuro(beta=0)
    lagging = np.stack([slow(value, time) for value, time in zip(values, times, strict=True)])
    assert lagging[153].mean() < out[153].mean()


def test_one_euro_starts_with_the_value_and_ignores_a_clock_that_stands_still() -> None:
    euro = OneEuro()
    assert euro([0.3, 0.7], 1.0).tolist() == [0.3, 0.7]
    assert euro([0.9, 0.9], 1.0).tolist() == [0.3, 0.7]
    with pytest.raises(ValueError, match="cutoffs must be above 0"):
        OneEuro(cutoff=0)
