"""deadpan's own method: one network that reads a face, generates its neutral face, and reads the changes it made.

No paper describes it. Three ideas come from the papers. As in DeRL, the encoder and decoder layers that removed the
expression are read. As in DGCN, the face is compared with its neutral face. As in ERR-Net, removal and recognition are
trained at the same time, and the residues of pixels and of shape are both classified.

The other parts are ours. Both tasks share a residual trunk like that of the plain network `cnn`. The decoder warps and
paints the face (layers.WarpAndPaint). The residue that is read holds all changes by the decoder: the difference of the
two faces, the flow and the mask. The gradient of the classification loss does not pass through that residue, so that
the removal is trained on true neutral faces only. With `removal` off, the trunk is trained without decoder and residue,
as a control.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW

from deadpan.method import Batch, Method, Prediction, Shown, Stage
from deadpan.methods.layers import (
    Generated,
    ResidualBlock,
    WarpAndPaint,
    accuracy,
    classification_loss,
    he_weights,
    removal_loss,
    rows_of,
    zero_weights,
)
from deadpan.methods.schedules import one_cycle
from deadpan.settings import check_method_settings


@dataclass(frozen=True)
class DeadpanConfig:
    """Settings of deadpan's own method; all are our choice."""

    image_size: int = 64
    "Side of the input in pixels, a multiple of 16 from 32 on."
    width: float = 1.0
    "Channel multiplier; 1 gives 4.7 million parameters."
    removal: bool = True
    "Generate the neutral face and read the residue; if off, only the trunk is used."
    theta: float = 20.0
    "Weight of the loss of generated neutral faces."
    change_weight: float = 12.0
    "Extra weight of the L1 per 0.2 of local difference between image and neutral; 0 is the plain L1."
    dropout: float = 0.3
    "Dropout before the classifier layer."
    removal_epochs: int = 0
    "Epochs in which removal alone is trained first, on pairs."
    epochs: int = 30
    "Epochs of removal and recognition together, with a one-cycle schedule."
    rate: float = 2e-3
    "AdamW's highest learning rate."
    weight_decay: float = 0.05
    "AdamW's weight decay."

    def __post_init__(self) -> None:
        check_method_settings(self)


class Trunk(nn.Module):
    """Two residual blocks each at 1/2 to 1/16 of the size."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels[0], 5, stride=2, padding=2, bias=False)
        steps = [(channels[0], channels[0], 1), *((before, after, 2) for before, after in pairwise(channels))]
        self.stages = nn.ModuleList(
            nn.Sequential(ResidualBlock(before, after, stride), ResidualBlock(after, after))
            for before, after, stride in steps
        )
        he_weights(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, 3, S, S) -> the output of each stage, largest first: (N, C_i, S / 2^(i + 1), S / 2^(i + 1))."""
        hidden = self.stem(image)  # (N, C_0, S / 2, S / 2)
        made = []
        for stage in self.stages:
            hidden = stage(hidden)  # (N, C_i, S / 2^(i + 1), S / 2^(i + 1))
            made.append(hidden)
        return made


class Decoder(nn.Module):
    """Adds up the trunk's layers, smallest first, to half the picture's size, and generates the neutral face."""

    def __init__(self, channels: list[int], size: int) -> None:
        super().__init__()
        self.up = nn.ModuleList(nn.Conv2d(after, before, 1, bias=False) for before, after in pairwise(channels))
        self.refine = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, c, 3, padding=1, bias=False))
            for c in channels[:-1]
        )
        he_weights(self)
        self.norm = nn.Sequential(nn.BatchNorm2d(channels[0]), nn.ReLU())
        self.output = nn.Conv2d(channels[0], 4 * WarpAndPaint.channels, 3, padding=1)
        zero_weights(self.output)
        self.warp = WarpAndPaint(size)

    def forward(self, image: Tensor, made: list[Tensor]) -> tuple[Generated, list[Tensor]]:
        """Image and the trunk's layers -> the neutral face, and the decoder's layers, smallest first."""
        hidden, layers = made[-1], []
        for i in reversed(range(len(self.up))):
            raised = F.interpolate(self.up[i](hidden), scale_factor=2.0, mode="nearest")  # (N, C_i, s_i, s_i)
            hidden = made[i] + raised
            hidden = hidden + self.refine[i](hidden)
            layers.append(hidden)
        last = F.pixel_shuffle(self.output(self.norm(hidden)), 2)  # (N, 6, S, S)
        generated: Generated = self.warp(image, last)
        return generated, layers


class ResidueReader(nn.Module):
    """Encodes the residue as a feature: the difference of the faces, the flow and the mask, at half the size."""

    def __init__(self, width: float) -> None:
        super().__init__()
        c = [6, *(max(8, round(width * n)) for n in (32, 64, 128))]
        self.layers = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
                for a, b in pairwise(c)
            ),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.features = 4 * c[-1]

    def forward(self, image: Tensor, generated: Generated) -> Tensor:
        """(N, 3, S, S) and its neutral face -> feature (N, F); no gradient passes to the face."""
        flow, mask = generated.flow, generated.mask
        assert flow is not None and mask is not None
        residue = torch.cat([image - generated.neutral, 8 * flow, mask], 1).detach()  # (N, 6, S, S)
        feature: Tensor = self.layers(F.avg_pool2d(residue, 2))
        return feature


class Network(nn.Module):
    """The trunk, the decoder, the reader of the residue, and the classifier over the features of all three."""

    def __init__(self, config: DeadpanConfig, expressions: int) -> None:
        super().__init__()
        channels = [max(8, round(config.width * n)) for n in (40, 80, 160, 320)]
        self.trunk = Trunk(channels)
        features = channels[-1]
        self.removal = config.removal
        if config.removal:
            self.decoder = Decoder(channels, config.image_size)
            self.reader = ResidueReader(config.width)
            features += sum(channels[1:-1]) + self.reader.features
        self.norm = nn.Sequential(nn.BatchNorm2d(channels[-1]), nn.ReLU())
        self.classify = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(features, expressions))

    def forward(self, image: Tensor) -> tuple[Tensor, Generated]:
        """(N, 3, S, S) -> logits (N, K) and the neutral face; the image itself without removal."""
        made = self.trunk(image)
        features = [self.norm(made[-1]).mean((2, 3))]  # (N, C)
        generated = Generated(image)
        if self.removal:
            generated, layers = self.decoder(image, made)
            features += [layer.mean((2, 3)) for layer in layers[:-1]]  # (N, C_2), (N, C_1)
            features.append(self.reader(image, generated))  # (N, F)
        return self.classify(torch.cat(features, 1)), generated


class Deadpan(Method):
    """Read the face, generate its neutral face and read the changes, in one network."""

    Config = DeadpanConfig
    config: DeadpanConfig

    def __init__(self, config: DeadpanConfig, expressions: tuple[str, ...]) -> None:
        super().__init__(config, expressions)
        if config.image_size < 32 or config.image_size % 16:
            raise ValueError(f"image_size must be a multiple of 16 from 32 on; got {config.image_size}")
        self.generates = config.removal
        self.network = Network(config, len(expressions))

    def stages(self) -> list[Stage]:
        """Removal and recognition together; with `removal_epochs`, a stage of removal alone comes first."""
        c = self.config
        self.optimizer = AdamW(self.network.parameters(), c.rate, weight_decay=c.weight_decay)
        joint = Stage("joint", c.epochs, self.joint_step, {"network": self.optimizer}, one_cycle, ("network",))
        if not c.removal:
            return [joint]
        self.remover = AdamW(self.network.parameters(), c.rate, weight_decay=c.weight_decay)
        alone = {"network": self.remover}
        return [
            Stage("removal", c.removal_epochs, self.removal_step, alone, one_cycle, ("network",), "paired"),
            joint,
        ]

    def removal_step(self, batch: Batch) -> dict[str, Tensor]:
        """One optimiser step on the loss of the neutral faces generated for the paired rows."""
        pairs = batch[batch.paired]
        self.network.train()
        _, generated = self.network(pairs.image)
        loss, logs = removal_loss(generated, pairs, self.config.change_weight)
        self.descend(self.remover, loss)
        return {"loss": loss.detach(), **logs}

    def joint_step(self, batch: Batch) -> dict[str, Tensor]:
        """One optimiser step on the cross-entropy of all rows plus theta times the loss of the paired neutral faces."""
        self.network.train()
        logits, generated = self.network(batch.image)
        loss = classification_loss(logits, batch.target)
        logs = {"cross_entropy": loss.detach(), "accuracy": accuracy(logits, batch.target)}
        if self.config.removal and batch.paired.any():
            made = rows_of(generated, batch.paired)
            removal, more = removal_loss(made, batch[batch.paired], self.config.change_weight)
            loss = loss + self.config.theta * removal
            logs |= more
        self.descend(self.optimizer, loss)
        return {"loss": loss.detach(), **logs}

    def forward(self, image: Tensor) -> Prediction:
        """(N, 3, S, S) -> logits and the generated neutral face."""
        logits, generated = self.network(image)
        return Prediction(logits, generated.neutral)

    def show(self, image: Tensor, neutral: Tensor) -> dict[str, Shown]:
        """The mask of painted pixels: white where the neutral face is completely painted."""
        if not self.config.removal:
            return {}
        _, generated = self.network(image)
        assert generated.mask is not None
        return {"painted": Shown("picture", 2 * generated.mask.expand(-1, 3, -1, -1) - 1)}
