"""Parts that several papers share: local CNN, residual block, the output that moves and paints, losses."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deadpan.method import Batch


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
    training often fails to rise above chance in the first epochs.
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
    he_weights(nn.ModuleList(layers))
    return layers, c[3]


def he_weights(module: nn.Module) -> None:
    """Give every convolution the initial weights of He et al. 2015 (arXiv 1502.01852)."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")


def zero_weights(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Set a last layer to zero, so that it changes nothing at the start of training."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]


class LocalCNN(nn.Module):
    """Three convolutions on the residue of one spatial size, ending in an FC whose feature has its own classifier."""

    def __init__(self, channels: int, size: int, expressions: int, width: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(3):
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            if size > 4:
                layers.append(nn.MaxPool2d(2))
                size //= 2
            channels = width
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, width), nn.ReLU())
        self.vote = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, expressions))

    def forward(self, residue: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, s, s) -> the feature (N, width) and this branch's logits (N, K)."""
        feature = self.layers(residue)
        return feature, self.vote(feature)


class PatchGAN(nn.Module):
    """The discriminator of pix2pix: which 34-pixel patches of a face are a true neutral face of the image."""

    def __init__(self, width: float) -> None:
        super().__init__()
        c = [max(8, round(width * n)) for n in (64, 128, 256)]
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


class Generated(NamedTuple):
    """A generated neutral face, with its flow and mask where WarpAndPaint generated it."""

    neutral: Tensor  # (N, 3, S, S) in [-1, 1]
    flow: Tensor | None = None  # (N, 2, S, S) where each pixel of the neutral face comes from, in halves of the side
    mask: Tensor | None = None  # (N, 1, S, S) 0 moved .. 1 painted


def rows_of(made: Generated, rows: Tensor) -> Generated:
    """The generated faces of the given rows, a bool mask (N,) or indices."""
    return Generated(*(None if each is None else each[rows] for each in made))  # type: ignore[arg-type]


def box_means(size: int, reach: int, *, repeat: bool) -> Tensor:
    """The matrix (S, S) that replaces each value of a column by the mean of itself and `reach` neighbours on each side.

    Outside the column are zeros, or with `repeat` copies of its first and last value. For few channels, a product of
    matrices is much faster on a CPU than average pooling.
    """
    padded = torch.eye(size)
    if repeat:
        padded = torch.cat([padded[:1].expand(reach, -1), padded, padded[-1:].expand(reach, -1)])
    else:
        padded = F.pad(padded, (0, 0, reach, reach))
    return padded.unfold(0, 2 * reach + 1, 1).mean(2)


class WarpAndPaint(nn.Module):
    """A generator's output that warps the face's own pixels, and paints pixels that warping cannot produce.

    From six channels: neutral = (1 - m) warp(x) + m (blur(warp(x)) + d), with a flow of two channels (at most an eighth
    of the side), a mask m of one and a painting d of three. Warping closes a mouth; teeth must be painted over. The
    painting starts from the blurred face: starting from zero, the mask vanished before the painting was trained.
    """

    channels = 6
    grid: Tensor  # (1, S, S, 2) x, y of every pixel centre, in halves of the side from the centre
    smooth: Tensor  # (S, S) means of 5 neighbours, 0 outside
    blur: Tensor  # (S, S) means of 11 neighbours, the outermost pixel repeated outside

    def __init__(self, size: int) -> None:
        super().__init__()
        places = (2 * torch.arange(size) + 1) / size - 1
        grid = torch.stack(torch.meshgrid(places, places, indexing="xy"), 2)[None]
        self.register_buffer("grid", grid, persistent=False)
        self.register_buffer("smooth", box_means(size, 2, repeat=False), persistent=False)
        self.register_buffer("blur", box_means(size, 5, repeat=True), persistent=False)

    def forward(self, image: Tensor, made: Tensor) -> Generated:
        """Images (N, 3, S, S) and the last layer (N, 6, S, S) -> neutral face, flow and mask."""
        image, made = image.contiguous(), made.contiguous()  # many times faster than channels-last for few channels
        flow = self.smooth @ (0.25 * torch.tanh(made[:, :2])) @ self.smooth.T  # (N, 2, S, S)
        mask = torch.sigmoid(made[:, 2:3] - 1)  # (N, 1, S, S)
        places = self.grid + flow.permute(0, 2, 3, 1).to(image)  # (N, S, S, 2)
        mode = "bilinear" if self.training else "bicubic"
        moved = F.grid_sample(image, places, mode=mode, padding_mode="border", align_corners=False)
        blurred = self.blur @ moved @ self.blur.T  # (N, 3, S, S)
        painted = blurred + 2 * torch.tanh(made[:, 3:])  # (N, 3, S, S)
        return Generated(((1 - mask) * moved + mask * painted).clamp(-1, 1), flow, mask)


def adversarial_loss(logits: Tensor, real: bool) -> Tensor:
    """-log D or -log(1 - D), averaged over patches: the two halves of L_D, and with real=True L_G's first term."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


def change_weights(pairs: Batch, extra: float) -> Tensor:
    """The weight of each pixel of a pair, (N, 1, S, S): 1 + extra * (5x5 mean of |x - n|) / 0.2, of the clean image."""
    change = (pairs.clean - pairs.neutral).abs().mean(1, keepdim=True)  # (N, 1, S, S)
    return 1 + extra * F.avg_pool2d(change, 5, stride=1, padding=2) / 0.2


def changed_l1(generated: Tensor, pairs: Batch, extra: float) -> Tensor:
    """|n - G(x)|_1 averaged with `change_weights`; the plain mean for an extra weight of 0."""
    weight = change_weights(pairs, extra)
    return (weight * (generated.float() - pairs.neutral).abs()).mean() / weight.mean()


def edge_l1(generated: Tensor, pairs: Batch, extra: float) -> Tensor:
    """L1 of the differences of neighbouring pixels, across and down, averaged with `change_weights`."""
    weight = change_weights(pairs, extra)
    wrong = generated.float() - pairs.neutral  # (N, 3, S, S)
    across = (weight[..., 1:] * wrong.diff(dim=3).abs()).mean()
    down = (weight[..., 1:, :] * wrong.diff(dim=2).abs()).mean()
    return (across + down) / weight.mean()


def flow_loss(flow: Tensor, pairs: Batch) -> Tensor:
    """|f(q) - (p - q)|_1 over the landmarks q of the neutral faces that were at p in the images; 0 if none is known.

    In halves of the side, as the flow (N, 2, S, S): the known motion of the mesh says where pixels come from.
    """
    half = flow.shape[3] / 2
    known = (pairs.landmarks.isfinite() & pairs.neutral_landmarks.isfinite()).all(2)  # (N, P)
    wanted = torch.where(known[..., None], (pairs.landmarks - pairs.neutral_landmarks) / half, 0.0)  # (N, P, 2)
    places = torch.where(known[..., None], (pairs.neutral_landmarks + 0.5) / half - 1, 0.0)
    found = F.grid_sample(flow.float(), places[:, None], align_corners=False)[:, :, 0]  # (N, 2, P)
    wrong = (found.transpose(1, 2) - wanted).abs().mean(2)  # (N, P)
    return (wrong * known).sum() / known.sum().clamp(min=1)


def roughness(flow: Tensor) -> Tensor:
    """Mean absolute difference of the flow (N, 2, S, S) between neighbouring pixels, in pixels."""
    return (flow.diff(dim=2).abs().mean() + flow.diff(dim=3).abs().mean()) * flow.shape[3] / 2


def removal_loss(made: Generated, pairs: Batch, extra: float) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of generated faces against true neutral faces of pairs, and logs: its L1 and the L1 of copying the
    image.

    For WarpAndPaint it also includes the L1 of edges, the flow's distance from the motion of the face mesh, the flow's
    roughness and the size of the mask. The weights of these terms are our choice (`docs/methods/deadpan.md`).
    """
    l1 = changed_l1(made.neutral, pairs, extra)
    logs = {"l1": l1.detach(), "copy_l1": changed_l1(pairs.clean, pairs, extra)}
    if made.flow is None or made.mask is None:
        return l1, logs
    moved = flow_loss(made.flow, pairs)
    rough, painted = roughness(made.flow.float()), made.mask.float().mean()
    loss = l1 + 0.7 * edge_l1(made.neutral, pairs, extra) + 2.0 * moved + 0.02 * rough + 0.002 * painted
    return loss, {**logs, "flow": moved.detach(), "painted": painted.detach()}


def classification_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy with a label distribution, (N, K) each, in full precision."""
    return F.cross_entropy(logits.float(), target)


def accuracy(logits: Tensor, target: Tensor) -> Tensor:
    """Share of rows whose largest logit is the target's largest share, (N, K) each -> ()."""
    return (logits.argmax(1) == target.argmax(1)).float().mean()
