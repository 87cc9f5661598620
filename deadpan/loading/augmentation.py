"""Random augmentation of aligned faces in training; a picture, its neutral face and their landmarks share one geometry.

Effects of camera and light (brightness, contrast, gamma, shade, grey, blur, low resolution) are applied to the picture
and its neutral face alike. A generator trained on blurred faces with sharp neutral ones would learn to sharpen. Noise,
blocks and erasing are applied to the picture only, so that the generator learns to remove them. The picture without
them is kept too, so that a loss can measure what the expression changed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deadpan.faces.landmarks import mirrored
from deadpan.pixels import LUMA
from deadpan.settings import SHARE, Range, SettingError, check_ranges

SHARPENED = 7
"""Index of the blur whose lost detail an unsharp mask adds, 0.7 pixels at 64: less would add what is not there."""

NOISE_BANK = 1 << 20  # normal numbers that all noise is cut from


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the random changes; 0 switches a change off. Defaults are our choice unless a source is named."""

    flip: float = 0.5
    "Probability of a mirror image."
    rotation: float = 10.0
    "Degrees to either side, uniform (DeRL: our reading of its preprocessing)."
    scale: float = 0.08
    "Relative change of size, uniform, to either side."
    stretch: float = 0.05
    "Relative change of width against height, and shear, uniform, to either side."
    shift: float = 1.0
    "Random shift as a fraction of the margin, 3 of 64 pixels to each side (DeRL: random 64 x 64 crop)."
    brightness: float = 0.2
    "Added to pixels in [-1, 1], uniform, to either side."
    contrast: float = 0.25
    "Relative change of contrast, uniform in its logarithm."
    gamma: float = 0.25
    "Bend of the grey scale with black and white fixed; 0.25 is about a gamma between 0.7 and 1.5."
    shade: float = 0.2
    "Largest brightness added at the picture's edge by light that falls off across the face."
    grey: float = 0.3
    "Probability that a colour picture loses its colour."
    blur: float = 0.15
    "Probability of a blur of 0.4 to 1.4 pixels standard deviation at 64 pixels; excludes a lower resolution."
    resolution: float = 0.25
    "Probability of a lower resolution, 40 to 90 % of the pixels of a side (a FER2013 face has 75 %)."
    sharpen: float = 0.0
    "Probability of an unsharp mask, which adds up to twice what a blur of 0.7 pixels at 64 removes; excludes both."
    noise: float = 0.06
    "Largest standard deviation of noise; half of the pictures get noise."
    blocks: float = 0.15
    "Probability of the blocks of strong JPEG compression."
    erase: float = 0.25
    "Probability that a rectangle of 2 to 15 % of the picture is covered."

    def __post_init__(self) -> None:
        check_ranges(
            self, **{field.name: Range(0, 90) if field.name == "rotation" else SHARE for field in fields(self)}
        )
        if self.blur + self.resolution + self.sharpen > 1:
            given = f"got {self.blur}, {self.resolution} and {self.sharpen}"
            raise SettingError(f"blur, resolution and sharpen exclude each other: their sum is at most 1; {given}")


class Augmented(NamedTuple):
    """N augmented faces: pixels (N, 3, S, S) in [-1, 1], landmarks (N, P, 2) in pixels of the result."""

    image: Tensor
    clean: Tensor  # the image without noise, blocks and erasing
    neutral: Tensor
    landmarks: Tensor
    neutral_landmarks: Tensor


def no_augmentation() -> Augmentation:
    """Every change switched off; `augment` then returns the centre crop."""
    return Augmentation(**{field.name: 0.0 for field in fields(Augmentation)})


def centre_crop(pixels: Tensor, size: int) -> Tensor:
    """(N, M, M, C) uint8 faces with margin -> their centre (N, C, S, S), float in [-1, 1]."""
    start = (pixels.shape[1] - size) // 2
    middle = pixels[:, start : start + size, start : start + size].permute(0, 3, 1, 2)  # (N, C, S, S)
    return middle.to(torch.float32, memory_format=torch.contiguous_format).div_(127.5).sub_(1.0)


def augment(
    image: Tensor,
    neutral: Tensor | None,
    landmarks: Tensor,
    neutral_landmarks: Tensor,
    size: int,
    generator: torch.Generator,
    settings: Augmentation,
    grey: Tensor | None = None,
    paired: Tensor | None = None,
) -> Augmented:
    """Augment faces with margin, (N, M, M, C) uint8 with C = 1 or 3, to (N, 3, S, S) float in [-1, 1].

    Landmarks are (N, 468, 2) in pixels of the faces with margin; the results are in pixels of the augmented faces, of
    `size` S. Where `neutral` is None or `paired` (N,) is False, the resulting neutral face is the picture itself.
    `grey` (N,) marks pictures with three equal channels, which saves time. All random numbers come from `generator`,
    which lives on the CPU, so every device produces the same pictures.
    """
    count, margin, _, channels = image.shape
    # Every picture consumes the same count of random numbers, so switching one change off does not alter the others.
    draw = torch.rand(count, 32, generator=generator).to(image.device)
    matrix, shift = _geometry(draw[:, :8], margin - size, settings)
    results = [torch.empty(count, 3, size, size, device=image.device) for _ in range(3)]
    plain = torch.full_like(draw[:, 0], channels == 1, dtype=torch.bool) if grey is None else grey
    plain = plain | (draw[:, 8] < settings.grey)
    paired = torch.full_like(plain, neutral is not None) if paired is None or neutral is None else paired
    for colours, sources in ((1, [image]), (1, [image, neutral]), (3, [image]), (3, [image, neutral])):
        rows = ((plain == (colours == 1)) & (paired == (len(sources) == 2))).nonzero().squeeze(1)
        if not len(rows):
            continue
        pictures = _planes([source for source in sources if source is not None], rows, colours)  # (n, 1 or 2, C, M, M)
        field = _resampled(pictures.flatten(1, 2), matrix[rows], shift[rows], size)  # (n, 2C, S, S)
        _photometry(field, draw[rows, 9:15], settings)
        _soften(field, draw[rows, 15:17], settings)
        faces = field.view(len(rows), len(sources), colours, size, size)  # (n, 1 or 2, C, S, S)
        degraded = _degraded(faces[:, 0], draw[rows, 17:32], settings)
        neutral_face = degraded if len(sources) == 1 else faces[:, 1]
        for result, made in zip(results, (degraded, faces[:, 0], neutral_face), strict=True):
            made.clamp_(-1, 1)
            for channel in range(3):  # three times as fast as copying an expanded grey channel
                result.select(1, channel).index_copy_(0, rows, made.select(1, channel % colours))
    moved = [_moved(points, matrix, shift, margin, size) for points in (landmarks, neutral_landmarks)]
    return Augmented(*results, *moved)


def _planes(sources: list[Tensor], rows: Tensor, colours: int) -> Tensor:
    """Rows of (N, M, M, C) uint8 pictures and neutral faces as (n, 1 or 2, C, M, M) float in 0..255, C = 1 or 3."""
    planes = torch.empty(len(rows), len(sources), colours, *sources[0].shape[1:3], device=rows.device)
    for place, source in enumerate(sources):
        chosen = source.index_select(0, rows)  # copies whole pictures: four times as fast as source[rows]
        if colours < source.shape[3]:
            planes[:, place, 0] = chosen.float() @ torch.tensor(LUMA, device=rows.device)
        else:
            planes[:, place] = chosen.permute(0, 3, 1, 2)
    return planes


def _symmetric(uniform: Tensor, strength: float) -> Tensor:
    """Uniform numbers in [0, 1] -> uniform numbers in [-strength, strength]."""
    return (2 * uniform - 1) * strength


def _geometry(draw: Tensor, slack: int, settings: Augmentation) -> tuple[Tensor, Tensor]:
    """Matrices (N, 2, 2) and shifts (N, 2) from pixels of the result to pixels of the picture, about the centres."""
    angle = _symmetric(draw[:, 0], math.radians(settings.rotation))
    scale = torch.exp(_symmetric(draw[:, 1], settings.scale))
    stretch = torch.exp(_symmetric(draw[:, 2], settings.stretch))
    shear = _symmetric(draw[:, 3], settings.stretch)
    mirror = torch.where(draw[:, 4] < settings.flip, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    # rotation @ [[stretch, shear], [0, 1 / stretch]] @ mirror
    rows = [cos * stretch * mirror, cos * shear - sin / stretch, sin * stretch * mirror, sin * shear + cos / stretch]
    matrix = torch.stack(rows, dim=1).view(-1, 2, 2)
    shift = _symmetric(draw[:, 5:7], settings.shift * slack / 2)
    if settings.shift == 0 and slack % 2:
        shift = shift - 0.5  # the centre crop of an odd margin lies half a pixel to the upper left
    return matrix, shift


def _resampled(planes: Tensor, matrix: Tensor, shift: Tensor, size: int) -> Tensor:
    """(N, C, M, M) in 0..255 -> (N, C, S, S) in [-1, 1]; the only resampling between file and network.

    One grid serves a picture and its neutral face. It is computed here because affine_grid takes 40 us per picture,
    four times as long. All of `augment` takes 95 us for a grey pair of 64 pixels and 215 us for a colour pair (one
    thread, beside other work); kornia's AugmentationSequential took 269 and 496 us under the same load, for warp and
    light alone.
    """
    margin = planes.shape[3]
    places = (2 * torch.arange(size, device=planes.device) + 1) / size - 1  # pixel centres, -1..1
    scaled = places[:, None] * matrix.transpose(1, 2).unsqueeze(2) * (size / margin)  # (N, 2, S, 2)
    scaled[:, 1] += shift[:, None] * (2 / margin)
    across, down = torch.view_as_complex(scaled.contiguous()).unbind(1)  # (N, S) points x + iy: halves the time
    grid = torch.view_as_real(across[:, None, :] + down[:, :, None])  # (N, S, S, 2)
    field = F.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return field.mul_(1 / 127.5).sub_(1)


def _moved(points: Tensor, matrix: Tensor, shift: Tensor, margin: int, size: int) -> Tensor:
    """Landmarks (N, 468, 2) in pixels of the result; left and right are exchanged where the picture is mirrored."""
    (a, b), (c, d) = (row.unbind(1) for row in matrix.unbind(1))
    determinant = a * d - b * c  # (N,) negative where the picture is mirrored
    order = torch.from_numpy(mirrored()).to(points.device)
    points = torch.where(determinant[:, None, None] < 0, points[:, order], points)
    offset = points - (margin - 1) / 2 - shift[:, None]
    inverse = torch.stack([d, -c, -b, a], dim=1).view(-1, 2, 2) / determinant[:, None, None]  # transposed
    return offset @ inverse + (size - 1) / 2


def _photometry(field: Tensor, draw: Tensor, settings: Augmentation) -> None:
    """Change gamma, contrast, brightness and shade of (N, C, S, S), in place."""
    bend, contrast, brightness = (
        _symmetric(draw[:, column], strength)[:, None, None, None]
        for column, strength in enumerate((settings.gamma, math.log1p(settings.contrast), settings.brightness))
    )
    contrast = contrast.exp()
    # x + b (1 - x^2) keeps -1 and 1 fixed as a gamma curve does, and takes a tenth of the time of pow().
    # With contrast and brightness this is -cb x^2 + c x + (cb + brightness), in two passes over the pixels.
    slope = (-contrast * bend * field).add_(contrast)
    field.mul_(slope).add_(contrast * bend + brightness)
    if settings.shade:
        ramp = torch.linspace(-1, 1, field.shape[3], device=field.device)
        angle, strength = 2 * math.pi * draw[:, 3], settings.shade * draw[:, 4]
        across = (torch.cos(angle) * strength)[:, None] * ramp  # (N, S)
        down = (torch.sin(angle) * strength)[:, None] * ramp  # (N, S)
        field.add_((across[:, None, :] + down[:, :, None]).unsqueeze(1))


def _soften(field: Tensor, draw: Tensor, settings: Augmentation) -> None:
    """Lower the resolution of some of the pictures (N, C, S, S), blur others, sharpen others, in place."""
    coarse, blurred = settings.resolution, settings.resolution + settings.blur
    rows = (draw[:, 0] < blurred).nonzero().squeeze(1)
    bank = _softeners(field.shape[3], field.device)
    half = len(bank) // 2
    if len(rows):
        index = (draw[rows, 1] * half).long() + torch.where(draw[rows, 0] < coarse, 0, half)
        field.index_copy_(0, rows, _mapped(field.index_select(0, rows), bank.index_select(0, index)))
    rows = ((draw[:, 0] >= blurred) & (draw[:, 0] < blurred + settings.sharpen)).nonzero().squeeze(1)
    if len(rows):
        chosen = field.index_select(0, rows)
        kernel = bank[half + SHARPENED].expand(len(rows), -1, -1)
        detail = chosen - _mapped(chosen, kernel)
        field.index_copy_(0, rows, chosen + 2 * draw[rows, 1].view(-1, 1, 1, 1) * detail)


def _mapped(pictures: Tensor, maps: Tensor) -> Tensor:
    """Pictures (N, C, S, S) whose lines, across and down, went through linear maps (N, S, S).

    Two matrix products take 30 us per grey pair, pooling and interpolation 120 us.
    """
    across = torch.bmm(pictures.flatten(1, 2), maps.transpose(1, 2)).view_as(pictures)
    return maps.unsqueeze(1) @ across


@lru_cache(maxsize=8)
def _softeners(size: int, device: torch.device) -> Tensor:
    """(2 * 24, S, S) linear maps of a line of pixels: to 40 .. 90 % of the resolution and back, then blurs."""
    impulses = torch.eye(size).unsqueeze(1)  # (S, 1, S)
    maps = []
    for fraction in np.linspace(0.4, 0.9, 24):
        small = F.adaptive_avg_pool1d(impulses, max(1, round(size * fraction)))
        maps.append(F.interpolate(small, size, mode="linear").squeeze(1).T)
    places = torch.arange(size)
    for deviation in np.linspace(0.4, 1.4, 24) * (size / 64):
        weights = torch.exp(-((places[:, None] - places) ** 2) / (2 * deviation**2))
        maps.append(weights / weights.sum(1, keepdim=True))
    return torch.stack(maps).to(device)


def _degraded(image: Tensor, draw: Tensor, settings: Augmentation) -> Tensor:
    """Add noise, JPEG blocks and erased rectangles to some of the pictures (N, C, S, S)."""
    strength = settings.noise * (2 * draw[:, 0] - 1).clamp(min=0)[:, None, None, None]
    image = torch.addcmul(image, _noise(draw[:, 1], image.shape[3]), strength)
    rows = (draw[:, 2] < settings.blocks).nonzero().squeeze(1)
    if len(rows):
        image.index_copy_(0, rows, _blocky(image.index_select(0, rows), 0.03 + 0.12 * draw[rows, 3]))
    rows = (draw[:, 4] < settings.erase).nonzero().squeeze(1)
    if len(rows):
        image.index_copy_(0, rows, _erased(image.index_select(0, rows), draw[rows, 5:10]))
    return image


def _noise(uniform: Tensor, size: int) -> Tensor:
    """(N, 1, S, S) of normal noise, cut from a fixed million numbers: a twentieth of the time of sampling it."""
    bank = _noise_bank(uniform.device)
    starts = (uniform * (NOISE_BANK - size * size)).long()
    return bank.unfold(0, size * size, 1).index_select(0, starts).view(-1, 1, size, size)


@lru_cache(maxsize=4)
def _noise_bank(device: torch.device) -> Tensor:
    """The fixed normal numbers that `_noise` cuts from."""
    numbers = np.random.default_rng(0).standard_normal(NOISE_BANK, dtype=np.float32)
    return torch.from_numpy(numbers).to(device)


def _blocky(image: Tensor, step: Tensor) -> Tensor:
    """(N, C, S, S) with the cosine coefficients of 8 x 8 blocks rounded to multiples of step * (1 + frequency)."""
    size = image.shape[3]
    short = -size % 8
    padded = F.pad(image, (0, short, 0, short), mode="replicate") if short else image
    transform = _cosines(size + short, image.device)
    order = torch.arange(size + short, device=image.device) % 8
    quantum = step[:, None, None, None] * (1 + order[:, None] + order)  # (N, 1, S, S)
    rounded = (transform @ padded @ transform.T).div_(quantum).round_().mul_(quantum)
    return (transform.T @ rounded @ transform)[:, :, :size, :size]


@lru_cache(maxsize=8)
def _cosines(size: int, device: torch.device) -> Tensor:
    """(S, S): JPEG's orthonormal cosine transform of every 8 pixels of a line."""
    frequencies = np.arange(8)[:, None]
    matrix = np.cos(np.pi / 8 * frequencies * (np.arange(8) + 0.5)) * np.where(frequencies == 0, math.sqrt(1 / 8), 0.5)
    return torch.from_numpy(np.kron(np.eye(size // 8), matrix).astype(np.float32)).to(device)


def _erased(image: Tensor, draw: Tensor) -> Tensor:
    """(N, C, S, S) with one grey rectangle of 2 to 15 % of the area and an aspect ratio of up to 2."""
    size = image.shape[3]
    area, ratio = 0.02 + 0.13 * draw[:, 0], torch.exp(_symmetric(draw[:, 1], math.log(2)) / 2)
    sides = torch.stack([area.sqrt() * ratio, area.sqrt() / ratio], dim=1) * size  # (N, 2) width, height
    start = draw[:, 2:4] * (size - sides)
    places = torch.arange(size, device=image.device) + 0.5
    inside = (places > start[..., None]) & (places < (start + sides)[..., None])  # (N, 2, S)
    covered = inside[:, None, 0, None, :] & inside[:, None, 1, :, None]  # (N, 1, S, S)
    return torch.where(covered, _symmetric(draw[:, 4], 1.0)[:, None, None, None], image)
