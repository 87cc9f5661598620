"""The folder of a run: its config.json and its log.jsonl."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from deadpan.files import replacing


def claim(out: Path, recipe: Mapping[str, Any], resume: bool) -> None:
    """Make the run folder with its config.json, or check that the one there is the same run."""
    path = out / "config.json"
    text = json.dumps(recipe, indent=1)
    if path.exists():
        if not resume:
            raise ValueError(f"{out} holds a run already; continue it with --resume, or choose another folder")
        there = json.loads(path.read_text())
        changed = [key for key, value in json.loads(text).items() if there.get(key) != value]
        if changed:
            raise ValueError(f"{out} was started with another {changed[0]}: {there.get(changed[0])}; repeat that")
        return
    with replacing(path) as partial:
        partial.write_text(text)


def forget_after(out: Path, position: Mapping[str, Any]) -> None:
    """Take from log.jsonl what a stopped run wrote after its last checkpoint: those epochs are run again."""
    path = out / "log.jsonl"
    if path.exists():
        lines = path.read_text().splitlines(keepends=True)[: position.get("logged", 0)]
        with replacing(path) as partial:
            partial.write_text("".join(lines))


def write_log(out: Path, entry: Mapping[str, Any], console: Console, *, tensorboard: bool) -> None:
    """Append one JSON line to log.jsonl, say it on the console, and to TensorBoard if wanted."""
    with (out / "log.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")
    shown = " ".join(f"{key} {value:.4g}" for key, value in entry.items() if isinstance(value, float))
    validation = "".join(
        f"; {Path(spec).name}: " + " ".join(f"{key} {value}" for key, value in figures.items() if key != "recall")
        for spec, figures in entry.get("validation", {}).items()
    )
    console.print(
        f"{entry['stage']} {entry['epoch']}: {shown}{validation}", markup=False, highlight=False, soft_wrap=True
    )
    if tensorboard:
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(out / "tensorboard") as writer:
            for key, value in entry.items():
                if isinstance(value, float):
                    writer.add_scalar(f"{entry['stage']}/{key}", value, int(entry["epoch"]))
