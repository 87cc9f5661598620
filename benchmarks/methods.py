"""Compares all methods, baselines and the oracle with the same budget: accuracy with spread, and generated faces.

    python benchmarks/methods.py OUT [--data FILE...] [--weights SHARE...] [--test FILE...] [--people FILE]
                                 [--methods NAME...] [--seeds 3] [--epochs 10] [--rate R] [--choosing] [--finished]
                                 [--leave-neutral 8]

Without `--data` the methods are trained on 300 synthetic people and tested on 100 others (subjects disjoint, 64 px).
With it they are trained on prepared files such as drawn.parquet and ferplus.parquet@train, in the shares of
`--weights`. Accuracy is measured on every `--test` file and reading. Generated neutral faces are measured on the paired
pictures of `--people` (by default the synthetic test people), with the generated change reduced for faces that the
method recognises as neutral (`--leave-neutral`). All methods train recognition on `--epochs` times 9,000 pictures in
batches of 32. Methods with a generator first train it on half as many pairs (RECIPES); `cnn/more` and `derl/once` train
recognition on half as many more pictures instead. The weights of the last epoch are measured. Finished runs are kept
and stopped runs are continued; `--finished` only measures finished runs. The table is written to OUT/methods.json and
OUT/methods.md.

Settings are chosen on 100 further people with `--choosing`, in another OUT. The learning rates of the recognising stage
were chosen there with `--rate` from 1e-3, 2e-3 and 4e-3.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from deadpan.comparison.identity import Identity, separation, train_identity
from deadpan.comparison.neutral_faces import measure_neutral
from deadpan.evaluation.score import readings
from deadpan.loading.pairing import Pairing
from deadpan.method import Method
from deadpan.methods import METHODS
from deadpan.metrics.measurement import Answer, measure
from deadpan.preparation.prepare import prepare
from deadpan.preparation.table import open_data
from deadpan.release.released import Released
from deadpan.synthetic.synthesize import SynthesisConfig, synthesize
from deadpan.training.checkpoint import load_method, read_tensors, write_tensors
from deadpan.training.config import TrainingConfig
from deadpan.training.train import train

SIZE = 64
PICTURES = 9000  # of an epoch
DIGITS = {"l1": 4, "ssim": 3, "identity": 3}
HALF = {"width": 0.5}
OURS = {**HALF, "warp": True}
PLAIN = {"width": 1.0, "rate": 2e-3}
DIFFERENCE = {**OURS, "outer_skip": True, "generator_rate": 3e-4, "rate": PLAIN["rate"]}
DERL = {**OURS, "outer_skip": True, "generator_rate": 3e-4, "blocks": 1, "adversarial": 0.0, "joint_rate": 1e-3}
DGCN = {**OURS, "skips": True, "blocks": 1, "contrast": "concat", "contrastive": 0.0}
RECIPES: dict[str, tuple[dict[str, Any], dict[str, float]]] = {
    # settings, and the epochs of each stage as a multiple of --epochs: 1 in all for what learns to recognise
    "deadpan": (HALF, {"removal_epochs": 0.5, "epochs": 1}),
    "deadpan/plain": ({**HALF, "removal": False}, {"epochs": 1}),  # the same trunk, without removal
    "cnn": (PLAIN, {"epochs": 1}),
    "cnn/more": (PLAIN, {"epochs": 1.5}),  # as many pictures as what generates sees in all
    "cnn/wide": ({**PLAIN, "width": 1.5}, {"epochs": 1}),  # as much arithmetic as derl/joint has here
    "pixel_difference": (DIFFERENCE, {"generator_epochs": 0.5, "classifier_epochs": 1}),
    "feature_difference": (DIFFERENCE, {"generator_epochs": 0.5, "classifier_epochs": 1}),
    "dgcn": (HALF, {"generator_epochs": 0.5, "contrast_epochs": 0.5, "joint_epochs": 0.5}),  # the paper's, half as wide
    "dgcn/unet": (DGCN, {"generator_epochs": 0.5, "contrast_epochs": 0.5, "joint_epochs": 0.5}),
    "dgcn/uncompared": (  # the same embedding, but E(x) alone is classified
        {**HALF, "reference": "none"},
        {"contrast_epochs": 0.5, "joint_epochs": 0.5},
    ),
    "derl": (HALF, {"generator_epochs": 0.5, "classifier_epochs": 1, "joint_epochs": 0}),  # the paper's, half as wide
    "derl/joint": (DERL, {"generator_epochs": 0.5, "classifier_epochs": 0, "joint_epochs": 1}),
    "derl/once": (  # no stage before the joint one: as many pictures in all as cnn/more, each beside its twin
        DERL,
        {"generator_epochs": 0, "classifier_epochs": 0, "joint_epochs": 1.5},
    ),
    "derl/labels": (  # the same network, which nobody has shown how to remove an expression
        {**DERL, "theta": 0.0},
        {"generator_epochs": 0, "classifier_epochs": 0, "joint_epochs": 1},
    ),
    "degan": (
        {**OURS, "stem": 2, "synthesis_rate": 5e-4},
        {"synthesis_epochs": 0.5, "classifier_epochs": 0.25, "joint_epochs": 0.75},
    ),
    "errnet": ({**HALF, "stem_stride": 2, "rate": 1e-3}, {"pretrain_epochs": 0.5, "epochs": 1}),
    "errnet/warp": (
        {**HALF, "output": "warp", "adversarial": 0.0, "stem_stride": 2, "rate": 1e-3},
        {"pretrain_epochs": 0.5, "epochs": 1},
    ),
    "oracle": (PLAIN, {"epochs": 1}),
}


def draw(folder: Path, people: int, seed: int) -> str:
    """Render and prepare synthetic people, unless the file exists."""
    prepared = folder.with_suffix(".parquet")
    if not prepared.exists():
        synthesize(folder, SynthesisConfig(people=people, seed=seed, pictures=16))
        prepare("synthetic", folder, prepared, SIZE)
    return str(prepared)


def method_of(name: str) -> str:
    """The method of a row: cnn of cnn/wide."""
    return name.partition("/")[0]


def config(name: str, epochs: int, rate: float | None = None) -> Any:
    """The method's settings for a budget of `epochs`, optionally with another rate for the recognising stage."""
    settings, shares = RECIPES[name]
    spent = {key: round(epochs * share) for key, share in shares.items()}
    if rate is not None:
        stage = max(shares, key=lambda key: shares[key]).removesuffix("epochs")  # the longest recognises
        settings = {**settings, f"{stage}rate": rate}
    return METHODS[method_of(name)].Config(image_size=SIZE, **settings, **spent)


def folder(name: str, seed: int, options: argparse.Namespace) -> Path:
    """The folder of a method's run with one seed."""
    out: Path = options.out / f"{name.replace('/', '_')}-{seed}"
    return out


def fit(name: str, seed: int, options: argparse.Namespace, data: list[str]) -> None:
    """Train one method with one seed; continue a stopped run and keep a finished one."""
    loop = TrainingConfig(
        seed=seed,
        batch_size=32,
        pictures_per_epoch=PICTURES,
        weights=tuple(options.weights or ()),
        threads=1,
    )
    settings, out = config(name, options.epochs, options.rate), folder(name, seed, options)
    train(method_of(name), settings, data, out, loop, resume=(out / "config.json").exists())


def judge(out: Path, people: str, pairing: Pairing = "twin") -> Identity:
    """Train a judge of identity on prepared people, unless it exists."""
    path = out / "identity.safetensors"
    network = Identity()
    if not path.exists():
        table = open_data(people, None, SIZE)
        write_tensors(path, train_identity([table], pairing=pairing).state_dict(), {})
    network.load_state_dict(read_tensors(path)[0])
    return network.eval()


def multiplications(method: Method) -> int:
    """The number of multiplications to predict one face."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        method(torch.zeros(1, 3, SIZE, SIZE))
    return int(counter.get_total_flops()) // 2  # a multiplication and an addition are counted as two


def cell(method: Method, options: argparse.Namespace, tests: list[str], people: str, who: Identity) -> dict[str, Any]:
    """All measurements of one trained method."""
    method.eval()
    row: dict[str, Any] = {
        "parameters": sum(p.numel() for p in method.parameters()),  # including networks used in training only
        "multiplications": multiplications(method),
        "accuracy": {},
    }
    for spec in tests:
        for reading, part in readings(open_data(spec, method.expressions, SIZE)).items():
            measured = measure(method.predict, part, generates=False)
            row["accuracy"][f"{Path(spec).name} {reading}"] = measured.classification.accuracy
    if method.generates:
        paired = open_data(people, method.expressions, SIZE)
        row["neutral"] = measure_neutral(as_exported(method, options.leave_neutral), paired, who)
    return row


def as_exported(method: Method, leave_neutral: float) -> Answer:
    """The method's answers with the generated change reduced by `leave_neutral`, as after export."""
    released = Released(method, flip=False, leave_neutral=leave_neutral).eval()
    return lambda batch: released(batch.image)


def spread(values: list[float], scale: float = 100, digits: int = 1) -> str:
    """Format the mean and, for several values, the standard deviation."""
    mean = f"{scale * statistics.fmean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {scale * statistics.stdev(values):.{digits}f}"


def markdown(cells: dict[str, list[dict[str, Any]]]) -> str:
    """The table: one row for each method, and one for copying the input."""
    tests = list(next(iter(cells.values()))[0]["accuracy"])
    kinds = [(k, m) for k in ("expressive", "neutral") for m in ("l1", "ssim", "identity")]
    headings = ["method", "parameters", "multiplications", "seeds", *tests, *(f"{k} {m}" for k, m in kinds)]
    lines = [
        f"| {' | '.join(headings)} |",
        "|" + "---|" * len(headings),
    ]
    copied: list[dict[str, Any]] = []
    for name, rows in cells.items():
        accuracy = [spread([row["accuracy"][test] for row in rows]) for test in tests]
        neutral = [""] * len(kinds)
        if "neutral" in rows[0]:
            copied = rows
            neutral = [spread([row["neutral"][k][m] for row in rows], 1, DIGITS[m]) for k, m in kinds]
        size = f"{rows[0]['parameters'] / 1e6:.1f} M | {rows[0]['multiplications'] / 1e6:.0f} M"
        lines.append(f"| `{name}` | {size} | {len(rows)} | " + " | ".join([*accuracy, *neutral]) + " |")
    if copied:
        values = [f"{copied[0]['neutral'][k][f'copy_{m}']:.{DIGITS[m]}f}" for k, m in kinds]
        lines.append("| copying the input | | | | " + " | ".join([*[""] * len(tests), *values]) + " |")
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", nargs="+", help="prepared files to train on, each optionally with @SPLIT")
    parser.add_argument("--weights", nargs="+", type=float, help="share of each file in a batch")
    parser.add_argument("--test", nargs="+", help="prepared files to test on; none of their people may be in --data")
    parser.add_argument("--people", help="prepared people with true neutral faces, to measure generated faces")
    parser.add_argument("--methods", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rate", type=float, help="another learning rate for the recognising stage")
    parser.add_argument(
        "--leave-neutral", type=float, default=8.0, help="as in `deadpan export`; chosen from 0 to 16 with --choosing"
    )
    parser.add_argument("--choosing", action="store_true", help="test on the people on whom settings are chosen")
    parser.add_argument("--finished", action="store_true", help="only measure finished runs")
    return parser.parse_args()


def main() -> None:
    """Render, train, measure and print; the table is written again after every run."""
    options = parse()
    out: Path = options.out
    data = options.data or [draw(out / "train-people", 300, 1000)]
    others = ("choosing-people", 2000) if options.choosing else ("test-people", 3000)
    people = options.people or draw(out / others[0], 100, others[1])
    tests = options.test or [people]
    out.mkdir(parents=True, exist_ok=True)
    who = judge(out, data[0])
    known = separation(who, open_data(people, None, SIZE))
    cells: dict[str, list[dict[str, Any]]] = {}
    for seed in range(options.seeds):
        for name in options.methods:
            run = folder(name, seed, options)
            if not options.finished:
                fit(name, seed, options, data)
            elif not (run / "model.safetensors").exists():
                continue
            method, _ = load_method(run)
            cells.setdefault(name, []).append(cell(method, options, tests, people, who))
            facts = {"epochs": options.epochs, "judge_separation": known, "cells": cells}
            (out / "methods.json").write_text(json.dumps(facts, indent=1))
            (out / "methods.md").write_text(markdown(cells) + "\n")
    print(markdown(cells))
    print(f"The judge places the same person closer than another person for {known:.1%} of pairs of test people.")


if __name__ == "__main__":
    main()
