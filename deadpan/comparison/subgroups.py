"""Subgroups: accuracy in each group that a data set's attributes define, and the gap between groups."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deadpan.comparison.significance import bootstrap, people, units
from deadpan.evaluation.answers import Answers

LEAST = 10  # groups with fewer pictures are left out: their accuracy is mostly chance and would widen the gap

MOST = 12  # an attribute with more words holds names, not groups

FEW = 4  # up to this many different numbers each form a group, such as intensities 1 to 4

BOOKKEEPING = re.compile(
    r"AU\d+.*|majority|part|phase|elicited|take|session|sentence|film|valence|arousal", re.IGNORECASE
)
"""Attributes about labels and recording sessions, not about the person or the view."""


def subgroups(answers: Answers) -> dict[str, Any]:
    """Accuracy of each group of each attribute, ready for JSON.

    {"gender": {"groups": {"female": {"pictures", "people" (None: unknown), "accuracy", "interval", "interval_over"}},
    "gap": largest - least accuracy, "left_out": pictures without the attribute or in groups under 10}}. Attributes with
    fewer than two groups are left out.
    """
    out: dict[str, Any] = {}
    for name in sorted({key for each in answers.attributes for key in each}):
        if BOOKKEEPING.fullmatch(name):
            continue
        groups = grouped([each.get(name) for each in answers.attributes], decades=name.lower() == "age")
        kept = {group: rows for group, rows in groups.items() if len(rows) >= LEAST}
        if len(kept) > 1:
            found = {group: _accuracy(answers, rows) for group, rows in kept.items()}
            rates = [each["accuracy"] for each in found.values()]
            left = len(answers) - sum(len(rows) for rows in kept.values())
            out[name] = {"groups": found, "gap": round(max(rates) - min(rates), 4), "left_out": left}
    return out


def grouped(values: Sequence[Any], *, decades: bool = False) -> dict[str, NDArray[np.int64]]:
    """The rows of each group that an attribute's values define, in order; None and "" are unknown.

    Up to 12 words, or 4 different numbers, are groups themselves. More numbers are divided into thirds, or into decades
    with `decades`. The result is empty where all values are equal, or for more words.
    """
    rows = np.array([row for row, value in enumerate(values) if value is not None and value != ""], np.int64)
    known = [values[row] for row in rows]
    if all(isinstance(value, int | float) for value in known):
        numbers = np.array(known, np.float64)
        kinds = np.unique(numbers)
        if len(kinds) > FEW:
            return _decades(rows, numbers) if decades else _thirds(rows, numbers)
        groups = {f"{kind:g}": rows[numbers == kind] for kind in kinds}
    else:
        words = np.array([str(value) for value in known])
        groups = {str(kind): rows[words == kind] for kind in np.unique(words)}
    return groups if 2 <= len(groups) <= MOST else {}


def _decades(rows: NDArray[np.int64], ages: NDArray[np.float64]) -> dict[str, NDArray[np.int64]]:
    decade = (ages // 10 * 10).astype(int)
    return {f"{start} to {start + 9}": rows[decade == start] for start in np.unique(decade)}


def _thirds(rows: NDArray[np.int64], numbers: NDArray[np.float64]) -> dict[str, NDArray[np.int64]]:
    low, high = np.quantile(numbers, (1 / 3, 2 / 3))
    masks = {
        f"up to {low:.3g}": numbers <= low,
        f"{low:.3g} to {high:.3g}": (numbers > low) & (numbers <= high),
        f"over {high:.3g}": numbers > high,
    }
    return {name: rows[mask] for name, mask in masks.items() if mask.any()}


def _accuracy(answers: Answers, rows: NDArray[np.int64]) -> dict[str, Any]:
    found, subjects = answers.classification, answers.subjects[rows]
    truth, answer = found.truth[rows], found.answer[rows]
    unit, over = units(subjects)
    interval = bootstrap(unit, truth, answer, len(answers.expressions))["accuracy"]
    return {
        "pictures": len(rows),
        "people": people(subjects),
        "accuracy": round(float((truth == answer).mean()), 4),
        "interval": [round(end, 4) for end in interval],
        "interval_over": over,
    }
