"""DeRL: Facial Expression Recognition by De-expression Residue Learning.

Huiyuan Yang, Umur Ciftci, Lijun Yin. CVPR 2018. doi 10.1109/CVPR.2018.00231

An expression is a neutral component plus an expressive component. A conditional GAN generates a person's neutral face
from any face of that person. The expressive component that it removed is still recorded in its intermediate layers.
This residue is classified: not x - G(x), and not a difference of features, but the raw activations of encoder and
decoder layers, concatenated for each spatial size.

Differences from the paper. Only its abstract, figures and tables could be read. Layer outputs, taps, skips, losses
and the order of the two stages are the paper's; the following points are our choice.

1. Kernels (4x4, stride 2), normalisation and dropout of the generator are pix2pix's.
2. theta_1 = 100 and all lambda_i = 1: the paper's values are not stated in the text that could be read.
3. The L1 is weighted by the local difference of the pair, 1 + 12 * (5x5 mean of |x - n|) / 0.2 (`change_weight`).
   Nearly all pixels of a pair agree, so with a plain L1 the generator learns to copy. 0 gives the paper's plain L1.
4. A local CNN has three 3x3 convolutions (the figure shows "three layers"), pooled while larger than 4x4.
5. A third stage can train generator and classifier together (`joint_epochs`), with a fifth of theta_1 on the L1 of
   pairs. Off (0) by default: the paper keeps the generator frozen.
6. With `warp` the last layer warps and paints the face (layers.WarpAndPaint). Off by default: the paper's last layer
   generates n.
7. `blocks` refines each encoder layer of at least 4x4 by residual blocks; sizes, channels and taps stay the paper's.
   Off (0) by default.
8. Running averages (EMA) of the weights of generator and classifier are used and saved.
9. The paper trained the generator on BU-4DFE and BP4D; the released model was trained on synthetic people and
   FER2013.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from deadpan.method import Batch, Method, Prediction, Shown, Stage
from deadpan.methods.layers import (
    Generated,
    LocalCNN,
    PatchGAN,
    ResidualBlock,
    WarpAndPaint,
    accuracy,
    adversarial_loss,
    classification_loss,
    removal_loss,
    rows_of,
    zero_weights,
)
from deadpan.methods.schedules import constant_then_linear, cosine, one_cycle
from deadpan.settings import check_method_settings

DROPOUT = 0.5  # in the three innermost decoder layers, stage 1 only [pix2pix]
LOCAL = (128, 0.2)  # channels of a local CNN and length of its feature; dropout before classifiers [not stated]
JOINT_DECAY = 0.05  # AdamW's weight decay in stage 3 [ours]


@dataclass(frozen=True)
class DeRLConfig:
    """Settings of DeRL; the source of each default is given in brackets."""

    image_size: int = 64
    "Side of the input in pixels, a power of two from 32 on [paper: 64]."
    width: float = 1.0
    "Channel multiplier; 0.5 trains on two CPU cores [paper: 1]."
    outer_skip: bool = False
    "Also connect e1 to the output layer [paper: no]."
    blocks: int = 0
    "Residual blocks after each encoder layer of at least 4x4 [ours; paper: none]."
    warp: bool = False
    "The last layer warps and paints the face (layers.WarpAndPaint) [ours; paper: it generates n]."
    branches: tuple[int, ...] = (1, 2, 3, 4)
    "Local CNNs to build, 1 for the largest tap [paper: all]; a single one is the paper's ablation."
    theta: float = 100.0
    "Weight of the L1, the paper's theta_1 [value not stated in the paper; pix2pix's]."
    change_weight: float = 12.0
    "Extra weight of the L1 per 0.2 of local difference between image and neutral [ours; 0 = plain L1]."
    adversarial: float = 1.0
    "Weight of the adversarial term; 0 trains no discriminator [paper: 1]."
    generator_epochs: int = 40
    "Epochs of stage 1 [not stated in the paper]."
    classifier_epochs: int = 20
    "Epochs of stage 2 [not stated in the paper]."
    joint_epochs: int = 0
    "Epochs of stage 3 [ours; paper: none]."
    generator_rate: float = 2e-4
    "Adam's learning rate in stage 1, constant for the first half, then linear to 0 [pix2pix]."
    classifier_rate: float = 1e-3
    "Adam's learning rate in stage 2, cosine [not stated in the paper]."
    joint_rate: float = 3e-4
    "AdamW's highest learning rate in stage 3, one cycle [ours]."

    def __post_init__(self) -> None:
        check_method_settings(self)


class Generator(nn.Module):
    """Encoder-decoder that removes the expression and also returns the activations of its layers.

    For 64 px: e1 32x32x64, e2 16x16x128, e3 8x8x256, e4 4x4x512, e5 2x2x512, e6 1x1x512, and d5 ... d1 back.
    """

    def __init__(self, config: DeRLConfig) -> None:
        super().__init__()
        depth = int(math.log2(config.image_size))
        channels = [max(8, round(config.width * min(64 * 2**i, 512))) for i in range(depth)]
        self.channels = channels
        self.outer_skip = config.outer_skip
        self.encoder = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 4, stride=2, padding=1, bias=True),
                nn.BatchNorm2d(after) if 0 < i < depth - 1 else nn.Identity(),  # e1, and e6 where 1x1 has no variance
                nn.LeakyReLU(0.2),
                *(ResidualBlock(after, after) for _ in range(config.blocks if i < depth - 2 else 0)),
            )
            for i, (before, after) in enumerate(pairwise([3, *channels]))
        )
        self.decoder = nn.ModuleList()
        for i in range(depth - 1, 0, -1):  # d5 ... d1: d_i has e_i's size; all but d5 also read the skip e_(i+1)
            skip = 0 if i == depth - 1 else channels[i]
            self.decoder.append(
                nn.Sequential(
                    nn.ConvTranspose2d(channels[i] + skip, channels[i - 1], 4, stride=2, padding=1),
                    nn.BatchNorm2d(channels[i - 1]),
                    nn.Dropout(DROPOUT if i >= depth - 3 else 0.0),
                    nn.ReLU(),
                )
            )
        outer = channels[0] * (2 if config.outer_skip else 1)
        self.warp = WarpAndPaint(config.image_size) if config.warp else None
        self.output = nn.ConvTranspose2d(outer, WarpAndPaint.channels if config.warp else 3, 4, stride=2, padding=1)
        if config.warp:
            zero_weights(self.output)

    def forward(self, image: Tensor) -> tuple[Generated, list[Tensor], Tensor]:
        """(N, 3, S, S) -> the neutral face, the residue per local CNN (largest first), the code (N, C)."""
        encoded = []
        hidden = image
        for layer in self.encoder:
            hidden = layer(hidden)  # (N, C_i, S / 2^i, S / 2^i)
            encoded.append(hidden)
        residue = []
        for i, layer in zip(range(len(encoded) - 1, 0, -1), self.decoder, strict=True):
            hidden = layer(hidden if i == len(encoded) - 1 else torch.cat([hidden, encoded[i]], 1))  # d_i, e_i's size
            if i > 1:
                residue.append(torch.cat([encoded[i - 1], hidden], 1))  # (N, 2 C_i, S / 2^i, S / 2^i)
        if self.outer_skip:
            hidden = torch.cat([hidden, encoded[0]], 1)
        last = self.output(hidden)  # (N, 3, S, S), with warp (N, 6, S, S)
        made = Generated(torch.tanh(last)) if self.warp is None else self.warp(image, last)
        return made, residue[::-1], encoded[-1].flatten(1)


class Classifier(nn.Module):
    """The local CNNs and the final classifier over their features and the code e6."""

    def __init__(self, generator: Generator, expressions: int, config: DeRLConfig) -> None:
        super().__init__()
        self.branches = config.branches
        sizes = [config.image_size // 2 ** (i + 1) for i in config.branches]
        width, dropout = LOCAL
        self.local = nn.ModuleList(
            LocalCNN(2 * generator.channels[i], size, expressions, width, dropout)
            for i, size in zip(config.branches, sizes, strict=True)
        )
        features = width * len(config.branches) + generator.channels[-1]
        self.final = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, expressions))

    def forward(self, residue: list[Tensor], code: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Residue per size and code (N, C) -> final logits (N, K), logits of each branch."""
        answers = [cnn(residue[i - 1]) for i, cnn in zip(self.branches, self.local, strict=True)]
        joined = torch.cat([*(feature for feature, _ in answers), code], 1)
        return self.final(joined), [logits for _, logits in answers]


class DeRL(Method):
    """Generate the neutral face, then classify the activations of the generator's layers."""

    Config = DeRLConfig
    config: DeRLConfig

    def __init__(self, config: DeRLConfig, expressions: tuple[str, ...]) -> None:
        super().__init__(config, expressions)
        size = config.image_size
        if size < 32 or size & (size - 1):
            raise ValueError(f"DeRL's image_size must be a power of two from 32 on; got {size}")
        depth = int(math.log2(size))
        if not config.branches or any(not 1 <= i <= depth - 2 for i in config.branches):
            raise ValueError(f"branches must be among 1 to {depth - 2} at {size} px; got {config.branches}")
        self.generator = Generator(config)
        self.classifier = Classifier(self.generator, len(expressions), config)
        if config.adversarial > 0:
            self.discriminator = PatchGAN(config.width)

    def stages(self) -> list[Stage]:
        """Stage 1 trains the generator on pairs, stage 2 the classifier with the generator frozen."""
        c = self.config
        gan = {"generator": Adam(self.generator.parameters(), c.generator_rate, betas=(0.5, 0.999))}
        if c.adversarial > 0:
            gan["discriminator"] = Adam(self.discriminator.parameters(), c.generator_rate, betas=(0.5, 0.999))
        classifier = {"classifier": Adam(self.classifier.parameters(), c.classifier_rate)}
        both = [*self.generator.parameters(), *self.classifier.parameters()]
        joint = {"joint": AdamW(both, c.joint_rate, weight_decay=JOINT_DECAY)}
        self.optimizers: dict[str, Optimizer] = {**gan, **classifier, **joint}
        removal, reading, everything = self.generator_step, self.classifier_step, self.joint_step
        return [
            Stage("generator", c.generator_epochs, removal, gan, constant_then_linear, ("generator",), "paired"),
            Stage("classifier", c.classifier_epochs, reading, classifier, cosine, ("classifier",)),
            Stage("joint", c.joint_epochs, everything, joint, one_cycle, ("generator", "classifier")),
        ]

    def generator_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the discriminator, then one of the generator on L_G = -log D + theta_1 * L1."""
        c = self.config
        pairs = batch[batch.paired]
        self.generator.train()
        made, _, _ = self.generator(pairs.image)  # (N, 3, S, S)
        removal, logs = removal_loss(made, pairs, c.change_weight)
        loss = c.theta * removal
        if c.adversarial > 0:
            logs["loss_d"] = self.discriminator_step(pairs, made.neutral.detach())
            self.discriminator.requires_grad_(False)
            fooled = adversarial_loss(self.discriminator(pairs.image, made.neutral).float(), True)
            self.discriminator.requires_grad_(True)
            loss = c.adversarial * fooled + loss
            logs["adversarial"] = fooled.detach()
        self.descend(self.optimizers["generator"], loss)
        return {"loss": loss.detach(), **logs}

    def discriminator_step(self, pairs: Batch, made: Tensor) -> Tensor:
        """One step of L_D = -E[log D(x, n) + log(1 - D(x, G(x)))]."""
        self.discriminator.train()
        fake = self.discriminator(pairs.image, made).float()
        true = self.discriminator(pairs.image, pairs.neutral).float()
        loss = adversarial_loss(true, True) + adversarial_loss(fake, False)
        self.descend(self.optimizers["discriminator"], loss)
        return loss.detach()

    def classifier_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the local CNNs and the final classifier; the generator is frozen and deterministic."""
        self.generator.eval()
        self.classifier.train()
        with torch.no_grad():
            _, residue, code = self.generator(batch.image)
        final, local = self.classifier(residue, code)
        loss = self.classification_total(final, local, batch.target)
        self.descend(self.optimizers["classifier"], loss)
        return {"loss": loss.detach(), "accuracy": accuracy(final, batch.target)}

    def classification_total(self, final: Tensor, local: list[Tensor], target: Tensor) -> Tensor:
        """The sum over i of lambda_i * loss_i, with every lambda_i = 1 [value not stated in the paper]."""
        branches = torch.stack([classification_loss(logits, target) for logits in local]).sum()
        return branches + classification_loss(final, target)

    def joint_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of generator and classifier on stage 2's loss plus a fifth of theta_1 * L1 on the paired rows."""
        self.generator.train()
        for module in self.generator.modules():
            if isinstance(module, nn.Dropout):
                module.eval()  # stage 1 only
        self.classifier.train()
        made, residue, code = self.generator(batch.image)
        final, local = self.classifier(residue, code)
        loss = self.classification_total(final, local, batch.target)
        logs = {"accuracy": accuracy(final, batch.target)}
        if batch.paired.any():
            removal, more = removal_loss(rows_of(made, batch.paired), batch[batch.paired], self.config.change_weight)
            loss = loss + self.config.theta / 5 * removal
            logs |= more
        self.descend(self.optimizers["joint"], loss)
        return {"loss": loss.detach(), **logs}

    def forward(self, image: Tensor) -> Prediction:
        """(N, 3, S, S) -> logits of the final classifier and the generated neutral face."""
        made, residue, code = self.generator(image)
        return Prediction(self.classifier(residue, code)[0], made.neutral)

    def show(self, image: Tensor, neutral: Tensor) -> dict[str, Shown]:
        """The vote of each local CNN, named by the size of the residue that it reads."""
        _, residue, code = self.generator(image)
        _, local = self.classifier(residue, code)
        sizes = [residue[i - 1].shape[2] for i in self.config.branches]
        votes = zip(sizes, local, strict=True)
        return {f"residue {size}x{size}": Shown("votes", logits.softmax(1)) for size, logits in votes}
