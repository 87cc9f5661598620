"""What a model's card says of its making: command, data, people."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deadpan.datasets import DATASETS
from deadpan.expressions import EXPRESSIONS
from deadpan.loading.augmentation import Augmentation
from deadpan.methods import METHODS
from deadpan.preparation.table import FaceTable, open_data
from deadpan.training.checkpoint import load_method
from deadpan.training.config import TrainingConfig


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
        "alignment": next(iter(data.values())).alignment,
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
