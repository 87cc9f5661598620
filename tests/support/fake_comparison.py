"""A comparison for tests of the report: computed from random answers, with invented robustness, curves and judge."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np

from deadpan.comparison.compare import Comparison, Evaluated, compare_pair, describe
from deadpan.comparison.identity import Identity, Judge
from deadpan.evaluation.answers import Answers
from deadpan.evaluation.robustness import DEGRADATIONS
from deadpan.expressions import EXPRESSIONS

NASTY = "derl_<b>&{x}"
"""A name with special characters of HTML, Markdown and LaTeX."""


def random_answers(
    count: int = 160, persons: int = 10, *, skill: float = 0.8, generates: bool = True, seed: int = 0, side: int = 16
) -> Answers:
    """Answers over all expressions, a share of about `skill` of them right; faces are coloured squares with a mouth."""
    draw = np.random.default_rng(seed)
    truth = np.arange(count) % len(EXPRESSIONS)
    person = np.arange(count) * persons // count
    colours = np.random.default_rng(1).integers(90, 230, (persons, 3))
    neutral = np.broadcast_to(colours[person][:, None, None], (count, side, side, 3)).astype(np.uint8)
    images = neutral.copy()
    images[:, side // 2 :, side // 4 : -side // 4] //= 2
    answer = np.where(draw.random(count) < skill, truth, draw.integers(0, len(EXPRESSIONS), count))
    sure = draw.uniform(0.4, 0.99, count)[:, None]
    return Answers(
        expressions=EXPRESSIONS,
        names=np.array([f"person/{k:04d}.png" for k in range(count)]),
        folds=np.array([f"{k % 3 + 1} of 3" for k in person]),
        subjects=np.array([f"drawn/{k}" for k in person]),
        sequences=np.array([f"{k // 16}" for k in range(count)]),
        frames=np.arange(count),
        attributes=tuple(
            {"gender": "female" if k % 2 else "male", "light": "strong" if k % 3 else "weak"} for k in person
        ),
        target=np.eye(len(EXPRESSIONS), dtype=np.float32)[truth],
        probabilities=(sure * np.eye(len(EXPRESSIONS))[answer] + (1 - sure) / len(EXPRESSIONS)).astype(np.float32),
        images=images,
        neutral=neutral if generates else None,
        paired=np.arange(count) % 3 > 0,
        true_neutral=np.where((np.arange(count) % 3 > 0)[:, None, None, None], neutral, images),
    )


def evaluated(name: str, answers: Answers) -> Evaluated:
    """A run of three folds, one of which failed, with the settings of a small training."""
    folds = [{"name": f"{k} of 3", "status": "done", "error": None} for k in (1, 2)]
    facts = {
        "format": 1,
        "name": name,
        "method": "derl" if answers.neutral is not None else "cnn",
        "model": None,
        "config": {"image_size": 64, "width": 0.5, "note": "<script>alert(1)</script>"},
        "training": {"batch_size": 32, "seed": 0},
        "command": f"deadpan evaluate derl drawn.parquet --protocol subjects --folds 3  # {name}",
        "protocol": {
            "name": "subjects",
            "title": "person-independent folds of all pictures",
            "decision": "single frames",
            "classes": list(answers.expressions),
            "source": "ours. Not comparable one to one with the last three frames",
            "paper": [{"figure": "accuracy", "value": 97.3, "source": "A Paper (2018)"}]
            if answers.neutral is not None
            else [],
        },
        "selection": "last epoch",
        "dataset": "synthetic",
        "data": ["drawn.parquet"],
        "expressions": list(answers.expressions),
        "folds": [*folds, {"name": "3 of 3", "status": "failed", "error": "ValueError: it <b>broke</b>"}],
    }
    hits = int(answers.classification.right.sum())
    falling = {way: [round(hits * 0.97 ** (k * k)) for k in range(1, 6)] for way in DEGRADATIONS}
    return Evaluated(
        facts=facts,
        answers=answers,
        robustness={"pictures": len(answers), "clean": hits, "degradations": falling},
        curves=[
            {"fold": fold["name"], "stage": stage, "epoch": epoch, "loss": 2 / (1 + epoch), "learning_rate": 1e-3}
            for fold in folds
            for stage in ("generator", "classifier")
            for epoch in range(4)
        ],
        folder=Path("runs") / name,
    )


def compared(*runs: Evaluated) -> Comparison:
    """The runs as a comparison."""
    made = {"format": 1, "created": "2026-05-03", "deadpan": "0.1.0"}
    judge = Judge(Identity().eval(), 32, 0.97)
    described = [describe(run, judge) for run in runs]
    pairs = [compare_pair(one, other) for one, other in combinations(runs, 2)]
    return Comparison(runs, {**made, "runs": described, "pairs": pairs})


@cache
def fake_comparison() -> Comparison:
    """Compare a method with a generator, whose name needs escaping, with one without."""
    one = evaluated(NASTY, random_answers(skill=0.85))
    return compared(one, evaluated("cnn", random_answers(skill=0.7, seed=1, generates=False)))
