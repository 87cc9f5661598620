"""Synthetic people rendered by `deadpan synthesize`: every picture has a neutral twin and 68 exact landmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from deadpan.datasets.sample import DatasetError, Facts, Sample, one_hot
from deadpan.expressions import EXPRESSIONS as EXPRESSIONS

FACTS = Facts(
    title="synthetic people that deadpan renders",
    owner="deadpan",
    request="your own computer: deadpan synthesize ROOT",
    terms="drawn by deadpan: MakeHuman head CC0, ICT-FaceKit head MIT (USC Institute for Creative Technologies)",
    tree="synthetic.json, samples.jsonl, PERSON/PICTURE.png",
    neutral="the twin of every picture",
)

FORMAT = 1
TREE = "expected a folder written by `deadpan synthesize`, with synthetic.json and samples.jsonl in it"


def read(root: Path) -> list[Sample]:
    """Read every picture listed in ROOT/samples.jsonl; DatasetError if there is no such file or a line is damaged.

    A subject is named HEAD-SEED-NUMBER, because the same number with another seed or head is another person.
    """
    about, lines = root / "synthetic.json", root / "samples.jsonl"
    for path in (about, lines):
        if not path.is_file():
            raise DatasetError(f"{path} does not exist; {TREE}")
    try:
        facts = json.loads(about.read_text(encoding="utf-8"))
        found, family = facts["format"], f"{facts['head']}-{facts['seed']}"
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise DatasetError(f"{about} is damaged ({error!r}); {TREE}") from error
    if found != FORMAT:
        raise DatasetError(f"{about} has format {found}, this deadpan reads {FORMAT}; render the people again")
    samples: list[Sample] = []
    with lines.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                samples.append(_sample(root, family, json.loads(line)))
            except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                raise DatasetError(f"{lines}, line {number} is damaged: {error!r}") from error
    if not samples:
        raise DatasetError(f"{lines} is empty; {TREE}")
    return samples


def _sample(root: Path, family: str, row: dict[str, Any]) -> Sample:
    if row["expression"] not in EXPRESSIONS:
        raise ValueError(f"unknown expression {row['expression']!r}")
    return Sample(
        picture=root / row["picture"],
        name=row["picture"],
        target=one_hot(row["expression"], EXPRESSIONS),
        subject=f"{family}-{row['person']}",
        sequence=row["sequence"],
        frame=row["frame"],
        twin=root / row["twin"],
        landmarks=_points(row["landmarks"]),
        twin_landmarks=_points(row["twin_landmarks"]),
        attributes={"intensity": row["intensity"], **row["attributes"], **row["action_units"]},
    )


def _points(rows: list[list[float]]) -> np.ndarray:
    points = np.asarray(rows, dtype=np.float32)
    if points.shape != (68, 2):
        raise ValueError(f"expected 68 landmarks (x, y), got shape {points.shape}")
    return points
