"""Average the weights of two runs of which one started from the other.

    python recipes/average.py RUN FURTHER OUT [--share 0.5]

RUN      a run folder, or a released model's name or file
FURTHER  a run that started from RUN
OUT      gets model.safetensors, a run that `deadpan export` accepts
--share  the share of FURTHER in the average

Networks on the way of one training mostly lie in one valley of the loss, and their average often reads new pictures
better than they do (Izmailov et al. 2018, arXiv 1803.05407). The statistics of batch normalisation are averaged too.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from deadpan.training.checkpoint import load_method, save_method
from deadpan.training.start import place_of, weights_in


def main() -> None:
    """Write the average as a run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("further", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.5)
    options = parser.parse_args()
    method, facts = load_method(options.further)
    before, weights = weights_in(place_of(options.run)), method.state_dict()
    if any(name not in before or before[name].shape != value.shape for name, value in weights.items() if value.dim()):
        raise SystemExit(f"{options.run} and {options.further} have other layers; give two runs of the same method")
    for name, value in weights.items():
        if value.is_floating_point():
            value.lerp_(before[name], 1 - options.share)
    method.load_state_dict(weights)
    names = " ".join(Path(each).name for each in (options.run, options.further, options.out))
    command = f"{facts['command']}; python recipes/average.py {names} --share {options.share:g}"
    own = {key: value for key, value in facts.items() if key not in ("format", "method", "config", "expressions")}
    options.out.mkdir(parents=True, exist_ok=True)
    selection = "average of the weights after the last epochs of two runs (running averages)"
    own |= {"command": command, "selection": selection}
    save_method(options.out / "model.safetensors", facts["method"], method, own)


if __name__ == "__main__":
    main()
