"""Factors on the learning rate over a stage: progress in [0, 1] -> factor."""

from __future__ import annotations

import math


def constant_then_linear(progress: float) -> float:
    """As it was set for the first half, then falling to 0 along a line (pix2pix)."""
    return min(1.0, 2 - 2 * progress)


def cosine(progress: float) -> float:
    """The learning rate falling from 1 to 0 times what was set, along half a cosine."""
    return 0.5 + 0.5 * math.cos(math.pi * progress)


def one_cycle(progress: float) -> float:
    """Up from 0.04 to 1 over the first 30 % of the stage, then down to 0, along cosines (Smith & Topin 2019)."""
    if progress < 0.3:
        return 0.04 + 0.96 * (0.5 - 0.5 * math.cos(math.pi * progress / 0.3))
    return cosine((progress - 0.3) / 0.7)
