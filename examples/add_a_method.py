"""A fifth method in one file: python examples/add_a_method.py OUT [PREPARED.parquet]

Draws two people into OUT (or takes prepared ones), trains the method below on them for a moment, exports it and reads
a photograph with it. In deadpan itself the class would be `deadpan/methods/beside.py`, with a line in METHODS and a
page docs/methods/beside.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW

from deadpan import Predictor
from deadpan.method import Batch, Method, Prediction, Shown, Stage
from deadpan.methods import METHODS
from deadpan.methods.layers import changed_l1
from deadpan.methods.schedules import one_cycle
from deadpan.preparation.prepare import prepare
from deadpan.release.export import export
from deadpan.synthetic.synthesize import SynthesisConfig, synthesize
from deadpan.training.config import TrainingConfig
from deadpan.training.train import train

PHOTOGRAPH = Path(__file__).parent / "photos" / "girl_happiness.png"


@dataclass(frozen=True)
class BesideConfig:
    """Settings of the method; each becomes a flag of `deadpan train`, with the line under it as its help."""

    image_size: int = 64
    "Pixels of a side."
    width: float = 1.0
    "Channel multiplier."
    removal: float = 10.0
    "Weight of the L1 between generated and true neutral face."
    epochs: int = 20
    "Epochs of the only stage, one cycle."
    rate: float = 2e-3
    "AdamW's highest learning rate."


class BesideNetwork(nn.Module):
    """Makes what to take away, takes it away, and reads the expression from both beside each other."""

    def __init__(self, expressions: int, config: BesideConfig) -> None:
        super().__init__()
        c = max(8, round(32 * config.width))
        self.remove = nn.Sequential(
            nn.Conv2d(3, c, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(c, 2 * c, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * c, c, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(c, 3, 4, stride=2, padding=1),
        )
        self.read = nn.Sequential(
            nn.Conv2d(6, c, 4, stride=2, padding=1),
            nn.BatchNorm2d(c),
            nn.ReLU(),
            nn.Conv2d(c, 2 * c, 4, stride=2, padding=1),
            nn.BatchNorm2d(2 * c),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(32 * c, expressions),
        )

    def forward(self, image: Tensor) -> Prediction:
        """(N, 3, S, S) -> logits (N, K) and the neutral face."""
        neutral = (image - self.remove(image)).clamp(-1, 1)  # (N, 3, S, S)
        return Prediction(self.read(torch.cat([image, image - neutral], 1)), neutral)


class Beside(Method):
    """The expression from the face beside its residue."""

    Config = BesideConfig
    config: BesideConfig

    def __init__(self, config: BesideConfig, expressions: tuple[str, ...]) -> None:
        super().__init__(config, expressions)
        self.network = BesideNetwork(len(expressions), config)  # children are what is averaged, moved and saved

    def stages(self) -> list[Stage]:
        """One stage, end to end."""
        self.optimizer = AdamW(self.network.parameters(), self.config.rate)
        optimizers = {"network": self.optimizer}
        return [Stage("network", self.config.epochs, self.step, optimizers, one_cycle, ("network",))]

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One step down the cross-entropy and, where the neutral face is known, the L1 to it."""
        self.network.train()
        logits, neutral = self.network(batch.image)
        loss = F.cross_entropy(logits.float(), batch.target)
        if batch.paired.any():  # real photographs rarely come with a neutral partner
            pairs, made = batch[batch.paired], neutral[batch.paired].float()
            loss = loss + self.config.removal * changed_l1(made, pairs.neutral, pairs.image, 12)
        self.descend(self.optimizer, loss)
        return {"loss": loss.detach()}

    def forward(self, image: Tensor) -> Prediction:
        """(N, 3, S, S) -> logits (N, K) and the neutral face."""
        prediction: Prediction = self.network(image)
        return prediction

    def show(self, image: Tensor, neutral: Tensor) -> dict[str, Shown]:
        """How much was taken away."""
        return {"removed": Shown("level", (image - neutral).abs().mean((1, 2, 3)))}


def main(out: Path, prepared: Path | None) -> None:
    """Draw, prepare, train, export, read."""
    METHODS["beside"] = Beside
    if prepared is None:
        synthesize(out / "people", SynthesisConfig(people=2))
        prepared = out / "people.parquet"
        prepare("synthetic", out / "people", prepared)
    training = TrainingConfig(pictures_per_epoch=96, batch_size=16)
    train("beside", BesideConfig(width=0.5, epochs=2), [str(prepared)], out / "run", training)
    model, card = export(out / "run")
    print(f"{model} and {card.name}")
    (face,) = Predictor(model, show=True).predict(PHOTOGRAPH)
    print(f"{PHOTOGRAPH.name}: {face.expression}, removed {float(face.shown['removed'].value):.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
