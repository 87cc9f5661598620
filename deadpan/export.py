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
from deadpan.layers import DeadZone
from deadpan.method import Method, Prediction

OPSET = 18
TOLERANCE = 1e-3
"""Largest difference of a logit or a pixel (range 2) allowed between torch and ONNX Runtime; 1e-5 is usual."""


class Released(nn.Module):
    """What ships of a method: with `flip`, the mean of what it makes of the face and of its mirror image.

    `strength` is the share of the way from the image to the generated neutral face that is gone, except in regions
    that change by less than `dead_zone` (layers.DeadZone). `leave_neutral` takes the answer at its word: the change is
    multiplied by max(0, 1 - leave_neutral * p(neutral)), so that a face called neutral stays as it is.
    """

    offsets: Tensor  # (K,) added to the log-probabilities

    def __init__(
        self,
        method: Method,
        *,
        flip: bool,
        strength: float = 1.0,
        dead_zone: float = 0.0,
        leave_neutral: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 < strength <= 1:
            raise ValueError(f"strength must be above 0 and at most 1; got {strength}")
        if leave_neutral < 0:
            raise ValueError(f"leave_neutral must be at least 0; got {leave_neutral}")
        if leave_neutral and "neutral" not in method.expressions:
            raise ValueError(f"leave_neutral needs neutral among the expressions: {', '.join(method.expressions)}")
        self.method, self.flip, self.strength, self.dead_zone = method, flip, strength, DeadZone(dead_zone)
        self.leave_neutral = leave_neutral
        self.register_buffer("offsets", torch.zeros(len(method.expressions)))

    def forward(self, image: Tensor, rest: Tensor | None = None, given: Tensor | None = None) -> Prediction:
        """(N, 3, S, S) -> log-probabilities (N, K) up to a constant, and the neutral face.

        Of a method that compares, `rest` (N, 3, S, S) takes the generated face's place where `given` (N,) is 1, not 0.
        """
        logits, neutral = self.answer(image, rest, given)
        mean = logits.softmax(1)
        if self.flip:
            mirrored = self.answer(image.flip(3), None if rest is None else rest.flip(3), given)
            mean = (mean + mirrored.logits.softmax(1)) / 2
            neutral = (neutral + mirrored.neutral.flip(3)) / 2
        logits = mean.clamp(min=1e-9).log() + self.offsets
        if self.strength != 1 or self.dead_zone.width or self.leave_neutral:
            change = self.dead_zone(self.strength * (neutral - image))  # (N, 3, S, S)
            if self.leave_neutral:
                called = logits.softmax(1)[:, self.method.expressions.index("neutral")]  # (N,)
                change = change * (1 - self.leave_neutral * called).clamp(min=0).view(-1, 1, 1, 1)
            kept = image + change
            neutral = kept if given is None else torch.where(given.view(-1, 1, 1, 1) > 0.5, neutral, kept)
        return Prediction(logits, neutral)

    def answer(self, image: Tensor, rest: Tensor | None, given: Tensor | None) -> Prediction:
        """The method's own answer, with the rest face where it is given."""
        alone: Prediction = self.method(image)
        if rest is None or given is None:
            return alone
        return self.method.compare(image, torch.where(given.view(-1, 1, 1, 1) > 0.5, rest, alone.neutral))


class Graph(nn.Module):
    """A released method as its ONNX file holds it: the prediction, then all that the method can show."""

    def __init__(self, released: Released) -> None:
        super().__init__()
        self.released = released

    def forward(self, image: Tensor, rest: Tensor | None = None, given: Tensor | None = None) -> tuple[Tensor, ...]:
        """As Released, with the values of `Method.show` after logits and neutral face."""
        prediction = self.released(image, rest, given)
        shown = self.released.method.show(image, self.released.answer(image, rest, given).neutral)
        return (*prediction, *(each.value for each in shown.values()))


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
    dead_zone: float = 0.0,
    leave_neutral: float = 0.0,
    calibration: str | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> tuple[Path, Path]:
    """Write OUT.onnx and OUT.json (the card) from a finished run; returns both paths.

    `out` is a folder or a path ending in .onnx; by default METHOD.onnx in the run folder. `flip` averages over the
    mirrored face, at twice the cost. `strength` below 1 keeps that share of the generated change, which on photographs
    leaves fewer artefacts and comes nearer to the true neutral face; `dead_zone` leaves regions alone that change by
    less, of pixels in [-1, 1], and `leave_neutral` faces that the model calls neutral (Released). `calibration` is a
    prepared file, unseen in training, to set the offsets of the frequent expressions by (`balanced_offsets`).
    `metrics` go into the card as they are. The exported file is compared with the method on random faces (ValueError
    where they differ by over 1e-3).
    """
    method, facts = load_method(run)
    folder = run if run.is_dir() else run.parent
    path = (folder if out is None else out) / f"{facts['method']}.onnx" if out is None or out.suffix != ".onnx" else out
    module = Released(method, flip=flip, strength=strength, dead_zone=dead_zone, leave_neutral=leave_neutral).eval()
    if calibration is not None:
        trained = {each["file"].partition("@")[0] for each in facts.get("data", []) if "@" not in calibration}
        trained |= {each["file"] for each in facts.get("data", [])}
        if Path(calibration).name in trained:
            raise ValueError(f"{calibration} was trained on; calibrate on faces that were not")
        calibrate(module, open_data(calibration, method.expressions, method.config.image_size))
    graph = Graph(module).eval()
    core = description(path.stem, facts["method"], method)
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
    card_path = path.with_suffix(".json")
    with replacing(path) as partial, replacing(card_path) as partial_card:
        partial.write_bytes(data)
        partial_card.write_text(json.dumps(card, indent=1) + "\n")
    return path, card_path


def description(name: str, kind: str, method: Method) -> dict[str, Any]:
    """What the file says of itself, for `Predictor`."""
    size = method.config.image_size
    blank = torch.zeros(2, 3, size, size)
    with torch.no_grad():
        shown = method.show(blank, blank)
    return {
        "format": 1,
        "name": name,
        "method": kind,
        "expressions": list(method.expressions),
        "image_size": size,
        "generates": method.generates,
        "compares": method.compares,
        "shows": [{"caption": caption, "kind": each.kind} for caption, each in shown.items()],
    }


def origin(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the card that says where the weights come from, out of a checkpoint's facts."""
    recipe = facts.get("recipe", {})
    kept = facts.get("kept")
    selection = "weights after the last epoch (running average)"
    if kept:
        selection = f"weights after epoch {kept['epoch']} of {kept['stage']}, the best on the validation data"
    return {
        "data": facts.get("data", []),
        "licence": "weights Apache-2.0; the terms of the training data stand beside each data set under data",
        "recipe": facts.get("command", ""),
        "config": facts["config"],
        "training": recipe.get("training", {}),
        "augmentation": recipe.get("augmentation", {}),
        "selection": selection,
        "subjects": facts.get("subjects", []),
    }


def to_onnx(module: nn.Module, image_size: int, shows: int = 0, *, compares: bool = False) -> onnx.ModelProto:
    """The module as ONNX: "image" (N, 3, S, S) in [-1, 1] -> "logits" (N, K), "neutral" (N, 3, S, S), any N.

    Of a module that `compares`, "rest" (N, 3, S, S) and "given" (N,) are inputs too; "show_0" to "show_`shows` - 1" are
    further outputs.
    """
    names = ("image", "rest") if compares else ("image",)
    inputs = {name: torch.zeros(2, 3, image_size, image_size) for name in names}  # one tensor for two would merge them
    if compares:
        inputs["given"] = torch.zeros(2)
    batch = torch.export.Dim("batch")
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):  # the exporter reports its steps there
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=["logits", "neutral", *(f"show_{i}" for i in range(shows))],
            dynamic_shapes={name: {0: batch} for name in inputs},
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
    """Largest difference of an output between torch and ONNX Runtime over batches of 1 and 5 random faces."""
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for count in (1, 5):
        faces = [torch.rand(count, 3, image_size, image_size, generator=generator) * 2 - 1 for _ in range(2)]
        inputs = [*faces, torch.arange(count) % 2.0][: len(session.get_inputs())]
        with torch.no_grad():
            expected = module(*inputs)
        names = [node.name for node in session.get_inputs()]
        answers = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
        for got, want in zip(answers, expected, strict=True):
            worst = max(worst, float(np.abs(got - want.numpy()).max()))
    return worst
