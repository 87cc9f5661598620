"""Small methods and random batches."""

from __future__ import annotations

import torch

from deadpan.expressions import EXPRESSIONS
from deadpan.faces.landmarks import POINTS
from deadpan.method import Batch, Method
from deadpan.training import checkpoint

SMALL = {"width": 0.125}


def small(name: str, **settings: object) -> Method:
    torch.manual_seed(0)
    return checkpoint.build(name, {**SMALL, **settings}, EXPRESSIONS)


def make_batch(size: int, count: int = 8, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    target = torch.eye(len(EXPRESSIONS))[torch.arange(count) % len(EXPRESSIONS)]
    paired = torch.arange(count) % 4 != 3
    image = torch.rand(count, 3, size, size, generator=generator) * 2 - 1
    neutral = torch.where(paired.view(-1, 1, 1, 1), image.flip(2), image)
    landmarks = torch.rand(count, POINTS, 2, generator=generator) * size
    subject = torch.arange(count) % 3
    return Batch(image, image, neutral, paired, target, subject, landmarks, landmarks + 1)
