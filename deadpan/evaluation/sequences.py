"""Combines predictions on single frames into one decision per sequence, by a named rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from deadpan.evaluation.answers import Answers

Rule = Literal["majority", "mean log-probability"]

RULES: tuple[Rule, ...] = get_args(Rule)

TIE = 1e-3  # weight of the mean log-probability beside one vote: it breaks ties and changes nothing else


def decide(answers: Answers, rule: Rule) -> Answers:
    """One row per sequence: its last frame, with the mean target of its pictures and the rule's probabilities.

    A sequence whose pictures show different true expressions, such as a neutral first frame and the peak, gives one
    decision per expression. A picture without a sequence is a sequence of its own. Rows are sorted by subject, sequence
    and expression. ValueError for an unknown rule.
    """
    if rule not in RULES:
        raise ValueError(f"unknown rule {rule!r} for sequences; known are {', '.join(RULES)}")
    stretches = _stretches(answers)
    decided = answers.take(np.array([rows[-1] for rows in stretches], np.int64))
    combine = majority if rule == "majority" else mean_log_probability
    return replace(
        decided,
        target=np.stack([answers.target[rows].mean(0) for rows in stretches]),
        probabilities=np.stack([combine(answers.probabilities[rows]) for rows in stretches]),
    )


def majority(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, K) of n frames -> (K,): the share of frames that predict each expression; ties go to the more probable."""
    votes = np.bincount(probabilities.argmax(1), minlength=probabilities.shape[1])
    shares = (votes + TIE * mean_log_probability(probabilities)) / (len(probabilities) + TIE)
    return np.asarray(shares, np.float32)


def mean_log_probability(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, K) of n frames -> (K,): the geometric mean over the frames, normalised to sum to 1."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), 1e-12)).mean(0)
    likely = np.exp(logs - logs.max())
    return np.asarray(likely / likely.sum(), np.float32)


def _stretches(answers: Answers) -> list[NDArray[np.int64]]:
    """The rows of every sequence and true expression, in the order of the frames."""
    truth = answers.target.argmax(1)
    groups: dict[tuple[str, str, int, str], list[int]] = {}
    for row in sorted(range(len(answers)), key=lambda row: (answers.frames[row], answers.names[row])):
        sequence = str(answers.sequences[row])
        alone = "" if sequence else str(answers.names[row])
        groups.setdefault((str(answers.subjects[row]), sequence, int(truth[row]), alone), []).append(row)
    return [np.array(groups[key], np.int64) for key in sorted(groups)]
