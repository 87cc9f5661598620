"""How much of the gap de-expression closes on drawn people: DeRL, the plain network and the oracle.

    python benchmarks/drawn_people.py OUT [--data FILE...] [--generator RUN] [--epochs 24] [--generator-epochs 18]

Trains on drawn people (those of `--data`, or 300 drawn here), tests on 100 others (or `--test FILE`), 64 px, last
epoch. All see the same number of pictures, `--epochs` times 9,000; of DeRL's, `--generator-epochs` go to the generator,
which is trained here or, with `--generator RUN`, was trained on the same people before for as many. "Gap closed" is
(DeRL - cnn) / (oracle - cnn). The table is also written to OUT/drawn_people.json.
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
PICTURES = 9000  # of an epoch
PLAIN = {"width": 0.5}


def draw(folder: Path, people: int, seed: int) -> str:
    """Drawn people, prepared; kept when they are there already."""
    prepared = folder.with_suffix(".parquet")
    if not prepared.exists():
        synthesize(folder, SynthesisConfig(people=people, seed=seed, pictures=16))
        prepare("synthetic", folder, prepared, SIZE)
    return str(prepared)


def fit(name: str, config: dict[str, Any], data: list[str], out: Path, seed: int, start: Path | None = None) -> Path:
    """Train on drawn people alone; a run that is there goes on or stays."""
    options = TrainingConfig(seed=seed, batch_size=32, pictures_per_epoch=PICTURES, own_neutral=0, threads=1)
    train(name, METHODS[name].Config(**config), data, out, options, start=start, resume=True)
    return out


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", nargs="+", help="prepared drawn people to train on")
    parser.add_argument("--test", help="prepared drawn people to test on, none of them in the data")
    parser.add_argument("--generator", type=Path, help="run of a generator trained on these people before")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--generator-epochs", type=int, default=18)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Draw, train, measure, print."""
    options = parse()
    out, seed = options.out, options.seed
    data = options.data or [draw(out / "train-people", 300, 1000 + seed)]
    test = options.test or draw(out / "test-people", 100, 2000 + seed)
    shape = {"width": 0.5, "outer_skip": True, "residual_output": True, "generator_rate": 3e-4}
    generator = options.generator
    if generator is None:
        first = {**shape, "generator_epochs": options.generator_epochs, "classifier_epochs": 0}
        generator = fit("derl", first, data, out / f"generator-{seed}", seed)
    then = {**shape, "generator_epochs": 0, "classifier_epochs": options.epochs - options.generator_epochs}
    runs = {
        "derl": fit("derl", then, data, out / f"derl-{seed}", seed, generator),
        "cnn": fit("cnn", {**PLAIN, "epochs": options.epochs}, data, out / f"cnn-{seed}", seed),
        "oracle": fit("oracle", {**PLAIN, "epochs": options.epochs}, data, out / f"oracle-{seed}", seed),
    }
    rows = {}
    for name, run in runs.items():
        method, _ = load_method(run)
        table = open_data(test, method.expressions, SIZE)
        rows[name] = measure_method(method, table, torch.device("cpu")).summary()
    floor, ceiling = rows["cnn"]["accuracy"], rows["oracle"]["accuracy"]
    for name, row in rows.items():
        row["gap_closed"] = round((row["accuracy"] - floor) / (ceiling - floor), 4)
        neutral = f"neutral L1 {row['neutral_l1']:.4f} (copying {row['copy_l1']:.4f})" if "neutral_l1" in row else ""
        share = f"accuracy {row['accuracy']:.1%} of {row['pictures']}  gap closed {row['gap_closed']:.1%}"
        print(f"{name:7} {share}  {neutral}")
    (out / "drawn_people.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
