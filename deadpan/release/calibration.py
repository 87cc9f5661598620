"""Fits what a released model does to the log-probabilities: a temperature, and offsets of frequent expressions."""

from __future__ import annotations

import torch
from torch import Tensor

from deadpan.loading.batches import ordered
from deadpan.preparation.table import FaceTable
from deadpan.release.released import Released


def balanced_offsets(logits: Tensor, target: Tensor, least: int = 1000) -> Tensor:
    """Fit one logit offset per frequent expression by maximum likelihood with class-balanced weights: (K,).

    An expression is frequent if at least `least` pictures have a target (N, K) that is mostly that expression; the
    offsets of rare expressions are 0. The offsets are the bias of logit adjustment (Menon et al. 2021), fitted on
    pictures instead of computed from class counts. They move the decision boundaries, for example between neutral and
    happiness, to where they are in new photographs. Raises ValueError if fewer than two expressions are frequent.
    """
    truth = target.argmax(1)
    counts = torch.bincount(truth, minlength=logits.shape[1])
    frequent = counts >= least
    if frequent.sum() < 2:
        raise ValueError(f"calibration needs two expressions with {least} pictures each; got at most {counts.max()}")
    rows = frequent[truth]
    chosen, answer = logits[rows][:, frequent], truth[rows]
    weight = 1.0 / counts[frequent]
    index = torch.cumsum(frequent, 0) - 1  # index of each expression among the frequent ones
    offsets = torch.zeros(int(frequent.sum()), requires_grad=True)
    optimizer = torch.optim.LBFGS([offsets], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(chosen + offsets, index[answer], weight=weight)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    out = torch.zeros(logits.shape[1])
    out[frequent] = offsets.detach() - offsets.detach().mean()
    return out


def best_temperature(logits: Tensor, target: Tensor) -> float:
    """The temperature by which to divide logits (N, K), so that they predict the most likely expression of each target.

    It minimises the cross-entropy with the first choice of each target (N, K) (Guo et al. 2017). A model that learnt
    the votes of several people is less sure than its answers are right, because it also predicts how many of them
    disagree: its temperature is below 1.
    """
    truth = target.argmax(1)
    inverse = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([inverse], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(logits * inverse, truth)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return 1 / float(inverse.detach())


def calibrate(module: Released, table: FaceTable) -> None:
    """Fit the offsets of a model with `balanced_offsets`, on faces that were not used to train it."""
    module.offsets.copy_(balanced_offsets(*_answers(module, table)))


def fit_temperature(module: Released, table: FaceTable) -> None:
    """Fit the temperature of a model with `best_temperature`, on faces that were not used to train it."""
    module.temperature.fill_(best_temperature(*_answers(module, table)))


@torch.no_grad()
def _answers(module: Released, table: FaceTable) -> tuple[Tensor, Tensor]:
    """The logits of the table's faces and their targets, both (N, K)."""
    answers = [(module(batch.image).logits, batch.target) for batch in ordered(table, 256)]
    logits, target = (torch.cat(parts) for parts in zip(*answers, strict=True))
    return logits, target
