"""The released form of a method: predictions averaged over the mirror image, and a scaled generated change."""

from __future__ import annotations

from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deadpan.method import Method, Prediction
from deadpan.settings import NOT_NEGATIVE, Range, SettingError

STRENGTH = Range(0, 1, above=True)

Inputs: TypeAlias = tuple[Tensor, Tensor | None, Tensor | None]
"""Images (N, 3, S, S), rest faces (N, 3, S, S) and where these are given (N,), the last two only for some methods."""


class DeadZone(nn.Module):
    """Zeroes the generated change where it is too small to be an expression.

    A generator trained with an L1 loss changes every pixel a little. The change is averaged over neighbourhoods whose
    side is an eighth of the picture's. Where this mean is below `width` (in units of pixels in [-1, 1]) the change is
    set to zero; where it is at least twice `width` the change is kept; between the two it is scaled. A width of 0 keeps
    every change. Raises ValueError unless 0 <= width < 1.
    """

    def __init__(self, width: float) -> None:
        super().__init__()
        if not 0 <= width < 1:
            raise ValueError(f"dead_zone must be at least 0 and below 1; got {width}")
        self.width = width

    def forward(self, change: Tensor) -> Tensor:
        """Scale a change (N, 3, S, S) down to zero where its mean is small."""
        if not self.width:
            return change
        reach = max(1, change.shape[3] // 16)
        size = change.abs().mean(1, keepdim=True)  # (N, 1, S, S)
        around = F.avg_pool2d(size, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False)
        return change * (around / self.width - 1).clamp(0, 1)


class Released(nn.Module):
    """The released form of a method; with `flip`, it averages the predictions for the face and its mirror image.

    The method reads both in one batch, because a network's weights are then fetched once for the two.
    `strength` scales the generated change (0 < strength <= 1), and `dead_zone` zeroes it where it is small (DeadZone).
    `leave_neutral` reduces the change if the model itself predicts neutral: it is multiplied by
    max(0, 1 - leave_neutral * p(neutral)). Raises SettingError or ValueError for values out of range.
    """

    offsets: Tensor  # (K,) added to the log-probabilities
    temperature: Tensor  # () by which the log-probabilities are divided first

    def __init__(
        self,
        method: Method,
        *,
        flip: bool,
        strength: float = 1.0,
        dead_zone: float = 0.0,
        leave_neutral: float = 0.0,
    ) -> None:
        super().__init__()
        for name, value, allowed in (("strength", strength, STRENGTH), ("leave_neutral", leave_neutral, NOT_NEGATIVE)):
            if value not in allowed:
                raise SettingError(f"{name} must be {allowed}; got {value}")
        if leave_neutral and "neutral" not in method.expressions:
            raise ValueError(f"leave_neutral needs neutral among the expressions: {', '.join(method.expressions)}")
        self.method, self.flip, self.strength, self.dead_zone = method, flip, strength, DeadZone(dead_zone)
        self.leave_neutral = leave_neutral
        self.register_buffer("offsets", torch.zeros(len(method.expressions)))
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, image: Tensor, rest: Tensor | None = None, given: Tensor | None = None) -> Prediction:
        """Predict log-probabilities (N, K), up to a constant, and the neutral face from images (N, 3, S, S).

        A method that compares uses `rest` (N, 3, S, S) instead of the generated face where `given` (N,) is 1, not 0.
        """
        logits, neutral = self.answer(*self.seen(image, rest, given))
        mean = logits.softmax(1)
        if self.flip:
            count = image.shape[0]  # len() would fix it in the exported graph
            mean = (mean[:count] + mean[count:]) / 2  # (N, K)
            neutral = (neutral[:count] + neutral[count:].flip(3)) / 2  # (N, 3, S, S)
        logits = mean.clamp(min=1e-9).log() / self.temperature + self.offsets
        if self.strength != 1 or self.dead_zone.width or self.leave_neutral:
            change = self.dead_zone(self.strength * (neutral - image))  # (N, 3, S, S)
            if self.leave_neutral:
                called = logits.softmax(1)[:, self.method.expressions.index("neutral")]  # (N,)
                change = change * (1 - self.leave_neutral * called).clamp(min=0).view(-1, 1, 1, 1)
            kept = image + change
            neutral = kept if given is None else torch.where(given.view(-1, 1, 1, 1) > 0.5, neutral, kept)
        return Prediction(logits, neutral)

    def seen(self, image: Tensor, rest: Tensor | None, given: Tensor | None) -> Inputs:
        """What the method sees: with `flip`, the mirror images follow the N images, (2 N, ...)."""
        if not self.flip:
            return image, rest, given
        rests = None if rest is None else torch.cat([rest, rest.flip(3)])
        return torch.cat([image, image.flip(3)]), rests, None if given is None else torch.cat([given, given])

    def answer(self, image: Tensor, rest: Tensor | None, given: Tensor | None) -> Prediction:
        """The prediction of the method itself, with the rest face where it is given."""
        alone: Prediction = self.method(image)
        if rest is None or given is None:
            return alone
        return self.method.compare(image, torch.where(given.view(-1, 1, 1, 1) > 0.5, rest, alone.neutral))


class Graph(nn.Module):
    """A released method as its ONNX file stores it: the outputs are the prediction and then all explanations."""

    def __init__(self, released: Released) -> None:
        super().__init__()
        self.released = released

    def forward(self, image: Tensor, rest: Tensor | None = None, given: Tensor | None = None) -> tuple[Tensor, ...]:
        """The outputs of Released, followed by the values of `Method.show`."""
        prediction = self.released(image, rest, given)
        # The same steps as in `released`, on the same rows, so that the graph contains them once.
        seen = self.released.seen(image, rest, given)
        shown = self.released.method.show(seen[0], self.released.answer(*seen).neutral)
        return (*prediction, *(each.value[: image.shape[0]] for each in shown.values()))  # not of the mirror images
