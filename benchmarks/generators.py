"""What a generator for real faces should learn from: variants of DeRL's stage 1, judged on the London Set.

    python benchmarks/generators.py OUT LONDON [--more FILE] [--pairs FILE] [--photographs FILE] [--people FILE]
                                    [--wild FILE] [--variants NAME...] [--epochs 3]

Each variant trains DeRL's generator (width 0.5, 64 px, one seed) for `--epochs` times 9,000 pictures, the base on 300
drawn people. LONDON is the folder that benchmarks/london.py reads; the whole change counts, averaged over the mirror
image. `--more` are people of another head, `--pairs` photographs of known people with neutral pictures among them,
`--photographs` labelled ones of unknown people, `--people` real people with several pictures each, whom the network of
the term `identity` learns to tell apart; all of them prepared. A variant whose file is not given is left out. On the
expressive faces of `--wild`, labelled photographs that no variant learns from, what the released `cnn` still reads
after the removal. What is there is kept. The table goes to OUT/generators.md.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from london import read_pairs, removal
from methods import DERL, PICTURES, SIZE, draw, judge
from torch import Tensor, nn

from deadpan import Predictor
from deadpan.comparison.identity import Identity
from deadpan.comparison.neutral_faces import resized
from deadpan.evaluation.score import readings
from deadpan.evaluation.trained_model import released_answer
from deadpan.loading.augmentation import Augmentation
from deadpan.loading.batches import ordered
from deadpan.method import Batch, Stage
from deadpan.methods import METHODS
from deadpan.methods.derl import DeRL, DeRLConfig, Generator
from deadpan.pixels import to_pixels
from deadpan.preparation.table import open_data
from deadpan.release.export import export
from deadpan.training.config import TrainingConfig
from deadpan.training.train import train


@dataclass(frozen=True)
class Variant:
    """One way to train the generator."""

    says: str
    method: str = "derl"
    extra: str = ""  # the option that names the second data file
    share: float = 0.0  # of the second file
    people: int = 300
    settings: dict[str, Any] = field(default_factory=dict)
    loop: dict[str, Any] = field(default_factory=dict)
    augmentation: dict[str, float] = field(default_factory=dict)


class Unpaired(DeRL):
    """DeRL with another term in place of the L1 that holds unpaired faces to themselves, under the critic."""

    def critic_step(self, batch: Batch, generated: Tensor) -> tuple[Tensor, Tensor]:
        """What the critic finds, and the mean of the term over the unpaired faces."""
        left, _ = super().critic_step(batch, generated)
        unpaired = ~batch.paired
        if not unpaired.any():
            return left, generated.new_zeros(())
        return left, self.term(batch[unpaired], generated[unpaired])

    def term(self, batch: Batch, generated: Tensor) -> Tensor:
        """What is to be small for faces (N, 3, S, S) made of a batch without partners."""
        raise NotImplementedError


class KeepsIdentity(Unpaired):
    """1 - cosine of the two faces in a network that tells people apart."""

    judge: Identity  # set before training; no part of the weights

    def term(self, batch: Batch, generated: Tensor) -> Tensor:
        """Near 0 for the same person."""
        kept: Tensor = type(self).judge.similarity(generated, batch.image)  # (N,)
        return (1 - kept).mean()


class Settles(Unpaired):
    """|G(G(x)) - G(x)|: a neutral face has nothing left to remove."""

    def term(self, batch: Batch, generated: Tensor) -> Tensor:
        """0 where a second removal changes nothing."""
        again: Tensor = self.generator(generated)[0].float()
        return (again - generated).abs().mean()


class Restores(Unpaired):
    """|F(G(x), label) - x|: a second generator puts the expression back, as a cycle has it (arXiv 1703.10593)."""

    def __init__(self, config: DeRLConfig, expressions: tuple[str, ...]) -> None:
        super().__init__(config, expressions)
        self.restorer = Generator(config)
        self.paint = nn.Linear(len(expressions), 3 * config.image_size**2, bias=False)  # the label, as a picture

    def stages(self) -> list[Stage]:
        """As DeRL's; the restorer learns beside the generator."""
        stages = super().stages()
        own = [*self.restorer.parameters(), *self.paint.parameters()]
        self.optimizers["generator"].add_param_group({"params": own})
        return stages

    def term(self, batch: Batch, generated: Tensor) -> Tensor:
        """0 where the face comes back."""
        painted = generated + self.paint(batch.target).view_as(generated)
        restored: Tensor = self.restorer(painted)[0].float()
        return (restored - batch.image).abs().mean()


TERMS: dict[str, type[Unpaired]] = {"derl_identity": KeepsIdentity, "derl_settles": Settles, "derl_restores": Restores}
METHODS.update(TERMS)  # of this program alone

SHARP = dict.fromkeys(("blur", "resolution", "noise", "blocks", "erase"), 0.0)
CRITIC: dict[str, Any] = {
    "extra": "photographs",
    "share": 0.3,
    "settings": {"expression_critic": 1.0, "unpaired_l1": 20.0},
}
HARD: dict[str, Any] = {"loop": {"pairing": "hard"}}
VARIANTS = {
    "base": Variant("300 drawn people, each beside its twin"),
    "fewer": Variant("100 of them", people=100),
    "sharp": Variant("no blur, low resolution, noise, blocks or erasing", augmentation=SHARP),
    "hard": Variant("another neutral picture of the person instead of the twin", **HARD),
    "heads": Variant("half of the pictures of people of another head", extra="more", share=0.5),
    "pairs": Variant("`hard`, and 30 % photographs beside a neutral one", extra="pairs", share=0.3, **HARD),
    "critic": Variant("30 % photographs without a neutral face, under the critic", **CRITIC),
    "identity": Variant("the same with the identity term in place of its L1", "derl_identity", **CRITIC),
    "settles": Variant("the same with |G(G(x)) - G(x)|", "derl_settles", **CRITIC),
    "cycle": Variant("the same with a second generator that restores x", "derl_restores", **CRITIC),
    "mask": Variant("a mask of where the difference holds", settings={"change_mask": True}),
    "plain_l1": Variant("the plain L1", settings={"change_weight": 0.0}),
    "no_adversary": Variant("no adversary", settings={"adversarial": 0.0}),
    "mask_alone": Variant("the mask and no adversary", settings={"change_mask": True, "adversarial": 0.0}),
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
    shape = {**DERL, "change_mask": False, "dead_zone": 0.0, **variant.settings}
    epochs = {"generator_epochs": options.epochs, "classifier_epochs": 0}
    train(
        variant.method,
        DeRLConfig(image_size=SIZE, **shape, **epochs),
        tables,
        out,
        TrainingConfig(**{**loop, **variant.loop}),
        augmentation=Augmentation(**variant.augmentation),
        resume=True,
        command="python benchmarks/generators.py",
    )
    return out


def still_read(predictor: Predictor, wild: str) -> tuple[float, float]:
    """Shares of clear expressive photographs whose expression `cnn` reads: off the neutral faces, off themselves."""
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
    """Train, measure, print; the table is written anew after every variant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("london", type=Path)
    for name in ("more", "pairs", "photographs", "people", "wild"):
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
        if variant.method == "derl_identity":
            if not options.people:
                continue
            KeepsIdentity.judge = judge(options.out, options.people, "hard").requires_grad_(False)
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
