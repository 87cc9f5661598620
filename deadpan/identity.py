"""Whether two faces are the same person's: a network that learnt to tell drawn people apart, as a judge of generators.

It never trains a method. Its embedding is learnt by telling the subjects of a table apart by the angle between
embeddings (NormFace, Wang et al. 2017, doi 10.1145/3123266.3123359), expressive pictures and neutral twins alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW

from deadpan.batches import Batches, FaceTable, ordered, subject_index
from deadpan.method import one_cycle
from deadpan.methods.baselines import CNNConfig, ResidualNetwork

EMBEDDING = 128
SHARPNESS = 16.0
"""Factor on the cosines before the softmax; with 1 the loss could not fall far below that of guessing."""


class Identity(nn.Module):
    """A face as a direction in 128 dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = ResidualNetwork(3, EMBEDDING, CNNConfig(width=0.5, dropout=0)).layers

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, S, S) in [-1, 1] -> (N, 128) of length 1."""
        return F.normalize(self.layers(image).float())

    def similarity(self, one: Tensor, other: Tensor) -> Tensor:
        """(N, 3, S, S) twice -> (N,) cosine of the two embeddings, 1 for the same."""
        cosine: Tensor = (self(one) * self(other)).sum(1)
        return cosine


def train_identity(tables: Sequence[FaceTable], pictures: int = 60_000, seed: int = 0) -> Identity:
    """Learn to tell the subjects of paired tables apart; ValueError where a table knows none."""
    subjects = subject_index(tables)
    if len(subjects) < 2:
        raise ValueError(f"telling people apart needs at least two known subjects; got {len(subjects)}")
    torch.manual_seed(seed)
    network = Identity()
    people = nn.Parameter(torch.randn(len(subjects), EMBEDDING))
    rate = 2e-3
    optimizer = AdamW([*network.parameters(), people], rate, weight_decay=0.05)
    batches = Batches(tables, batch_size=64, pictures_per_epoch=pictures, seed=seed)
    steps = batches.steps(True)
    for step, batch in enumerate(batches.epoch(0, True)):
        for group in optimizer.param_groups:
            group["lr"] = rate * one_cycle(step / steps)
        half = len(batch) // 2
        faces = torch.cat([batch.image[:half], batch.neutral[half:]])  # (N, 3, S, S) expressive, then at rest
        cosine = network(faces) @ F.normalize(people).T  # (N, subjects)
        loss = F.cross_entropy(SHARPNESS * cosine, batch.subject)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network.eval()


@torch.no_grad()
def separation(judge: Identity, table: FaceTable) -> float:
    """How well the judge knows people it has not seen: the share of right orders (AUC) of same and other person.

    Each picture is compared with its own neutral face and with that of the next person.
    """
    same, other = [], []
    for batch in ordered(table, 256):
        pairs = batch[batch.paired]
        shifted = pairs.neutral.roll(len(pairs) // 2, 0)
        same.append(judge.similarity(pairs.image, pairs.neutral))
        other.append(judge.similarity(pairs.image, shifted)[pairs.subject != pairs.subject.roll(len(pairs) // 2, 0)])
    ours, theirs = torch.cat(same), torch.cat(other)
    return float((ours[:, None] > theirs[None]).float().mean())
