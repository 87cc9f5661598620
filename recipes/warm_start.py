"""Put the released plain network into the trunk of the method deadpan, which has the same layers at width 0.8.

    python recipes/warm_start.py CNN.onnx OUT

CNN   the released model `cnn` of deadpan 0.1 (deadpan/models/cnn.onnx)
OUT   gets model.safetensors, a run for `deadpan train deadpan --width 0.8 --start OUT`

`cnn` was trained on a million FER2013 pictures. The trunk starts from what it learnt, which saves about as many
pictures. The second block at half the picture's size, which `cnn` does not have, changes nothing at first. The
decoder and the reader of the residue start from random weights.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from deadpan.expressions import EXPRESSIONS
from deadpan.training.checkpoint import build, save_method
from deadpan.training.start import weights_in

PREFIX = "network.layers."
WIDTH = 0.8
FEATURES = 256
SMALL = 0.1
"""Factor of the random weights that join what `cnn` does not have to the classifier."""


def name_in_deadpan(name: str) -> str:
    """The name in deadpan of a tensor of `cnn`, LAYER.REST."""
    layer, _, rest = name.partition(".")
    index = int(layer)
    if index == 0:
        return f"network.trunk.stem.{rest}"
    if index == 1:
        return f"network.trunk.stages.0.0.{rest}"
    if index <= 7:
        return f"network.trunk.stages.{index // 2}.{index % 2}.{rest}"
    return f"network.norm.0.{rest}" if index == 8 else f"network.classify.1.{rest}"


def main() -> None:
    """Write the run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cnn", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    method = build("deadpan", {"width": WIDTH}, EXPRESSIONS)
    weights = method.state_dict()
    weights["network.trunk.stages.0.1.residual.3.weight"].zero_()
    for name, value in weights_in(options.cnn).items():
        place = name_in_deadpan(name.removeprefix(PREFIX))
        if place == "network.classify.1.weight":
            value = torch.cat([value, SMALL * weights[place][:, FEATURES:]], 1)
        weights[place] = value
    method.load_state_dict(weights)
    card = json.loads(options.cnn.with_suffix(".json").read_text(encoding="utf-8"))
    command = f"{card['recipe']}; python recipes/warm_start.py {options.cnn.name} {options.out.name}"
    options.out.mkdir(parents=True, exist_ok=True)
    facts = {"recipe": {"start": None}, "command": command, "data": card["data"], "subjects": []}
    save_method(options.out / "model.safetensors", "deadpan", method, facts)


if __name__ == "__main__":
    main()
