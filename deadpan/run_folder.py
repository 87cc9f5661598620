"""The folder of a run: its config.json, its log.jsonl, and what the card of its model says about it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from deadpan.atomic import replacing
from deadpan.augment import Augmentation
from deadpan.checkpoint import load_method
from deadpan.datasets import DATASETS
from deadpan.expressions import EXPRESSIONS
from deadpan.face_table import FaceTable, open_data
from deadpan.methods import METHODS


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training that belong to no method; every default is our choice."""

    batch_size: int = 64
    "Pictures of a batch."
    pictures_per_epoch: int = 0
    "Pictures of an epoch; 0 takes as many as the data files hold."
    weights: tuple[float, ...] = ()
    "Share of each data file in a batch, in the order of the files; may go on with the shares of the next stages."
    pairing: Literal["twin", "hard", "none"] = "twin"
    "Which neutral face is paired: the drawn twin, another neutral picture of the person, or none."
    own_neutral: float = 0.8
    "A real picture whose share of neutral votes reaches this is its own neutral face; 0 switches it off."
    balance: float = 0.0
    "From 0, classes as frequent as in the data, to 1, all equally frequent."
    averaging: float = 0.999
    "Decay per step of the running average of the weights."
    seed: int = 0
    "Decides initial weights, order and augmentation."
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"
    "Arithmetic of the networks."
    accelerator: str = "auto"
    "Fabric's accelerator: auto, cpu, cuda, mps."
    threads: int = 0
    "CPU threads; 0 leaves it to torch."
    keep: Literal["last", "best"] = "last"
    "Weights of the last epoch, or of the one with the best accuracy on the validation files."
    validation_pictures: int = 1000
    "At most so many pictures of each validation file are measured after an epoch."
    sheet_every: int = 5
    "Epochs between two sheets of generated neutral faces."
    tensorboard: bool = False
    "Also log for TensorBoard."

    def __post_init__(self) -> None:
        least = {"batch_size": 1, "sheet_every": 1, "validation_pictures": 1}
        least |= {"pictures_per_epoch": 0, "threads": 0, "seed": 0, "averaging": 0, "own_neutral": 0, "balance": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} must be at least {bound}; got {getattr(self, name)}")
        for name in ("averaging", "own_neutral", "balance"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} must be at most 1; got {getattr(self, name)}")


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


def command_line(recipe: Mapping[str, Any]) -> str:
    """The command that repeats a run, without the folders of its files."""
    if recipe.get("command"):
        return str(recipe["command"])
    words = ["deadpan", "train", recipe["method"]]
    for key in ("data", "validation"):
        if recipe[key]:
            words += [f"--{key}", *(Path(spec).name for spec in recipe[key])]
    words += ["--expressions", *recipe["expressions"]] if len(recipe["expressions"]) < len(EXPRESSIONS) else []
    if recipe.get("start"):
        words += ["--start", Path(recipe["start"]).name]
    return shlex.join([*words, *setting_flags(recipe), "--out", "RUN"])


def setting_flags(recipe: Mapping[str, Any]) -> list[str]:
    """The flags of the method's, the training's and the augmentation's settings that are not the defaults."""
    words: list[str] = []
    defaults = {
        "config": METHODS[recipe["method"]].Config(),
        "training": TrainingConfig(),
        "augmentation": Augmentation(),
    }
    for part, default in defaults.items():
        prefix = "--augment." if part == "augmentation" else "--"
        for key, value in recipe[part].items():
            if (tuple(value) if isinstance(value, list) else value) != getattr(default, key):
                flag = key.replace("_", "-")
                if isinstance(value, bool):
                    words.append(prefix + flag if value else f"{prefix}no-{flag}")
                    continue
                words += [prefix + flag, *map(str, value if isinstance(value, list | tuple) else [value])]
    return words


def described(data: Mapping[str, FaceTable]) -> list[dict[str, Any]]:
    """What a run was trained on, for its card: data set, file, pictures, people and terms of use."""
    return [
        {
            "dataset": table.dataset,
            "file": Path(spec).name,
            "pictures": len(table),
            "people": len(table.people) or None,
            "terms": DATASETS[table.dataset].facts.terms,
        }
        for spec, table in data.items()
    ]


def provenance(recipe: Mapping[str, Any], data: Mapping[str, FaceTable]) -> dict[str, Any]:
    """What a model file says of its making: recipe, command, data, subjects, also those of the run it began from."""
    facts: dict[str, Any] = {
        "recipe": recipe,
        "command": command_line(recipe),
        "data": described(data),
        "subjects": sorted({subject for table in data.values() for subject in table.people}),
    }
    if recipe["start"]:
        before = read_provenance(Path(recipe["start"]), recipe["config"]["image_size"])
        known = [each["file"] for each in facts["data"]]
        facts["data"] += [each for each in before["data"] if each["file"] not in known]
        facts["subjects"] = sorted({*facts["subjects"], *before["subjects"]})
        facts["command"] = f"{before['command']}; {facts['command']}"
    return facts


def read_provenance(start: Path, image_size: int) -> dict[str, Any]:
    """The provenance of a run that another began from; of a stopped run, from its config.json and data files."""
    if not (start / "state.safetensors").exists():
        return load_method(start)[1]
    recipe = json.loads((start / "config.json").read_text())
    tables = {spec: open_data(spec, recipe["expressions"], image_size) for spec in recipe["data"]}
    return provenance({"start": None, **recipe}, tables)


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
