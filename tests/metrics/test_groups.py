"""Which groups attributes make, and what `deadpan score` says of them."""

from __future__ import annotations

import numpy as np

from deadpan.metrics.classification import Classification
from deadpan.metrics.groups import grouped, groups_in
from deadpan.metrics.measurement import Measurement


def rows_of(values: list[object], *, decades: bool = False) -> dict[str, list[int]]:
    return {name: rows.tolist() for name, rows in grouped(values, decades=decades).items()}


def test_words_are_groups_and_the_unknown_is_none() -> None:
    assert rows_of(["b", "a", None, "b", ""]) == {"a": [1], "b": [0, 3]}
    assert rows_of(["a", "a", None]) == {}
    assert rows_of([f"name {i}" for i in range(13)]) == {}
    assert rows_of([None, ""]) == {}


def test_numbers_are_groups_decades_or_thirds() -> None:
    assert rows_of([1.0, 2.0, 1.0, None]) == {"1": [0, 2], "2": [1]}
    assert rows_of([18.0, 25.0, 29.5, 40, 61.0], decades=True) == {
        "10 to 19": [0],
        "20 to 29": [1, 2],
        "40 to 49": [3],
        "60 to 69": [4],
    }
    assert rows_of([0.0, -30.0, 30.0, 10.0, -10.0, 20.0]) == {
        "up to -3.33": [1, 4],
        "-3.33 to 13.3": [0, 3],
        "over 13.3": [2, 5],
    }


def test_small_groups_and_bookkeeping_are_left_out() -> None:
    people = [{"gender": "female", "take": 1}] * 10 + [{"gender": "male", "take": 2}] * 10 + [{"gender": "other"}] * 9
    assert {key: {name: len(rows) for name, rows in each.items()} for key, each in groups_in(people).items()} == {
        "gender": {"female": 10, "male": 10}
    }


def test_a_measurement_has_groups_and_a_calibration_error() -> None:
    truth = np.tile(np.eye(2, dtype=np.float32)[0], (30, 1))
    answers = np.tile(np.array([0.8, 0.2], np.float32), (30, 1))
    answers[:6] = [0.2, 0.8]  # six of the first ten people are read wrongly
    none = np.zeros(0, np.float32)
    people = tuple({"age": age} for age in [25] * 10 + [35] * 20)
    figures = Measurement(Classification(("neutral", "fear"), answers, truth), none, none, people).figures()
    assert figures["accuracy"] == 0.8 and figures["calibration_error"] == 0
    assert figures["groups"] == {"age": {"accuracy": {"25": 0.4, "35": 1.0}, "gap": 0.6}}
    alone = Measurement(Classification(("neutral", "fear"), answers, truth), none, none).figures()
    assert "groups" not in alone
