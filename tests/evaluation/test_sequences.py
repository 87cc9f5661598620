"""Decisions on sequences: both rules by hand, ties, sequences of two expressions, and any order of the rows."""

import numpy as np
import pytest

from deadpan.evaluation.answers import Answers
from deadpan.evaluation.sequences import decide, majority, mean_log_probability

EXPRESSIONS = ("neutral", "anger", "happiness")


def answers(rows: list[tuple[str, str, int, int, list[float]]]) -> Answers:
    """Answers from (subject, sequence, frame, true expression, probabilities)."""
    count = len(rows)
    pixels = np.arange(count, dtype=np.uint8)[:, None, None, None].repeat(3, 3)
    return Answers(
        expressions=EXPRESSIONS,
        names=np.array([f"{sequence}/{frame}" for _, sequence, frame, _, _ in rows]),
        folds=np.array(["1"] * count),
        subjects=np.array([row[0] for row in rows]),
        sequences=np.array([row[1] for row in rows]),
        frames=np.array([row[2] for row in rows], np.int64),
        attributes=tuple({"row": index} for index in range(count)),
        target=np.eye(3, dtype=np.float32)[[row[3] for row in rows]],
        probabilities=np.array([row[4] for row in rows], np.float32),
        images=pixels,
        neutral=None,
        paired=np.zeros(count, bool),
        true_neutral=pixels,
    )


def test_the_two_rules_can_decide_differently() -> None:
    frames = np.array([[0.0, 0.6, 0.4], [0.0, 0.6, 0.4], [0.0, 0.01, 0.99]], np.float32)
    assert majority(frames).argmax() == 1
    np.testing.assert_allclose(majority(frames)[:2], [0, 2 / 3], atol=1e-3)
    likely = np.cbrt([0.6 * 0.6 * 0.01, 0.4 * 0.4 * 0.99])
    np.testing.assert_allclose(mean_log_probability(frames)[1:], likely / likely.sum(), rtol=1e-5)


def test_equal_votes_are_decided_by_the_mean_log_probability() -> None:
    assert majority(np.array([[0.9, 0.1, 0], [0.4, 0.6, 0]], np.float32)).argmax() == 0
    assert majority(np.array([[0.6, 0.4, 0], [0.1, 0.9, 0]], np.float32)).argmax() == 1


@pytest.mark.parametrize("rule", ["majority", "mean log-probability"])
def test_a_sequence_is_one_row_and_its_neutral_frame_another(rule: str) -> None:
    given = answers(
        [
            ("a", "a/1", 1, 0, [0.9, 0.1, 0.0]),
            ("a", "a/1", 9, 1, [0.1, 0.8, 0.1]),
            ("a", "a/1", 10, 1, [0.1, 0.9, 0.0]),
            ("a", "a/2", 3, 2, [0.0, 0.2, 0.8]),
            ("b", "a/1", 5, 2, [0.0, 0.6, 0.4]),
            ("b", "", -1, 2, [0.3, 0.3, 0.4]),
        ]
    )
    decided = decide(given, rule)  # type: ignore[arg-type]
    assert [(*key,) for key in zip(decided.subjects, decided.names, strict=True)] == [
        ("a", "a/1/1"),
        ("a", "a/1/10"),
        ("a", "a/2/3"),
        ("b", "/-1"),
        ("b", "a/1/5"),
    ]
    assert decided.classification.answer.tolist() == [0, 1, 2, 2, 1]
    assert decided.classification.truth.tolist() == [0, 1, 2, 2, 2]
    assert [each["row"] for each in decided.attributes] == [0, 2, 3, 5, 4]
    order = np.random.default_rng(0).permutation(len(given))
    shuffled = decide(given.take(order), rule)  # type: ignore[arg-type]
    np.testing.assert_array_equal(shuffled.probabilities, decided.probabilities)
    np.testing.assert_array_equal(shuffled.names, decided.names)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="known are majority, mean log-probability"):
        decide(answers([("a", "a/1", 1, 0, [1, 0, 0])]), "median")  # type: ignore[arg-type]
