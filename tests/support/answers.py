"""Random answers, as an evaluation stores them."""

from __future__ import annotations

import numpy as np

from deadpan.evaluation.answers import Answers


def some_answers(count: int = 5, *, generates: bool = True, seed: int = 0, people: int = 3) -> Answers:
    """Random answers over three expressions: subjects in turn, sequences of two, every other picture paired."""
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    paired = np.arange(count) % 2 == 0
    truth = draw.integers(0, 256, images.shape).astype(np.uint8)
    return Answers(
        expressions=("neutral", "fear", "happiness"),
        names=np.array([f"{seed}-{i}" for i in range(count)]),
        folds=np.array(["1 of 2"] * count),
        subjects=np.array([f"set/{i % people}" for i in range(count)]),
        sequences=np.array([f"s{i // 2}" for i in range(count)]),
        frames=np.arange(count),
        attributes=tuple({"gender": "female" if i % 2 else "male"} for i in range(count)),
        target=np.eye(3, dtype=np.float32)[np.arange(count) % 3],
        probabilities=draw.dirichlet(np.ones(3), count).astype(np.float32),
        images=images,
        neutral=255 - images if generates else None,
        paired=paired,
        true_neutral=np.where(paired[:, None, None, None], truth, images),
    )
