"""A fifth method in one file: python examples/add_a_method.py OUT [PREPARED.parquet]

It renders two people into OUT (or uses prepared ones), trains the method below on them briefly, exports it and reads a
photograph with it. In deadpan itself, the class would be in `deadpan/methods/beside.py`, with a line in METHODS and a
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

import deadpan as dp

PHOTOGRAPH = Path(__file__).parent / "photos" / "girl_happiness.png"


def falling(progress: float) -> float:
    """The factor on the learning rate, from 1 at the start of the stage to 0 at its end."""
    return 1 - progress


@dataclass(frozen=True)
class BesideConfig:
    """Settings of the method; each becomes a flag of `deadpan train`, with the line under it as its help."""

    image_size: int = 64
    "Side of the input in pixels."
    width: float = 1.0
    "Channel multiplier."
    removal: float = 10.0
    "Weight of the L1 between generated and true neutral face."
    epochs: int = 20
    "Epochs of the only stage."
    rate: float = 2e-3
    "AdamW's first learning rate."


class BesideNetwork(nn.Module):
    """Generates the residue, subtracts it from the face, and recognises the expression from face and residue."""

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

    def forward(self, image: Tensor) -> dp.Prediction:
        """(N, 3, S, S) -> logits (N, K) and the neutral face."""
        neutral = (image - self.remove(image)).clamp(-1, 1)  # (N, 3, S, S)
        return dp.Prediction(self.read(torch.cat([image, image - neutral], 1)), neutral)


class Beside(dp.Method):
    """Recognise the expression from the face together with its residue."""

    Config = BesideConfig
    config: BesideConfig

    def __init__(self, config: BesideConfig, expressions: tuple[str, ...]) -> None:
        super().__init__(config, expressions)
        self.network = BesideNetwork(len(expressions), config)  # children are averaged, moved and saved as units

    def stages(self) -> list[dp.Stage]:
        """One stage that trains the whole network."""
        self.optimizer = AdamW(self.network.parameters(), self.config.rate)
        optimizers = {"network": self.optimizer}
        return [dp.Stage("network", self.config.epochs, self.step, optimizers, falling, ("network",))]

    def step(self, batch: dp.Batch) -> dict[str, Tensor]:
        """One step on the cross-entropy and, where the neutral face is known, the L1 to it."""
        self.network.train()
        logits, neutral = self.network(batch.image)
        loss = F.cross_entropy(logits.float(), batch.target)
        if batch.paired.any():  # real photographs rarely come with a neutral partner
            pairs, made = batch[batch.paired], neutral[batch.paired].float()
            weight = 1 + 60 * (pairs.image - pairs.neutral).abs()  # else copying the image has a small loss
            loss = loss + self.config.removal * (weight * (made - pairs.neutral).abs()).mean() / weight.mean()
        self.descend(self.optimizer, loss)
        return {"loss": loss.detach()}

    def forward(self, image: Tensor) -> dp.Prediction:
        """(N, 3, S, S) -> logits (N, K) and the neutral face."""
        prediction: dp.Prediction = self.network(image)
        return prediction

    def show(self, image: Tensor, neutral: Tensor) -> dict[str, dp.Shown]:
        """The size of the residue."""
        return {"removed": dp.Shown("level", (image - neutral).abs().mean((1, 2, 3)))}


def main(out: Path, prepared: Path | None) -> None:
    """Render, prepare, train, export and read."""
    dp.METHODS["beside"] = Beside
    if prepared is None:
        dp.synthesize(out / "people", dp.SynthesisConfig(people=2))
        prepared = out / "people.parquet"
        dp.prepare("synthetic", out / "people", prepared)
    training = dp.TrainingConfig(pictures_per_epoch=96, batch_size=16)
    dp.train("beside", BesideConfig(width=0.5, epochs=2), [str(prepared)], out / "run", training)
    model, card = dp.export(out / "run")
    print(f"{model} and {card.name}")
    (face,) = dp.Predictor(model, show=True).predict(PHOTOGRAPH)
    print(f"{PHOTOGRAPH.name}: {face.expression}, removed {float(face.shown['removed'].value):.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
