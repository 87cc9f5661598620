"""What several papers use identically: local CNN, residual block, losses of generators, cross-entropy."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut, normalised before each (doi 10.1007/978-3-319-46493-0_38)."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
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


def residual_trunk(image_channels: int, width: float) -> tuple[list[nn.Module], int]:
    """Layers (N, image_channels, S, S) -> features (N, C), two blocks each at 1/2 to 1/16 of the size, and C.

    Initial weights are those of He et al. 2015 (arXiv 1502.01852): with torch's own, smaller by the square root of 6,
    it is luck whether the network leaves chance within its first epochs.
    """
    c = [max(8, round(width * n)) for n in (32, 64, 128, 256)]
    layers: list[nn.Module] = [
        nn.Conv2d(image_channels, c[0], 5, stride=2, padding=2, bias=False),  # (N, 32, S / 2, S / 2)
        ResidualBlock(c[0], c[0]),
        ResidualBlock(c[0], c[1], 2),  # (N, 64, S / 4, S / 4)
        ResidualBlock(c[1], c[1]),
        ResidualBlock(c[1], c[2], 2),  # (N, 128, S / 8, S / 8)
        ResidualBlock(c[2], c[2]),
        ResidualBlock(c[2], c[3], 2),  # (N, 256, S / 16, S / 16)
        ResidualBlock(c[3], c[3]),
        nn.BatchNorm2d(c[3]),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ]
    for layer in nn.ModuleList(layers).modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layers, c[3]


class DeadZone(nn.Module):
    """In use, not in training, leaves out of a generated change what is not one.

    A generator that goes down an L1 changes every pixel a little. Where the mean change of a neighbourhood, an eighth
    of the picture wide, is below `width` (of pixels in [-1, 1]) nothing is changed, from twice that on everything is
    kept; 0 keeps everything everywhere.
    """

    def __init__(self, width: float) -> None:
        super().__init__()
        if not 0 <= width < 1:
            raise ValueError(f"dead_zone must be at least 0 and below 1; got {width}")
        self.width = width

    def forward(self, change: Tensor) -> Tensor:
        """(N, 3, S, S) -> the same, faded out where little changes."""
        if self.training or not self.width:
            return change
        reach = max(1, change.shape[3] // 16)
        size = change.abs().mean(1, keepdim=True)  # (N, 1, S, S)
        around = F.avg_pool2d(size, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False)
        return change * (around / self.width - 1).clamp(0, 1)


class Change(nn.Module):
    """How a picture is to change, from a generator's last layer: 2 tanh of three channels, then DeadZone.

    With `mask`, the sigmoid of a fourth channel says where the change holds (the attention mask of GANimation, Pumarola
    et al. 2018, arXiv 1807.09251): what a decoder lets through everywhere is switched off where nothing is to change.
    """

    def __init__(self, mask: bool, dead_zone: float) -> None:
        super().__init__()
        self.mask = mask
        self.channels = 4 if mask else 3  # of the last layer
        self.dead_zone = DeadZone(dead_zone)

    def forward(self, drawn: Tensor) -> Tensor:
        """(N, 3 or 4, S, S) -> change (N, 3, S, S) in (-2, 2)."""
        change = 2 * torch.tanh(drawn[:, :3])
        if self.mask:
            change = change * torch.sigmoid(drawn[:, 3:])
        left: Tensor = self.dead_zone(change)
        return left


class LocalCNN(nn.Module):
    """Three convolutions on the residue of one spatial size, ending in a feature with its own classifier.

    The feature is an FC of the pooled convolutions, or with `fc=False` the pooled convolutions themselves.
    """

    def __init__(
        self, channels: int, size: int, expressions: int, width: int, dropout: float, *, fc: bool = True
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(3):
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            if size > 4:
                layers.append(nn.MaxPool2d(2))
                size //= 2
            channels = width
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        if fc:
            layers += [nn.Linear(width, width), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.vote = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, expressions))

    def forward(self, residue: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, s, s) -> the feature (N, width) and this branch's logits (N, K)."""
        feature = self.layers(residue)
        return feature, self.vote(feature)


def adversarial_loss(logits: Tensor, real: bool) -> Tensor:
    """-log D or -log(1 - D), averaged over patches: the two halves of L_D, and with real=True L_G's first term."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def changed_l1(generated: Tensor, neutral: Tensor, image: Tensor, change_weight: float) -> Tensor:
    """|n - G(x)|_1 averaged with weight 1 + change_weight * (5x5 mean of |x - n|) / 0.2; plain mean for weight 0."""
    change = F.avg_pool2d((image - neutral).abs().mean(1, keepdim=True), 5, stride=1, padding=2)  # (N, 1, S, S)
    weight = 1 + change_weight * change / 0.2
    return (weight * (generated - neutral).abs()).mean() / weight.mean()


def classification_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy with a label distribution, (N, K) each, in full precision."""
    return F.cross_entropy(logits.float(), target)
