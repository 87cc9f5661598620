"""Stores the state from which a stopped training is resumed, and the weights of the best epoch so far."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from deadpan.method import Method, Stage
from deadpan.training import checkpoint

STATE = "state.safetensors"
BEST = "best.safetensors"


def read_state(out: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and the position that `save_state` wrote; no tensors and the first position for a new run."""
    path = out / STATE
    return checkpoint.read_tensors(path) if path.exists() else ({}, {"stage": 0, "epoch": 0, "logged": 0})


def epochs_done(out: Path) -> int:
    """The number of finished epochs in the folder of a stopped run."""
    return int(read_state(out)[1]["logged"])


def save_state(
    out: Path,
    children: Mapping[str, nn.Module],
    stage: Stage,
    averages: Mapping[str, AveragedModel],
    position: Mapping[str, int],
) -> None:
    """Write the state for resuming, atomically: weights, averages, optimisers and the position."""
    tensors = {f"method/{name}.{k}": v for name, child in children.items() for k, v in child.state_dict().items()}
    optimizers = {}
    if position["epoch"]:
        for name, average in averages.items():
            tensors |= {f"average/{name}/{k}": v for k, v in average.state_dict().items()}
        for name, optimizer in stage.optimizers.items():
            moments, optimizers[name] = checkpoint.pack_optimizer(optimizer.state_dict())
            tensors |= {f"optimizer/{name}/{k}": v for k, v in moments.items()}
    checkpoint.write_tensors(out / STATE, tensors, {**position, "optimizers": optimizers})


def restore(
    stage: Stage, averages: Mapping[str, AveragedModel], tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> None:
    """Restore the averages and optimisers of a stage to the state written by `save_state`."""
    for name, average in averages.items():
        average.load_state_dict(checkpoint.under(f"average/{name}/", tensors))
    for name, optimizer in stage.optimizers.items():
        moments = checkpoint.under(f"optimizer/{name}/", tensors)
        optimizer.load_state_dict(checkpoint.unpack_optimizer(moments, facts["optimizers"][name]))


def keep_best(
    out: Path, children: Mapping[str, nn.Module], stage: str, epoch: int, validation: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write the current weights to OUT/best.safetensors unless an earlier epoch was better on the validation files.

    Epochs are compared by the mean of the files' accuracies; if two are equal, the later one is kept.
    """
    accuracy = statistics.fmean(figures["accuracy"] for figures in validation.values())
    path = out / BEST
    if path.exists() and checkpoint.read_tensors(path)[1]["accuracy"] > accuracy:
        return
    tensors = {f"{name}.{key}": value for name, child in children.items() for key, value in child.state_dict().items()}
    checkpoint.write_tensors(path, tensors, {"stage": stage, "epoch": epoch, "accuracy": accuracy})


def take_best(out: Path, method: Method) -> dict[str, Any] | None:
    """Load the weights of the best epoch into `method` and return that epoch's facts; None if no epoch was run."""
    path = out / BEST
    if not path.exists():
        return None
    tensors, facts = checkpoint.read_tensors(path)
    method.load_state_dict(tensors)
    return {key: facts[key] for key in ("stage", "epoch", "accuracy")}
