"""The released models: ONNX files in this folder, each with a card that names its training data and accuracy."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from deadpan.errors import DeadpanError

FOLDER = Path(__file__).parent


class ModelError(DeadpanError):
    """A model that does not exist, is damaged or is not deadpan's; the message names it and says what to do."""


def released() -> dict[str, Path]:
    """The ONNX file of every released model by name, in alphabetical order."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.onnx"))}


def find(name: str | Path) -> Path:
    """The ONNX file of a released model, or the file itself where `name` is a path; ModelError for anything else."""
    known = released()
    if str(name) in known:
        return known[str(name)]
    path = Path(name)
    if path.suffix == ".safetensors":
        advice = _how_to_export(path.parent) or "; `deadpan export RUN_FOLDER` writes one from a finished run"
        raise ModelError(f"{path} holds the weights of a training run; expected a model file (.onnx){advice}")
    if path.is_file():
        return path
    if path.is_dir():
        raise ModelError(f"{path} is a folder; expected a model file (.onnx){_how_to_export(path)}")
    if path.suffix == ".onnx":
        raise ModelError(f"{path}: no such model file")
    raise ModelError(f"no model named {str(name)!r}; released models: {', '.join(known) or 'none'}")


def _how_to_export(folder: Path) -> str:
    """What to do where a folder holds a training run and not a model file; empty for any other folder."""
    exported = sorted(folder.glob("*.onnx"))
    if exported:
        return f": {' or '.join(map(str, exported))}"
    if (folder / "model.safetensors").is_file():
        return f"; write it by `deadpan export {folder}`"
    if (folder / "state.safetensors").is_file():
        return "; this run is not finished: train on with --resume, then write it by `deadpan export`"
    return ""


def card(name: str | Path) -> dict[str, Any]:
    """The card of a released model or model file: the .json beside the .onnx; ModelError without a readable one."""
    return card_beside(find(name))


def card_beside(path: Path) -> dict[str, Any]:
    """The card beside the network file `path`; raises ModelError as `card` does."""
    file = path.with_suffix(".json")
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} has no card: {file} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ModelError(f"{file} is not a model card: {error}") from error
    if not isinstance(facts, dict):
        raise ModelError(f"{file} is not a model card: expected an object, got {type(facts).__name__}")
    return facts


class Checked(NamedTuple):
    """A network file compared with the SHA-256 that its card records."""

    path: Path
    trouble: str = ""  # what is wrong, and empty for an intact file
    is_recorded: bool = True  # whether there is a card with a SHA-256 to compare with


def check_networks(folder: Path) -> list[Checked]:
    """Compare every network of a folder, NAME.onnx, with the SHA-256 in its card, NAME.json; sorted by name.

    A card without its network is reported as a missing file.
    """
    names = {path.stem for ending in ("onnx", "json") for path in folder.glob(f"*.{ending}")}
    return [_checked(folder / f"{name}.onnx") for name in sorted(names)]


def _checked(path: Path) -> Checked:
    try:
        recorded = card_beside(path).get("sha256")
    except ModelError as error:
        return Checked(path, str(error) if path.with_suffix(".json").exists() else "", is_recorded=False)
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        return Checked(path, f"{path} cannot be read ({error.strerror})")
    if recorded is None:
        return Checked(path, is_recorded=False)
    if found != recorded:
        return Checked(path, f"{path} is damaged: expected the SHA-256 {recorded} of its card, got {found}")
    return Checked(path)


def is_intact(name: str | Path) -> bool:
    """Whether the model file has the SHA-256 that its card states."""
    return sha256(find(name)) == card(name).get("sha256")


def sha256(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
