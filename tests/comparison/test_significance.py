"""Rates against scikit-learn, intervals against a plain loop, and the tests of significance against enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score

from deadpan.comparison.significance import bootstrap, mcnemar, per_unit, rates, sign_flips, units


def some_pictures(
    count: int = 300, people: int = 20, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Person, truth and answer; each person is answered as well as a chance of their own."""
    draw = np.random.default_rng(seed)
    unit, truth = draw.integers(0, people, count), draw.integers(0, 3, count)
    right = draw.random(count) < draw.uniform(0.2, 1, people)[unit]
    return unit, truth, np.where(right, truth, (truth + 1) % 3)


def confusion(truth: NDArray[np.int64], answer: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(confusion_matrix(truth, answer, labels=range(4)), np.int64)


def test_rates_by_hand() -> None:
    found = rates(np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]]))
    assert found.accuracy == pytest.approx(7 / 10)
    assert found.balanced_accuracy == pytest.approx((3 / 4 + 4 / 6) / 2)
    assert found.macro_f1 == pytest.approx((6 / 9 + 8 / 11) / 2)


def test_rates_agree_with_scikit_learn() -> None:
    _, truth, answer = some_pictures()
    found = rates(confusion(truth, answer))
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, answer))
    assert found.macro_f1 == pytest.approx(f1_score(truth, answer, average="macro"))


def test_the_bootstrap_draws_people_with_all_their_pictures() -> None:
    unit, truth, answer = some_pictures()
    found = bootstrap(unit, truth, answer, 3)
    draw = np.random.default_rng(1)
    plain = []
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(unit == person) for person in draw.integers(0, 20, 20)])
        plain.append(rates(confusion(truth[rows], answer[rows])))
    low, high = np.quantile(plain, (0.025, 0.975), axis=0)
    assert np.array(list(found.values())) == pytest.approx(np.stack([low, high], 1), abs=0.015)
    assert list(found) == ["accuracy", "balanced_accuracy", "macro_f1"]


def test_people_make_an_interval_wider_than_pictures_where_people_differ() -> None:
    unit = np.repeat(np.arange(10), 30)
    truth = np.zeros(300, np.int64)
    answer = (unit % 2).astype(np.int64)  # every person wholly right or wholly wrong
    low, high = bootstrap(unit, truth, answer, 2)["accuracy"]
    assert (low, high) == pytest.approx((0.2, 0.8))  # of a binomial with 10 fair coins
    low, high = bootstrap(np.arange(300), truth, answer, 2)["accuracy"]
    assert (low, high) == pytest.approx((0.443, 0.557), abs=0.01)  # 0.5 -+ 1.96 sqrt(0.25 / 300)


def test_an_interval_holds_the_true_accuracy_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        unit = np.repeat(np.arange(40), 5)
        right = draw.random(200) < draw.beta(7, 3, 40)[unit]
        low, high = bootstrap(unit, np.zeros(200, np.int64), (~right).astype(np.int64), 2, seed)["accuracy"]
        held += low <= 0.7 <= high
    assert 180 <= held <= 199


def test_the_same_seed_gives_the_same_interval() -> None:
    pictures = some_pictures()
    assert bootstrap(*pictures, 3) == bootstrap(*pictures, 3)
    assert bootstrap(*pictures, 3) != bootstrap(*pictures, 3, seed=1)


def test_unknown_people_stand_for_their_pictures() -> None:
    number, over = units(np.array(["a/2", "a/1", "a/2"]))
    assert (number.tolist(), over) == ([1, 0, 1], "people")
    for names in (["a/1", "", "a/2"], ["a/1", "a/1", "a/1"]):
        number, over = units(np.array(names))
        assert (number.tolist(), over) == ([0, 1, 2], "pictures")


def test_mcnemar_by_hand() -> None:
    a = np.array([1, 1, 1, 1, 1, 1, 0, 1, 0], bool)
    b = np.array([0, 0, 0, 0, 0, 0, 1, 1, 0], bool)
    assert mcnemar(a, b)[:2] == (6, 1)
    assert mcnemar(a, b)[2] == pytest.approx(2 * (1 + 7) / 2**7)
    assert mcnemar(b, a)[2] == mcnemar(a, b)[2]
    assert mcnemar(a, a) == (0, 0, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_sign_flips_agree_with_every_pattern(seed: int) -> None:
    differences = np.random.default_rng(seed).integers(-4, 6, 9)
    flipped = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=9)]
    assert sign_flips(differences) == pytest.approx(np.mean(np.array(flipped) >= abs(differences.sum())))


def test_sign_flips_by_hand() -> None:
    assert sign_flips([1, 2, 3]) == pytest.approx(2 / 8)
    assert sign_flips([1, -1]) == 1
    assert sign_flips([0, 0]) == 1
    assert sign_flips([1] * 6 + [-1]) == pytest.approx(mcnemar(np.arange(7) < 6, np.arange(7) == 6)[2])


def test_p_is_uniform_where_two_models_are_equal() -> None:
    draw = np.random.default_rng(0)
    drawn = np.array([sign_flips(draw.integers(-9, 10, 30)) for _ in range(2000)])
    for level in (0.05, 0.2, 0.5, 0.8):
        assert (drawn <= level).mean() == pytest.approx(level, abs=0.035)


def test_values_are_summed_over_each_person() -> None:
    assert per_unit(np.array([1, 0, 1, 3]), np.array([1, -1, 1, 0])).tolist() == [-1, 2, 0, 0]
