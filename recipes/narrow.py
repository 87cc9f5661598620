"""Narrow a trained network of the method deadpan to fewer channels, as the start of a smaller one.

    python recipes/narrow.py RUN OUT WIDTH

RUN    a run folder, or a released model's name or file, of the method deadpan
OUT    gets model.safetensors, a run for `deadpan train deadpan --width WIDTH --start OUT`
WIDTH  the channel multiplier of the smaller network

Each group of channels keeps those that matter most: that have the largest weights where they are read, and the largest
factors in the batch normalisations before that. Layers that add up share their channels. The narrow network reads badly
until it is trained on, but it learns faster than one from random weights.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import torch
from torch import Tensor

from deadpan.expressions import EXPRESSIONS
from deadpan.models import card_beside
from deadpan.training.checkpoint import build, load_method, save_method
from deadpan.training.start import begin_from, place_of

Groups = tuple[str | None, str | None]
"""The groups of output and input channels of a tensor: streams of the stages, t inside a block, r of the reader."""

GROUPS: list[tuple[str, Groups]] = [
    (r"trunk\.stem\.weight", ("stream0", None)),
    (r"trunk\.stages\.0\.0\.enter\.0\..*", ("stream0", None)),
    (r"trunk\.stages\.(\d)\.0\.enter\.0\..*", ("stream{before}", None)),
    (r"trunk\.stages\.(\d)\.1\.enter\.0\..*", ("stream{0}", None)),
    (r"trunk\.stages\.0\.0\.residual\.0\.weight", ("t0.0", "stream0")),
    (r"trunk\.stages\.(\d)\.0\.residual\.0\.weight", ("t{0}.0", "stream{before}")),
    (r"trunk\.stages\.(\d)\.1\.residual\.0\.weight", ("t{0}.1", "stream{0}")),
    (r"trunk\.stages\.(\d)\.(\d)\.residual\.1\..*", ("t{0}.{1}", None)),
    (r"trunk\.stages\.(\d)\.(\d)\.residual\.3\.weight", ("stream{0}", "t{0}.{1}")),
    (r"trunk\.stages\.(\d)\.0\.shortcut\.1\.weight", ("stream{0}", "stream{before}")),
    (r"decoder\.up\.(\d)\.weight", ("stream{0}", "stream{after}")),
    (r"decoder\.refine\.(\d)\.0\..*", ("stream{0}", None)),
    (r"decoder\.refine\.(\d)\.2\.weight", ("stream{0}", "stream{0}")),
    (r"decoder\.norm\.0\..*", ("stream0", None)),
    (r"decoder\.output\.weight", (None, "stream0")),
    (r"reader\.layers\.0\.0\.weight", ("r0", None)),
    (r"reader\.layers\.(\d)\.0\.weight", ("r{0}", "r{before}")),
    (r"reader\.layers\.(\d)\.1\..*", ("r{0}", None)),
    (r"norm\.0\..*", ("stream3", None)),
    (r"classify\.1\.weight", (None, "features")),
    (r"(decoder\.output|classify\.1)\.bias", (None, None)),
]


def groups_of(name: str) -> Groups:
    """The groups of the output and input channels of a tensor of the method; None where all channels stay."""
    for pattern, (out, inner) in GROUPS:
        if found := re.fullmatch(pattern, name.removeprefix("network.")):
            stage = int(found[1]) if found.lastindex and found[1].isdigit() else 0
            near = {"before": stage - 1, "after": stage + 1}
            filled = [each and each.format(*found.groups(), **near) for each in (out, inner)]
            return filled[0], filled[1]
    raise KeyError(name)


def importance(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """How much each channel of each group matters, from 0 on: the mean over the tensors that read it."""
    found: dict[str, list[Tensor]] = {}
    for name, values in weights.items():
        out, inner = groups_of(name)
        if inner is not None and inner != "features" and values.dim() == 4:
            found.setdefault(inner, []).append(values.square().sum((0, 2, 3)).sqrt())
        if out is not None and name.endswith(".weight") and values.dim() == 1:
            found.setdefault(out, []).append(values.abs())
    for group, columns in feature_columns(weights).items():
        read = weights["network.classify.1.weight"][:, columns].square().sum(0)  # (C * places,)
        found[group].append(read.view(len(weights[LENGTHS[group]]), -1).sum(1).sqrt())
    return {group: torch.stack([each / each.norm() for each in parts]).mean(0) for group, parts in found.items()}


LENGTHS = {
    "stream3": "network.norm.0.weight",
    "stream2": "network.decoder.refine.2.0.weight",
    "stream1": "network.decoder.refine.1.0.weight",
    "r2": "network.reader.layers.2.1.weight",
}
"""The groups that the classifier reads, in the order of its columns, and a tensor with one value for each channel."""

PLACES = {"r2": 4}
"""Columns of the classifier for each channel, where it reads more than the mean over all places."""


def feature_columns(weights: dict[str, Tensor]) -> dict[str, slice]:
    """The columns of the classifier that read each group."""
    columns, begun = {}, 0
    for group, name in LENGTHS.items():
        columns[group] = slice(begun, begun := begun + len(weights[name]) * PLACES.get(group, 1))
    return columns


def narrowed(weights: dict[str, Tensor], shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """The weights with the most important channels of each group, in the given shapes.

    Weights that add up fewer channels are scaled up, so that the sums keep their variance.
    """
    kept: dict[str, Tensor] = {}
    scores = importance(weights)
    for name, shape in shapes.items():
        out, _ = groups_of(name)
        if out is not None and out not in kept:
            kept[out] = scores[out].topk(shape[0]).indices.sort().values
    kept["features"] = torch.cat(
        [
            torch.arange(columns.start, columns.stop).view(-1, PLACES.get(group, 1))[kept[group]].flatten()
            for group, columns in feature_columns(weights).items()
        ]
    )
    made = {}
    for name, values in weights.items():
        out, inner = groups_of(name)
        if out is not None:
            values = values[kept[out]]
        if inner is not None:
            before = values.shape[1]
            values = values[:, kept[inner]]
            values = values * (before / values.shape[1]) ** 0.5 if values.dim() == 4 else values
        made[name] = values
    return made


def main() -> None:
    """Write the narrow network as a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("out", type=Path)
    parser.add_argument("width", type=float)
    options = parser.parse_args()
    place = place_of(options.run)
    if place.suffix == ".onnx":
        card = card_beside(place)
        facts = {"command": card["recipe"], **{key: card[key] for key in ("config", "data", "subjects")}}
    else:
        _, facts = load_method(place)
    wide = build("deadpan", facts["config"], EXPRESSIONS)
    begin_from(wide, place)
    narrow = build("deadpan", {**facts["config"], "width": options.width}, EXPRESSIONS)
    weights = {name: value for name, value in wide.state_dict().items() if value.is_floating_point()}
    shapes = {name: value.shape for name, value in narrow.state_dict().items() if name in weights}
    narrow.load_state_dict({**narrow.state_dict(), **narrowed(weights, shapes)})
    command = (
        f"{facts['command']}; python recipes/narrow.py {Path(options.run).name} {options.out.name} {options.width:g}"
    )
    own = {"recipe": {"start": None}, "command": command, "data": facts["data"], "subjects": facts["subjects"]}
    options.out.mkdir(parents=True, exist_ok=True)
    save_method(options.out / "model.safetensors", "deadpan", narrow, own)


if __name__ == "__main__":
    main()
