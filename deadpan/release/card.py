"""The description stored in a released model and the provenance part of its card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from deadpan.method import Method
from deadpan.prediction.model_file import FORMAT

USE = {
    "intended": (
        "reading the facial expression that people would say a photograph or video shows, for research, art and one's "
        "own pictures; generating the same person's neutral face. An expression is not a feeling: what the model "
        "returns does not say what a person feels, thinks or intends"
    ),
    "unacceptable": (
        "judging people at work, in education, in hiring, in policing or in court; watching people who were not told; "
        "deciding anything about a person; diagnosis"
    ),
    "law": (
        "in the European Union, Regulation (EU) 2024/1689: who infers emotions from faces operates an emotion "
        "recognition system (Art. 3(39)); it is prohibited at work and in education, except for medical or safety "
        "reasons (Art. 5(1)(f)); it is high-risk elsewhere (Annex III 1(c)); the people concerned must be told (Art. "
        "50(3))"
    ),
}
"""What a released model may and must not be used for; stands in every card."""


def description(name: str, method: Method, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The description stored in the ONNX file, which `Predictor` reads, from the method and its checkpoint's facts."""
    size = method.config.image_size
    blank = torch.zeros(2, 3, size, size)
    with torch.no_grad():
        shown = method.show(blank, blank)
    return {
        "format": FORMAT,
        "name": name,
        "method": facts["method"],
        "expressions": list(method.expressions),
        "image_size": size,
        "alignment": facts.get("alignment", "five"),  # of the training faces
        "prior": facts.get("prior"),  # share of each expression in the training pictures
        "generates": method.generates,
        "compares": method.compares,
        "shows": [{"caption": caption, "kind": each.kind} for caption, each in shown.items()],
    }


def origin(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The provenance part of the card, from the facts of a checkpoint: method, data, selection and licence."""
    recipe = facts.get("recipe", {})
    kept = facts.get("kept")
    selection = facts.get("selection", "weights after the last epoch (running average)")
    if kept:
        selection = f"weights after epoch {kept['epoch']} of {kept['stage']}, the best on the validation data"
    return {
        "data": facts.get("data", []),
        "licence": "weights Apache-2.0; the terms of the training data stand beside each data set under data",
        "use": dict(USE),
        "recipe": facts.get("command", ""),
        "config": facts["config"],
        "training": recipe.get("training", {}),
        "augmentation": recipe.get("augmentation", {}),
        "selection": selection,
        "subjects": facts.get("subjects", []),
    }
