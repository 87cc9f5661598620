"""Running averages of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from deadpan.method import Stage


def average_towards(decay: float) -> Any:
    """The update function of an AveragedModel with `decay` per step; the decay is smaller in the first steps."""

    @torch.no_grad()
    def update(average: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        weight = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        for mean, value in zip(average, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value.to(mean.dtype), weight)
            else:
                mean.copy_(value)

    return update


def start_averages(
    stage: Stage, children: Mapping[str, nn.Module], decay: float, device: torch.device
) -> dict[str, AveragedModel]:
    """Start a running average, from the current weights, of each child that the stage names in `averaged`."""
    update = average_towards(decay)
    return {name: AveragedModel(children[name], device, None, update, use_buffers=True) for name in stage.averaged}


@contextmanager
def averaged(children: Mapping[str, nn.Module], averages: Mapping[str, AveragedModel]) -> Iterator[None]:
    """Replace the children's weights by the averaged ones inside the block."""
    own = {name: {k: v.clone() for k, v in children[name].state_dict().items()} for name in averages}
    for name, average in averages.items():
        children[name].load_state_dict(average.module.state_dict())
    try:
        yield
    finally:
        for name, state in own.items():
            children[name].load_state_dict(state)
