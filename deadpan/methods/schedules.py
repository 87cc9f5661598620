"""Factors on the learning rate over a stage: progress in [0, 1] -> factor."""

from __future__ import annotations

import math


def constant_then_linear(progress: float) -> float:
    """Constant for the first half, then linear to 0 (pix2pix)."""
    return min(1.0, 2 - 2 * progress)


def cosine(progress: float) -> float:
    """From 1 to 0 along half a cosine."""
    return 0.5 + 0.5 * math.cos(math.pi * progress)


def one_cycle(progress: float) -> float:
    """Up from 0.04 to 1 over the first 30 % of the stage, then down to 0, along cosines (Smith & Topin 2019)."""
    if progress < 0.3:
        return 0.04 + 0.96 * (0.5 - 0.5 * math.cos(math.pi * progress / 0.3))
    return cosine((progress - 0.3) / 0.7)
