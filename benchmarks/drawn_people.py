"""How much of the gap de-expression closes on drawn people: DeRL, the plain network and the oracle.

    python benchmarks/drawn_people.py OUT [--people 300] [--test-people 100] [--width 0.375] [--epochs 20] [--seed 0]

Draws training and test people (disjoint by seed), prepares them at 64 px, trains all on the same pictures for the same
number of pictures seen, last epoch, and prints accuracy on the test people. DeRL's epochs are shared between its
stages: half for the generator, the rest for the classifier (`derl`, as in the paper), or a quarter each for the
classifier and for joint fine-tuning (`derl-joint`, from the same generator). "Gap closed" is (method - cnn) /
(oracle - cnn). The table is also written to OUT/drawn_people.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from deadpan.batches import open_data
from deadpan.checkpoint import load_method
from deadpan.evaluation import measure_method
from deadpan.methods import METHODS
from deadpan.preparation import prepare
from deadpan.run_folder import TrainingConfig
from deadpan.synthetic.generate import SynthesisConfig, synthesize
from deadpan.training import train

SIZE = 64


def draw(folder: Path, people: int, seed: int) -> Path:
    """Drawn people, prepared; kept when they are there already."""
    prepared = folder.with_suffix(".parquet")
    if not prepared.exists():
        synthesize(folder, SynthesisConfig(people=people, seed=seed, pictures=16))
        prepare("synthetic", folder, prepared, SIZE)
    return prepared


def main() -> None:
    """Draw, train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--test-people", type=int, default=100)
    parser.add_argument("--width", type=float, default=0.375, help="of DeRL; its generator has 4.1 million parameters")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    out, epochs = arguments.out, arguments.epochs
    data = draw(out / "train-people", arguments.people, 1000 + arguments.seed)
    test = draw(out / "test-people", arguments.test_people, 2000 + arguments.seed)
    half, quarter = epochs // 2, epochs // 4
    derl = {"width": arguments.width, "outer_skip": True, "generator_rate": 3e-4}
    plain = {"epochs": epochs, "width": 0.6}
    settings: dict[str, tuple[str, dict[str, Any], str | None]] = {
        "generator": ("derl", {**derl, "generator_epochs": half, "classifier_epochs": 0}, None),
        "derl": ("derl", {**derl, "generator_epochs": 0, "classifier_epochs": epochs - half}, "generator"),
        "derl-joint": (
            "derl",
            {**derl, "generator_epochs": 0, "classifier_epochs": quarter, "joint_epochs": epochs - half - quarter},
            "generator",
        ),
        "cnn": ("cnn", plain, None),
        "oracle": ("oracle", plain, None),
    }
    rows = {}
    for name, (method_name, config, start) in settings.items():
        run = out / f"{name}-{arguments.seed}"
        options = TrainingConfig(seed=arguments.seed, batch_size=32, own_neutral=0, threads=arguments.threads)
        begin = out / f"{start}-{arguments.seed}" if start else None
        train(method_name, METHODS[method_name].Config(**config), [str(data)], run, options, start=begin, resume=True)
        if name == "generator":
            continue
        method, _ = load_method(run)
        table = open_data(str(test), method.expressions, SIZE)
        rows[name] = measure_method(method, table, torch.device("cpu")).summary()
    floor, ceiling = rows["cnn"]["accuracy"], rows["oracle"]["accuracy"]
    for name, row in rows.items():
        closed = (row["accuracy"] - floor) / (ceiling - floor)
        row["gap_closed"] = round(closed, 4)
        neutral = f"neutral L1 {row['neutral_l1']:.4f} (copying {row['copy_l1']:.4f})" if "neutral_l1" in row else ""
        print(f"{name:10} accuracy {row['accuracy']:.1%} of {row['pictures']}  gap closed {closed:.1%}  {neutral}")
    (out / "drawn_people.json").write_text(json.dumps({"rows": rows}, indent=1))


if __name__ == "__main__":
    main()
