"""Offsets of the logits that balance the frequent expressions."""

from __future__ import annotations

import torch
from torch import Tensor

from deadpan.loading.batches import ordered
from deadpan.preparation.table import FaceTable
from deadpan.release.released import Released


def balanced_offsets(logits: Tensor, target: Tensor, least: int = 1000) -> Tensor:
    """Offsets (K,) that make logits (N, K) most likely when each frequent expression counts alike; 0 for the others.

    An expression is frequent with `least` pictures or more whose target (N, K) is mostly that expression. It is the
    bias of logit adjustment (Menon et al. 2021) fitted on pictures instead of taken from class counts: it moves the
    border between, say, neutral and happiness to where new photographs have it. ValueError with fewer than two.
    """
    truth = target.argmax(1)
    counts = torch.bincount(truth, minlength=logits.shape[1])
    frequent = counts >= least
    if frequent.sum() < 2:
        raise ValueError(f"calibration needs two expressions with {least} pictures each; the most are {counts.max()}")
    rows = frequent[truth]
    chosen, answer = logits[rows][:, frequent], truth[rows]
    weight = 1.0 / counts[frequent]
    index = torch.cumsum(frequent, 0) - 1  # from all expressions to the frequent ones
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


def calibrate(module: Released, table: FaceTable) -> None:
    """Set the offsets of a model by `balanced_offsets` on a table of faces that it was not trained on."""
    with torch.no_grad():
        answers = [(module(batch.image).logits, batch.target) for batch in ordered(table, 256)]
    logits, target = (torch.cat(parts) for parts in zip(*answers, strict=True))
    module.offsets.copy_(balanced_offsets(logits, target))
