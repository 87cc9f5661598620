"""DE-GAN: Facial Expression Representation Learning by Synthesizing Expression Images.

Kamran Ali, Charles E. Hughes. 2019. arXiv 1912.01456

An encoder-decoder generates a face with a chosen identity and the expression of its input. The decoder receives the
identity explicitly, as a code, so that the encoder's own code only has to contain the expression. A multi-task
discriminator, which classifies expression and identity and distinguishes real from generated faces, enforces this. The
encoder's code is classified together with the expressive component that the encoder's layers recorded.

Differences from the paper. Only its abstract and figures could be read. Giving the identity to the decoder, the tasks
of the discriminator, and classifying the code together with the encoder's layers are the paper's; the rest is our
choice.

1. All layers are those of DR-GAN (Tran, Yin, Liu, CVPR 2017), which has the same parts and works at 96 px;
   up-sampling is by 4x4 transposed convolutions. Weights, rates and the taps at the ends of the encoder's stages are
   ours too.
2. `stem` 2 lets the first convolution halve the picture, for a quarter of the arithmetic. 1, as in DR-GAN, is the
   default.
3. One half of a batch is generated with its own identity, the other half with that of another person in the batch.
   Faces of unknown people always get another person's identity, and are left out of losses that need their own.
4. The local CNNs and the sum of their losses are those of our DeRL.
5. The paper generates no neutral face. `neutral_face` (on by default) adds a decoder that reads all four taps of the
   encoder and generates the difference between the picture and its neutral face. With `warp` it warps and paints the
   face instead (layers.WarpAndPaint). It is trained on pairs, together with the encoder.
6. A third stage (`joint_epochs`) can fine-tune all parts except decoder and discriminator on the classification loss
   and the L1 of pairs. Off (0) by default: stage 2 keeps the encoder frozen.
7. Running averages (EMA) of encoder, decoders and classifier are used and saved.
8. The paper's numbers and protocol could not be read, so they are not compared here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from deadpan.method import Batch, Method, Prediction, Shown, Stage
from deadpan.methods.layers import (
    Generated,
    LocalCNN,
    WarpAndPaint,
    accuracy,
    adversarial_loss,
    classification_loss,
    removal_loss,
    zero_weights,
)
from deadpan.methods.schedules import constant_then_linear, cosine, one_cycle
from deadpan.settings import check_method_settings

NOISE = 50  # random numbers given to the decoder beside the two codes; 0 when predicting [DR-GAN]
LOCAL = (128, 0.2)  # channels of a local CNN and length of its feature; dropout before classifiers [ours, as for DeRL]
CLASSIFIER_RATE = 1e-3  # Adam's in stage 2, cosine [ours]
JOINT_RATE = 1e-3  # Adam's highest in stage 3, one cycle [ours]


@dataclass(frozen=True)
class DEGANConfig:
    """Settings of DE-GAN; the source of each default is given in brackets."""

    image_size: int = 96
    "Side of the input in pixels, at least 32, a multiple of 16 (of 32 with stem 2) [DR-GAN: 96]."
    width: float = 1.0
    "Channel multiplier; 0.5 with stem 2 trains on two CPU cores [DR-GAN: 1]."
    stem: int = 1
    "Stride of the first convolution, 1 or 2; 2 needs a quarter of the arithmetic [ours; DR-GAN: 1]."
    subjects: int = 1000
    "Number of identity codes, at least the number of people in the training data [ours]."
    neutral_face: bool = True
    "Also generate the neutral face from the encoder's layers [ours; paper: none]."
    warp: bool = False
    "Warp and paint the neutral face (layers.WarpAndPaint) [ours; off: x + d]."
    taps: Literal["encoder", "none"] = "encoder"
    "Layers classified together with the code: the encoder's [paper], or none."
    adversarial: float = 1.0
    "Weight of the adversarial term [ours]."
    reconstruction: float = 10.0
    "Weight of the L1 of faces generated with their own identity [ours]."
    neutral: float = 50.0
    "Weight of the L1 between the true and the generated neutral face [ours]."
    change_weight: float = 12.0
    "Extra weight of that L1 per 0.2 of local difference between image and neutral [ours; 0 = plain L1]."
    synthesis_epochs: int = 40
    "Epochs of stage 1 [ours]."
    classifier_epochs: int = 20
    "Epochs of stage 2 [ours]."
    joint_epochs: int = 0
    "Epochs of stage 3 [ours; paper: none]."
    synthesis_rate: float = 2e-4
    "Adam's learning rate in stage 1, constant for the first half, then linear to 0 [DR-GAN; schedule ours]."

    def __post_init__(self) -> None:
        check_method_settings(self)


STACK = ((32, 64), (64, 64, 128), (128, 96, 192), (192, 128, 256), (256, 160, 320))
"""Channels of DR-GAN's 3x3 convolutions, by stage; every stage but the first begins by halving the picture."""


def stack(config: DEGANConfig) -> list[list[int]]:
    """STACK at the wanted width."""
    return [[max(8, round(config.width * channels)) for channels in stage] for stage in STACK]


def convolution(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    """Conv 3x3, batch normalisation, ELU."""
    return [nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ELU()]


def enlargement(before: int, after: int) -> list[nn.Module]:
    """ConvTranspose 4x4 to twice the size, batch normalisation, ELU."""
    return [nn.ConvTranspose2d(before, after, 4, 2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ELU()]


class Encoder(nn.Module):
    """Encodes a face to a code, and also returns the outputs of the stages (taps).

    For 96 px and stem 1: 96x96x64, then the taps 48x48x128, 24x24x192, 12x12x256, 6x6x320, then the code of 320.
    """

    def __init__(self, config: DEGANConfig) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        before = 3
        for i, widths in enumerate(stack(config)):
            layers: list[nn.Module] = []
            for j, after in enumerate(widths):
                first = config.stem if i == 0 else 2
                layers += convolution(before, after, first if j == 0 else 1)
                before = after
            self.stages.append(nn.Sequential(*layers))

    def forward(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """(N, 3, S, S) -> the four taps, largest first, and the code (N, 320)."""
        taps = []
        hidden = image
        for stage in self.stages:
            hidden = stage(hidden)  # (N, C_i, S / (stem 2^i), S / (stem 2^i))
            taps.append(hidden)
        return taps[1:], hidden.mean((2, 3))


class Decoder(nn.Module):
    """The encoder mirrored: from the code, an identity and noise to a face."""

    def __init__(self, config: DEGANConfig) -> None:
        super().__init__()
        mirrored = [stage[::-1] for stage in stack(config)[::-1]]  # 320, 160, 256 | 256, 128, 192 | ... | 64, 32
        top = mirrored[0][0]
        self.side = config.image_size // (16 * config.stem)
        self.enter = nn.Linear(top + config.subjects + NOISE, top * self.side**2)
        layers: list[nn.Module] = [nn.BatchNorm2d(top), nn.ELU()]
        for code, middle, last in mirrored[:-1]:
            layers += [*convolution(code, middle), *convolution(middle, last), *enlargement(last, last)]
        before, middle = mirrored[-1]
        layers += convolution(before, middle)
        output = nn.Conv2d(middle, 3, 3, padding=1) if config.stem == 1 else nn.ConvTranspose2d(middle, 3, 4, 2, 1)
        self.layers = nn.Sequential(*layers, output, nn.Tanh())

    def forward(self, code: Tensor, identity: Tensor, noise: Tensor) -> Tensor:
        """Code (N, 320), identity (N, subjects) as shares that sum to 1, noise (N, 50) in [-1, 1] -> (N, 3, S, S)."""
        hidden = self.enter(torch.cat([code, identity, noise], 1))  # (N, 320 s^2), s = S / (16 stem)
        face: Tensor = self.layers(hidden.unflatten(1, (-1, self.side, self.side)))  # (N, 320, s, s) -> (N, 3, S, S)
        return face


class Verdict(NamedTuple):
    """The discriminator's outputs for N faces."""

    expression: Tensor  # (N, K) logits
    identity: Tensor  # (N, subjects) logits
    real: Tensor  # (N, 1) logits of "a photograph"


class Discriminator(nn.Module):
    """The encoder's stack with three heads: expression, identity, and real or made."""

    def __init__(self, expressions: int, config: DEGANConfig) -> None:
        super().__init__()
        self.trunk = Encoder(config)
        feature = stack(config)[-1][-1]
        self.expression = nn.Linear(feature, expressions)
        self.identity = nn.Linear(feature, config.subjects)
        self.real = nn.Linear(feature, 1)

    def forward(self, image: Tensor) -> Verdict:
        """(N, 3, S, S) -> the three heads' logits."""
        _, feature = self.trunk(image)  # (N, 320)
        return Verdict(self.expression(feature), self.identity(feature), self.real(feature))


class NeutralDecoder(nn.Module):
    """Decodes the encoder's taps to the difference between the picture and its neutral face."""

    def __init__(self, config: DEGANConfig) -> None:
        super().__init__()
        stem, *taps = (stage[-1] for stage in stack(config))  # 64; 128, 192, 256, 320
        self.layers = nn.ModuleList()
        before = taps[-1]
        for channels in taps[-2::-1]:  # 256, 192, 128
            self.layers.append(nn.Sequential(*enlargement(before, channels)))
            before = 2 * channels  # beside the tap of the same size
        outer = enlargement(before, stem) if config.stem == 2 else []
        self.warp = WarpAndPaint(config.image_size) if config.warp else None
        last = WarpAndPaint.channels if config.warp else 3
        output = nn.ConvTranspose2d(stem if config.stem == 2 else before, last, 4, 2, padding=1)
        zero_weights(output)
        self.last = nn.Sequential(*outer, output)

    def forward(self, image: Tensor, taps: list[Tensor]) -> Generated:
        """(N, 3, S, S) and its taps -> the neutral face."""
        hidden = taps[-1]  # (N, 320, s, s), s = S / (16 stem)
        for layer, tap in zip(self.layers, taps[-2::-1], strict=True):
            hidden = torch.cat([layer(hidden), tap], 1)  # (N, 2 C, 2s, 2s), then twice and twice that size
        last = self.last(hidden)  # (N, 3 or 6, S, S)
        if self.warp is not None:
            generated: Generated = self.warp(image, last)
            return generated
        return Generated((image + 2 * torch.tanh(last)).clamp(-1, 1))


class Classifier(nn.Module):
    """A local CNN on each tap, and the final classifier over their features and the code."""

    def __init__(self, expressions: int, config: DEGANConfig) -> None:
        super().__init__()
        channels = [stage[-1] for stage in stack(config)]
        sizes = [config.image_size // (config.stem * 2**i) for i in range(5)]
        tapped = range(1, 5) if config.taps == "encoder" else range(0)
        width, dropout = LOCAL
        self.local = nn.ModuleList(LocalCNN(channels[i], sizes[i], expressions, width, dropout) for i in tapped)
        features = width * len(self.local) + channels[-1]
        self.final = nn.Sequential(nn.Dropout(dropout), nn.Linear(features, expressions))

    def forward(self, taps: list[Tensor], code: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Taps and code (N, 320) -> final logits (N, K), logits of each local CNN."""
        answers = [cnn(tap) for cnn, tap in zip(self.local, taps, strict=False)]  # no local CNNs with taps "none"
        joined = torch.cat([*(feature for feature, _ in answers), code], 1)
        return self.final(joined), [logits for _, logits in answers]


def identity_loss(logits: Tensor, subject: Tensor) -> Tensor:
    """Cross-entropy with the identity, averaged over the faces that have one (subject >= 0); 0 if none has."""
    known = subject >= 0
    each = F.cross_entropy(logits.float(), subject.clamp(min=0), reduction="none")  # (N,)
    return (each * known).sum() / known.sum().clamp(min=1)


def reconstruction_loss(made: Tensor, image: Tensor, own: Tensor) -> Tensor:
    """|x - G(x)|_1 averaged over the faces that were made with their own identity; 0 if none was."""
    each = (made - image).abs().mean((1, 2, 3))  # (N,)
    return (each * own).sum() / own.sum().clamp(min=1)


def wanted_identity(subject: Tensor) -> tuple[Tensor, Tensor]:
    """Choose the identity with which each face is generated; also returns where it is the face's own.

    Every second face keeps its own identity if it is known; the others get that of another face in the batch. It is -1
    if no identity is known.
    """
    known = (subject >= 0).nonzero().squeeze(1)
    own = (subject >= 0) & (torch.arange(len(subject), device=subject.device) % 2 == 0)  # (N,)
    if not len(known):
        return subject, own
    others = subject[known[torch.randint(len(known), (len(subject),), device=subject.device)]]
    return torch.where(own, subject, others), own


class DEGAN(Method):
    """Give the decoder the identity, so that the encoder's code contains the expression; classify code and layers."""

    Config = DEGANConfig
    config: DEGANConfig

    def __init__(self, config: DEGANConfig, expressions: tuple[str, ...]) -> None:
        super().__init__(config, expressions)
        if config.stem not in (1, 2):
            raise ValueError(f"DE-GAN's stem must be 1 or 2; got {config.stem}")
        if config.image_size < 32 or config.image_size % (16 * config.stem):
            multiple = 16 * config.stem
            raise ValueError(f"image_size must be a multiple of {multiple} from 32 on; got {config.image_size}")
        if config.subjects < 2:
            raise ValueError(f"subjects must be at least 2; got {config.subjects}")
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.discriminator = Discriminator(len(expressions), config)
        self.classifier = Classifier(len(expressions), config)
        self.generates = config.neutral_face
        if self.generates:
            self.neutral_decoder = NeutralDecoder(config)

    def stages(self) -> list[Stage]:
        """Stage 1 trains encoder and decoders against the discriminator, stage 2 the classifier, encoder frozen."""
        c = self.config
        generator = [*self.encoder.parameters(), *self.decoder.parameters()]
        averaged: tuple[str, ...] = ("encoder", "decoder")
        if self.generates:
            generator += self.neutral_decoder.parameters()
            averaged += ("neutral_decoder",)
        gan = {
            "generator": Adam(generator, c.synthesis_rate, betas=(0.5, 0.999)),
            "discriminator": Adam(self.discriminator.parameters(), c.synthesis_rate, betas=(0.5, 0.999)),
        }
        classifier = {"classifier": Adam(self.classifier.parameters(), CLASSIFIER_RATE)}
        trained = ("encoder", "classifier", *averaged[2:])
        reading = [each for name in trained for each in getattr(self, name).parameters()]
        joint = {"joint": Adam(reading, JOINT_RATE)}
        self.optimizers = gan | classifier | joint
        return [
            Stage("synthesis", c.synthesis_epochs, self.synthesis_step, gan, constant_then_linear, averaged),
            Stage("classifier", c.classifier_epochs, self.classifier_step, classifier, cosine, ("classifier",)),
            Stage("joint", c.joint_epochs, self.joint_step, joint, one_cycle, trained),
        ]

    def synthesis_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the discriminator, one of encoder and decoders."""
        c = self.config
        self.check_subjects(batch.subject)
        for child in (self.encoder, self.decoder):
            child.train()
        taps, code = self.encoder(batch.image)  # code (N, 320)
        wanted, own = wanted_identity(batch.subject)
        # If no identity is known, the faces are generated with the first one, and no loss uses it.
        identity = F.one_hot(wanted.clamp(min=0), c.subjects).to(code)  # (N, subjects)
        noise = 2 * torch.rand(len(batch), NOISE, device=code.device) - 1
        made = self.decoder(code, identity, noise).float()  # (N, 3, S, S)
        loss_d = self.discriminator_step(batch, made.detach())
        self.discriminator.requires_grad_(False)
        read: Verdict = self.discriminator(made)
        self.discriminator.requires_grad_(True)
        fooled = adversarial_loss(read.real.float(), True)
        expression = classification_loss(read.expression, batch.target)
        told = identity_loss(read.identity, wanted)
        kept = reconstruction_loss(made, batch.image, own)
        loss_g = c.adversarial * fooled + expression + told + c.reconstruction * kept
        terms = {"loss_d": loss_d, "adversarial": fooled, "expression": expression}
        if own.any():
            terms |= {"identity": told, "reconstruction": kept}
        removal, logs = self.removal(batch, taps)
        loss_g = loss_g + removal
        self.descend(self.optimizers["generator"], loss_g)
        return {"loss": loss_g.detach(), **{name: term.detach() for name, term in terms.items()}, **logs}

    def removal(self, batch: Batch, taps: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted loss of the neutral faces generated for the paired rows, and logs; 0 if there are none."""
        if not self.generates or not batch.paired.any():
            return batch.image.new_zeros(()), {}
        self.neutral_decoder.train()
        pairs = batch[batch.paired]
        made = self.neutral_decoder(pairs.image, [tap[batch.paired] for tap in taps])
        loss, logs = removal_loss(made, pairs, self.config.change_weight)
        return self.config.neutral * loss, logs

    def check_subjects(self, subject: Tensor) -> None:
        """Raise ValueError if a person of the data has no identity code."""
        largest = int(subject.max())
        if largest >= self.config.subjects:
            raise ValueError(
                f"the data has a subject {largest}, DE-GAN keeps codes for {self.config.subjects} (0 to "
                f"{self.config.subjects - 1}); pass --subjects with the number of people in all data files"
            )

    def discriminator_step(self, batch: Batch, made: Tensor) -> Tensor:
        """One step of the discriminator: expression and identity of real faces, and real against made."""
        self.discriminator.train()
        real: Verdict = self.discriminator(batch.image)
        fake: Verdict = self.discriminator(made)
        loss = classification_loss(real.expression, batch.target) + identity_loss(real.identity, batch.subject)
        loss = loss + adversarial_loss(real.real.float(), True) + adversarial_loss(fake.real.float(), False)
        self.descend(self.optimizers["discriminator"], loss)
        return loss.detach()

    def classifier_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the local CNNs and the final classifier; the encoder is frozen and deterministic."""
        self.encoder.eval()
        self.classifier.train()
        with torch.no_grad():
            taps, code = self.encoder(batch.image)
        final, local = self.classifier(taps, code)
        loss = self.classification_total(final, local, batch.target)
        self.descend(self.optimizers["classifier"], loss)
        return {"loss": loss.detach(), "accuracy": accuracy(final, batch.target)}

    def classification_total(self, final: Tensor, local: list[Tensor], target: Tensor) -> Tensor:
        """The sum over i of lambda_i * loss_i, with every lambda_i = 1 [ours, as for DeRL]."""
        total = classification_loss(final, target)
        for logits in local:
            total = total + classification_loss(logits, target)
        return total

    def joint_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of encoder, neutral decoder and classifier on stage 2's loss and the L1 of the paired rows."""
        self.encoder.train()
        self.classifier.train()
        taps, code = self.encoder(batch.image)
        final, local = self.classifier(taps, code)
        removal, logs = self.removal(batch, taps)
        loss = self.classification_total(final, local, batch.target) + removal
        self.descend(self.optimizers["joint"], loss)
        return {"loss": loss.detach(), "accuracy": accuracy(final, batch.target), **logs}

    def forward(self, image: Tensor) -> Prediction:
        """(N, 3, S, S) -> logits of the final classifier, and the neutral face (the image itself without one)."""
        taps, code = self.encoder(image)
        logits, _ = self.classifier(taps, code)
        return Prediction(logits, self.neutral_decoder(image, taps).neutral if self.generates else image)

    def show(self, image: Tensor, neutral: Tensor) -> dict[str, Shown]:
        """The expression on the first two training identities, and the vote of each local CNN."""
        taps, code = self.encoder(image)
        shown = {}
        for slot in (0, 1):
            person = F.one_hot(torch.full_like(code[:, 0], slot, dtype=torch.long), self.config.subjects).to(code)
            silent = code.new_zeros(image.shape[0], NOISE)  # len() would fix the batch size of the export
            made = self.decoder(code, person, silent)  # (N, 3, S, S)
            shown[f"on another person {slot + 1}"] = Shown("picture", made)
        _, local = self.classifier(taps, code)
        votes = {f"layer {tap.shape[2]}x{tap.shape[2]}": logits for tap, logits in zip(taps, local, strict=False)}
        return shown | {name: Shown("votes", logits.softmax(1)) for name, logits in votes.items()}
