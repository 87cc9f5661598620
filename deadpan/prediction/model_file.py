"""A released model's ONNX file, opened on ONNX Runtime, with its own description checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deadpan.expressions import check_expressions
from deadpan.models import ModelError
from deadpan.onnx_runtime import Session, open_session

FORMAT = 1


def open_model(path: Path, threads: int) -> Session:
    """The network of a model file, ready to run on `threads` threads; ModelError where it cannot be read."""
    try:
        # Rearranging the graph gains nothing here (13.5 to 15.6 ms a face through a half-width DeRL, either way) and
        # costs time and memory: loaded in .14 s instead of .25, in 120 MB instead of 220.
        return open_session(path, threads, rearrange=False)
    except Exception as error:  # ONNX Runtime raises one private class for each kind of damage
        raise ModelError(f"{path} is damaged or not an ONNX model: {str(error).splitlines()[0]}") from error


def read_facts(session: Session, path: Path) -> dict[str, Any]:
    """The model's own description, checked against its inputs and outputs (ModelError)."""
    text = session.get_modelmeta().custom_metadata_map.get("deadpan")
    if text is None:
        raise ModelError(f"{path} is an ONNX model, but not one of deadpan's: it carries no 'deadpan' description")
    try:
        facts = json.loads(text)
        if facts["format"] != FORMAT:
            raise ModelError(
                f"{path} has format {facts['format']}, this deadpan reads format {FORMAT}; upgrade deadpan"
            )
        facts["expressions"] = check_expressions(facts["expressions"])
        facts = {"compares": False, "shows": [], "alignment": "five"} | facts
        keys = ("name", "method", "expressions", "image_size", "generates", "compares", "shows", "alignment")
        facts = {key: facts[key] for key in keys}
    except ModelError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} carries a 'deadpan' description that cannot be read: {error!r}") from error
    size, count = facts["image_size"], len(facts["expressions"])
    got = {node.name: node.shape[1:] for node in (*session.get_inputs(), *session.get_outputs())}
    expected = {"image": [3, size, size], "logits": [count], "neutral": [3, size, size]}
    if facts["compares"]:
        expected |= {"rest": [3, size, size], "given": []}
    if not facts["generates"]:
        got.setdefault("neutral", expected["neutral"])
    if any(got.get(name) != shape for name, shape in expected.items()):
        raise ModelError(f"{path} does not fit its own description: expected (N, ...) of {expected}, got {got}")
    return facts
