"""Confidence intervals, and tests of whether two models differ.

Pictures of one person are correlated, so we resample people, not pictures. Everything is computed from each person's
confusion matrix (rows the truth, columns the prediction): accuracy, balanced accuracy and macro F1 follow from the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

RESAMPLES = 2000  # bootstrap resamples

LEVEL = 0.95  # of the confidence intervals

CHUNK = 1 << 21  # counts at a time, 16 MB

Over = Literal["people", "pictures"]

Interval = tuple[float, float]


class Rates(NamedTuple):
    """The rates (...,) of one confusion matrix or of an array of them; NaN for a matrix without pictures."""

    accuracy: NDArray[np.float64]
    balanced_accuracy: NDArray[np.float64]  # mean recall of the expressions that occur
    macro_f1: NDArray[np.float64]  # mean F1 of the expressions that occur


def rates(confusion: NDArray[np.int64]) -> Rates:
    """The rates of confusion matrices (..., K, K)."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)  # (..., K)
    true, answered = confusion.sum(-1), confusion.sum(-2)
    occurs = true > 0
    with np.errstate(invalid="ignore"):
        classes = occurs.sum(-1).astype(np.float64)
        recall = hits / np.maximum(true, 1)
        f1 = np.where(occurs, 2 * hits / np.maximum(true + answered, 1), 0)
        return Rates(hits.sum(-1) / true.sum(-1), recall.sum(-1) / classes, f1.sum(-1) / classes)


def units(subjects: NDArray[np.str_]) -> tuple[NDArray[np.int64], Over]:
    """(N,) the number of each picture's person; of the picture itself where people are unknown or only one."""
    names, number = np.unique(subjects, return_inverse=True)
    if "" in names or len(names) < 2:
        return np.arange(len(subjects)), "pictures"
    return np.asarray(number, np.int64), "people"


def people(subjects: NDArray[np.str_]) -> int | None:
    """The number of different people; None where any picture's person is unknown."""
    names = set(subjects.tolist())
    return None if "" in names else len(names)


def bootstrap(
    unit: NDArray[np.int64], truth: NDArray[np.int64], answer: NDArray[np.int64], classes: int, seed: int = 0
) -> dict[str, Interval]:
    """95 % percentile intervals of the Rates from 2,000 bootstrap resamples.

    Each resample draws P people with replacement, with all their pictures, where P is the number of people. `unit` (N,)
    gives each picture's person, see `units`. A resample averages over the expressions that occur in it.
    """
    found = rates(_resampled(_confusions(unit, truth, answer, classes), np.random.default_rng(seed)))
    tail = (1 - LEVEL) / 2
    ends = {name: np.quantile(values, (tail, 1 - tail)) for name, values in found._asdict().items()}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def mcnemar(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> tuple[int, int, float]:
    """Count the pictures that only one of two models has right (only a, only b), with the exact two-sided McNemar p.

    McNemar 1947, doi 10.1007/BF02295996. Under the null hypothesis, each such picture is equally likely to be a's or
    b's.
    """
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    if not only_a + only_b:
        return 0, 0, 1.0
    return only_a, only_b, float(binomtest(only_a, only_a + only_b, 0.5).pvalue)


def sign_flips(differences: Sequence[int] | NDArray[np.int64]) -> float:
    """The exact two-sided p of a sign-flip permutation test of whole differences, one per person.

    If two models were equally good, the sign of each person's difference would be random. p is the share of all 2^P
    sign patterns whose sum is at least as large. It is exact: the distribution of the sum is built person by person,
    without random sampling.
    """
    sizes = np.abs(np.asarray(differences, np.int64))
    chances = np.ones(1)  # probabilities of the sums -total, ..., total of the people so far
    for size in np.sort(sizes[sizes > 0]):
        grown = np.zeros(len(chances) + 2 * size)
        grown[: len(chances)] = chances / 2
        grown[2 * size :] += chances / 2
        chances = grown
    sums = np.abs(np.arange(len(chances)) - len(chances) // 2)
    return float(min(1.0, chances[sums >= abs(int(np.sum(differences)))].sum()))


def per_unit(unit: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums of whole `values` (N,) over each person's pictures: (P,)."""
    return np.rint(np.bincount(unit, values)).astype(np.int64)


def _confusions(
    unit: NDArray[np.int64], truth: NDArray[np.int64], answer: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """(P, K, K): each person's confusion matrix."""
    people, cells = int(unit.max()) + 1, classes * classes
    counts = np.bincount(unit * cells + truth * classes + answer, minlength=people * cells)
    return counts.reshape(people, classes, classes)


def _resampled(confusions: NDArray[np.int64], draw: np.random.Generator) -> NDArray[np.int64]:
    """(2000, K, K): the summed confusion matrices of as many people as there are, drawn with replacement.

    People with the same matrix are interchangeable, so one multinomial draw counts them together. This keeps thousands
    of unknown people with one picture each fast.
    """
    people, classes = confusions.shape[:2]
    kinds, often = np.unique(confusions.reshape(people, -1), axis=0, return_counts=True)  # (U, K * K), (U,)
    step = max(1, CHUNK // len(kinds))
    starts = range(0, RESAMPLES, step)
    parts = [draw.multinomial(people, often / people, min(step, RESAMPLES - at)) @ kinds for at in starts]
    return np.concatenate(parts).reshape(RESAMPLES, classes, classes)
