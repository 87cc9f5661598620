"""The folder of a run: its config.json and its log.jsonl."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from deadpan.files import OutputError, replacing, write_json
from deadpan.outputs import check_folder, json_in
from deadpan.printable import printable

RECIPE = "config.json"

TRAINED = ("state.safetensors", "model.safetensors")
"""Files of which a run has at least one after its first epoch."""

OWN = (RECIPE, "log.jsonl", "best.safetensors", *TRAINED)


SAME_KIND = {"method", "config", "data", "protocol", "validation"}
"""Keys by which the config.json of a training and that of an evaluation are recognised."""


def claim(out: Path, recipe: Mapping[str, Any], resume: bool) -> None:
    """Create the run folder with its config.json, or check that an existing one belongs to the same run.

    A run that has not finished an epoch is started again, even with other settings. Raises OutputError if the folder
    holds another run or other files, or if there is nothing to resume.
    """
    begun = any((out / name).exists() for name in TRAINED)
    if resume and not (out / RECIPE).exists():
        raise OutputError(f"there is no run in {out} to continue; start one without --resume")
    if begun and not resume and (out / RECIPE).exists():
        raise OutputError(f"{out} holds a run already; continue it with --resume, or choose another folder")
    write_recipe(out, recipe, begun=begun)


def write_recipe(out: Path, recipe: Mapping[str, Any], *, begun: bool) -> None:
    """Write OUT/config.json; if `begun`, first check that the one there has equal settings (OutputError)."""
    check_folder(out, "--out")
    path = out / RECIPE
    there = json_in(path) if path.exists() else None
    if path.exists() and (not isinstance(there, dict) or not SAME_KIND & set(recipe) <= set(there)):
        raise OutputError(f"{path} was not written by this command; choose another folder")
    if there is None and (foreign := [name for name in OWN if (out / name).exists()]):
        raise OutputError(f"{out} holds {foreign[0]} but no {RECIPE}, so it is not a run; choose another folder")
    if there is not None and begun:
        different = differences(there, json.loads(json.dumps(recipe)))
        if different:
            raise OutputError(f"{out} was started with {different}; repeat that, or choose another folder")
        return
    write_json(path, recipe)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """List the settings that differ, by flag: "--width 0.5 (now 0.25), --seed 0 (now 1)"; empty if all are equal."""
    old, new = flags(before), flags(now)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if len(names) > 1 and "--command" in names:
        names.remove("--command")  # it contains the other settings
    return ", ".join(f"{name} {_written(old.get(name))} (now {_written(new.get(name))})" for name in names)


def flags(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a recipe by the flags of the command line."""
    found: dict[str, Any] = {}
    for part, value in recipe.items():
        prefix = "--augment." if part == "augmentation" else "--"
        for name, setting in value.items() if isinstance(value, dict) else [(part, value)]:
            found[prefix + name.replace("_", "-")] = setting
    return found


def _written(value: Any) -> str:
    return "not given" if value in (None, [], "") else " ".join(map(str, value if isinstance(value, list) else [value]))


def forget_after(out: Path, position: Mapping[str, Any]) -> None:
    """Remove the epochs after the last checkpoint of a stopped run from log.jsonl, because they are trained again."""
    path = out / "log.jsonl"
    if path.exists():
        lines = path.read_text().splitlines(keepends=True)[: position.get("logged", 0)]
        with replacing(path) as partial:
            partial.write_text("".join(lines))


def write_log(out: Path, entry: Mapping[str, Any], console: Console, *, tensorboard: bool) -> None:
    """Append one JSON line to log.jsonl and print it on the console; with `tensorboard`, log it there too."""
    with (out / "log.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")
    shown = " ".join(f"{key} {value:.4g}" for key, value in entry.items() if isinstance(value, float))
    validation = "".join(
        f"; {printable(Path(spec).name)}: "
        + " ".join(f"{key} {value}" for key, value in figures.items() if key != "recall")
        for spec, figures in entry.get("validation", {}).items()
    )
    console.print(
        printable(f"{entry['stage']} {entry['epoch']}: {shown}{validation}"),
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    if tensorboard:
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(out / "tensorboard") as writer:
            for key, value in entry.items():
                if isinstance(value, float):
                    writer.add_scalar(f"{entry['stage']}/{key}", value, int(entry["epoch"]))
