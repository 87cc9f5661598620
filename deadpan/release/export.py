"""Exports a trained run as an ONNX file with its card, and checks that file and method give the same results."""

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
from deadpan.release.calibration import calibrate, fit_temperature
from deadpan.release.card import description, origin
from deadpan.release.halving import halve
from deadpan.release.onnx_file import is_released, parity, to_onnx
from deadpan.release.released import Graph, Released
from deadpan.training.checkpoint import load_method
from deadpan.version import __version__

TOLERANCE = 1e-3
"""Largest allowed difference of a logit or a pixel (range 2) between torch and ONNX Runtime; 1e-5 is usual."""


def export(
    run: str | Path,
    out: str | Path | None = None,
    *,
    flip: bool = True,
    strength: float = 1.0,
    dead_zone: float = 0.0,
    leave_neutral: float = 0.0,
    calibration: str | Path | None = None,
    temperature: str | Path | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> tuple[Path, Path]:
    """Write OUT.onnx and OUT.json (the card) from a finished run, its folder or its weights; returns both paths.

    `out` is a folder or a path ending in .onnx; by default METHOD.onnx in the run folder. `flip` averages the
    predictions for the face and its mirror image, at twice the cost. `strength` scales the generated change
    (0 < strength <= 1); on photographs a value below 1 gives fewer artefacts and is closer to the true neutral face.
    `dead_zone`, in units of pixels in [-1, 1], sets smaller changes to zero (DeadZone). `leave_neutral` reduces the
    change if the model itself predicts neutral: it is multiplied by max(0, 1 - leave_neutral * p(neutral)).
    `calibration` is a prepared file, not used in training, on which to fit the offsets of the frequent expressions
    (`balanced_offsets`). `temperature` is such a file too, on which to fit by what to divide the log-probabilities, so
    that an answer of 80 % is right in 80 % of the cases (`best_temperature`). `metrics` are copied into the card. The
    network's weights are rounded to 16 bits, which halves the file; the card gives the largest difference between file
    and method, before the rounding as `parity` and after it as `rounding`.

    Raises ValueError if the outputs of file and method differ by more than 1e-3 on random faces before the rounding,
    CheckpointError for an unfinished run, OutputError if `out` would replace a file that deadpan did not write, and
    SettingError or ValueError for settings out of range.
    """
    run, out = Path(run), None if out is None else Path(out)
    method, facts = load_method(run)
    folder = run if run.is_dir() else run.parent
    path = (folder if out is None else out) / f"{facts['method']}.onnx" if out is None or out.suffix != ".onnx" else out
    card_path = path.with_suffix(".json")
    fitted_on = [each for each in (temperature, calibration) if each is not None]
    check_outputs(path, card_path, [run, *folder.glob("*.safetensors"), *fitted_on])
    module = Released(method, flip=flip, strength=strength, dead_zone=dead_zone, leave_neutral=leave_neutral).eval()
    for given, fit in ((temperature, fit_temperature), (calibration, calibrate)):
        if given is not None:
            check_untrained(given, facts)
            fit(module, open_data(given, method.expressions, method.config.image_size))
    graph = Graph(module).eval()
    core = {**description(path.stem, method, facts), "temperature": round(float(module.temperature), 4)}
    model = to_onnx(graph, method.config.image_size, len(core["shows"]), compares=method.compares)
    entry = model.metadata_props.add()
    entry.key, entry.value = "deadpan", json.dumps(core)
    difference = parity(graph, model.SerializeToString(), method.config.image_size)
    if difference > TOLERANCE:
        raise ValueError(f"{path.name} differs from its method by {difference:.2g}, more than {TOLERANCE}")
    # Weights of one dimension are small, and the variances of batch normalisation can be tiny: they keep 32 bits.
    halve(model, {name for name, weight in graph.named_parameters() if weight.dim() > 1})
    data = model.SerializeToString()
    rounding = parity(graph, data, method.config.image_size)
    card = {
        **core,
        "flip_averaged": flip,
        "strength": strength,
        "dead_zone": dead_zone,
        "leave_neutral": leave_neutral,
        "temperature_fitted_on": None if temperature is None else Path(temperature).name,
        "calibration": None if calibration is None else Path(calibration).name,
        "offsets": dict(zip(method.expressions, (round(v, 4) for v in module.offsets.tolist()), strict=True)),
        **origin(facts),
        "metrics": dict(metrics or {}),
        "parity": float(f"{difference:.2g}"),
        "rounding": float(f"{rounding:.2g}"),
        "sha256": hashlib.sha256(data).hexdigest(),
        "created": date.today().isoformat(),
        "deadpan": __version__,
    }
    with replacing(path) as partial, replacing(card_path) as partial_card:
        partial.write_bytes(data)
        partial_card.write_text(json.dumps(card, indent=1) + "\n")
    return path, card_path


def check_untrained(given: str | Path, facts: Mapping[str, Any]) -> None:
    """Raise ValueError if a prepared file, FILE or FILE@SPLIT, was used for training."""
    trained = {each["file"] for each in facts.get("data", [])}
    if "@" not in str(given):
        trained |= {file.partition("@")[0] for file in trained}
    if Path(given).name in trained:
        raise ValueError(f"{given} was used for training; calibrate on faces that were not")


def check_outputs(path: Path, card_path: Path, inputs: Sequence[str | Path]) -> None:
    """Raise OutputError if the model file or its card would replace an input or a file that deadpan did not write."""
    check_folder(path.parent, "--out")
    check_file(path, "--out", is_released, inputs, "a folder, or the name of an .onnx file")
    check_file(card_path, "--out", _is_card, inputs, "a name whose card, NAME.json, does not exist yet")


def _is_card(path: Path) -> bool:
    facts = json_in(path)
    return isinstance(facts, dict) and {"format", "method", "sha256"} <= set(facts)
