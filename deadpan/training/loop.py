"""One loop over `method.stages()`, on Lightning Fabric: log, sheets, running averages, checkpoints that resume."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from rich.console import Console
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from deadpan.loading.augmentation import Augmentation
from deadpan.loading.batches import Batches, ordered
from deadpan.method import Batch, Method, Stage
from deadpan.metrics.measurement import measure_method
from deadpan.preparation.table import FaceTable
from deadpan.training import checkpoint
from deadpan.training.averages import average_towards, averaged, start_averages
from deadpan.training.config import TrainingConfig
from deadpan.training.progress import epoch_progress
from deadpan.training.provenance import provenance
from deadpan.training.resume import BEST, keep_best, restore, save_state, take_best
from deadpan.training.run_folder import forget_after, write_log
from deadpan.training.sheets import write_sheet


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
