"""What de-expression has to beat: a plain network on the face alone; and what it could reach at most: the oracle.

`cnn` is an ordinary residual network (He et al. 2016, pre-activation as in doi 10.1007/978-3-319-46493-0_38) on x, and
makes no neutral face. `oracle` is the same network on x beside x - n with the person's *true* neutral face n, which
exists for drawn people only: the ceiling of every method that generates n.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW

from deadpan.method import Batch, Method, Prediction, Stage, one_cycle


@dataclass(frozen=True)
class CNNConfig:
    """Settings of the plain network; all of them our choice."""

    image_size: int = 64
    "Pixels of a side."
    width: float = 1.0
    "Channel multiplier; 1 is 2.8 million parameters."
    dropout: float = 0.3
    "Before the classifier layer."
    epochs: int = 21
    "Epochs, along a one-cycle schedule."
    rate: float = 4e-3
    "AdamW's highest learning rate."
    weight_decay: float = 0.05
    "AdamW's weight decay."


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, normalised before each."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.BatchNorm2d(before), nn.ReLU())
        self.residual = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv2d(before, after, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, after, H / stride, W / stride)."""
        entered = self.enter(x)
        shortcut = x if isinstance(self.shortcut, nn.Identity) else self.shortcut(entered)
        out: Tensor = self.residual(entered) + shortcut
        return out


class ResidualNetwork(nn.Module):
    """Stem, then two blocks each at 1/2, 1/4, 1/8 and 1/16 of the size, pooled into logits."""

    def __init__(self, channels: int, expressions: int, config: CNNConfig) -> None:
        super().__init__()
        c = [max(8, round(config.width * n)) for n in (32, 64, 128, 256)]
        self.layers = nn.Sequential(
            nn.Conv2d(channels, c[0], 5, stride=2, padding=2, bias=False),  # (N, 32, S / 2, S / 2)
            ResidualBlock(c[0], c[0], 1),
            ResidualBlock(c[0], c[1], 2),  # (N, 64, S / 4, S / 4)
            ResidualBlock(c[1], c[1], 1),
            ResidualBlock(c[1], c[2], 2),  # (N, 128, S / 8, S / 8)
            ResidualBlock(c[2], c[2], 1),
            ResidualBlock(c[2], c[3], 2),  # (N, 256, S / 16, S / 16)
            ResidualBlock(c[3], c[3], 1),
            nn.BatchNorm2d(c[3]),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(config.dropout),
            nn.Linear(c[3], expressions),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, S, S) -> logits (N, K)."""
        logits: Tensor = self.layers(x)
        return logits


class CNN(Method):
    """The expression straight from the face."""

    Config = CNNConfig
    config: CNNConfig
    generates = False
    channels = 3

    def __init__(self, config: CNNConfig, expressions: tuple[str, ...]) -> None:
        super().__init__(config, expressions)
        self.network = ResidualNetwork(self.channels, len(expressions), config)

    def stages(self) -> list[Stage]:
        """One stage, all rows."""
        self.optimizer = AdamW(self.network.parameters(), self.config.rate, weight_decay=self.config.weight_decay)
        optimizers = {"network": self.optimizer}
        return [Stage("network", self.config.epochs, self.step, optimizers, one_cycle, ("network",))]

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy with the label distribution."""
        self.network.train()
        logits = self.network(self.input(batch)).float()
        loss = F.cross_entropy(logits, batch.target)
        self.descend(self.optimizer, loss)
        hits = logits.argmax(1) == batch.target.argmax(1)
        return {"loss": loss.detach(), "accuracy": hits.float().mean()}

    def input(self, batch: Batch) -> Tensor:
        """What the network reads in training and evaluation."""
        return batch.image

    def forward(self, image: Tensor) -> Prediction:
        """(N, 3, S, S) -> logits; the neutral face is the image itself."""
        return Prediction(self.network(image), image)


class Oracle(CNN):
    """The plain network with the true neutral face at hand; on a lone image it assumes a neutral one."""

    generates = False
    channels = 6

    def input(self, batch: Batch) -> Tensor:
        """Image and difference from the true neutral face, (N, 6, S, S)."""
        return torch.cat([batch.image, batch.image - batch.neutral], 1)

    def forward(self, image: Tensor) -> Prediction:
        """(N, 3, S, S) -> logits as if the image were its own neutral face."""
        return Prediction(self.network(torch.cat([image, torch.zeros_like(image)], 1)), image)

    def predict(self, batch: Batch) -> Prediction:
        """Predict with the true neutral face."""
        return Prediction(self.network(self.input(batch)), batch.neutral)
