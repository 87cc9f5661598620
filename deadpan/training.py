"""One loop over `method.stages()`, on Lightning Fabric: log, sheets, running averages, checkpoints that resume."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from rich.console import Console
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from deadpan import checkpoint
from deadpan.augment import Augmentation
from deadpan.batches import Batches, FaceTable, open_data, ordered
from deadpan.evaluation import measure_method
from deadpan.method import Batch, Method, Stage
from deadpan.progress import epoch_progress
from deadpan.run_folder import TrainingConfig, claim, forget_after, provenance, write_log
from deadpan.sheets import write_sheet
from deadpan.training_state import BEST, keep_best, restore, save_state, take_best

Data = Sequence[str] | Mapping[str, FaceTable]
"""What to train on or to validate with: prepared files as the command line names them, or tables by name."""


@dataclass
class Run:
    """A training under way: the method, where it stands and the folder that it writes."""

    name: str
    method: Method
    config: TrainingConfig
    augmentation: Augmentation
    out: Path
    data: Mapping[str, FaceTable]
    validation: Mapping[str, FaceTable]
    console: Console = field(default_factory=lambda: Console(stderr=True))


def train(
    name: str,
    method_config: Any,
    data: Data,
    out: Path,
    config: TrainingConfig | None = None,
    *,
    augmentation: Augmentation | None = None,
    expressions: Sequence[str] | None = None,
    validation: Data = (),
    start: Path | None = None,
    resume: bool = False,
    command: str | None = None,
) -> Path:
    """Train method `name` on prepared files and return the path of its finished weights, OUT/model.safetensors.

    `data` and `validation` are prepared Parquet files, each optionally followed by @SPLIT, or tables by name; what
    trains on tables says by which `command`. Expressions default to those of the first file. `start` is a finished or
    stopped run whose weights to begin from: with it, a stage of 0 epochs leaves what that run learnt. A run that was
    stopped goes on with `resume=True`, as if it had not stopped. ValueError for data, settings or an `out` that do not
    fit.
    """
    config = config or TrainingConfig()
    augmentation = augmentation or Augmentation()
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
    claim(out, recipe, resume)
    run = Run(name, method, config, augmentation, out, tables, held)
    return fit(run, recipe)


def opened(data: Data, expressions: Sequence[str] | None, image_size: int) -> dict[str, FaceTable]:
    """The tables of files by name; tables that come as such pass through."""
    if isinstance(data, Mapping):
        return {name: table.restricted(expressions or table.expressions) for name, table in data.items()}
    return {spec: open_data(spec, expressions, image_size) for spec in data}


def fit(run: Run, recipe: Mapping[str, Any]) -> Path:
    """Run every stage from where the last checkpoint left off."""
    finished = run.out / "model.safetensors"
    if finished.exists():
        run.console.print(f"{run.out} is finished already")
        return finished
    state = run.out / "state.safetensors"
    tensors, facts = checkpoint.read_tensors(state) if state.exists() else ({}, {"stage": 0, "epoch": 0})
    if tensors:
        run.method.load_state_dict(checkpoint.under("method/", tensors))
    forget_after(run.out, facts)
    fabric = Fabric(accelerator=run.config.accelerator, devices=1, precision=run.config.precision)
    children = dict(run.method.named_children())
    for name, child in children.items():
        child.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        setattr(run.method, name, fabric.setup_module(child))
    run.method.backward = fabric.backward
    stages = run.method.stages()
    logged = facts.get("logged", 0)
    for index, stage in enumerate(stages):
        if index < facts["stage"]:
            continue
        averages = start_averages(stage, children, fabric.device)
        first = 0
        if index == facts["stage"] and tensors:
            first = facts["epoch"]
            restore(stage, averages, tensors, facts)
        if stage.begin and first == 0 and stage.epochs:
            stage.begin()
        for epoch in range(first, stage.epochs):
            logs = run_epoch(run, stage, index, epoch, children, averages, fabric.device)
            last = epoch + 1 == stage.epochs
            with averaged(children, averages):
                seen = look(run, stage, epoch, last, fabric.device)
                if run.config.keep == "best":
                    keep_best(run.out, children, stage.name, epoch + 1, seen["validation"])
            entry = {"stage": stage.name, "epoch": epoch + 1, **logs, **seen}
            write_log(run.out, entry, run.console, tensorboard=run.config.tensorboard)
            if last:
                for name, average in averages.items():
                    children[name].load_state_dict(average.module.state_dict())
            position = {"stage": index + last, "epoch": 0 if last else epoch + 1, "logged": logged + 1}
            save_state(state, children, stage, averages, position)
            logged += 1
        tensors = {}
    run.method.backward = Tensor.backward
    for name, child in children.items():
        setattr(run.method, name, child)
    method = run.method.cpu()
    kept = take_best(run.out, method) if run.config.keep == "best" else None
    checkpoint.save_method(finished, run.name, method, {**provenance(recipe, run.data), "kept": kept})
    for path in (state, run.out / BEST):
        path.unlink(missing_ok=True)
    return finished


def average_towards(decay: float) -> Any:
    """The update of a running average whose first steps count less than `decay` says, for AveragedModel."""

    @torch.no_grad()
    def update(average: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        weight = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        for mean, value in zip(average, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value.to(mean.dtype), weight)
            else:
                mean.copy_(value)

    return update


def start_averages(stage: Stage, children: Mapping[str, nn.Module], device: torch.device) -> dict[str, AveragedModel]:
    """A running average of each child that the stage names, starting from its present weights."""
    return {name: AveragedModel(children[name], device, use_buffers=True) for name in stage.averaged}


def run_epoch(
    run: Run,
    stage: Stage,
    index: int,
    epoch: int,
    children: Mapping[str, nn.Module],
    averages: Mapping[str, AveragedModel],
    device: torch.device,
) -> dict[str, float]:
    """One epoch of steps; returns the mean of what they logged, with throughput.

    Every random number depends on (seed, stage, epoch) alone, so that an epoch repeats after a resume.
    """
    batches = Batches(
        list(run.data.values()),
        stage_weights(run.config.weights, len(run.data), index),
        batch_size=run.config.batch_size,
        pairing=run.config.pairing,
        balance=run.config.balance,
        own_neutral=run.config.own_neutral or None,
        augment=run.augmentation,
        seed=run.config.seed,
        device=device,
        pictures_per_epoch=run.config.pictures_per_epoch or None,
    )
    paired_only = stage.rows == "paired"
    steps = batches.steps(paired_only)
    torch.manual_seed(run.config.seed * 1_000_000 + index * 10_000 + epoch)
    rates = {name: optimizer.defaults["lr"] for name, optimizer in stage.optimizers.items()}
    for average in averages.values():
        average.multi_avg_fn = average_towards(run.config.averaging)
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    pictures, begun = 0, time.perf_counter()
    title = f"{stage.name} {epoch + 1}/{stage.epochs}"
    with epoch_progress(run.console, title, steps, further_epochs=stage.epochs - epoch - 1) as advance:
        for step, batch in enumerate(batches.epoch(1000 * index + epoch, paired_only)):
            factor = stage.schedule((epoch + step / steps) / stage.epochs)
            for name, optimizer in stage.optimizers.items():
                for group in optimizer.param_groups:
                    group["lr"] = rates[name] * factor
            logged = stage.step(channels_last(batch))
            for name, average in averages.items():
                average.update_parameters(children[name])
            for key, value in logged.items():
                sums[key] = sums.get(key, torch.zeros((), device=device)) + value
                counts[key] = counts.get(key, 0) + 1
            pictures += len(batch)
            advance(len(batch))
    seconds = time.perf_counter() - begun
    means = {key: round(float(value) / counts[key], 6) for key, value in sums.items()}
    bad = [key for key, value in means.items() if value != value or abs(value) == float("inf")]
    if bad:
        raise FloatingPointError(f"{bad[0]} became {means[bad[0]]} in {title}; lower the learning rate or use 32-true")
    rate = max(group["lr"] for optimizer in stage.optimizers.values() for group in optimizer.param_groups)
    speed = {"learning_rate": rate, "pictures": pictures}
    return {**means, **speed, "seconds": round(seconds, 1), "pictures_per_second": round(pictures / seconds)}


def channels_last(batch: Batch) -> Batch:
    """The batch with its pictures laid out as the convolutions are fastest with."""
    image = batch.image.contiguous(memory_format=torch.channels_last)
    neutral = batch.neutral.contiguous(memory_format=torch.channels_last)
    return dataclasses.replace(batch, image=image, neutral=neutral)


def stage_weights(weights: Sequence[float], files: int, stage: int) -> list[float] | None:
    """The shares of the files in this stage: the `stage`-th group of `files` shares, or the last group there is."""
    if not weights:
        return None
    if len(weights) % files:
        raise ValueError(f"weights must hold one share for each of the {files} data files; got {len(weights)}")
    groups = len(weights) // files
    start = min(stage, groups - 1) * files
    return list(weights[start : start + files])


@contextmanager
def averaged(children: Mapping[str, nn.Module], averages: Mapping[str, AveragedModel]) -> Iterator[None]:
    """Inside, the averaged weights stand in for the children's own."""
    own = {name: {k: v.clone() for k, v in children[name].state_dict().items()} for name in averages}
    for name, average in averages.items():
        children[name].load_state_dict(average.module.state_dict())
    try:
        yield
    finally:
        for name, state in own.items():
            children[name].load_state_dict(state)


def look(run: Run, stage: Stage, epoch: int, last: bool, device: torch.device) -> dict[str, Any]:
    """Measure the validation files, and every few epochs write the sheet that a person looks at."""
    logs: dict[str, Any] = {}
    for spec, table in run.validation.items():
        part = table.some(run.config.validation_pictures)
        logs.setdefault("validation", {})[spec] = measure_method(run.method, part, device).summary()
    if run.method.generates and (last or (epoch + 1) % run.config.sheet_every == 0):
        for spec, table in {**run.data, **run.validation}.items():
            data = Path(spec).name.replace(".parquet", "").replace("@", "-")
            path = run.out / "sheets" / f"{stage.name}-{epoch + 1:03d}-{data}.png"
            write_sheet(path, run.method, next(iter(ordered(table.some(48), 48))).to(device))
    return logs
