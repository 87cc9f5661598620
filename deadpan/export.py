"""A trained run as an ONNX file with its card: what ships, checked against the method that it came from."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from deadpan import __version__
from deadpan.atomic import replacing
from deadpan.batches import FaceTable, open_data, ordered
from deadpan.checkpoint import load_method
from deadpan.method import Method, Prediction

OPSET = 18
TOLERANCE = 1e-3
"""Largest difference of a logit or a pixel (range 2) allowed between torch and ONNX Runtime; 1e-5 is usual."""


class Released(nn.Module):
    """What ships of a method: with `flip`, the mean of what it makes of the face and of its mirror image.

    `strength` is the share of the way from the image to the generated neutral face that is gone.
    """

    offsets: Tensor  # (K,) added to the log-probabilities

    def __init__(self, method: Method, *, flip: bool, strength: float = 1.0) -> None:
        super().__init__()
        self.method, self.flip, self.strength = method, flip, strength
        self.register_buffer("offsets", torch.zeros(len(method.expressions)))

    def forward(self, image: Tensor) -> Prediction:
        """(N, 3, S, S) -> log-probabilities (N, K) up to a constant, and the neutral face."""
        logits, neutral = self.method(image)
        mean = logits.softmax(1)
        if self.flip:
            mirrored = self.method(image.flip(3))
            mean = (mean + mirrored.logits.softmax(1)) / 2
            neutral = (neutral + mirrored.neutral.flip(3)) / 2
        if self.strength != 1:
            neutral = image + self.strength * (neutral - image)
        return Prediction(mean.clamp(min=1e-9).log() + self.offsets, neutral)


def balanced_offsets(logits: Tensor, target: Tensor, least: int = 1000) -> Tensor:
    """Offsets (K,) that make logits (N, K) most likely when each frequent expression counts alike; 0 for the others.

    An expression is frequent with `least` pictures or more whose target (N, K) is mostly that expression. It is the
    bias of logit adjustment (Menon et al. 2021) fitted on pictures instead of taken from class counts: it moves the
    border between, say, neutral and happiness to where new photographs have it. ValueError with fewer than two.
    """
    truth = target.argmax(1)
    counts = torch.bincount(truth, minlength=logits.shape[1])
    frequent = counts >= least
    if frequent.sum() < 2:
        raise ValueError(f"calibration needs two expressions with {least} pictures each; the most are {counts.max()}")
    rows = frequent[truth]
    chosen, answer = logits[rows][:, frequent], truth[rows]
    weight = 1.0 / counts[frequent]
    index = torch.cumsum(frequent, 0) - 1  # from all expressions to the frequent ones
    offsets = torch.zeros(int(frequent.sum()), requires_grad=True)
    optimizer = torch.optim.LBFGS([offsets], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(chosen + offsets, index[answer], weight=weight)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    out = torch.zeros(logits.shape[1])
    out[frequent] = offsets.detach() - offsets.detach().mean()
    return out


def calibrate(module: Released, table: FaceTable) -> None:
    """Set the offsets of a model by `balanced_offsets` on a table of faces that it was not trained on."""
    with torch.no_grad():
        answers = [(module(batch.image).logits, batch.target) for batch in ordered(table, 256)]
    logits, target = (torch.cat(parts) for parts in zip(*answers, strict=True))
    module.offsets.copy_(balanced_offsets(logits, target))


def export(
    run: Path,
    out: Path | None = None,
    *,
    flip: bool = True,
    strength: float = 1.0,
    calibration: str | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> tuple[Path, Path]:
    """Write OUT.onnx and OUT.json (the card) from a finished run; returns both paths.

    `out` is a folder or a path ending in .onnx; by default METHOD.onnx in the run folder. `flip` averages over the
    mirrored face, at twice the cost. `strength` below 1 keeps that share of the generated change, which on photographs
    leaves fewer artefacts and comes nearer to the true neutral face. `calibration` is a prepared file, unseen in
    training, to set the offsets of the frequent expressions by (`balanced_offsets`). `metrics` go into the card as they
    are. The exported file is compared with the method on random faces (ValueError where they differ by over 1e-3).
    """
    method, facts = load_method(run)
    folder = run if run.is_dir() else run.parent
    path = (folder if out is None else out) / f"{facts['method']}.onnx" if out is None or out.suffix != ".onnx" else out
    if not 0 < strength <= 1:
        raise ValueError(f"strength must be above 0 and at most 1; got {strength}")
    module = Released(method, flip=flip, strength=strength).eval()
    if calibration is not None:
        trained = {each["file"].partition("@")[0] for each in facts.get("data", []) if "@" not in calibration}
        trained |= {each["file"] for each in facts.get("data", [])}
        if Path(calibration).name in trained:
            raise ValueError(f"{calibration} was trained on; calibrate on faces that were not")
        calibrate(module, open_data(calibration, method.expressions, method.config.image_size))
    model = to_onnx(module, method.config.image_size)
    core = {
        "format": 1,
        "name": path.stem,
        "method": facts["method"],
        "expressions": list(method.expressions),
        "image_size": method.config.image_size,
        "generates": method.generates,
    }
    entry = model.metadata_props.add()
    entry.key, entry.value = "deadpan", json.dumps(core)
    data = model.SerializeToString()
    difference = parity(module, data, method.config.image_size)
    if difference > TOLERANCE:
        raise ValueError(f"{path.name} differs from its method by {difference:.2g}, more than {TOLERANCE}")
    recipe = facts.get("recipe", {})
    card = {
        **core,
        "flip_averaged": flip,
        "strength": strength,
        "calibration": None if calibration is None else Path(calibration).name,
        "offsets": dict(zip(method.expressions, (round(v, 4) for v in module.offsets.tolist()), strict=True)),
        "data": facts.get("data", []),
        "licence": "weights Apache-2.0; the terms of the training data stand beside each data set under data",
        "recipe": facts.get("command", ""),
        "config": facts["config"],
        "training": recipe.get("training", {}),
        "augmentation": recipe.get("augmentation", {}),
        "selection": "weights after the last epoch (running average)",
        "metrics": dict(metrics or {}),
        "parity": float(f"{difference:.2g}"),
        "sha256": hashlib.sha256(data).hexdigest(),
        "created": date.today().isoformat(),
        "deadpan": __version__,
    }
    card_path = path.with_suffix(".json")
    with replacing(path) as partial, replacing(card_path) as partial_card:
        partial.write_bytes(data)
        partial_card.write_text(json.dumps(card, indent=1) + "\n")
    return path, card_path


def to_onnx(module: nn.Module, image_size: int) -> onnx.ModelProto:
    """The module as ONNX: "image" (N, 3, S, S) in [-1, 1] -> "logits" (N, K), "neutral" (N, 3, S, S), any N."""
    example = torch.zeros(2, 3, image_size, image_size)
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # the exporter reports its steps there
        program = torch.onnx.export(
            module,
            (example,),
            input_names=["image"],
            output_names=["logits", "neutral"],
            dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
            opset_version=OPSET,
            dynamo=True,
        )
    quiet.setLevel(level)
    if program is None:
        raise ValueError("the method could not be exported to ONNX")
    return without_traces(program.model_proto)


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the exporter's notes on each node: stack traces with the paths of the exporting machine."""
    graph = model.graph
    for each in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del each.metadata_props[:]
        each.doc_string = ""
    return model


def parity(module: nn.Module, data: bytes, image_size: int) -> float:
    """Largest difference between torch and ONNX Runtime over batches of 1 and 5 random faces."""
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for count in (1, 5):
        image = torch.rand(count, 3, image_size, image_size, generator=generator) * 2 - 1
        with torch.no_grad():
            expected = module(image)
        for name, want in zip(("logits", "neutral"), expected, strict=True):
            got = session.run([name], {"image": image.numpy()})[0]
            worst = max(worst, float(np.abs(got - want.numpy()).max()))
    return worst
