"""`deadpan train`: prepared files -> a run folder with finished weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from deadpan.errors import DeadpanError
from deadpan.files import paths_of
from deadpan.loading.augmentation import Augmentation
from deadpan.preparation.table import FaceTable, open_data
from deadpan.training import checkpoint
from deadpan.training.config import TrainingConfig
from deadpan.training.loop import Run, fit, stage_weights
from deadpan.training.run_folder import claim

Data = str | Path | Sequence[str | Path] | Mapping[str, FaceTable]
"""What to train on or to validate with: prepared files as the command line names them, or tables by name."""


def train(
    name: str,
    method_config: Any,
    data: Data,
    out: str | Path,
    config: TrainingConfig | None = None,
    *,
    augmentation: Augmentation | None = None,
    expressions: Sequence[str] | None = None,
    validation: Data = (),
    start: str | Path | None = None,
    resume: bool = False,
    command: str | None = None,
) -> Path:
    """Train method `name` on prepared files and return the path of its finished weights, OUT/model.safetensors.

    `data` and `validation` are prepared Parquet files, each optionally followed by @SPLIT, or tables by name; what
    trains on tables says by which `command`. Expressions default to those of the first file. `start` is a finished or
    stopped run whose weights to begin from: with it, a stage of 0 epochs leaves what that run learnt. A run that was
    stopped goes on with `resume=True`, as if it had not stopped. ValueError for data, settings or an `out` that do not
    fit; a start that fails does not block `out`.
    """
    config = config or TrainingConfig()
    augmentation = augmentation or Augmentation()
    out, start = Path(out), None if start is None else Path(start)
    data, validation = (each if isinstance(each, Mapping) else paths_of(each) for each in (data, validation))
    tables = opened(data, expressions, method_config.image_size)
    if not tables:
        raise ValueError("no data to train on; give at least one prepared Parquet file")
    if config.keep == "best" and not validation:
        raise ValueError("the best epoch is the best on a validation file; give one, or keep the last epoch")
    expressions = tuple(expressions or next(iter(tables.values())).expressions)
    tables = {spec: table.restricted(expressions) for spec, table in tables.items()}
    recipe = {
        "method": name,
        "config": dataclasses.asdict(method_config),
        "training": dataclasses.asdict(config),
        "augmentation": dataclasses.asdict(augmentation),
        "data": list(data),
        "validation": list(validation),
        "start": None if start is None else str(start),
        "expressions": list(expressions),
        "command": command,
    }
    stage_weights(config.weights, len(tables), 0)
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)
    method = checkpoint.build(name, dataclasses.asdict(method_config), expressions)
    if start is not None:
        checkpoint.begin_from(method, start)
    held = opened(validation, expressions, method_config.image_size)
    check_accelerator(config.accelerator)
    claim(out, recipe, resume)
    run = Run(name, method, config, augmentation, out, tables, held)
    return fit(run, recipe)


def check_accelerator(name: str) -> None:
    """Refuse (DeadpanError) an accelerator that this machine does not have."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get({"gpu": "cuda"}.get(name, name), True):
        raise DeadpanError(f"torch {torch.__version__} finds no accelerator {name} on this machine; use auto or cpu")


def opened(data: Data, expressions: Sequence[str] | None, image_size: int) -> dict[str, FaceTable]:
    """The tables of files by name; tables that come as such pass through."""
    if isinstance(data, Mapping):
        return {name: table.restricted(expressions or table.expressions) for name, table in data.items()}
    return {spec: open_data(spec, expressions, image_size) for spec in paths_of(data)}
