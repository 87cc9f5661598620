"""ERR-Net: Expression Removal and Recognition Network with Residual Image.

Li, Mo, Yang, Wang, Liao. IEEE Transactions on Biometrics, Behavior, and Identity Science (TBIOM) 2023.
doi 10.1109/TBIOM.2023.3250832

Removing and recognising an expression help each other, so one network learns both at the same time. Its generator does
not generate the neutral face but the residual image, which is subtracted from the face. The encoder's output is divided
into segments, one for each expression, so that the classes are far apart. Two residues are classified: one of pixels
and one of facial landmarks.

Differences from the paper. Only its abstract could be read: the idea is the paper's, layers, losses and numbers ours.

1. Encoder and decoder: a 7x7 convolution, then residual blocks that halve the size down to a code of at least 4x4;
   `stem_stride` 2 halves the size in the first layer, for a CPU.
2. Each expression but neutral owns a segment of the code's channels, and the remaining channels are shared. The
   energy of a segment is the mean absolute value of its global average pool; scaled energies are logits. Neutral has
   no segment; its logit is read from the shared channels.
3. The decoder and the skips read the shared channels, and each segment multiplied by its predicted share of the
   energies. In `pretrain_epochs`, which train removal alone, segments are masked by the true class.
4. The residual image is 2 tanh(.), as pixels in [-1, 1] differ by up to 2; the last layer starts at zero. With
   `output` "warp" the face is warped and painted (layers.WarpAndPaint), and the residual image is x - n.
5. The landmark branch regresses the landmarks' displacement from the neutral face, in units of the eye distance.
6. Both residues are read: the logits are the sum of those of the segments, of a local CNN (DeRL's) on the residual
   image at half its size, and of an MLP on the displacements. The sum and the segments have a cross-entropy.
7. The L1 is weighted by 1 + 12 * (5x5 mean of |x - n|) / 0.2 (`change_weight`); a plain L1 (0) favours copying.
8. `pretrain_epochs` (off by default) adds a stage of removal alone before the paper's single stage.
9. Running averages (EMA) of all networks but the discriminator are used and saved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from deadpan.faces.landmarks import OUTER_EYES, POINTS
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
    he_weights,
    removal_loss,
    rows_of,
    zero_weights,
)
from deadpan.methods.schedules import constant_then_linear
from deadpan.settings import check_method_settings

SHARED = 0.5  # share of the code's channels that belongs to no expression [ours]
MARGIN = 1.0  # margin between the energy of the true segment and the others [ours]
RESIDUAL = (0.1, 10.0)  # weights of the residual image's size, of all faces and of neutral ones [ours]
DROPOUT = 0.2  # before the layers that end in logits [ours]
DISCRIMINATOR_RATE = 2e-4  # [pix2pix]


@dataclass(frozen=True)
class ERRNetConfig:
    """Settings of ERR-Net; the paper's abstract names no number, so that every default is our choice."""

    image_size: int = 128
    "Side of the input in pixels: 32, 64, 128 or 256 [ours]."
    width: float = 1.0
    "Channel multiplier; 0.5 trains on two CPU cores [ours]."
    stem_stride: int = 1
    "Stride of the first layer; 2 avoids layers of full size, for a CPU [ours]."
    output: Literal["residual", "neutral", "warp"] = "residual"
    "Output of the decoder: the residual image [paper], n [its ablation], or layers.WarpAndPaint [ours]."
    segments: bool = True
    "Divide the code into segments [paper: yes]; False classifies the whole code, without masks."
    landmarks: bool = True
    "Build the branch of landmark displacements [paper: yes]."
    reconstruction: float = 100.0
    "Weight of the L1 [ours]."
    change_weight: float = 12.0
    "Extra weight of the L1 per 0.2 of local difference between image and neutral [ours; 0 = plain L1]."
    adversarial: float = 1.0
    "Weight of the adversarial term; 0 builds no discriminator [ours]."
    landmark_weight: float = 10.0
    "Weight of the landmark displacements' L1 [ours]."
    segment_weight: float = 1.0
    "Weight of the margin between energies [ours]."
    pretrain_epochs: int = 0
    "Epochs in which removal alone is trained first [ours; paper: none]."
    epochs: int = 40
    "Epochs of removal and recognition together [ours]."
    rate: float = 5e-4
    "Adam's learning rate, constant for the first half, then linear to 0 [ours]."

    def __post_init__(self) -> None:
        check_method_settings(self)


def segment_width(channels: int, expressions: int) -> int:
    """The number of channels m of one segment, if the share SHARED of all channels belongs to none."""
    return max(1, int(channels * (1 - SHARED) / expressions))


def masked(features: Tensor, share: Tensor, width: int) -> Tensor:
    """Multiply each segment (`width` channels) of features (N, C, h, w) by its share (N, K_e); keep shared channels."""
    count, expressions = share.shape
    weight = share[:, :, None].expand(count, expressions, width).reshape(count, -1)  # (N, K_e m)
    weight = F.pad(weight, (0, features.shape[1] - expressions * width), value=1.0)  # (N, C)
    return features * weight[:, :, None, None]


class Encoder(nn.Module):
    """7x7 convolution, then halvings: for 128 px 128x128x64, 64x64x128, 32x32x256, 16x16x512 and the code 8x8x512."""

    def __init__(self, channels: list[int], stem_stride: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, channels[0], 7, stride=stem_stride, padding=3)])
        self.layers += [ResidualBlock(before, after, 2) for before, after in pairwise(channels)]
        he_weights(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, 3, S, S) -> the output of each layer, largest first; the last is the code (N, C, s, s) of both signs."""
        made = [image]
        for layer in self.layers:
            made.append(layer(made[-1]))  # (N, C_i, S / 2^i, S / 2^i)
        return made[1:]


class Decoder(nn.Module):
    """Mirrors the encoder: masked code and skips -> residual image, or neutral face."""

    def __init__(self, channels: list[int], config: ERRNetConfig) -> None:
        super().__init__()
        self.output = config.output
        joined = [2 * c for c in channels[:-1]] + channels[-1:]  # inputs of the layers, with skips
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(joined[i], channels[i - 1], 4, stride=2, padding=1),
                nn.BatchNorm2d(channels[i - 1]),
                nn.ReLU(),
            )
            for i in range(len(channels) - 1, 0, -1)
        )
        self.warp = WarpAndPaint(config.image_size) if config.output == "warp" else None
        last = WarpAndPaint.channels if config.output == "warp" else 3
        self.last: nn.Conv2d | nn.ConvTranspose2d = nn.Conv2d(joined[0], last, 7, padding=3)
        if config.stem_stride == 2:
            self.last = nn.ConvTranspose2d(joined[0], last, 4, stride=2, padding=1)
        if config.output != "neutral":
            zero_weights(self.last)

    def forward(self, made: list[Tensor], image: Tensor) -> tuple[Generated, Tensor]:
        """Masked outputs of the encoder and image (N, 3, S, S) -> neutral face, and residual image (N, 3, S, S)."""
        hidden = made[-1]
        for layer, skip in zip(self.layers, reversed(made[:-1]), strict=True):
            hidden = torch.cat([layer(hidden), skip], 1)  # (N, 2 C_i, S / 2^i, S / 2^i), the size of the skip
        last = self.last(hidden)  # (N, 3 or 6, S, S)
        if self.output == "residual":
            residual = 2 * torch.tanh(last)
            return Generated((image - residual).clamp(-1, 1)), residual
        generated = Generated(torch.tanh(last)) if self.warp is None else self.warp(image, last)
        return generated, image - generated.neutral


class Recogniser(nn.Module):
    """Computes the energies of the code's segments, and logits from them; with `segments` off, a linear classifier."""

    def __init__(self, channels: int, expressions: tuple[str, ...], config: ERRNetConfig) -> None:
        super().__init__()
        self.neutral = "neutral" in expressions
        self.count = len(expressions) - self.neutral
        self.width = segment_width(channels, self.count)
        self.segments = config.segments
        if not config.segments:
            self.plain = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(channels, len(expressions)))
            return
        self.scale = nn.Parameter(torch.tensor(5.0))
        if self.neutral:
            self.rest = nn.Linear(channels - self.count * self.width, 1)
            nn.init.constant_(self.rest.bias, 5.0 * MARGIN / 2)  # neutral while all energies stay below half the margin

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """The code (N, C, s, s) -> logits (N, K) and energies (N, K), 0 for neutral and without segments."""
        pooled = code.mean((2, 3))  # (N, C)
        if not self.segments:
            logits = self.plain(pooled)
            return logits, torch.zeros_like(logits)
        owned = self.count * self.width
        energies = pooled[:, :owned].reshape(-1, self.count, self.width).abs().mean(2)  # (N, K_e)
        logits = self.scale * energies
        if not self.neutral:
            return logits, energies
        rest = self.rest(pooled[:, owned:])  # (N, 1); neutral comes first in any selection of expressions
        return torch.cat([rest, logits], 1), F.pad(energies, (1, 0))


class LandmarkBranch(nn.Module):
    """Masked code -> displacements of the landmarks from the neutral face, and logits from these displacements."""

    face: Tensor  # (P, 2) mean neutral face of training, in pixels of the crop
    seen: Tensor  # () number of faces in that mean

    def __init__(self, channels: int, expressions: int, config: ERRNetConfig) -> None:
        super().__init__()
        width = max(16, round(128 * config.width))
        self.displacement = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(width * 16, 128),
            nn.ReLU(),
            nn.Linear(128, POINTS * 2),
        )
        last = self.displacement[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]  # displacements are 0.01 to 0.1: better none than noise
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.vote = nn.Sequential(
            nn.Linear(POINTS * 2, 128), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(128, expressions)
        )
        self.register_buffer("face", torch.full((POINTS, 2), config.image_size / 2))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """The masked code (N, C, s, s) -> displacements (N, P, 2) in eye distances, logits (N, K)."""
        moved = self.displacement(code)  # (N, 2 P)
        return moved.view(-1, POINTS, 2), self.vote(10 * moved)

    @torch.no_grad()
    def remember(self, points: Tensor) -> None:
        """Update the mean face with complete neutral faces (n, P, 2); it averages about the last 10,000."""
        self.seen += len(points)
        self.face.lerp_(points.mean(0), len(points) / self.seen.clamp(min=1, max=10_000).item())


def margin_loss(energies: Tensor, truth: Tensor, margin: float, neutral: bool) -> Tensor:
    """Hinge loss between true and other energies with `margin` (neutral's is 0), and the energies of neutral faces.

    Energies (N, K) and the true expressions (N,), of which 0 is neutral where `neutral` is True.
    """
    true = energies.gather(1, truth[:, None])  # (N, 1)
    short = (margin - true + energies).clamp(min=0)  # (N, K)
    others = F.one_hot(truth, energies.shape[1]) == 0
    loss = (short * others).sum(1) / others.sum(1)  # (N,)
    if neutral:
        loss = torch.where(truth == 0, energies[:, 1:].mean(1), loss)
    return loss.mean()


def residual_size(residual: Tensor, weight: Tensor) -> Tensor:
    """|r|_1 averaged over pixels, and over faces by `weight` (N,), whose sum is taken to be at least 1."""
    size = residual.abs().mean((1, 2, 3))  # (N,)
    return (size * weight).sum() / weight.sum().clamp(min=1)


def displacements(landmarks: Tensor, neutral: Tensor) -> tuple[Tensor, Tensor]:
    """Displacements of landmarks (N, P, 2) from the neutral face, in its eye distances, and which are known (N, P).

    Unknown displacements are 0. If its eye corners are unknown, all displacements of a face are unknown.
    """
    known = landmarks.isfinite().all(2) & neutral.isfinite().all(2)  # (N, P)
    known = known & known[:, OUTER_EYES].all(1, keepdim=True)
    points, rest = (torch.where(known[:, :, None], each, 0.0) for each in (landmarks, neutral))
    return (points - rest) / eye_distance(rest)[:, None, None], known


def eye_distance(points: Tensor) -> Tensor:
    """The distance between the outer eye corners of faces (N, P, 2) in pixels, at least 1."""
    return (points[:, OUTER_EYES[1]] - points[:, OUTER_EYES[0]]).square().sum(1).sqrt().clamp(min=1)


def landmark_loss(displacement: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    """|d - d*|_1 averaged over the known points (N, P); 0 if there are none."""
    distance = (displacement - wanted).abs().mean(2)  # (N, P)
    return (distance * known).sum() / known.sum().clamp(min=1)


class Read(NamedTuple):
    """All outputs of ERR-Net for N faces."""

    logits: Tensor  # (N, K) from segments, residual image and displacements together
    first: Tensor  # (N, K) from the segments only; they give the mask of the code
    energies: Tensor  # (N, K)
    generated: Generated
    residual: Tensor  # (N, 3, S, S)
    displacement: Tensor | None  # (N, P, 2) in eye distances


class ERRNet(Method):
    """Remove the expression as a residual image and recognise it, both at the same time."""

    Config = ERRNetConfig
    config: ERRNetConfig

    def __init__(self, config: ERRNetConfig, expressions: tuple[str, ...]) -> None:
        super().__init__(config, expressions)
        size = config.image_size
        if size not in (32, 64, 128, 256):
            raise ValueError(f"ERR-Net's image_size must be 32, 64, 128 or 256; got {size}")
        if config.stem_stride not in (1, 2):
            raise ValueError(f"stem_stride must be 1 or 2; got {config.stem_stride}")
        if config.output not in (known := ("residual", "neutral", "warp")):
            raise ValueError(f"output must be one of {', '.join(known)}; got {config.output!r}")
        halvings = min(4, int(math.log2(size)) - 2) - (config.stem_stride - 1)
        channels = [max(8, round(config.width * n)) for n in (64, 128, 256, 512, 512)[: halvings + 1]]
        self.encoder = Encoder(channels, config.stem_stride)
        self.decoder = Decoder(channels, config)
        self.recogniser = Recogniser(channels[-1], expressions, config)
        width = max(16, round(64 * config.width))
        self.residual_reader = LocalCNN(3, size // 2, len(expressions), width, DROPOUT)
        if config.landmarks:
            self.landmark_branch = LandmarkBranch(channels[-1], len(expressions), config)
        if config.adversarial > 0:
            self.discriminator = PatchGAN(config.width)
        self.first = int("neutral" in expressions)  # the first expression with a segment: neutral has none

    def stages(self) -> list[Stage]:
        """The paper's single stage of removal and recognition; with `pretrain_epochs`, removal alone comes first."""
        c = self.config
        removing = ("encoder", "decoder")
        both = (*removing, "recogniser", "residual_reader", *(("landmark_branch",) if c.landmarks else ()))
        self.removal, self.joint = self.make_optimizers(removing), self.make_optimizers(both)
        fall = constant_then_linear
        return [
            Stage("removal", c.pretrain_epochs, self.removal_step, self.removal, fall, removing, "paired"),
            Stage("joint", c.epochs, self.joint_step, self.joint, fall, both),
        ]

    def make_optimizers(self, children: tuple[str, ...]) -> dict[str, Optimizer]:
        """Adam for these children together, and for the discriminator if there is one."""
        parameters = [each for name in children for each in getattr(self, name).parameters()]
        optimizers: dict[str, Optimizer] = {"network": Adam(parameters, self.config.rate, betas=(0.5, 0.999))}
        if self.config.adversarial > 0:
            critic = self.discriminator.parameters()
            optimizers["discriminator"] = Adam(critic, DISCRIMINATOR_RATE, betas=(0.5, 0.999))
        return optimizers

    def removal_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of encoder and decoder, and of the discriminator, on removal alone."""
        self.train()
        made = self.cut(self.encoder(batch.image), batch.target)
        generated, residual = self.decoder(made, batch.image)
        loss, logs = self.remove(batch, generated, residual, self.removal)
        self.descend(self.removal["network"], loss)
        return {"loss": loss.detach(), **logs}

    def joint_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of all networks on removal and recognition."""
        self.train()
        read = self.read(batch.image)
        removal, logs = self.remove(batch, read.generated, read.residual, self.joint)
        recognition, more = self.recognise(batch, read)
        self.descend(self.joint["network"], removal + recognition)
        return {"loss": (removal + recognition).detach(), **logs, **more}

    def remove(
        self, batch: Batch, generated: Generated, residual: Tensor, optimizers: dict[str, Optimizer]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted losses of removal, and logs; also takes one step of the discriminator."""
        c = self.config
        rest = batch.target[:, 0] if self.first else batch.target.new_zeros(len(batch))  # (N,) share of neutral
        size = residual_size(residual.float(), torch.ones_like(rest))
        loss = RESIDUAL[0] * size + RESIDUAL[1] * residual_size(residual.float(), rest)
        logs = {"residual": size.detach()}
        if not batch.paired.any():
            return loss, logs
        pairs, made = batch[batch.paired], rows_of(generated, batch.paired)
        removal, more = removal_loss(made, pairs, c.change_weight)
        loss = loss + c.reconstruction * removal
        if c.adversarial > 0:
            more["loss_d"] = self.discriminator_step(pairs, made.neutral.detach(), optimizers["discriminator"])
            self.discriminator.requires_grad_(False)
            fooled = adversarial_loss(self.discriminator(pairs.image, made.neutral).float(), True)
            self.discriminator.requires_grad_(True)
            loss = loss + c.adversarial * fooled
            more["adversarial"] = fooled.detach()
        return loss, {**logs, **more}

    def discriminator_step(self, pairs: Batch, made: Tensor, optimizer: Optimizer) -> Tensor:
        """One step of -log D(x, n) - log(1 - D(x, made))."""
        true = self.discriminator(pairs.image, pairs.neutral).float()
        fake = self.discriminator(pairs.image, made).float()
        loss = adversarial_loss(true, True) + adversarial_loss(fake, False)
        self.descend(optimizer, loss)
        return loss.detach()

    def recognise(self, batch: Batch, read: Read) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted losses of recognition, and logs."""
        c = self.config
        loss = classification_loss(read.logits, batch.target) + classification_loss(read.first, batch.target)
        logs = {"accuracy": accuracy(read.logits, batch.target)}
        if c.segments:
            truth = batch.target.argmax(1)  # (N,)
            apart = margin_loss(read.energies.float(), truth, MARGIN, neutral=bool(self.first))
            loss = loss + c.segment_weight * apart
            logs["segments"] = apart.detach()
        if read.displacement is not None:
            wanted, known = displacements(batch.landmarks, batch.neutral_landmarks)
            known = known & batch.paired[:, None]
            moved = landmark_loss(read.displacement.float(), wanted, known)
            loss = loss + c.landmark_weight * moved
            logs["landmarks"] = moved.detach()
            faces = batch.neutral_landmarks[known.all(1)]
            if len(faces):
                self.landmark_branch.remember(faces)
        return loss, logs

    def read(self, image: Tensor) -> Read:
        """All outputs for faces (N, 3, S, S): the segments' logits first, then both residues of the masked code."""
        made = self.encoder(image)  # the last (N, C, s, s)
        first, energies = self.recogniser(made[-1])  # (N, K) each
        cut = self.cut(made, first.softmax(1))
        generated, residual = self.decoder(cut, image)
        logits = first + self.residual_reader(F.avg_pool2d(residual, 2))[1]
        displacement = None
        if self.config.landmarks:
            displacement, vote = self.landmark_branch(cut[-1])  # (N, P, 2), (N, K)
            logits = logits + vote
        return Read(logits, first, energies, generated, residual, displacement)

    def cut(self, made: list[Tensor], distribution: Tensor) -> list[Tensor]:
        """The outputs of the encoder, masked by a distribution over expressions (N, K); the code is the last."""
        if not self.config.segments:
            return made
        share = distribution[:, self.first :]  # (N, K_e)
        widths = [segment_width(each.shape[1], share.shape[1]) for each in made]
        return [masked(each, share, width) for each, width in zip(made, widths, strict=True)]

    def forward(self, image: Tensor) -> Prediction:
        """(N, 3, S, S) -> logits, and the neutral face from the code masked by the predicted distribution."""
        read = self.read(image)
        return Prediction(read.logits, read.generated.neutral)

    def show(self, image: Tensor, neutral: Tensor) -> dict[str, Shown]:
        """The residual image (grey is 0), the energies, and the displacements on the mean neutral face."""
        read = self.read(image)
        shown = {"residual image": Shown("picture", (image - neutral) / 2)}
        if self.config.segments:
            shown["segment energies"] = Shown("amounts", read.energies)
        if read.displacement is not None:
            rest = self.landmark_branch.face
            moved = rest + read.displacement * eye_distance(rest[None])  # (N, P, 2)
            shown["landmark displacements"] = Shown("shifts", torch.stack([rest.expand_as(moved), moved], 2))
        return shown
