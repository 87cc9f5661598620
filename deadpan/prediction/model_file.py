"""Opens the ONNX file of a released model on ONNX Runtime and checks the description stored in the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from deadpan.expressions import check_expressions
from deadpan.models import ModelError
from deadpan.onnx_runtime import Session, error_line, open_session

FORMAT = 1

STANDALONE = "deadpan_standalone"
"""The key of the metadata by which a file of `deadpan export --standalone` is known."""


def open_model(path: Path, threads: int) -> Session:
    """Open a model file to run on `threads` threads; ModelError if the file cannot be read."""
    try:
        # Rearranging the graph costs 20 ms at load and saves a fifth of the time of a face. It also turns the weights,
        # which are stored in 16 bits, into 32 bits once and not at every run.
        return open_session(path, threads, rearrange=True)
    except Exception as error:  # ONNX Runtime raises one private class for each kind of damage
        raise ModelError(f"{path} is damaged or not an ONNX model: {_kind(path) or error_line(error)}") from error


def _kind(path: Path) -> str:
    """What a file that is not an ONNX model is, by its first bytes; empty if they do not tell."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return "the file is empty"
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer; fetch the file with `git lfs pull`"
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return "it is an archive or a pickle, such as weights of torch (.pt), and deadpan never unpickles"
    return ""


def read_facts(session: Session, path: Path) -> dict[str, Any]:
    """Read the description stored in a model file.

    Raises ModelError if the description is missing, has another format, or does not fit the model's inputs and outputs.
    """
    metadata = session.get_modelmeta().custom_metadata_map
    if STANDALONE in metadata:
        needed = "it is for programs without deadpan; give the model or run that it was exported from"
        raise ModelError(f"{path} was written by `deadpan export --standalone`: {needed}")
    text = metadata.get("deadpan")
    if text is None:
        raise ModelError(f"{path} is an ONNX model, but not one of deadpan's: it has no 'deadpan' description")
    try:
        facts = json.loads(text)
        if facts["format"] != FORMAT:
            raise ModelError(
                f"{path} has format {facts['format']}, this deadpan reads format {FORMAT}; upgrade deadpan"
            )
        facts["expressions"] = check_expressions(facts["expressions"])
        facts = {"compares": False, "shows": [], "alignment": "five", "prior": None, "temperature": 1.0} | facts
        keys = ("name", "method", "expressions", "image_size", "generates", "compares", "shows", "alignment", "prior")
        facts = {key: facts[key] for key in keys} | {"temperature": float(facts["temperature"])}
        if facts["prior"] is not None:
            facts["prior"] = np.array([facts["prior"][name] for name in facts["expressions"]], np.float64)  # (K,)
    except ModelError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} has a 'deadpan' description that cannot be read: {error!r}") from error
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
