"""A trained run as an ONNX file with its card: what ships, checked against the method that it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from deadpan.files import replacing
from deadpan.outputs import check_file, check_folder, json_in
from deadpan.preparation.table import open_data
from deadpan.release.calibration import calibrate
from deadpan.release.card import description, origin
from deadpan.release.onnx_file import is_released, parity, to_onnx
from deadpan.release.released import Graph, Released
from deadpan.training.checkpoint import load_method
from deadpan.version import __version__

TOLERANCE = 1e-3
"""Largest difference of a logit or a pixel (range 2) allowed between torch and ONNX Runtime; 1e-5 is usual."""


def export(
    run: str | Path,
    out: str | Path | None = None,
    *,
    flip: bool = True,
    strength: float = 1.0,
    dead_zone: float = 0.0,
    leave_neutral: float = 0.0,
    calibration: str | Path | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> tuple[Path, Path]:
    """Write OUT.onnx and OUT.json (the card) from a finished run, its folder or its weights; returns both paths.

    `out` is a folder or a path ending in .onnx; by default METHOD.onnx in the run folder. `flip` averages over the
    mirrored face, at twice the cost. `strength` below 1 keeps that share of the generated change, which on photographs
    leaves fewer artefacts and comes nearer to the true neutral face; `dead_zone` leaves regions alone that change by
    less, of pixels in [-1, 1], and `leave_neutral` faces that the model calls neutral (Released). `calibration` is a
    prepared file, unseen in training, to set the offsets of the frequent expressions by (`balanced_offsets`).
    `metrics` go into the card as they are. The exported file is compared with the method on random faces (ValueError
    where they differ by over 1e-3).
    """
    run, out = Path(run), None if out is None else Path(out)
    method, facts = load_method(run)
    folder = run if run.is_dir() else run.parent
    path = (folder if out is None else out) / f"{facts['method']}.onnx" if out is None or out.suffix != ".onnx" else out
    card_path = path.with_suffix(".json")
    check_outputs(path, card_path, [run, *folder.glob("*.safetensors"), *([calibration] if calibration else [])])
    module = Released(method, flip=flip, strength=strength, dead_zone=dead_zone, leave_neutral=leave_neutral).eval()
    if calibration is not None:
        trained = {each["file"].partition("@")[0] for each in facts.get("data", []) if "@" not in str(calibration)}
        trained |= {each["file"] for each in facts.get("data", [])}
        if Path(calibration).name in trained:
            raise ValueError(f"{calibration} was trained on; calibrate on faces that were not")
        calibrate(module, open_data(calibration, method.expressions, method.config.image_size))
    graph = Graph(module).eval()
    core = description(path.stem, facts["method"], method, facts.get("alignment", "five"))
    model = to_onnx(graph, method.config.image_size, len(core["shows"]), compares=method.compares)
    entry = model.metadata_props.add()
    entry.key, entry.value = "deadpan", json.dumps(core)
    data = model.SerializeToString()
    difference = parity(graph, data, method.config.image_size)
    if difference > TOLERANCE:
        raise ValueError(f"{path.name} differs from its method by {difference:.2g}, more than {TOLERANCE}")
    card = {
        **core,
        "flip_averaged": flip,
        "strength": strength,
        "dead_zone": dead_zone,
        "leave_neutral": leave_neutral,
        "calibration": None if calibration is None else Path(calibration).name,
        "offsets": dict(zip(method.expressions, (round(v, 4) for v in module.offsets.tolist()), strict=True)),
        **origin(facts),
        "metrics": dict(metrics or {}),
        "parity": float(f"{difference:.2g}"),
        "sha256": hashlib.sha256(data).hexdigest(),
        "created": date.today().isoformat(),
        "deadpan": __version__,
    }
    with replacing(path) as partial, replacing(card_path) as partial_card:
        partial.write_bytes(data)
        partial_card.write_text(json.dumps(card, indent=1) + "\n")
    return path, card_path


def check_outputs(path: Path, card_path: Path, inputs: Sequence[str | Path]) -> None:
    """Refuse (OutputError) a model file or a card that would replace an input or a file that deadpan did not write."""
    check_folder(path.parent, "--out")
    check_file(path, "--out", is_released, inputs, "a folder, or the name of an .onnx file")
    check_file(card_path, "--out", _is_card, inputs, "a name whose card, NAME.json, is free")


def _is_card(path: Path) -> bool:
    facts = json_in(path)
    return isinstance(facts, dict) and {"format", "method", "sha256"} <= set(facts)
