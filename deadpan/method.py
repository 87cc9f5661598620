"""The interface of every method: its input (Batch), its output (Prediction) and its training (Stage)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from deadpan.expressions import check_expressions


@dataclass(frozen=True)
class Batch:
    """N aligned faces with everything that training may use.

    Pixels are float in [-1, 1]; landmarks are (x, y) in pixels of the crop.
    """

    image: Tensor  # (N, C, H, W)
    clean: Tensor  # (N, C, H, W) the image before noise, blocks and erasing: what the losses of generators weigh
    neutral: Tensor  # (N, C, H, W) the same person's neutral face; the image itself where not paired
    paired: Tensor  # (N,) bool: the data really holds this person's neutral face
    target: Tensor  # (N, K) label distribution: one-hot, or the annotators' votes
    subject: Tensor  # (N,) int64 training-subject index, -1 unknown
    landmarks: Tensor  # (N, 468, 2) the face mesh, NaN where unknown
    neutral_landmarks: Tensor  # (N, 468, 2) of the neutral face, NaN where unknown

    def __len__(self) -> int:
        return len(self.image)

    def to(self, device: torch.device | str) -> Batch:
        """Move every tensor to `device`."""
        return Batch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def __getitem__(self, rows: Tensor | slice) -> Batch:
        """The given rows (indices, a bool mask or a slice) of every tensor."""
        return Batch(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


class Prediction(NamedTuple):
    """The output of every method; a tuple, so that torch.export and ONNX accept it."""

    logits: Tensor  # (N, K)
    neutral: Tensor  # (N, C, H, W) the generated neutral face; the image itself where the method makes none


@dataclass(frozen=True)
class Shown:
    """An additional output of a method for N faces, for panels and reports; `kind` says what `value` holds.

    votes: (N, K) probabilities of the expressions. amounts: (N, K) numbers >= 0, one per expression. level: (N,) a
    number >= 0. picture: (N, 3, S, S) in [-1, 1]. shifts: (N, P, 2, 2) points in pixels of the crop, from [:, :, 0] to
    [:, :, 1].
    """

    kind: Literal["votes", "amounts", "level", "picture", "shifts"]
    value: Tensor


def constant(progress: float) -> float:
    """A schedule that keeps the learning rate unchanged; `progress` is in [0, 1]."""
    return 1.0


@dataclass(frozen=True)
class Stage:
    """One phase of a paper's training.

    `step` runs its own optimiser steps on a batch and returns 0-dimensional tensors to log. The loop saves and resumes
    `optimizers`, and a running average of each child module named in `averaged`. The average replaces the child's
    weights when the stage ends.
    """

    name: str
    epochs: int
    step: Callable[[Batch], dict[str, Tensor]]
    optimizers: Mapping[str, Optimizer]
    schedule: Callable[[float], float] = constant  # progress in [0, 1] -> factor on every learning rate
    averaged: tuple[str, ...] = ()
    rows: Literal["all", "paired"] = "all"  # "paired": only pictures whose neutral face is known
    begin: Callable[[], None] | None = None  # called once, before the stage's first step


class Method(nn.Module):
    """A network with its losses, optimisers and steps; each paper implements it in one file of `methods/`."""

    Config: ClassVar[type[Any]]  # frozen dataclass in the same file; its defaults are the paper's
    generates: bool = True  # False: makes no neutral face, Prediction.neutral is the image
    compares: bool = False  # True: `compare` recognises against a neutral face that is given
    config: Any
    expressions: tuple[str, ...]

    def __init__(self, config: Any, expressions: tuple[str, ...]) -> None:
        super().__init__()
        self.config = config
        self.expressions = check_expressions(expressions)
        self.backward: Callable[[Tensor], None] = torch.Tensor.backward  # the loop puts its engine's here

    def descend(self, optimizer: Optimizer, loss: Tensor) -> None:
        """One step of `optimizer` down `loss`."""
        optimizer.zero_grad()
        self.backward(loss)
        optimizer.step()

    def stages(self) -> list[Stage]:
        """The phases of training in order; called once, since it creates the optimisers."""
        raise NotImplementedError

    def forward(self, image: Tensor) -> Prediction:
        """Predict from images (N, 3, H, W) in [-1, 1]; this is the exported and released network."""
        raise NotImplementedError

    def compare(self, image: Tensor, neutral: Tensor) -> Prediction:
        """Predict from images (N, 3, H, W) and given neutral faces of the same people, instead of generated ones."""
        raise NotImplementedError(f"{type(self).__name__} has no place for a given neutral face")

    def show(self, image: Tensor, neutral: Tensor) -> dict[str, Shown]:
        """Additional outputs for images (N, 3, H, W) by caption, for panels and reports.

        `neutral` is the neutral face of the Prediction: generated, or given to `compare`.
        """
        return {}

    def predict(self, batch: Batch) -> Prediction:
        """Predict for evaluation: `forward` on the image, except for methods that may use the true neutral face."""
        prediction: Prediction = self(batch.image)
        return prediction
