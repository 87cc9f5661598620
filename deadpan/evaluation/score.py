"""`deadpan score`: a trained model measured on prepared files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deadpan.evaluation.trained_model import released_answer
from deadpan.files import replacing
from deadpan.metrics.measurement import Answer, measure
from deadpan.prediction.predictor import Predictor
from deadpan.preparation.table import FaceTable, open_data


def readings(table: FaceTable) -> dict[str, FaceTable]:
    """The table as it is and, where the data set marks clear pictures ("majority"), those alone, by name."""
    if not any("majority" in attributes for attributes in table.attributes):
        return {"all": table}
    clear = np.array([attributes.get("majority", 0) == 1 for attributes in table.attributes])
    return {"majority": table.take(clear), "plurality": table}


def score_files(model: str, data: Sequence[str], out: Path | None = None) -> dict[str, Any]:
    """Measure a released model, a model file or a run on prepared files and print each reading's figures.

    Returns what is written to `out`: {"FILE@SPLIT": {reading: figures}}.
    """
    if (Path(model) / "model.safetensors").exists():
        from deadpan.training.checkpoint import load_method

        method, _ = load_method(Path(model))
        answer: Answer = method.predict
        generates, expressions = method.generates, method.expressions
        size = method.config.image_size
    else:
        predictor = Predictor(model)
        answer, generates = released_answer(predictor), predictor.generates
        expressions, size = predictor.expressions, predictor.image_size
    figures: dict[str, Any] = {}
    if len({Path(spec).name for spec in data}) < len(data):
        raise ValueError(f"two files of one name would share a line; score them apart: {', '.join(data)}")
    for spec in data:
        table = open_data(spec, expressions, size)
        entry = figures[Path(spec).name] = {}
        for reading, part in readings(table).items():
            measured = measure(answer, part, generates=generates)
            entry[reading] = measured.summary()
            print(f"{model} on {Path(spec).name}, {reading}: {measured.brief()}")
            print("  recall " + ", ".join(f"{k} {v:.3f}" for k, v in measured.classification.recall.items()))
    if out is not None:
        with replacing(out) as partial:
            partial.write_text(json.dumps(figures, indent=1) + "\n")
    return figures
