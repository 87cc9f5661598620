"""`deadpan score`: measures a trained model on prepared files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deadpan.evaluation.trained_model import open_model
from deadpan.files import paths_of
from deadpan.metrics.measurement import Measurement, measure
from deadpan.outputs import json_in
from deadpan.preparation.table import FaceTable, open_data


def readings(table: FaceTable) -> dict[str, FaceTable]:
    """The whole table and, where the data set marks clear pictures ("majority"), those alone; by name."""
    if not any("majority" in attributes for attributes in table.attributes):
        return {"all": table}
    clear = np.array([attributes.get("majority", 0) == 1 for attributes in table.attributes])
    return {"majority": table.take(clear), "plurality": table}


def are_scores(path: Path) -> bool:
    """Whether `deadpan score --json` wrote the file: {"FILE@SPLIT": {reading: figures}}."""
    facts = json_in(path)
    files = list(facts.values()) if isinstance(facts, dict) else []
    measured = [figures for each in files if isinstance(each, dict) for figures in each.values()]
    return bool(measured) and all(isinstance(figures, dict) and "accuracy" in figures for figures in measured)


def score(model: str | Path, data: str | Path | Sequence[str | Path]) -> dict[str, dict[str, Measurement]]:
    """Measure a released model, a model file or a finished run on prepared files: {"FILE@SPLIT": {reading: ...}}.

    ValueError for two files of the same name, which would share a key.
    """
    specs = paths_of(data)
    names = [Path(spec).name for spec in specs]
    if len(set(names)) < len(names):
        raise ValueError(f"two files have the same name; score them separately: {', '.join(specs)}")
    opened = open_model(model)
    measured: dict[str, dict[str, Measurement]] = {}
    for spec, name in zip(specs, names, strict=True):
        table = open_data(spec, opened.expressions, opened.image_size)
        opened.check_alignment(table)
        parts = readings(table).items()
        measured[name] = {reading: measure(opened.answer, part, generates=opened.generates) for reading, part in parts}
    return measured
