"""DeRL: Facial Expression Recognition by De-expression Residue Learning.

Huiyuan Yang, Umur Ciftci, Lijun Yin. CVPR 2018. doi 10.1109/CVPR.2018.00231

An expression is a neutral component plus an expressive component. A conditional GAN turns any face of a person into
that person's neutral face; what it filtered out is still recorded in its intermediate layers. That deposit, the
residue, is what gets classified: not x - G(x), and not a difference of features, but the raw activations of encoder
and decoder layers, concatenated per spatial size.

Differences from the paper (only its abstract, figures and tables could be read; what follows is our choice)
1. Kernels, normalisation and dropout of the generator are pix2pix's; layer outputs, taps and skips are the paper's.
2. theta_1 = 100 and lambda_i = 1: not stated in the text that could be read.
3. The L1 is weighted towards the region that the expression changes (`change_weight`): nearly all pixels of a pair
   agree, so that a plain L1 is content with copying the input. `--change-weight 0` is the paper's plain L1.
4. The local CNNs are three 3x3 convolutions ("three layers" are drawn), pooled while larger than 4x4. `local_fc` keeps
   the paper's FC behind them; on by default.
5. Real faces without a neutral partner can take part in stage 1 through `expression_critic`: an adversary that reads
   which expression is left in the generated face. Off (0) by default: the paper has pairs only.
6. A third stage can train generator and classifier together on the classification loss (`joint_epochs`), while faces
   of pairs are held to the true neutral face and others to what stage 1 made. Off (0) by default: the paper keeps the
   generator frozen.
7. `residual_output` has the last layer make the difference n - x; `change_mask` and `dead_zone` then leave alone what
   is not to change. Off by default: the paper's makes n.
8. `blocks` refines the encoder's layers by residual blocks; their sizes and channels stay. Off (0) by default.
9. Running averages (EMA) of the generator and of the classifier are what is used and saved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam, AdamW

from deadpan.method import Batch, Method, Prediction, Shown, Stage
from deadpan.methods.layers import Change, LocalCNN, ResidualBlock, adversarial_loss, changed_l1, classification_loss
from deadpan.methods.schedules import constant_then_linear, cosine, one_cycle


@dataclass(frozen=True)
class DeRLConfig:
    """Settings of DeRL; the source of each default stands beside it."""

    image_size: int = 64
    "Pixels of a side, a power of two from 32 on [paper: 64]."
    width: float = 1.0
    "Channel multiplier; 0.5 trains on two CPU cores [paper: 1]."
    outer_skip: bool = False
    "Also join e1 to the output layer [paper draws none]."
    blocks: int = 0
    "Residual blocks that refine each encoder layer of at least 4x4 before it is handed on [ours; paper draws none]."
    residual_output: bool = False
    "The last layer makes n - x instead of n, which keeps the person sharp [ours; paper: n]."
    change_mask: bool = False
    "With `residual_output`, a fourth channel of the last layer says where the difference holds: layers.Change [ours]."
    dead_zone: float = 0.0
    "With `residual_output`, regions that change by less, of pixels in [-1, 1], are left alone: layers.DeadZone [ours]."
    branches: tuple[int, ...] = (1, 2, 3, 4)
    "Which local CNNs are built, 1 at the largest tap [paper: all]; a single one is the paper's ablation."
    dropout: float = 0.5
    "In the three innermost decoder layers, stage 1 only [pix2pix]."
    theta: float = 100.0
    "Weight of the L1, the paper's theta_1 [value not stated in the paper; pix2pix's]."
    change_weight: float = 12.0
    "Extra weight of the L1 per 0.2 of local difference between image and neutral [ours; 0 = plain L1]."
    adversarial: float = 1.0
    "Weight of the adversarial term [paper: 1]."
    expression_critic: float = 0.0
    "Weight of the adversary that reads the expression left in generated faces [ours; paper: none]."
    unpaired_l1: float = 20.0
    "Weight of the L1 to the image itself that holds the identity of unpaired faces, with the critic only [ours]."
    lambda_local: float = 1.0
    "Weight of each local CNN's loss, the paper's lambda_1 to lambda_4 [value not stated in the paper]."
    lambda_final: float = 1.0
    "Weight of the final classifier's loss, the paper's lambda_5 [value not stated in the paper]."
    local_channels: int = 128
    "Channels of a local CNN and length of its feature [not stated in the paper]."
    local_fc: bool = True
    "An FC behind the pooling of a local CNN [paper]; without, joint training bears twice the rate [ours]."
    local_dropout: float = 0.2
    "Before each classifier layer [not stated in the paper]."
    generator_epochs: int = 40
    "Epochs of stage 1 [not stated in the paper]."
    classifier_epochs: int = 20
    "Epochs of stage 2 [not stated in the paper]."
    joint_epochs: int = 0
    "Epochs of stage 3 [ours; paper: none]."
    generator_rate: float = 2e-4
    "Adam's learning rate in stage 1, constant for one half, then linear to 0 [pix2pix]."
    classifier_rate: float = 1e-3
    "Adam's learning rate in stage 2, cosine [not stated in the paper]."
    joint_rate: float = 3e-4
    "AdamW's highest learning rate in stage 3, one cycle [ours]."
    joint_decay: float = 0.05
    "AdamW's weight decay in stage 3 [ours]."
    joint_theta: float = 20.0
    "Weight of the L1 in stage 3 [ours]."


class Generator(nn.Module):
    """Encoder-decoder that removes the expression and hands out what it recorded on the way.

    For 64 px: e1 32x32x64, e2 16x16x128, e3 8x8x256, e4 4x4x512, e5 2x2x512, e6 1x1x512, and d5 ... d1 back.
    """

    def __init__(self, config: DeRLConfig) -> None:
        super().__init__()
        depth = int(math.log2(config.image_size))
        channels = [max(8, round(config.width * min(64 * 2**i, 512))) for i in range(depth)]
        self.channels = channels
        self.outer_skip = config.outer_skip
        self.residual_output = config.residual_output
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
                    nn.Dropout(config.dropout if i >= depth - 3 else 0.0),
                    nn.ReLU(),
                )
            )
        outer = channels[0] * (2 if config.outer_skip else 1)
        if config.residual_output:
            self.change = Change(config.change_mask, config.dead_zone)
            self.difference = nn.ConvTranspose2d(outer, self.change.channels, 4, stride=2, padding=1)
            nn.init.zeros_(self.difference.weight)
            nn.init.zeros_(self.difference.bias)  # type: ignore[arg-type]
        else:
            self.output = nn.ConvTranspose2d(outer, 3, 4, stride=2, padding=1)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """(N, 3, S, S) -> neutral (N, 3, S, S), the residue per local CNN (largest first), the code (N, C)."""
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
        if self.residual_output:
            neutral = (image + self.change(self.difference(hidden))).clamp(-1, 1)  # (N, 3, S, S)
        else:
            neutral = torch.tanh(self.output(hidden))  # (N, 3, S, S)
        return neutral, residue[::-1], encoded[-1].flatten(1)


class Discriminator(nn.Module):
    """PatchGAN on (image, target or generated): which 34-pixel patches are a true neutral face of this image."""

    def __init__(self, config: DeRLConfig) -> None:
        super().__init__()
        c = [max(8, round(config.width * n)) for n in (64, 128, 256)]
        self.layers = nn.Sequential(
            nn.Conv2d(6, c[0], 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(c[0], c[1], 4, stride=2, padding=1),
            nn.BatchNorm2d(c[1]),
            nn.LeakyReLU(0.2),
            nn.Conv2d(c[1], c[2], 4, stride=1, padding=1),
            nn.BatchNorm2d(c[2]),
            nn.LeakyReLU(0.2),
            nn.Conv2d(c[2], 1, 4, stride=1, padding=1),
        )

    def forward(self, image: Tensor, neutral: Tensor) -> Tensor:
        """(N, 3, S, S) twice -> (N, 1, S / 4 - 2, S / 4 - 2) logits of "true"."""
        logits: Tensor = self.layers(torch.cat([image, neutral], 1))
        return logits


class Classifier(nn.Module):
    """The local CNNs and the final classifier over their features and the code e6."""

    def __init__(self, generator: Generator, expressions: int, config: DeRLConfig) -> None:
        super().__init__()
        self.branches = config.branches
        sizes = [config.image_size // 2 ** (i + 1) for i in config.branches]
        self.local = nn.ModuleList(
            LocalCNN(
                2 * generator.channels[i],
                size,
                expressions,
                config.local_channels,
                config.local_dropout,
                fc=config.local_fc,
            )
            for i, size in zip(config.branches, sizes, strict=True)
        )
        features = config.local_channels * len(config.branches) + generator.channels[-1]
        self.final = nn.Sequential(nn.Dropout(config.local_dropout), nn.Linear(features, expressions))

    def forward(self, residue: list[Tensor], code: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Residue per size and code (N, C) -> final logits (N, K), logits of each branch."""
        answers = [cnn(residue[i - 1]) for i, cnn in zip(self.branches, self.local, strict=True)]
        joined = torch.cat([*(feature for feature, _ in answers), code], 1)
        return self.final(joined), [logits for _, logits in answers]


class ExpressionCritic(nn.Module):
    """A small CNN that reads the expression on a face; the adversary of difference 5."""

    def __init__(self, expressions: int, config: DeRLConfig) -> None:
        super().__init__()
        c = [3, *(max(16, round(config.width * n)) for n in (64, 128, 256, 256))]
        self.layers = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(a, b, 4, stride=2, padding=1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2))
                for a, b in pairwise(c)
            ),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(c[-1], expressions),
        )

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, S, S) -> logits (N, K)."""
        logits: Tensor = self.layers(image)
        return logits


class DeRL(Method):
    """Generate the neutral face, then classify what the generator recorded while doing so."""

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
        self.discriminator = Discriminator(config)
        self.classifier = Classifier(self.generator, len(expressions), config)
        if config.joint_epochs > 0:
            self.teacher = Generator(config).requires_grad_(False)
        if config.expression_critic > 0:
            if "neutral" not in expressions:
                raise ValueError("expression_critic needs neutral among the expressions; leave it at 0 without")
            self.critic = ExpressionCritic(len(expressions), config)

    def stages(self) -> list[Stage]:
        """Stage 1 trains the generator on pairs, stage 2 the classifier with the generator frozen."""
        c = self.config
        gan = {
            "generator": Adam(self.generator.parameters(), c.generator_rate, betas=(0.5, 0.999)),
            "discriminator": Adam(self.discriminator.parameters(), c.generator_rate, betas=(0.5, 0.999)),
        }
        if c.expression_critic > 0:
            gan["critic"] = Adam(self.critic.parameters(), c.generator_rate, betas=(0.5, 0.999))
        classifier = {"classifier": Adam(self.classifier.parameters(), c.classifier_rate)}
        both = [*self.generator.parameters(), *self.classifier.parameters()]
        joint = {"joint": AdamW(both, c.joint_rate, weight_decay=c.joint_decay)} if c.joint_epochs > 0 else {}
        self.optimizers = gan | classifier | joint
        rows: Literal["all", "paired"] = "all" if c.expression_critic > 0 else "paired"
        stages = [
            Stage(
                "generator", c.generator_epochs, self.generator_step, gan, constant_then_linear, ("generator",), rows
            ),
            Stage("classifier", c.classifier_epochs, self.classifier_step, classifier, cosine, ("classifier",)),
        ]
        if joint:
            trained = ("generator", "classifier")
            step, begin = self.joint_step, self.begin_joint
            stages.append(Stage("joint", c.joint_epochs, step, joint, one_cycle, trained, begin=begin))
        return stages

    def generator_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the discriminator, one of the generator, on the paired rows; the critic sees all."""
        c = self.config
        self.generator.train()
        generated, _, _ = self.generator(batch.image)  # (N, 3, S, S)
        generated = generated.float()
        loss_g = generated.new_zeros(())
        logs: dict[str, Tensor] = {}
        if batch.paired.any():
            pairs, made = batch[batch.paired], generated[batch.paired]
            loss_d = self.discriminator_step(pairs, made.detach())
            self.discriminator.requires_grad_(False)
            fooled = adversarial_loss(self.discriminator(pairs.image, made).float(), True)
            self.discriminator.requires_grad_(True)
            l1 = changed_l1(made, pairs.neutral, pairs.image, c.change_weight)
            loss_g = loss_g + c.adversarial * fooled + c.theta * l1
            copy = changed_l1(pairs.image, pairs.neutral, pairs.image, c.change_weight)
            logs = {"loss_d": loss_d, "adversarial": fooled.detach(), "l1": l1.detach(), "copy_l1": copy}
        if c.expression_critic > 0:
            left, held = self.critic_step(batch, generated)
            loss_g = loss_g + c.expression_critic * left + c.unpaired_l1 * held
            logs |= {"expression_left": left.detach(), "unpaired_l1": held.detach()}
        self.descend(self.optimizers["generator"], loss_g)
        return {"loss": loss_g.detach(), **logs}

    def discriminator_step(self, pairs: Batch, made: Tensor) -> Tensor:
        """One step of L_D = -E[log D(x, n) + log(1 - D(x, G(x)))]."""
        self.discriminator.train()
        fake = self.discriminator(pairs.image, made).float()
        true = self.discriminator(pairs.image, pairs.neutral).float()
        loss = adversarial_loss(true, True) + adversarial_loss(fake, False)
        self.descend(self.optimizers["discriminator"], loss)
        return loss.detach()

    def critic_step(self, batch: Batch, generated: Tensor) -> tuple[Tensor, Tensor]:
        """Teach the critic to read x and G(x); return what G loses by not being read as neutral, and its L1 to x."""
        self.critic.train()
        read = F.cross_entropy(self.critic(batch.image).float(), batch.target)
        found = F.cross_entropy(self.critic(generated.detach()).float(), batch.target)
        self.descend(self.optimizers["critic"], read + 0.5 * found)
        self.critic.requires_grad_(False)
        unpaired = ~batch.paired
        neutral = torch.zeros_like(batch.target)
        neutral[:, self.expressions.index("neutral")] = 1
        left = F.cross_entropy(self.critic(generated).float(), neutral)
        self.critic.requires_grad_(True)
        difference = (generated - batch.image).abs().mean((1, 2, 3))  # (N,)
        return left, (difference * unpaired).sum() / unpaired.sum().clamp(min=1)

    def classifier_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of the local CNNs and the final classifier; the generator is frozen and deterministic."""
        self.generator.eval()
        self.classifier.train()
        with torch.no_grad():
            _, residue, code = self.generator(batch.image)
        final, local = self.classifier(residue, code)
        loss = self.classification_total(final, local, batch.target)
        self.descend(self.optimizers["classifier"], loss)
        hits = final.argmax(1) == batch.target.argmax(1)
        return {"loss": loss.detach(), "accuracy": hits.float().mean()}

    def classification_total(self, final: Tensor, local: list[Tensor], target: Tensor) -> Tensor:
        """The sum over i of lambda_i * loss_i."""
        branches = torch.stack([classification_loss(logits, target) for logits in local]).sum()
        return self.config.lambda_local * branches + self.config.lambda_final * classification_loss(final, target)

    def begin_joint(self) -> None:
        """Keep the generator of stage 1 as the teacher of stage 3."""
        self.teacher.load_state_dict(self.generator.state_dict())

    def joint_step(self, batch: Batch) -> dict[str, Tensor]:
        """One step of generator and classifier on stage 2's loss plus theta * L1.

        The L1 holds the faces of pairs to their true neutral face, all others to what stage 1's generator made.
        """
        c = self.config
        self.generator.train()
        for module in self.generator.modules():
            if isinstance(module, nn.Dropout):
                module.eval()  # stage 1 only
        self.teacher.eval()
        self.classifier.train()
        generated, residue, code = self.generator(batch.image)
        final, local = self.classifier(residue, code)
        loss = self.classification_total(final, local, batch.target)
        logs: dict[str, Tensor] = {}
        total = loss
        if batch.paired.any():
            pairs, made = batch[batch.paired], generated[batch.paired].float()
            l1 = changed_l1(made, pairs.neutral, pairs.image, c.change_weight)
            copy = changed_l1(pairs.image, pairs.neutral, pairs.image, c.change_weight)
            total = total + c.joint_theta * l1
            logs |= {"l1": l1.detach(), "copy_l1": copy}
        if not batch.paired.all():
            alone = ~batch.paired
            with torch.no_grad():
                taught, _, _ = self.teacher(batch.image[alone])
            held = (generated[alone].float() - taught.float()).abs().mean()
            total = total + c.joint_theta * held
            logs["held_l1"] = held.detach()
        self.descend(self.optimizers["joint"], total)
        hits = final.argmax(1) == batch.target.argmax(1)
        return {"loss": loss.detach(), "accuracy": hits.float().mean(), **logs}

    def forward(self, image: Tensor) -> Prediction:
        """(N, 3, S, S) -> logits of the final classifier and the generated neutral face."""
        neutral, residue, code = self.generator(image)
        return Prediction(self.classifier(residue, code)[0], neutral)

    def show(self, image: Tensor, neutral: Tensor) -> dict[str, Shown]:
        """The vote of each local CNN, named by the size of the residue that it reads."""
        _, residue, code = self.generator(image)
        _, local = self.classifier(residue, code)
        sizes = [residue[i - 1].shape[2] for i in self.config.branches]
        votes = zip(sizes, local, strict=True)
        return {f"residue {size}x{size}": Shown("votes", logits.softmax(1)) for size, logits in votes}
