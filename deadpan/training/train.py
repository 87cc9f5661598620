"""`deadpan train`: trains a method on prepared files and writes a run folder with the weights."""

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
from deadpan.training.provenance import read_provenance
from deadpan.training.run_folder import claim
from deadpan.training.start import begin_from, place_of

Data = str | Path | Sequence[str | Path] | Mapping[str, FaceTable]
"""Training or validation data: names of prepared files, as on the command line, or tables by name."""


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

    `data` and `validation` are names of prepared Parquet files, each optionally followed by @SPLIT, or tables by name.
    When you pass tables, also pass `command`: it is stored in the model card as the way to repeat the run. The
    `expressions` default to those of the first file. `start` is a finished or stopped run, or a model by its name or
    file, whose weights initialise this run; a stage of 0 epochs then keeps them. `resume=True` continues a stopped run,
    with the same result as if it had not been stopped. Raises ValueError if data, settings or `out` do not fit; `out`
    can still be used after a training that failed to start.
    """
    config = config or TrainingConfig()
    augmentation = augmentation or Augmentation()
    out = Path(out)
    data, validation = (each if isinstance(each, Mapping) else paths_of(each) for each in (data, validation))
    tables = opened(data, expressions, method_config.image_size)
    if not tables:
        raise ValueError("no data to train on; give at least one prepared Parquet file")
    if config.keep == "best" and not validation:
        raise ValueError("keeping the best epoch needs a validation file; give one, or keep the last epoch")
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
        begin_from(method, place_of(start))
        read_provenance(place_of(start), method_config.image_size)  # fails now, not after the training
    held = opened(validation, expressions, method_config.image_size)
    check_accelerator(config.accelerator)
    claim(out, recipe, resume)
    run = Run(name, method, config, augmentation, out, tables, held)
    return fit(run, recipe)


def check_accelerator(name: str) -> None:
    """Raise DeadpanError if this machine does not have the accelerator."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get({"gpu": "cuda"}.get(name, name), True):
        raise DeadpanError(f"torch {torch.__version__} finds no accelerator {name} on this machine; use auto or cpu")


def opened(data: Data, expressions: Sequence[str] | None, image_size: int) -> dict[str, FaceTable]:
    """Open files as tables, by the name of the file; tables are returned unchanged."""
    if isinstance(data, Mapping):
        return {name: table.restricted(expressions or table.expressions) for name, table in data.items()}
    return {spec: open_data(spec, expressions, image_size) for spec in paths_of(data)}
