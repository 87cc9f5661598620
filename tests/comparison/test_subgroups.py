"""Which groups attributes make, and the accuracy and gap of each by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from deadpan.comparison.subgroups import grouped, subgroups
from deadpan.evaluation.answers import Answers
from tests.support.answers import some_answers


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


def answered(right: list[bool], attributes: Sequence[dict[str, Any]]) -> Answers:
    """As many pictures of `fear`, each of another person, right or wrong as told."""
    answers = some_answers(len(right), people=len(right))
    fear, other = np.eye(3, dtype=np.float32)[[1, 0]]
    probabilities = np.where(np.array(right)[:, None], fear, other)
    target = np.tile(fear, (len(right), 1))
    return dataclasses.replace(answers, target=target, probabilities=probabilities, attributes=tuple(attributes))


def test_accuracy_and_gap_by_hand() -> None:
    gender = ["female"] * 20 + ["male"] * 10 + ["other"] * 9
    right = [True] * 15 + [False] * 5 + [True] * 5 + [False] * 5 + [True] * 9
    out = subgroups(answered(right, [{"gender": each, "AU12": float(i)} for i, each in enumerate(gender)]))
    assert list(out) == ["gender"]
    women, men = out["gender"]["groups"]["female"], out["gender"]["groups"]["male"]
    assert (women["pictures"], women["people"], women["accuracy"]) == (20, 20, 0.75)
    assert women["interval"] == pytest.approx([0.55, 0.95])  # of a binomial: 20 draws of 3/4
    assert men["accuracy"] == 0.5
    assert out["gender"]["gap"] == 0.25
    assert out["gender"]["left_out"] == 9


def test_one_group_alone_makes_no_gap() -> None:
    assert subgroups(answered([True] * 15, [{"gender": "male"}] * 10 + [{"gender": "female"}] * 5)) == {}
    assert subgroups(answered([True] * 15, [{}] * 15)) == {}


def test_ages_come_in_decades() -> None:
    out = subgroups(answered([True] * 30, [{"age": 20.0 + i % 20} for i in range(30)]))
    assert list(out["age"]["groups"]) == ["20 to 29", "30 to 39"]
