"""The accuracy of each group, its interval and the gap, by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from deadpan.comparison.subgroups import subgroups
from deadpan.evaluation.answers import Answers
from tests.support.answers import some_answers


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
