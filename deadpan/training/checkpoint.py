"""Reads and writes checkpoints: weights and state as safetensors, all other facts as JSON; nothing is unpickled."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from deadpan.errors import DeadpanError
from deadpan.files import replacing
from deadpan.method import Method

FORMAT = 1


class CheckpointError(DeadpanError):
    """A file that is not a checkpoint of deadpan, or one that does not fit."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and JSON facts to one safetensors file, atomically."""
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as partial:
        save_file(own, partial, metadata={"deadpan": json.dumps({"format": FORMAT, **facts})})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and facts of a file written by `write_tensors`; CheckpointError for any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("deadpan", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read as a checkpoint: {error}") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not a deadpan checkpoint of format {FORMAT}; train again or update deadpan")
    return tensors, facts


def build(name: str, config: Mapping[str, Any], expressions: list[str] | tuple[str, ...]) -> Method:
    """Build the method `name` with initial weights; ValueError for an unknown method or an unknown setting."""
    from deadpan.methods import METHODS

    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; known are {', '.join(METHODS)}")
    known = [field.name for field in dataclasses.fields(METHODS[name].Config)]
    unknown = [key for key in config if key not in known]
    if unknown:
        raise ValueError(f"{name} has no setting {unknown[0]!r}; its settings are {', '.join(known)}")
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}
    return METHODS[name](METHODS[name].Config(**settings), tuple(expressions))


def save_method(path: Path, name: str, method: Method, facts: Mapping[str, Any]) -> None:
    """Write a trained method to a file: name, config, expressions, weights and `facts` (data, subjects, recipe)."""
    own = {"method": name, "config": dataclasses.asdict(method.config), "expressions": list(method.expressions)}
    write_tensors(path, method.state_dict(), {**own, **facts})


def load_method(path: Path) -> tuple[Method, dict[str, Any]]:
    """Read a file written by `save_method`, or a run folder with one; returns the method and the facts.

    The method is in evaluation mode. Raises CheckpointError if there is no such file or it is damaged.
    """
    path = path / "model.safetensors" if path.is_dir() else path
    if not path.exists():
        raise CheckpointError(f"{path} does not exist; it is written when a training is finished")
    tensors, facts = read_tensors(path)
    if "method" not in facts:
        raise CheckpointError(f"{path} is the state of an unfinished run, not its weights; finish it with --resume")
    method = build(facts["method"], facts["config"], facts["expressions"])
    try:
        method.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{path} does not fit {facts['method']} with its own config: {error}") from None
    return method.eval(), facts


def pack_optimizer(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split an optimiser's state_dict into tensors, named INDEX/KEY, and JSON facts."""
    tensors, rest = {}, {}
    for index, entry in state["state"].items():
        for key, value in entry.items():
            if isinstance(value, Tensor):
                tensors[f"{index}/{key}"] = value
            elif value is not None:
                rest[f"{index}/{key}"] = value
    return tensors, {"param_groups": state["param_groups"], "rest": rest}


def unpack_optimizer(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Join the tensors and facts of `pack_optimizer` to a state_dict."""
    state: dict[int, dict[str, Any]] = {}
    for name, value in {**facts["rest"], **tensors}.items():
        index, key = name.split("/")
        state.setdefault(int(index), {})[key] = value
    return {"state": state, "param_groups": facts["param_groups"]}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix`, without it."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
