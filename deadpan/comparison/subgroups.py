"""Subgroups: accuracy in each group that a data set's attributes define, and the gap between groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deadpan.comparison.significance import bootstrap, people, units
from deadpan.evaluation.answers import Answers
from deadpan.metrics.groups import groups_in


def subgroups(answers: Answers) -> dict[str, Any]:
    """Accuracy of each group of each attribute, ready for JSON.

    {"gender": {"groups": {"female": {"pictures", "people" (None: unknown), "accuracy", "interval", "interval_over"}},
    "gap": largest - least accuracy, "left_out": pictures without the attribute or in small groups}}; see `groups_in`.
    """
    out: dict[str, Any] = {}
    for name, groups in groups_in(answers.attributes).items():
        found = {group: _accuracy(answers, rows) for group, rows in groups.items()}
        rates = [each["accuracy"] for each in found.values()]
        left = len(answers) - sum(len(rows) for rows in groups.values())
        out[name] = {"groups": found, "gap": round(max(rates) - min(rates), 4), "left_out": left}
    return out


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
