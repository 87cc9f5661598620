"""What a generator for real faces should learn from: variants of DeRL's stage 1, judged on the London Set.

    python benchmarks/generators.py OUT LONDON [--more FILE] [--pairs FILE] [--photographs FILE] [--variants NAME...]
                                    [--epochs 3]

Each variant trains DeRL's generator (width 0.5, 64 px, one seed) for `--epochs` times 9,000 pictures, the base on 300
drawn people. LONDON is the folder that benchmarks/london.py reads; the whole change counts, averaged over the mirror
image. `--more` are people of another head, `--pairs` photographs of known people with neutral pictures among them,
`--photographs` labelled ones of unknown people, all of them prepared; a variant whose file is not given is left out.
What is there is kept. The table goes to OUT/generators.md.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from london import read_pairs, removal
from methods import DERL, PICTURES, SIZE, draw

from deadpan import Predictor
from deadpan.augment import Augmentation
from deadpan.batches import open_data
from deadpan.export import export
from deadpan.methods.derl import DeRLConfig
from deadpan.run_folder import TrainingConfig
from deadpan.training import train


@dataclass(frozen=True)
class Variant:
    """One way to train the generator."""

    says: str
    extra: str = ""  # the option that names the second data file
    share: float = 0.0  # of the second file
    people: int = 300
    method: dict[str, Any] = field(default_factory=dict)
    loop: dict[str, Any] = field(default_factory=dict)
    augmentation: dict[str, float] = field(default_factory=dict)


SHARP = dict.fromkeys(("blur", "resolution", "noise", "blocks", "erase"), 0.0)
CRITIC = {"expression_critic": 1.0, "unpaired_l1": 20.0}
VARIANTS = {
    "base": Variant("300 drawn people, each beside its twin"),
    "fewer": Variant("100 of them", people=100),
    "sharp": Variant("no blur, low resolution, noise, blocks or erasing", augmentation=SHARP),
    "hard": Variant("another neutral picture of the person instead of the twin", loop={"pairing": "hard"}),
    "heads": Variant("half of the pictures of people of another head", "more", 0.5),
    "pairs": Variant("`hard`, and 30 % photographs beside a neutral one", "pairs", 0.3, loop={"pairing": "hard"}),
    "critic": Variant("30 % photographs without a neutral face, under the critic", "photographs", 0.3, method=CRITIC),
    "mask": Variant("a mask of where the difference holds", method={"change_mask": True}),
    "plain_l1": Variant("the plain L1", method={"change_weight": 0.0}),
    "no_adversary": Variant("no adversary", method={"adversarial": 0.0}),
}  # fmt: skip


def fit(name: str, variant: Variant, options: argparse.Namespace, drawn: str) -> Path:
    """Train one variant, or leave it when it is there."""
    out: Path = options.out / name
    table = open_data(drawn, None, SIZE)
    chosen = set(table.people[: variant.people])
    tables = {"drawn": table.take(np.array([table.subjects[index] in chosen for index in table.subject]))}
    weights: tuple[float, ...] = ()
    if variant.extra:
        tables["extra"] = open_data(getattr(options, variant.extra), table.expressions, SIZE)
        weights = (1 - variant.share, variant.share)
    loop = {"batch_size": 32, "pictures_per_epoch": PICTURES, "own_neutral": 0, "threads": 1, "weights": weights}
    shape = {**DERL, "change_mask": False, **variant.method}
    epochs = {"generator_epochs": options.epochs, "classifier_epochs": 0}
    train(
        "derl",
        DeRLConfig(image_size=SIZE, **shape, **epochs),
        tables,
        out,
        TrainingConfig(**{**loop, **variant.loop}),
        augmentation=Augmentation(**variant.augmentation),
        resume=True,
        command="python benchmarks/generators.py",
    )
    return out


def main() -> None:
    """Train, measure, print; the table is written anew after every variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("london", type=Path)
    for name in ("more", "pairs", "photographs"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    drawn = draw(options.out / "train-people", 300, 1000)
    lines = [
        "| variant | learns from | nearer than the smile | nearer than the blurred smile | mean L1 |",
        "|" + "---|" * 5,
    ]
    for name in options.variants:
        variant = VARIANTS[name]
        if variant.extra and not getattr(options, variant.extra):
            continue
        model, _ = export(fit(name, variant, options, drawn))
        pairs = read_pairs(Predictor(model), options.london)
        figures = removal(pairs)
        nearer, blurred = (f"{figures[key]} of {len(pairs)}" for key in ("nearer", "nearer_than_blurred"))
        lines.append(f"| `{name}` | {variant.says} | {nearer} | {blurred} | {figures['l1']:.4f} |")
        copied = f"| copying the smile | | | | {figures['smile_l1']:.4f} |"
        (options.out / "generators.md").write_text("\n".join([*lines, copied]) + "\n")
    print((options.out / "generators.md").read_text())


if __name__ == "__main__":
    main()
