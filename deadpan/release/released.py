"""What ships of a method: its answer averaged over the mirrored face, and how its generated change is scaled."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deadpan.method import Method, Prediction
from deadpan.settings import NOT_NEGATIVE, Range, SettingError

STRENGTH = Range(0, 1, above=True)


class DeadZone(nn.Module):
    """Leaves out of a generated change what is too small to be an expression.

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
        if not self.width:
            return change
        reach = max(1, change.shape[3] // 16)
        size = change.abs().mean(1, keepdim=True)  # (N, 1, S, S)
        around = F.avg_pool2d(size, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False)
        return change * (around / self.width - 1).clamp(0, 1)


class Released(nn.Module):
    """What ships of a method: with `flip`, the mean of what it makes of the face and of its mirror image.

    `strength` is the share of the way from the image to the generated neutral face that is gone, except in regions
    that change by less than `dead_zone` (DeadZone). `leave_neutral` takes the answer at its word: the change is
    multiplied by max(0, 1 - leave_neutral * p(neutral)), so that a face called neutral stays as it is.
    """

    offsets: Tensor  # (K,) added to the log-probabilities

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

    def forward(self, image: Tensor, rest: Tensor | None = None, given: Tensor | None = None) -> Prediction:
        """(N, 3, S, S) -> log-probabilities (N, K) up to a constant, and the neutral face.

        Of a method that compares, `rest` (N, 3, S, S) takes the generated face's place where `given` (N,) is 1, not 0.
        """
        logits, neutral = self.answer(image, rest, given)
        mean = logits.softmax(1)
        if self.flip:
            mirrored = self.answer(image.flip(3), None if rest is None else rest.flip(3), given)
            mean = (mean + mirrored.logits.softmax(1)) / 2
            neutral = (neutral + mirrored.neutral.flip(3)) / 2
        logits = mean.clamp(min=1e-9).log() + self.offsets
        if self.strength != 1 or self.dead_zone.width or self.leave_neutral:
            change = self.dead_zone(self.strength * (neutral - image))  # (N, 3, S, S)
            if self.leave_neutral:
                called = logits.softmax(1)[:, self.method.expressions.index("neutral")]  # (N,)
                change = change * (1 - self.leave_neutral * called).clamp(min=0).view(-1, 1, 1, 1)
            kept = image + change
            neutral = kept if given is None else torch.where(given.view(-1, 1, 1, 1) > 0.5, neutral, kept)
        return Prediction(logits, neutral)

    def answer(self, image: Tensor, rest: Tensor | None, given: Tensor | None) -> Prediction:
        """The method's own answer, with the rest face where it is given."""
        alone: Prediction = self.method(image)
        if rest is None or given is None:
            return alone
        return self.method.compare(image, torch.where(given.view(-1, 1, 1, 1) > 0.5, rest, alone.neutral))


class Graph(nn.Module):
    """A released method as its ONNX file holds it: the prediction, then all that the method can show."""

    def __init__(self, released: Released) -> None:
        super().__init__()
        self.released = released

    def forward(self, image: Tensor, rest: Tensor | None = None, given: Tensor | None = None) -> tuple[Tensor, ...]:
        """As Released, with the values of `Method.show` after logits and neutral face."""
        prediction = self.released(image, rest, given)
        shown = self.released.method.show(image, self.released.answer(image, rest, given).neutral)
        return (*prediction, *(each.value for each in shown.values()))
