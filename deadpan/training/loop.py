"""The training loop over the stages of a method, on Lightning Fabric: logs, contact sheets, averages, checkpoints."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import Counter
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

from deadpan.loading.augmentation import Augmentation
from deadpan.loading.batches import Batches, ordered
from deadpan.method import Batch, Method, Stage
from deadpan.metrics.measurement import measure_method
from deadpan.preparation.table import FaceTable
from deadpan.printable import printable
from deadpan.training import checkpoint
from deadpan.training.averages import averaged, start_averages
from deadpan.training.config import TrainingConfig
from deadpan.training.progress import epoch_progress
from deadpan.training.provenance import provenance
from deadpan.training.resume import BEST, STATE, keep_best, read_state, restore, save_state, take_best
from deadpan.training.run_folder import forget_after, write_log
from deadpan.training.sheets import write_sheet


@dataclass
class Run:
    """A training in progress: the method, its settings, its data and its run folder."""

    name: str
    method: Method
    config: TrainingConfig
    augmentation: Augmentation
    out: Path
    data: Mapping[str, FaceTable]
    validation: Mapping[str, FaceTable]
    console: Console = field(default_factory=lambda: Console(stderr=True))


@dataclass(frozen=True)
class StageRun:
    """A stage in progress: its batches, the method's child modules, and the running averages of some of them."""

    stage: Stage
    index: int  # of the stage in method.stages()
    logged: int  # number of epochs of all earlier stages
    batches: Batches
    children: Mapping[str, nn.Module]
    averages: Mapping[str, AveragedModel]
    device: torch.device


def fit(run: Run, recipe: Mapping[str, Any]) -> Path:
    """Train every stage, starting at the last checkpoint, and return the path of the finished weights."""
    finished = run.out / "model.safetensors"
    if finished.exists():
        run.console.print(printable(f"{run.out} is already finished"), markup=False, highlight=False, soft_wrap=True)
        return finished
    tensors, position = read_state(run.out)
    if tensors:
        run.method.load_state_dict(checkpoint.under("method/", tensors))
    forget_after(run.out, position)
    with on_fabric(run) as (children, device):
        stages = run.method.stages()
        for index, stage in enumerate(stages[position["stage"] :], start=position["stage"]):
            under_way = StageRun(
                stage=stage,
                index=index,
                logged=sum(before.epochs for before in stages[:index]),
                batches=stage_batches(run, index, device),
                children=children,
                averages=start_averages(stage, children, run.config.averaging, device),
                device=device,
            )
            first = position["epoch"] if index == position["stage"] else 0
            if first:
                restore(stage, under_way.averages, tensors, position)
            run_stage(run, under_way, first)
    kept = take_best(run.out, run.method) if run.config.keep == "best" else None
    checkpoint.save_method(finished, run.name, run.method, {**provenance(recipe, run.data), "kept": kept})
    for name in (STATE, BEST):
        (run.out / name).unlink(missing_ok=True)
    return finished


@contextmanager
def on_fabric(run: Run) -> Iterator[tuple[dict[str, nn.Module], torch.device]]:
    """Set up the method's children on Fabric's device and yield both; afterwards move the children back to the CPU."""
    fabric = Fabric(accelerator=run.config.accelerator, devices=1, precision=run.config.precision)
    children = dict(run.method.named_children())
    for name, child in children.items():
        child.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        setattr(run.method, name, fabric.setup_module(child))
    run.method.backward = fabric.backward
    yield children, fabric.device
    run.method.backward = Tensor.backward
    for name, child in children.items():
        setattr(run.method, name, child)
    run.method.cpu()


def stage_batches(run: Run, index: int, device: torch.device) -> Batches:
    """The batches of the method's stage `index`."""
    return Batches(
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


def run_stage(run: Run, under_way: StageRun, first: int) -> None:
    """Train the stage from epoch `first` on, and replace the children's weights by their averages when it ends."""
    stage, children, averages = under_way.stage, under_way.children, under_way.averages
    if stage.begin and first == 0 and stage.epochs:
        stage.begin()
    for epoch in range(first, stage.epochs):
        logs = run_epoch(run, under_way, epoch)
        last = epoch + 1 == stage.epochs
        with averaged(children, averages):
            seen = validate(run, stage, epoch, last, under_way.device)
            if run.config.keep == "best":
                keep_best(run.out, children, stage.name, epoch + 1, seen["validation"])
        entry = {"stage": stage.name, "epoch": epoch + 1, **logs, **seen}
        write_log(run.out, entry, run.console, tensorboard=run.config.tensorboard)
        if last:
            for name, average in averages.items():
                children[name].load_state_dict(average.module.state_dict())
        position = {
            "stage": under_way.index + last,
            "epoch": 0 if last else epoch + 1,
            "logged": under_way.logged + epoch + 1,
        }
        save_state(run.out, children, stage, averages, position)


def run_epoch(run: Run, under_way: StageRun, epoch: int) -> dict[str, float]:
    """Train one epoch; returns the means of the logged values, and the pictures per second.

    All random numbers depend only on (seed, stage, epoch), so that a resumed run repeats the epoch exactly. Raises
    FloatingPointError if a mean is not finite.
    """
    stage, index, batches = under_way.stage, under_way.index, under_way.batches
    paired_only = stage.rows == "paired"
    steps = batches.steps(paired_only)
    torch.manual_seed(run.config.seed * 1_000_000 + index * 10_000 + epoch)
    sums: dict[str, Any] = {}
    counts: Counter[str] = Counter()
    pictures, begun = 0, time.perf_counter()
    title = f"{stage.name} {epoch + 1}/{stage.epochs}"
    with epoch_progress(run.console, title, steps, further_epochs=stage.epochs - epoch - 1) as advance:
        for step, batch in enumerate(batches.epoch(1000 * index + epoch, paired_only)):
            set_rates(stage, (epoch + step / steps) / stage.epochs)
            logged = stage.step(channels_last(batch))
            for name, average in under_way.averages.items():
                average.update_parameters(under_way.children[name])
            for key, value in logged.items():
                sums[key] = sums.get(key, 0) + value  # sums of tensors, which do not wait for the device
                counts[key] += 1
            pictures += len(batch)
            advance(len(batch))
    seconds = time.perf_counter() - begun
    means = {key: round(float(value) / counts[key], 6) for key, value in sums.items()}
    for key, mean in means.items():
        if not math.isfinite(mean):
            raise FloatingPointError(f"{key} became {mean} in {title}; lower the learning rate or use 32-true")
    rate = max(group["lr"] for optimizer in stage.optimizers.values() for group in optimizer.param_groups)
    speed = {"seconds": round(seconds, 1), "pictures_per_second": round(pictures / seconds)}
    return {**means, "learning_rate": rate, "pictures": pictures, **speed}


def set_rates(stage: Stage, progress: float) -> None:
    """Set every learning rate of the stage by its schedule at `progress` in [0, 1]."""
    factor = stage.schedule(progress)
    for optimizer in stage.optimizers.values():
        for group in optimizer.param_groups:
            group["lr"] = optimizer.defaults["lr"] * factor


def channels_last(batch: Batch) -> Batch:
    """The batch with its pictures in channels-last memory format, in which convolutions are fastest."""
    image = batch.image.contiguous(memory_format=torch.channels_last)
    neutral = batch.neutral.contiguous(memory_format=torch.channels_last)
    return dataclasses.replace(batch, image=image, neutral=neutral)


def stage_weights(weights: Sequence[float], files: int, stage: int) -> list[float] | None:
    """The shares of the files in this stage: the `stage`-th group of `files` shares, or the last if there are fewer.

    Raises ValueError if the number of weights is not a multiple of the number of files.
    """
    if not weights:
        return None
    if len(weights) % files:
        raise ValueError(f"weights must hold one share for each of the {files} data files; got {len(weights)}")
    groups = len(weights) // files
    start = min(stage, groups - 1) * files
    return list(weights[start : start + files])


def validate(run: Run, stage: Stage, epoch: int, last: bool, device: torch.device) -> dict[str, Any]:
    """Validate on the validation files, and every few epochs write contact sheets of generated neutral faces."""
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
