"""What a released model says of itself and of its making."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from deadpan.method import Method
from deadpan.prediction.model_file import FORMAT


def description(name: str, kind: str, method: Method, alignment: str) -> dict[str, Any]:
    """What the file says of itself, for `Predictor`."""
    size = method.config.image_size
    blank = torch.zeros(2, 3, size, size)
    with torch.no_grad():
        shown = method.show(blank, blank)
    return {
        "format": FORMAT,
        "name": name,
        "method": kind,
        "expressions": list(method.expressions),
        "image_size": size,
        "alignment": alignment,  # of the faces that it was trained on
        "generates": method.generates,
        "compares": method.compares,
        "shows": [{"caption": caption, "kind": each.kind} for caption, each in shown.items()],
    }


def origin(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the card that says where the weights come from, out of a checkpoint's facts."""
    recipe = facts.get("recipe", {})
    kept = facts.get("kept")
    selection = "weights after the last epoch (running average)"
    if kept:
        selection = f"weights after epoch {kept['epoch']} of {kept['stage']}, the best on the validation data"
    return {
        "data": facts.get("data", []),
        "licence": "weights Apache-2.0; the terms of the training data stand beside each data set under data",
        "recipe": facts.get("command", ""),
        "config": facts["config"],
        "training": recipe.get("training", {}),
        "augmentation": recipe.get("augmentation", {}),
        "selection": selection,
        "subjects": facts.get("subjects", []),
    }
