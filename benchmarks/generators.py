"""Compares ways to train a generator for photographs: variants of DeRL's stage 1, measured on the London Set.

    python benchmarks/generators.py OUT LONDON [--more FILE] [--pairs FILE] [--wild FILE]
                                    [--variants NAME...] [--epochs 3]

Each variant trains DeRL's generator (width 0.5, 64 px, one seed) on `--epochs` times 9,000 pictures, the base on 300
synthetic people. LONDON is the folder that benchmarks/london.py reads. The whole generated change is measured, averaged
over the mirror image. `--more` is a prepared file of synthetic people with another head, `--pairs` one of photographs
of known people, some of them neutral. A variant is skipped if its file is not given. `--wild` is a prepared file of
labelled photographs that no variant trains on; the table gives the share of its expressive faces whose expression the
released `cnn` still recognises after the removal. Existing files are kept. The table is written to OUT/generators.md.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from london import read_pairs, removal
from methods import DERL, PICTURES, SIZE, draw

from deadpan import Predictor
from deadpan.comparison.neutral_faces import resized
from deadpan.evaluation.score import readings
from deadpan.evaluation.trained_model import released_answer
from deadpan.loading.augmentation import Augmentation
from deadpan.loading.batches import ordered
from deadpan.methods.derl import DeRLConfig
from deadpan.pixels import to_pixels
from deadpan.preparation.table import open_data
from deadpan.release.export import export
from deadpan.training.config import TrainingConfig
from deadpan.training.train import train


@dataclass(frozen=True)
class Variant:
    """One way to train the generator."""

    says: str
    extra: str = ""  # the option that names the second data file
    share: float = 0.0  # of the second file
    people: int = 300
    settings: dict[str, Any] = field(default_factory=dict)
    loop: dict[str, Any] = field(default_factory=dict)
    augmentation: dict[str, float] = field(default_factory=dict)


SHARP = dict.fromkeys(("blur", "resolution", "noise", "blocks", "erase"), 0.0)
HARD: dict[str, Any] = {"loop": {"pairing": "hard"}}
VARIANTS = {
    "base": Variant("300 drawn people, each beside its twin"),
    "fewer": Variant("100 of them", people=100),
    "sharp": Variant("no blur, low resolution, noise, blocks or erasing", augmentation=SHARP),
    "hard": Variant("another neutral picture of the person instead of the twin", **HARD),
    "heads": Variant("half of the pictures of people of another head", extra="more", share=0.5),
    "pairs": Variant("`hard`, and 30 % photographs beside a neutral one", extra="pairs", share=0.3, **HARD),
    "warp": Variant("moved and painted (layers.WarpAndPaint)", settings={"warp": True}),
    "plain_l1": Variant("the plain L1", settings={"change_weight": 0.0}),
    "no_adversary": Variant("no adversary", settings={"adversarial": 0.0}),
    "warp_alone": Variant("moved and painted, no adversary", settings={"warp": True, "adversarial": 0.0}),
}  # fmt: skip


def fit(name: str, variant: Variant, options: argparse.Namespace, drawn: str) -> Path:
    """Train one variant, unless it has been trained already."""
    out: Path = options.out / name
    table = open_data(drawn, None, SIZE)
    chosen = set(table.people[: variant.people])
    tables = {"drawn": table.take(np.array([table.subjects[index] in chosen for index in table.subject]))}
    weights: tuple[float, ...] = ()
    if variant.extra:
        tables["extra"] = open_data(getattr(options, variant.extra), table.expressions, SIZE)
        weights = (1 - variant.share, variant.share)
    loop = {"batch_size": 32, "pictures_per_epoch": PICTURES, "threads": 1, "weights": weights}
    shape = {**DERL, "warp": False, "adversarial": 1.0, **variant.settings}
    epochs = {"generator_epochs": options.epochs, "classifier_epochs": 0}
    train(
        "derl",
        DeRLConfig(image_size=SIZE, **shape, **epochs),
        tables,
        out,
        TrainingConfig(**{**loop, **variant.loop}),
        augmentation=Augmentation(**variant.augmentation),
        resume=(out / "config.json").exists(),
        command="python benchmarks/generators.py",
    )
    return out


def still_read(predictor: Predictor, wild: str) -> tuple[float, float]:
    """Shares of clear expressive photographs that `cnn` recognises: on generated neutral faces, on the photographs."""
    reader = Predictor("cnn")
    table = readings(open_data(wild, predictor.expressions, SIZE)).get("majority")
    if table is None:
        raise SystemExit(f"{wild} marks no clear pictures (majority); FER+ does")
    answer, hits = released_answer(predictor), []
    for batch in ordered(table, 256):
        expressive = batch[batch.target.argmax(1) != predictor.expressions.index("neutral")]
        truth = [predictor.expressions[index] for index in expressive.target.argmax(1)]
        for faces in (answer(expressive).neutral, expressive.image):
            read = reader.predict_faces(resized(to_pixels(faces.numpy()), reader.image_size)).probabilities.argmax(1)
            hits.append([reader.expressions[index] == name for index, name in zip(read, truth, strict=True)])
    made, image = (float(np.mean(np.concatenate(hits[first::2]))) for first in (0, 1))
    return made, image


def main() -> None:
    """Train, measure and print; the table is written again after every variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("london", type=Path)
    for name in ("more", "pairs", "wild"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    drawn = draw(options.out / "train-people", 300, 1000)
    heading = "| variant | learns from | nearer than the smile | nearer than the blurred smile | mean L1 | still read |"
    lines = [heading, "|" + "---|" * 6]
    for name in options.variants:
        variant = VARIANTS[name]
        if variant.extra and not getattr(options, variant.extra):
            continue
        model, _ = export(fit(name, variant, options, drawn))
        predictor = Predictor(model)
        pairs = read_pairs(predictor, options.london)
        figures = removal(pairs)
        nearer, blurred = (f"{figures[key]} of {len(pairs)}" for key in ("nearer", "nearer_than_blurred"))
        left, before = still_read(predictor, options.wild) if options.wild else (math.nan, math.nan)
        lines.append(f"| `{name}` | {variant.says} | {nearer} | {blurred} | {figures['l1']:.4f} | {left:.1%} |")
        copied = f"| copying | | | | {figures['smile_l1']:.4f} | {before:.1%} |"
        (options.out / "generators.md").write_text("\n".join([*lines, copied]) + "\n")
    print((options.out / "generators.md").read_text())


if __name__ == "__main__":
    main()
