"""Baselines for methods that generate a neutral face: a plain network, plain differences, and an upper bound.

`cnn` is an ordinary residual network (He et al. 2016, pre-activation as in doi 10.1007/978-3-319-46493-0_38) that
reads the face x and generates no neutral face. `pixel_difference` is the same network on x - G(x).
`feature_difference` classifies the features of x minus those of G(x), without a metric loss. In both, G is DeRL's
generator, trained on pairs without a discriminator and then frozen. `oracle` is the network on x and x - n, where n is
the person's *true* neutral face, which is known for synthetic people only. It is the upper bound for every method that
generates n.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW

from deadpan.method import Batch, Method, Prediction, Stage
from deadpan.methods.derl import DeRLConfig, Generator
from deadpan.methods.layers import accuracy, classification_loss, removal_loss, residual_trunk
from deadpan.methods.schedules import constant_then_linear, one_cycle
from deadpan.settings import check_method_settings


@dataclass(frozen=True)
class CNNConfig:
    """Settings of the plain network; all are our choice."""

    image_size: int = 64
    "Side of the input in pixels."
    width: float = 1.0
    "Channel multiplier; 1 gives 2.8 million parameters."
    dropout: float = 0.3
    "Dropout before the classifier layer."
    epochs: int = 21
    "Epochs, with a one-cycle schedule."
    rate: float = 4e-3
    "AdamW's highest learning rate."
    weight_decay: float = 0.05
    "AdamW's weight decay."

    def __post_init__(self) -> None:
        check_method_settings(self)


class ResidualNetwork(nn.Module):
    """The residual trunk with a linear classifier."""

    def __init__(self, channels: int, expressions: int, config: CNNConfig) -> None:
        super().__init__()
        trunk, features = residual_trunk(channels, config.width)
        self.layers = nn.Sequential(*trunk, nn.Dropout(config.dropout), nn.Linear(features, expressions))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, S, S) -> logits (N, K)."""
        logits: Tensor = self.layers(x)
        return logits


class CNN(Method):
    """Recognise the expression directly from the face."""

    Config = CNNConfig
    config: CNNConfig
    generates = False
    channels = 3

    def __init__(self, config: CNNConfig, expressions: tuple[str, ...]) -> None:
        super().__init__(config, expressions)
        self.network = ResidualNetwork(self.channels, len(expressions), config)

    def stages(self) -> list[Stage]:
        """One stage on all rows."""
        self.optimizer = AdamW(self.network.parameters(), self.config.rate, weight_decay=self.config.weight_decay)
        optimizers = {"network": self.optimizer}
        return [Stage("network", self.config.epochs, self.step, optimizers, one_cycle, ("network",))]

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy with the label distribution."""
        self.network.train()
        logits = self.network(self.input(batch))
        loss = classification_loss(logits, batch.target)
        self.descend(self.optimizer, loss)
        return {"loss": loss.detach(), "accuracy": accuracy(logits, batch.target)}

    def input(self, batch: Batch) -> Tensor:
        """The input of the network in training and evaluation."""
        return batch.image

    def forward(self, image: Tensor) -> Prediction:
        """(N, 3, S, S) -> logits; the neutral face is the image itself."""
        return Prediction(self.network(image), image)


class Oracle(CNN):
    """The plain network with the true neutral face as a second input; without one, the image itself is used."""

    channels = 6
    compares = True

    def input(self, batch: Batch) -> Tensor:
        """Image and difference from the true neutral face, (N, 6, S, S)."""
        return torch.cat([batch.image, batch.image - batch.neutral], 1)

    def compare(self, image: Tensor, neutral: Tensor) -> Prediction:
        """(N, 3, S, S) twice -> logits, and the neutral face as it came."""
        return Prediction(self.network(torch.cat([image, image - neutral], 1)), neutral)

    def forward(self, image: Tensor) -> Prediction:
        """(N, 3, S, S) -> logits as if the image were its own neutral face."""
        return self.compare(image, image)

    def predict(self, batch: Batch) -> Prediction:
        """Predict with the true neutral face."""
        return self.compare(batch.image, batch.neutral)


@dataclass(frozen=True)
class DifferenceConfig:
    """Settings of the two plain differences; all are our choice, and the same as those of derl and cnn if possible."""

    image_size: int = 64
    "Side of the input in pixels, a power of two from 32 on."
    width: float = 1.0
    "Channel multiplier of generator and network."
    outer_skip: bool = False
    "Also connect e1 of the generator to its output layer."
    warp: bool = False
    "The generator's last layer warps and paints the face (layers.WarpAndPaint)."
    change_weight: float = 12.0
    "Extra weight of the L1 per 0.2 of local difference between image and neutral."
    dropout: float = 0.3
    "Dropout before the classifier layer."
    generator_epochs: int = 40
    "Epochs of the generator, on pairs."
    classifier_epochs: int = 21
    "Epochs of the network with the generator frozen, with a one-cycle schedule."
    generator_rate: float = 2e-4
    "Adam's learning rate for the generator, constant for the first half, then linear to 0."
    rate: float = 4e-3
    "AdamW's highest learning rate for the network."
    weight_decay: float = 0.05
    "AdamW's weight decay."

    def __post_init__(self) -> None:
        check_method_settings(self)


class PixelNetwork(nn.Module):
    """The plain network on the difference of two pictures."""

    def __init__(self, expressions: int, config: DifferenceConfig) -> None:
        super().__init__()
        self.network = ResidualNetwork(3, expressions, CNNConfig(width=config.width, dropout=config.dropout))

    def forward(self, image: Tensor, neutral: Tensor) -> Tensor:
        """(N, 3, S, S) twice -> logits (N, K)."""
        logits: Tensor = self.network(image - neutral)
        return logits


class FeatureNetwork(nn.Module):
    """The plain network, whose last layer reads the difference between the pooled features of two pictures."""

    def __init__(self, expressions: int, config: DifferenceConfig) -> None:
        super().__init__()
        layers = ResidualNetwork(3, expressions, CNNConfig(width=config.width, dropout=config.dropout)).layers
        self.features, self.classifier = layers[:-2], layers[-2:]

    def forward(self, image: Tensor, neutral: Tensor) -> Tensor:
        """(N, 3, S, S) twice -> logits (N, K)."""
        both = self.features(torch.cat([image, neutral]))  # (2 N, C)
        logits: Tensor = self.classifier(both[: image.shape[0]] - both[image.shape[0] :])
        return logits


class PixelDifference(Method):
    """Recognise the expression from the difference of image and generated neutral face."""

    Config = DifferenceConfig
    config: DifferenceConfig
    compares = True
    Network: ClassVar[type[PixelNetwork | FeatureNetwork]] = PixelNetwork

    def __init__(self, config: DifferenceConfig, expressions: tuple[str, ...]) -> None:
        super().__init__(config, expressions)
        common = ("image_size", "width", "outer_skip", "warp")
        shape = DeRLConfig(**{name: getattr(config, name) for name in common})
        self.generator = Generator(shape)
        self.network = type(self).Network(len(expressions), config)

    def stages(self) -> list[Stage]:
        """Stage 1 trains the generator on pairs, stage 2 the network with the generator frozen."""
        c = self.config
        generator = {"generator": Adam(self.generator.parameters(), c.generator_rate, betas=(0.5, 0.999))}
        network = {"network": AdamW(self.network.parameters(), c.rate, weight_decay=c.weight_decay)}
        self.optimizers = generator | network
        step, linear = self.generator_step, constant_then_linear
        return [
            Stage("generator", c.generator_epochs, step, generator, linear, ("generator",), "paired"),
            Stage("network", c.classifier_epochs, self.network_step, network, one_cycle, ("network",)),
        ]

    def generator_step(self, batch: Batch) -> dict[str, Tensor]:
        """One optimiser step on the weighted L1 of the paired rows."""
        self.generator.train()
        pairs = batch[batch.paired]
        loss, logs = removal_loss(self.generator(pairs.image)[0], pairs, self.config.change_weight)
        self.descend(self.optimizers["generator"], loss)
        return {"loss": loss.detach(), **logs}

    def network_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of cross-entropy with the label distribution; the generator is frozen and deterministic."""
        self.generator.eval()
        self.network.train()
        with torch.no_grad():
            neutral = self.generator(batch.image)[0].neutral
        logits = self.network(batch.image, neutral)
        loss = classification_loss(logits, batch.target)
        self.descend(self.optimizers["network"], loss)
        return {"loss": loss.detach(), "accuracy": accuracy(logits, batch.target)}

    def compare(self, image: Tensor, neutral: Tensor) -> Prediction:
        """(N, 3, S, S) twice -> logits, and the neutral face as it came."""
        return Prediction(self.network(image, neutral), neutral)

    def forward(self, image: Tensor) -> Prediction:
        """(N, 3, S, S) -> logits and the generated neutral face."""
        return self.compare(image, self.generator(image)[0].neutral)


class FeatureDifference(PixelDifference):
    """Recognise the expression from the difference between the features of image and generated neutral face."""

    Network = FeatureNetwork
