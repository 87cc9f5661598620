"""The provenance of a model for its card: the training command, the data and the people."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deadpan.datasets import DATASETS
from deadpan.expressions import EXPRESSIONS
from deadpan.loading.augmentation import Augmentation
from deadpan.loading.batches import expected_shares
from deadpan.methods import METHODS
from deadpan.models import card_beside
from deadpan.preparation.table import FaceTable, open_data, photographs_in
from deadpan.training.checkpoint import CheckpointError, load_method
from deadpan.training.config import TrainingConfig
from deadpan.training.start import place_of


def command_line(recipe: Mapping[str, Any]) -> str:
    """The command that repeats a run; its files are named without their folders."""
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
    """The flags for all settings of method, training and augmentation that differ from their defaults."""
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
    """Describe the training data for the card: data set, file, pictures, people and terms of use.

    A file of composites has an entry for each of its source data sets, with the pictures that show people of that set.
    """
    return [
        {
            "dataset": source,
            "file": Path(spec).name,
            "pictures": sum(any(name == source for name, _ in each) for each in photographs_in(table)),
            "people": sum(person.partition("/")[0] == source for person in table.people) or None,
            "terms": DATASETS[source].facts.terms,
        }
        for spec, table in data.items()
        for source in table.sources
    ]


def provenance(recipe: Mapping[str, Any], data: Mapping[str, FaceTable]) -> dict[str, Any]:
    """The provenance stored in a model file: recipe, command, data and subjects, with those of an earlier run."""
    facts: dict[str, Any] = {
        "recipe": recipe,
        "command": command_line(recipe),
        "data": described(data),
        "prior": prior(recipe, data),
        "alignment": next(iter(data.values())).alignment,
        "subjects": sorted({subject for table in data.values() for subject in table.people}),
    }
    if recipe["start"]:
        before = read_provenance(place_of(recipe["start"]), recipe["config"]["image_size"])
        known = [(each["dataset"], each["file"]) for each in facts["data"]]
        facts["data"] += [each for each in before["data"] if (each["dataset"], each["file"]) not in known]
        facts["subjects"] = sorted({*facts["subjects"], *before["subjects"]})
        facts["command"] = f"{before['command']}; {facts['command']}"
    return facts


def prior(recipe: Mapping[str, Any], data: Mapping[str, FaceTable]) -> dict[str, float]:
    """The share of each expression in the pictures of the last stage, on which the model's probabilities stand."""
    training = recipe["training"]
    weights = training.get("weights")[-len(data) :] or None
    shares = expected_shares(list(data.values()), weights, training["balance"])
    return {name: round(float(share), 5) for name, share in zip(recipe["expressions"], shares, strict=True)}


def read_provenance(start: Path, image_size: int) -> dict[str, Any]:
    """The provenance of the run or model that a run starts from.

    That of a stopped run is made from its config.json and data files, and that of a model file stands in its card.
    CheckpointError for a card that does not name the people, as those of the first models do not.
    """
    if start.suffix == ".onnx":
        card = card_beside(start)
        missing = [key for key in ("recipe", "data", "subjects") if key not in card]
        if missing:
            raise CheckpointError(f"cannot start from {start}: its card has no {missing[0]}; export the run again")
        return {"command": card["recipe"], "data": card["data"], "subjects": card["subjects"]}
    if not (start / "state.safetensors").exists():
        return load_method(start)[1]
    recipe = json.loads((start / "config.json").read_text())
    tables = {spec: open_data(spec, recipe["expressions"], image_size) for spec in recipe["data"]}
    return provenance({"start": None, **recipe}, tables)
