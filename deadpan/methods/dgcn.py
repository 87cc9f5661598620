"""DGCN: Deep Generative-Contrastive Networks for Facial Expression Recognition.

Youngsung Kim, ByungIn Yoo, Youngjun Kwak, Changkyu Choi, Junmo Kim. 2017. arXiv 1703.07140

People differ in the intensity of their expressions, so a face is compared with a reference face of the same person. An
encoder-decoder generates the reference from the face itself. One embedding network, shared by both, reads face and
reference; the difference of their embeddings, the contrast, is classified. A supervised reconstruction loss trains the
generator and a contrastive metric loss the embedding. Finally all parts are trained as one network.

Differences from the paper. Only its abstract and survey tables could be read, and there is no public code. The idea,
the kinds of loss and the order of the training are the paper's; the following points are our choice.

1. All layers. The paper's network is 14 layers deep; ours has 4 + 1 + 1 + 4 in the generator, 5 + 1 in the embedding
   and 2 in the classifier, and one convolution more or less for each doubling or halving of the picture.
2. The contrast is E(x) - E(R(x)): the abstract says that face and reference are compared at the embedding layer, but
   not how. With `contrast` "concat", E(x) is classified together with the contrast.
3. The metric loss. Directions of contrasts of one expression are pulled together, those of two expressions are pushed
   apart up to a margin of 1. Contrasts of neutral faces have no direction and shrink to 0. Their squared length is
   divided by the mean of all contrasts, because a plain |c|^2 is reduced fastest by shrinking every c. In both terms
   the length of a contrast is taken to be at least a quarter of the embedding's. At first R(x) is nearly x, and
   without this minimum the direction of such noise kept E from learning.
4. The weights of the total, L = L_rec + 0.1 L_con + 1 CE, and all rates, epochs and schedules. In the joint stage R's
   rate is divided by 10 and that of the rest by 4.
5. The L1 is weighted by the local difference of the pair, 1 + 12 * (5x5 mean of |x - n|) / 0.2 (`change_weight`).
   Nearly all pixels of a pair agree, so with a plain L1 the generator learns to copy. 0 gives the plain L1.
6. `skips` (U-Net) and `warp` (the last layer warps and paints the face, layers.WarpAndPaint) keep the reference
   sharp, which a code of 256 numbers cannot. `blocks` adds residual blocks to R's encoder. All are off by default.
7. With `reference` "real" the true neutral face is used where it is known, as an upper bound. With "none" E(x) itself
   is classified and R is not built, as an ablation.
8. Unpaired faces are used in the metric loss and the cross-entropy.
9. Running averages (EMA) of the weights are used and saved.
10. Faces are classified one by one. The paper uses all frames of each sequence; how it joins them could not be read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from deadpan.method import Batch, Method, Prediction, Shown, Stage
from deadpan.methods.layers import (
    Generated,
    ResidualBlock,
    WarpAndPaint,
    accuracy,
    classification_loss,
    removal_loss,
    rows_of,
    zero_weights,
)
from deadpan.methods.schedules import constant_then_linear, one_cycle
from deadpan.settings import check_method_settings

Contrast = Literal["diff", "concat"]
Reference = Literal["generated", "real", "none"]

SHORT = 0.25
"""L_con normalises each contrast by its length, but by no less than this share of the embedding's length. At first R(x)
is nearly x, so the direction of a contrast is noise, and its gradient, 1 / |c|, would dominate the cross-entropy."""


EMBEDDING = 256  # numbers of E(x) [ours]
DROPOUT = 0.2  # before each of the classifier's layers [ours]
DECAY = 0.05  # AdamW's weight decay [ours]
MARGIN = 1.0  # distance beyond which directions of two expressions are not pushed apart; opposite ones have 2 [ours]


@dataclass(frozen=True)
class DGCNConfig:
    """Settings of DGCN; the paper's text could not be read, so that every default is ours unless marked."""

    image_size: int = 64
    "Side of the input in pixels, a power of two from 32 to 256 [ours]."
    width: float = 1.0
    "Channel multiplier of the convolutions; 0.5 trains on two CPU cores [ours]."
    code: int = 256
    "Numbers between the generator's encoder and decoder [ours]."
    skips: bool = False
    "Also connect the generator's encoder layers to its decoder, as in a U-Net [ours; off: only the code]."
    warp: bool = False
    "The generator's last layer warps and paints the face (layers.WarpAndPaint) [ours; off: it generates R(x)]."
    blocks: int = 0
    "Residual blocks after each of the generator's encoder layers [ours]."
    contrast: Contrast = "diff"
    "Input of the classifier: E(x) - E(R(x)), or also E(x) [paper: comparison at the embedding]."
    reference: Reference = "generated"
    "Reference face: R(x) [paper], the true neutral face where known, or none (the ablation: only E(x))."
    contrastive: float = 0.1
    "Weight a of the metric loss in the total [ours]."
    change_weight: float = 12.0
    "Extra weight of the L1 per 0.2 of local difference between image and neutral [ours; 0 = plain L1]."
    generator_epochs: int = 40
    "Epochs of the generator alone [ours]."
    contrast_epochs: int = 20
    "Epochs of embedding and classifier with the generator frozen [ours]."
    joint_epochs: int = 10
    "Epochs of all parts together [ours]."
    generator_rate: float = 1e-3
    "Adam's rate for R, constant for half, then linear to 0; in the joint stage a tenth of it, one cycle [ours]."
    contrast_rate: float = 2e-3
    "AdamW's highest rate for embedding and classifier, one cycle; a quarter of it in the joint stage [ours]."

    def __post_init__(self) -> None:
        check_method_settings(self)


def generator_channels(config: DGCNConfig) -> list[int]:
    """Channels of R's encoder layers, the largest layer first; the last one is 4x4."""
    depth = int(math.log2(config.image_size)) - 2
    return [max(8, round(config.width * min(64 * 2**i, 512))) for i in range(depth)]


def encoder_layers(channels: list[int], blocks: int) -> nn.ModuleList:
    """Layers that halve the picture each: (N, 3, S, S) -> (N, channels[i], S / 2^(i + 1), S / 2^(i + 1))."""
    return nn.ModuleList(
        nn.Sequential(
            nn.Conv2d(before, after, 4, stride=2, padding=1, bias=i == 0),
            nn.BatchNorm2d(after) if i else nn.Identity(),
            nn.LeakyReLU(0.2),
            *(ResidualBlock(after, after) for _ in range(blocks)),
        )
        for i, (before, after) in enumerate(pairwise([3, *channels]))
    )


class Generator(nn.Module):
    """R: generates the reference face from a face through a short code.

    For 64 px: 32x32x64, 16x16x128, 8x8x256, 4x4x512, the code of 256, and back; innermost are 4x4 at any size.
    """

    def __init__(self, config: DGCNConfig) -> None:
        super().__init__()
        channels = generator_channels(config)
        self.skips = config.skips
        self.warp = WarpAndPaint(config.image_size) if config.warp else None
        self.encoder = encoder_layers(channels, config.blocks)
        inner = channels[-1]
        self.read = nn.Sequential(nn.Flatten(), nn.Linear(inner * 16, config.code))
        self.write = nn.Sequential(
            nn.Linear(config.code, inner * 16, bias=False),
            nn.Unflatten(1, (inner, 4, 4)),
            nn.BatchNorm2d(inner),
            nn.ReLU(),
        )
        joined = 2 if config.skips else 1
        self.decoder = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(before * joined, after, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            )
            for before, after in pairwise(channels[::-1])
        )
        last = WarpAndPaint.channels if config.warp else 3
        self.output = nn.ConvTranspose2d(channels[0] * joined, last, 4, stride=2, padding=1)
        if config.warp:
            zero_weights(self.output)

    def forward(self, image: Tensor) -> Generated:
        """(N, 3, S, S) -> the reference face, pixels in [-1, 1]."""
        encoded = []
        hidden = image
        for layer in self.encoder:
            hidden = layer(hidden)  # (N, C_i, S / 2^i, S / 2^i)
            encoded.append(hidden)
        hidden = self.write(self.read(hidden))  # by (N, 256) to (N, C, 4, 4)
        for layer, skip in zip([*self.decoder, self.output], encoded[::-1], strict=True):
            hidden = layer(torch.cat([hidden, skip], 1) if self.skips else hidden)  # (N, C, 8, 8) ... (N, 3 or 6, S, S)
        return Generated(torch.tanh(hidden)) if self.warp is None else self.warp(image, hidden)


class Encoder(nn.Module):
    """E: the embedding network, which reads both face and reference.

    For 64 px: 32x32x32, 16x16x64, 8x8x128, 4x4x256, 2x2x256, embedding of 256; innermost are 2x2 at any size.
    """

    def __init__(self, config: DGCNConfig) -> None:
        super().__init__()
        depth = int(math.log2(config.image_size)) - 1
        channels = [max(8, round(config.width * min(32 * 2**i, 256))) for i in range(depth)]
        self.layers = nn.ModuleList(
            nn.Sequential(
                # the first one strides: 3x3 at full size costs as much as all the others together
                nn.Conv2d(before, after, 3 if i else 5, stride=1 if i else 2, padding=1 if i else 2, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                nn.MaxPool2d(2) if i else nn.Identity(),
            )
            for i, (before, after) in enumerate(pairwise([3, *channels]))
        )
        # a bias would cancel in the difference
        self.embed = nn.Sequential(nn.Flatten(), nn.Linear(channels[-1] * 4, EMBEDDING, bias=False))

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, S, S) -> embedding (N, F)."""
        hidden = image
        for layer in self.layers:
            hidden = layer(hidden)  # (N, C_i, S / 2^i, S / 2^i), the last one (N, C, 2, 2)
        embedding: Tensor = self.embed(hidden)  # (N, F)
        return embedding


class Classifier(nn.Module):
    """Two fully connected layers on the contrast, or on embedding and contrast."""

    def __init__(self, features: int, expressions: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(DROPOUT), nn.Linear(features, 128), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(128, expressions)
        )

    def forward(self, compared: Tensor) -> Tensor:
        """(N, F) contrast, or (N, 2 F) the embedding beside it -> logits (N, K)."""
        logits: Tensor = self.layers(compared)
        return logits


def separation_loss(contrast: Tensor, expression: Tensor, margin: float, short: float | Tensor = 1e-2) -> Tensor:
    """Metric loss of contrasts (N, D) by their expression (N,), the mean over all pairs of rows; 0 without a pair.

    With d the distance of two directions c / |c|, a pair of one expression adds d^2, and a pair of two expressions adds
    max(0, margin - d)^2. Contrasts shorter than `short` are divided by `short`, because their direction is noise.
    """
    contrast = contrast.float()
    direction = contrast / contrast.norm(dim=1, keepdim=True).clamp(min=short)  # (N, D)
    first, second = torch.triu_indices(
        len(contrast), len(contrast), 1, device=contrast.device
    )  # P = N (N - 1) / 2 each
    squared = (direction[first] - direction[second]).square().sum(1)  # (P,)
    apart = F.relu(margin - (squared + 1e-12).sqrt()).square()  # the root has no gradient at 0
    return torch.where(expression[first] == expression[second], squared, apart).sum() / max(1, len(first))


def rest_loss(contrast: Tensor, neutral: Tensor, short: float | Tensor = 1e-2) -> Tensor:
    """|c|^2 of the neutral rows (N,) bool of contrasts (N, D), as a share of the mean |c|^2; 0 without such a row.

    A plain |c|^2 would be reduced fastest by shrinking every c, until the classifier has no input. The mean |c|^2 is
    taken to be at least `short`^2.
    """
    squared = contrast.float().square().sum(1)  # (N,)
    return (squared * neutral).sum() / neutral.sum().clamp(min=1) / (squared.mean() + short**2)


class DGCN(Method):
    """Generate the person's neutral face as a reference, then classify the difference of the two embeddings."""

    Config = DGCNConfig
    config: DGCNConfig

    def __init__(self, config: DGCNConfig, expressions: tuple[str, ...]) -> None:
        super().__init__(config, expressions)
        size = config.image_size
        if not 32 <= size <= 256 or size & (size - 1):
            raise ValueError(f"DGCN's image_size must be a power of two from 32 to 256; got {size}")
        for name, known in (("contrast", get_args(Contrast)), ("reference", get_args(Reference))):
            if getattr(config, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {getattr(config, name)!r}")
        self.compares = self.generates = config.reference != "none"
        if self.generates:
            self.generator = Generator(config)
        self.encoder = Encoder(config)
        both = self.compares and config.contrast == "concat"
        self.classifier = Classifier(EMBEDDING * (2 if both else 1), len(expressions))

    def stages(self) -> list[Stage]:
        """First the generator, then embedding and classifier with the generator frozen, then all parts together."""
        c = self.config
        compared = [*self.encoder.parameters(), *self.classifier.parameters()]
        contrast = {"contrast": AdamW(compared, c.contrast_rate, weight_decay=DECAY)}
        joint: dict[str, Optimizer] = {"contrast": AdamW(compared, c.contrast_rate / 4, weight_decay=DECAY)}
        trained: tuple[str, ...] = ("encoder", "classifier")
        stages = [Stage("contrast", c.contrast_epochs, self.contrast_step, contrast, one_cycle, trained)]
        if self.generates:
            alone = {"generator": Adam(self.generator.parameters(), c.generator_rate)}
            step, fall = self.generator_step, constant_then_linear
            stages.insert(0, Stage("generator", c.generator_epochs, step, alone, fall, ("generator",), "paired"))
            joint["generator"] = Adam(self.generator.parameters(), c.generator_rate / 10)
            self.generator_optimizer = alone["generator"]
            trained = ("generator", *trained)
        self.contrast_optimizer, self.joint_optimizers = contrast["contrast"], list(joint.values())
        return [*stages, Stage("joint", c.joint_epochs, self.joint_step, joint, one_cycle, trained)]

    def generator_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of R on L_rec = |R(x) - n|_1 of the paired rows."""
        pairs = batch[batch.paired]
        self.generator.train()
        loss, logs = removal_loss(self.generator(pairs.image), pairs, self.config.change_weight)
        self.descend(self.generator_optimizer, loss)
        return {"loss": loss.detach(), **logs}

    def contrast_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of E and the classifier on a L_con + CE; R is frozen and deterministic."""
        self.encoder.train()
        reference = None
        if self.compares:
            self.generator.eval()
            with torch.no_grad():
                reference = self.choose_reference(batch, self.generator(batch.image).neutral)  # (N, 3, S, S)
        loss, logs = self.label_losses(batch, reference)
        self.descend(self.contrast_optimizer, loss)
        return {"loss": loss.detach(), **logs}

    def joint_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of all parts on L = L_rec + a L_con + CE, with L_rec on the paired rows."""
        self.encoder.train()
        if not self.generates:
            loss, logs = self.label_losses(batch, None)
        else:
            self.generator.eval()  # keeps its running statistics, which are those of pairs
            made = self.generator(batch.image)
            loss, logs = self.label_losses(batch, self.choose_reference(batch, made.neutral))
            if batch.paired.any():
                paired = rows_of(made, batch.paired)
                removal, more = removal_loss(paired, batch[batch.paired], self.config.change_weight)
                loss = removal + loss
                logs |= more
        for optimizer in self.joint_optimizers:
            optimizer.zero_grad()
        self.backward(loss)
        for optimizer in self.joint_optimizers:
            optimizer.step()
        return {"loss": loss.detach(), **logs}

    def label_losses(self, batch: Batch, reference: Tensor | None) -> tuple[Tensor, dict[str, Tensor]]:
        """a L_con + CE of a batch compared with its references (N, 3, S, S), and logs."""
        self.classifier.train()
        face, rest = self.embed(batch.image, reference)
        compared, contrast = self.contrast(face, rest)
        logits = self.classifier(compared)
        short = SHORT * face.detach().float().norm(dim=1).mean()
        separation, still = self.metric_losses(contrast, batch.target, short)
        loss = self.config.contrastive * (separation + still) + classification_loss(logits, batch.target)
        logs = {"separation": separation.detach(), "rest": still.detach()}
        return loss, {"accuracy": accuracy(logits, batch.target), **logs}

    def metric_losses(self, contrast: Tensor, target: Tensor, short: float | Tensor = 1e-2) -> tuple[Tensor, Tensor]:
        """The two terms of L_con: the separation of the expressive rows, and the size of the neutral ones."""
        expression = target.argmax(1)  # (N,) by the most votes
        neutral = torch.zeros_like(expression, dtype=torch.bool)
        if "neutral" in self.expressions:
            neutral = expression == self.expressions.index("neutral")
        expressive = ~neutral
        separation = separation_loss(contrast[expressive], expression[expressive], MARGIN, short)
        return separation, rest_loss(contrast, neutral, short)

    def choose_reference(self, batch: Batch, made: Tensor) -> Tensor:
        """The reference faces (N, 3, S, S): R(x), or with `reference="real"` the true neutral faces where known."""
        if self.config.reference == "generated":
            return made
        return torch.where(batch.paired.view(-1, 1, 1, 1), batch.neutral, made)

    def embed(self, image: Tensor, reference: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """E(x) (N, F) of faces (N, 3, S, S), and E of their references, or None without references."""
        if reference is None:
            return self.encoder(image), None
        embedding = self.encoder(torch.cat([image, reference]))  # (2 N, F), in one batch: one set of statistics
        face, rest = embedding.reshape(2, -1, embedding.shape[1])  # (N, F) each; chunk(2) would fix N on export
        return face, rest

    def contrast(self, face: Tensor, rest: Tensor | None) -> tuple[Tensor, Tensor]:
        """The classifier's input, (N, F) or (N, 2 F), and the contrast c (N, F) from two embeddings (N, F).

        Without a reference both are E(x). With `contrast="concat"`, c is the plain difference, and the classifier also
        reads E(x). While R(x) is still nearly x, this equals a plain network.
        """
        if rest is None:
            return face, face
        contrast = face - rest
        return torch.cat([face, contrast], 1) if self.config.contrast == "concat" else contrast, contrast

    def forward(self, image: Tensor) -> Prediction:
        """(N, 3, S, S) -> logits (N, K), and the generated reference or, without one, the image itself."""
        if self.compares:
            return self.compare(image, self.generator(image).neutral)
        return Prediction(self.recognise(image, None), image)

    def compare(self, image: Tensor, neutral: Tensor) -> Prediction:
        """(N, 3, S, S) twice -> logits (N, K) against the given face in place of R(x), and that face."""
        if not self.compares:
            return super().compare(image, neutral)
        return Prediction(self.recognise(image, neutral), neutral)

    def recognise(self, image: Tensor, reference: Tensor | None) -> Tensor:
        """Logits (N, K) of faces (N, 3, S, S) compared with their references."""
        logits: Tensor = self.classifier(self.contrast(*self.embed(image, reference))[0])
        return logits

    def predict(self, batch: Batch) -> Prediction:
        """Predict a batch, with `reference="real"` against true neutral faces; returns the generated face."""
        prediction = super().predict(batch)
        if self.config.reference != "real":
            return prediction
        reference = self.choose_reference(batch, prediction.neutral)  # (N, 3, S, S)
        return Prediction(self.compare(batch.image, reference).logits, prediction.neutral)

    def show(self, image: Tensor, neutral: Tensor) -> dict[str, Shown]:
        """The length of c as intensity: the distance of the face from its reference, for any expression."""
        if not self.compares:
            return {}
        _, contrast = self.contrast(*self.embed(image, neutral))  # (N, F)
        return {"intensity": Shown("level", contrast.float().norm(dim=1))}
