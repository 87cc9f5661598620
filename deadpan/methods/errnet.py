"""ERR-Net: Expression Removal and Recognition Network with Residual Image.

Li, Mo, Yang, Wang, Liao. IEEE Transactions on Biometrics, Behavior, and Identity Science (TBIOM) 2023.
doi 10.1109/TBIOM.2023.3250832

Removing and recognising an expression help each other, so one network learns both at the same time. Its generator does
not draw the neutral face but the residual image, what has to be taken away from the face. The encoder's output is
read in segments that belong to one expression each, so that the classes lie far apart. Two residues say what the
expression is: one of pixels, and one of facial landmarks.

Differences from the paper (only its abstract could be read: the idea above is the paper's, every layer, loss and
number below is our choice)
1. Encoder, decoder and their sizes are ours: a 7x7 convolution, then 4x4 convolutions of stride 2 down to a code of at
   least 4x4; `stem_stride` 2 halves the size in the first layer, for a CPU.
2. Each expression but neutral owns a segment of the code's channels, and a shared rest belongs to all. The energy of a
   segment is the mean absolute value of its global average pool; energies, scaled, are the logits.
3. The decoder sees the shared rest and the segment of the true class in training, of the predicted distribution
   afterwards; the same cut is made in the encoder's skips (`skips`). A neutral face keeps the shared rest alone.
4. The residual image is 2 tanh(.), as two pixels in [-1, 1] differ by up to 2; its last layer starts at zero.
5. The landmark branch regresses the displacement of 68 points from rest, in units of the distance of the outer eye
   corners. It reads the code masked by the *predicted* distribution, also in training: its feature takes part in the
   logits, and a mask by the true class would give the answer away.
6. Discriminator: a PatchGAN on the features of face and neutral face, binary cross-entropy, with a head that tells
   neutral from expressive faces. The head also reads faces without a partner; their residual image is held small.
7. The L1 is weighted towards the region that the expression changes (`change_weight`): nearly all pixels of a pair
   agree, so that a plain L1 is content with copying the input. `--change-weight 0` is the plain L1.
8. `pretrain_epochs` puts a stage of removal alone before the paper's single one. Off (0) by default.
9. Running averages (EMA) of all networks but the discriminator are what is used and saved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from deadpan.method import Batch, Method, Prediction, Shown, Stage
from deadpan.methods.layers import Change, adversarial_loss, changed_l1
from deadpan.methods.schedules import constant_then_linear

EYES = (36, 45)
"""The outer corners of the eyes among the 68 points (iBUG)."""


@dataclass(frozen=True)
class ERRNetConfig:
    """Settings of ERR-Net; the paper's abstract names no number, so that every default is our choice."""

    image_size: int = 128
    "Pixels of a side: 32, 64, 128 or 256 [ours]."
    width: float = 1.0
    "Channel multiplier; 0.5 trains on two CPU cores [ours]."
    stem_stride: int = 1
    "Stride of the first layer; 2 spares the layers of full size, for a CPU [ours]."
    output: Literal["residual", "neutral"] = "residual"
    "What the decoder makes [paper: the residual image; the other is its ablation]."
    change_mask: bool = False
    "With residual `output`, a fourth channel of the last layer says where the residual holds: layers.Change [ours]."
    dead_zone: float = 0.0
    "Regions of the residual image, in [-2, 2], that hold less count as nothing: layers.DeadZone [ours]."
    segments: bool = True
    "Read the code in segments [paper: yes]; False classifies the plain code, without a mask."
    shared: float = 0.5
    "Share of the channels that belongs to no expression [ours]."
    skips: bool = True
    "Lead the encoder's layers, cut and masked like the code, to the decoder's [ours]."
    landmarks: bool = True
    "Build the branch of landmark displacements [paper: yes]."
    margin: float = 1.0
    "By how much the energy of the true segment should be above the others [ours]."
    reconstruction: float = 100.0
    "Weight of the L1 [ours]."
    change_weight: float = 12.0
    "Extra weight of the L1 per 0.2 of local difference between image and neutral [ours; 0 = plain L1]."
    adversarial: float = 1.0
    "Weight of the two adversarial terms, patches and head; 0 builds no discriminator [ours]."
    landmark_weight: float = 10.0
    "Weight of the landmark displacements' L1 [ours]."
    segment_weight: float = 1.0
    "Weight of the margin between energies [ours]."
    classification: float = 1.0
    "Weight of the cross-entropy [ours]."
    residual: float = 0.1
    "Weight of the residual image's size [ours]."
    residual_neutral: float = 10.0
    "Weight of the residual image's size for neutral faces [ours]."
    residual_unpaired: float = 20.0
    "Weight of the residual image's size for faces without a partner, with the discriminator only [ours]."
    dropout: float = 0.2
    "Before the landmark branch's logits, or the plain code's [ours]."
    pretrain_epochs: int = 0
    "Epochs of removal alone, before [ours; paper: none]."
    epochs: int = 40
    "Epochs of removal and recognition together [ours]."
    rate: float = 5e-4
    "Adam's learning rate, constant for one half, then linear to 0 [ours]."
    discriminator_rate: float = 2e-4
    "The same for the discriminator [pix2pix]."


def segment_width(channels: int, expressions: int, shared: float) -> int:
    """Channels of one segment, m, when a share of all channels belongs to none."""
    return max(1, int(channels * (1 - shared) / expressions))


def masked(features: Tensor, share: Tensor, width: int) -> Tensor:
    """Features (N, C, h, w), the segments of `width` first, times share (N, K_e) of each; the rest as it is."""
    count, expressions = share.shape
    weight = share[:, :, None].expand(count, expressions, width).reshape(count, -1)  # (N, K_e m)
    weight = F.pad(weight, (0, features.shape[1] - expressions * width), value=1.0)  # (N, C)
    return features * weight[:, :, None, None]


class Encoder(nn.Module):
    """7x7 convolution, then halvings: for 128 px 128x128x64, 64x64x128, 32x32x256, 16x16x512 and the code 8x8x512."""

    def __init__(self, channels: list[int], stem_stride: int) -> None:
        super().__init__()
        stem = nn.Conv2d(3, channels[0], 7, stride=stem_stride, padding=3)
        halvings = [nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in pairwise(channels)]
        self.layers = nn.ModuleList(
            nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), nn.LeakyReLU(0.2))
            for layer in (stem, *halvings[:-1])
        )
        self.layers.append(nn.Sequential(halvings[-1]))  # of both signs, as the energies ask for amounts

    def forward(self, image: Tensor) -> list[Tensor]:
        """(N, 3, S, S) -> what each layer makes, largest first, the code (N, C, s, s) last."""
        made = [image]
        for layer in self.layers:
            made.append(layer(made[-1]))  # (N, C_i, S / 2^i, S / 2^i)
        return made[1:]


class Decoder(nn.Module):
    """The encoder's mirror image: masked code -> residual image, or neutral face."""

    def __init__(self, channels: list[int], config: ERRNetConfig) -> None:
        super().__init__()
        self.skips = config.skips
        self.output = config.output
        self.change = Change(config.change_mask and config.output == "residual", config.dead_zone)
        joined = [c * (2 if config.skips else 1) for c in channels[:-1]] + channels[-1:]  # what each layer reads
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(joined[i], channels[i - 1], 4, stride=2, padding=1),
                nn.BatchNorm2d(channels[i - 1]),
                nn.ReLU(),
            )
            for i in range(len(channels) - 1, 0, -1)
        )
        self.last: nn.Conv2d | nn.ConvTranspose2d = nn.Conv2d(joined[0], self.change.channels, 7, padding=3)
        if config.stem_stride == 2:
            self.last = nn.ConvTranspose2d(joined[0], self.change.channels, 4, stride=2, padding=1)
        if config.output == "residual":
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, made: list[Tensor], image: Tensor) -> tuple[Tensor, Tensor]:
        """Masked outputs of the encoder, image (N, 3, S, S) -> neutral face and residual image, each (N, 3, S, S)."""
        hidden = made[-1]
        for layer, skip in zip(self.layers, reversed(made[:-1]), strict=True):
            hidden = layer(hidden)  # (N, C_i, S / 2^i, S / 2^i), the size of the skip
            if self.skips:
                hidden = torch.cat([hidden, skip], 1)  # (N, 2 C_i, S / 2^i, S / 2^i)
        drawn = self.last(hidden)  # (N, 3 or 4, S, S)
        if self.output == "neutral":
            neutral = torch.tanh(drawn)
            return neutral, image - neutral
        residual = self.change(drawn)
        return (image - residual).clamp(-1, 1), residual


class Recogniser(nn.Module):
    """The code's segments as energies, and energies as logits; with `segments` off, a layer on the pooled code."""

    def __init__(self, channels: int, expressions: tuple[str, ...], config: ERRNetConfig) -> None:
        super().__init__()
        self.neutral = "neutral" in expressions
        self.count = len(expressions) - self.neutral
        self.width = segment_width(channels, self.count, config.shared)
        self.segments = config.segments
        if not config.segments:
            self.plain = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(channels, len(expressions)))
            return
        self.scale = nn.Parameter(torch.tensor(5.0))
        if self.neutral:  # a face is neutral while all energies stay below half the margin
            self.bias = nn.Parameter(torch.tensor(5.0 * config.margin / 2))

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """The code (N, C, s, s) -> logits (N, K) and energies (N, K), 0 for neutral and without segments."""
        pooled = code.mean((2, 3))  # (N, C)
        if not self.segments:
            logits = self.plain(pooled)
            return logits, torch.zeros_like(logits)
        segments = pooled[:, : self.count * self.width].view(-1, self.count, self.width)  # (N, K_e, m)
        energies = segments.abs().mean(2)  # (N, K_e)
        if not self.neutral:
            return self.scale * energies, energies
        energies = F.pad(energies, (1, 0))  # (N, K): neutral comes first in any selection of expressions
        return self.scale * energies + F.pad(self.bias.view(1), (0, self.count)), energies


class LandmarkBranch(nn.Module):
    """Masked code -> how far the 68 points are from where they rest, and what that says about the expression."""

    face: Tensor  # (68, 2) mean neutral face of training, in pixels of the crop
    seen: Tensor  # () how many faces it is the mean of

    def __init__(self, channels: int, expressions: int, config: ERRNetConfig) -> None:
        super().__init__()
        width = max(16, round(128 * config.width))
        self.feature = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(width * 16, 128),
            nn.ReLU(),
        )
        self.displacement = nn.Linear(128, 68 * 2)
        nn.init.zeros_(self.displacement.weight)  # displacements are 0.01 to 0.1: better none at first than noise
        nn.init.zeros_(self.displacement.bias)
        self.vote = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(128, expressions))
        self.register_buffer("face", torch.full((68, 2), config.image_size / 2))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """The masked code (N, C, s, s) -> displacements (N, 68, 2) in eye distances, logits (N, K)."""
        feature = self.feature(code)  # (N, 128)
        return self.displacement(feature).view(-1, 68, 2), self.vote(feature)

    @torch.no_grad()
    def remember(self, points: Tensor) -> None:
        """Take complete neutral faces (n, 68, 2) into the mean face, whose last 10,000 count."""
        self.seen += len(points)
        self.face.lerp_(points.mean(0), len(points) / self.seen.clamp(min=1, max=10_000).item())


class Discriminator(nn.Module):
    """PatchGAN on the features of (image, face), and a head on the face alone: neutral or expressive."""

    def __init__(self, config: ERRNetConfig) -> None:
        super().__init__()
        c = [3, *(max(8, round(config.width * n)) for n in (64, 128, 256))]
        self.trunk = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(before, after, 4, stride=2, padding=1), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)
                )
                for before, after in pairwise(c)
            )
        )
        self.patches = nn.Conv2d(2 * c[-1], 1, 3, padding=1)
        self.head = nn.Linear(c[-1], 1)

    def forward(self, image: Tensor, *faces: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(N, 3, S, S) each -> patch logits (N, 1, S / 8, S / 8) per face, "neutral" logits (N,) of image and faces."""
        features = self.trunk(torch.cat([image, *faces]))  # ((1 + F) N, C, S / 8, S / 8)
        own, *others = features.chunk(1 + len(faces))
        patches = [self.patches(torch.cat([own, other], 1)) for other in others]
        heads = self.head(features.mean((2, 3))).squeeze(1)  # ((1 + F) N,)
        return patches, list(heads.chunk(1 + len(faces)))


def margin_loss(energies: Tensor, truth: Tensor, margin: float, neutral: bool) -> Tensor:
    """How far each true energy is from standing `margin` above the others (neutral's is 0); energies of neutral faces.

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
    """|r|_1 averaged over pixels, and over faces by `weight` (N,), whose sum counts as 1 at least."""
    size = residual.abs().mean((1, 2, 3))  # (N,)
    return (size * weight).sum() / weight.sum().clamp(min=1)


def displacements(landmarks: Tensor, neutral: Tensor) -> tuple[Tensor, Tensor]:
    """How far the points (N, 68, 2) are from rest, in eye distances of the neutral face; which are known (N, 68).

    Unknown ones are 0. A face whose eye corners are unknown is unknown altogether.
    """
    known = landmarks.isfinite().all(2) & neutral.isfinite().all(2)  # (N, 68)
    known = known & known[:, EYES].all(1, keepdim=True)
    points, rest = (torch.where(known[:, :, None], each, 0.0) for each in (landmarks, neutral))
    return (points - rest) / eye_distance(rest)[:, None, None], known


def eye_distance(points: Tensor) -> Tensor:
    """Pixels between the outer eye corners of faces (N, 68, 2), at least 1."""
    return (points[:, EYES[1]] - points[:, EYES[0]]).square().sum(1).sqrt().clamp(min=1)


def landmark_loss(displacement: Tensor, wanted: Tensor, known: Tensor) -> Tensor:
    """|d - d*|_1 averaged over the known points (N, 68); 0 where there are none."""
    distance = (displacement - wanted).abs().mean(2)  # (N, 68)
    return (distance * known).sum() / known.sum().clamp(min=1)


def neutral_loss(head: Tensor, share: Tensor) -> Tensor:
    """Binary cross-entropy of the head's logits (N,) with how neutral the faces are, from 0 to 1."""
    return F.binary_cross_entropy_with_logits(head.float(), share)


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
        if not 0 < config.shared < 1:
            raise ValueError(f"shared must be between 0 and 1, both excluded; got {config.shared}")
        halvings = min(4, int(math.log2(size)) - 2) - (config.stem_stride - 1)
        channels = [max(8, round(config.width * n)) for n in (64, 128, 256, 512, 512)[: halvings + 1]]
        self.encoder = Encoder(channels, config.stem_stride)
        self.decoder = Decoder(channels, config)
        self.recogniser = Recogniser(channels[-1], expressions, config)
        if config.landmarks:
            self.landmark_branch = LandmarkBranch(channels[-1], len(expressions), config)
        if config.adversarial > 0:
            self.discriminator = Discriminator(config)
        self.first = int("neutral" in expressions)  # the first expression with a segment: neutral has none

    def stages(self) -> list[Stage]:
        """The paper's single stage, removal and recognition; before it, ours, optionally removal alone."""
        c = self.config
        removing = ("encoder", "decoder")
        both = (*removing, "recogniser", *(("landmark_branch",) if c.landmarks else ()))
        self.joint = self.make_optimizers(both)
        stages = [Stage("joint", c.epochs, self.joint_step, self.joint, constant_then_linear, both)]
        if c.pretrain_epochs > 0:
            self.removal = self.make_optimizers(removing)
            step, optimizers = self.removal_step, self.removal
            first = Stage("removal", c.pretrain_epochs, step, optimizers, constant_then_linear, removing, "paired")
            stages.insert(0, first)
        return stages

    def make_optimizers(self, children: tuple[str, ...]) -> dict[str, Optimizer]:
        """Adam for these children together, and for the discriminator if there is one."""
        parameters = [each for name in children for each in getattr(self, name).parameters()]
        optimizers: dict[str, Optimizer] = {"network": Adam(parameters, self.config.rate, betas=(0.5, 0.999))}
        if self.config.adversarial > 0:
            rate = self.config.discriminator_rate
            optimizers["discriminator"] = Adam(self.discriminator.parameters(), rate, betas=(0.5, 0.999))
        return optimizers

    def removal_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of encoder and decoder, and of the discriminator, on removal alone."""
        self.train()
        loss, logs = self.remove(batch, self.encoder(batch.image), self.removal)
        self.descend(self.removal["network"], loss)
        return {"loss": loss.detach(), **logs}

    def joint_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of everything on removal and recognition."""
        self.train()
        made = self.encoder(batch.image)
        removal, logs = self.remove(batch, made, self.joint)
        recognition, more = self.recognise(batch, made[-1])
        self.descend(self.joint["network"], removal + recognition)
        return {"loss": (removal + recognition).detach(), **logs, **more}

    def remove(
        self, batch: Batch, made: list[Tensor], optimizers: dict[str, Optimizer]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted losses of removal, and what to log; one step of the discriminator on the way."""
        c = self.config
        neutral, residual = self.decoder(self.cut(made, batch.target), batch.image)  # (N, 3, S, S) each
        neutral, residual = neutral.float(), residual.float()
        rest = batch.target[:, 0] if self.first else batch.target.new_zeros(len(batch))  # (N,) share of neutral
        size = residual_size(residual, torch.ones_like(rest))
        loss = c.residual * size + c.residual_neutral * residual_size(residual, rest)
        logs = {"residual": size.detach()}
        if batch.paired.any():
            pairs = batch[batch.paired]
            l1 = changed_l1(neutral[batch.paired], pairs.neutral, pairs.image, c.change_weight)
            copy = changed_l1(pairs.image, pairs.neutral, pairs.image, c.change_weight)
            loss = loss + c.reconstruction * l1
            logs |= {"l1": l1.detach(), "copy_l1": copy}
        if c.adversarial > 0:
            loss_d = self.discriminator_step(batch, neutral.detach(), rest, optimizers["discriminator"])
            self.discriminator.requires_grad_(False)
            (patches,), (_, head) = self.discriminator(batch.image, neutral)
            self.discriminator.requires_grad_(True)
            left = neutral_loss(head, torch.ones_like(rest))
            loss = loss + c.adversarial * left + c.residual_unpaired * residual_size(residual, (~batch.paired).float())
            logs |= {"loss_d": loss_d, "expression_left": left.detach()}
            if batch.paired.any():
                fooled = adversarial_loss(patches[batch.paired].float(), True)
                loss = loss + c.adversarial * fooled
                logs["adversarial"] = fooled.detach()
        return loss, logs

    def discriminator_step(self, batch: Batch, made: Tensor, rest: Tensor, optimizer: Optimizer) -> Tensor:
        """One step of -log D(x, n) - log(1 - D(x, made)) on pairs, and of the head on x, n and what is made of x."""
        (true, fake), (image, neutral, generated) = self.discriminator(batch.image, batch.neutral, made)
        loss = neutral_loss(image, rest) + 0.5 * neutral_loss(generated, rest)  # finds what was left of x's expression
        if batch.paired.any():
            known = batch.paired
            loss = loss + adversarial_loss(true[known].float(), True) + adversarial_loss(fake[known].float(), False)
            loss = loss + neutral_loss(neutral[known], torch.ones_like(rest[known]))
        self.descend(optimizer, loss)
        return loss.detach()

    def recognise(self, batch: Batch, code: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted losses of recognition, and what to log."""
        c = self.config
        logits, energies, displacement = self.read(code)
        entropy = F.cross_entropy(logits.float(), batch.target)
        truth = batch.target.argmax(1)  # (N,)
        loss = c.classification * entropy
        logs = {"cross_entropy": entropy.detach(), "accuracy": (logits.argmax(1) == truth).float().mean()}
        if c.segments:
            apart = margin_loss(energies.float(), truth, c.margin, neutral=bool(self.first))
            loss = loss + c.segment_weight * apart
            logs["segments"] = apart.detach()
        if displacement is not None:
            wanted, known = displacements(batch.landmarks, batch.neutral_landmarks)
            known = known & batch.paired[:, None]
            moved = landmark_loss(displacement.float(), wanted, known)
            loss = loss + c.landmark_weight * moved
            logs["landmarks"] = moved.detach()
            faces = batch.neutral_landmarks[known.all(1)]
            if len(faces):
                self.landmark_branch.remember(faces)
        return loss, logs

    def read(self, code: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """The code (N, C, s, s) -> logits (N, K), energies (N, K), displacements (N, 68, 2) if they are built."""
        logits, energies = self.recogniser(code)
        if not self.config.landmarks:
            return logits, energies, None
        displacement, votes = self.landmark_branch(self.cut([code], logits.softmax(1))[0])
        return logits + votes, energies, displacement

    def cut(self, made: list[Tensor], distribution: Tensor) -> list[Tensor]:
        """Outputs of the encoder, the code last, masked by a distribution over expressions (N, K)."""
        if not self.config.segments:
            return made
        share = distribution[:, self.first :]  # (N, K_e)
        widths = [segment_width(each.shape[1], share.shape[1], self.config.shared) for each in made]
        return [masked(each, share, width) for each, width in zip(made, widths, strict=True)]

    def forward(self, image: Tensor) -> Prediction:
        """(N, 3, S, S) -> logits, and the neutral face by the mask of the predicted distribution."""
        made = self.encoder(image)  # the last (N, C, s, s)
        logits, _, _ = self.read(made[-1])  # (N, K)
        neutral, _ = self.decoder(self.cut(made, logits.softmax(1)), image)  # (N, 3, S, S)
        return Prediction(logits, neutral)

    def show(self, image: Tensor, neutral: Tensor) -> dict[str, Shown]:
        """The residual image (grey is nothing), the energies, and the displacements on the mean neutral face."""
        _, energies, displacement = self.read(self.encoder(image)[-1])
        shown = {"residual image": Shown("picture", (image - neutral) / 2)}
        if self.config.segments:
            shown["segment energies"] = Shown("amounts", energies)
        if displacement is not None:
            rest = self.landmark_branch.face
            moved = rest + displacement * eye_distance(rest[None])  # (N, 68, 2)
            shown["landmark displacements"] = Shown("shifts", torch.stack([rest.expand_as(moved), moved], 2))
        return shown
