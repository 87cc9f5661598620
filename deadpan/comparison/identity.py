"""A judge of identity: a network that says whether two faces show the same person, to evaluate generators.

No method is trained with it. It learns to classify the subjects of a table by the angle between embeddings (NormFace,
Wang et al. 2017, doi 10.1145/3123266.3123359), from expressive pictures and neutral twins alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW

from deadpan.evaluation.answers import Answers
from deadpan.loading.batches import Batches, ordered, subject_index
from deadpan.loading.pairing import Pairing
from deadpan.methods.baselines import CNNConfig, ResidualNetwork
from deadpan.methods.schedules import one_cycle
from deadpan.preparation.table import MESH, FaceTable
from deadpan.training.checkpoint import CheckpointError, read_tensors

EMBEDDING = 128  # dimensions

PEOPLE = 10  # the judge is not trained with fewer people

UNSEEN = 5  # every fifth person is held out

LESSON = 20_000  # at most this many training pictures (100 passes over small sets)

SEPARATED = 250  # at most this many pictures of held-out people measure the judge

SHARPNESS = 16.0
"""Factor on the cosines before the softmax; with a factor of 1 the loss could hardly fall below chance."""


class Identity(nn.Module):
    """A network that maps a face to a direction in 128 dimensions."""

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


def train_identity(
    tables: Sequence[FaceTable], pictures: int = 60_000, seed: int = 0, pairing: Pairing = "twin"
) -> Identity:
    """Train a network to tell the subjects of paired tables apart.

    `pairing="hard"` also uses people without twins, with their other neutral pictures. ValueError for fewer than two
    known subjects.
    """
    subjects = subject_index(tables)
    if len(subjects) < 2:
        raise ValueError(f"a judge of identity needs at least two known subjects; got {len(subjects)}")
    torch.manual_seed(seed)
    network = Identity()
    people = nn.Parameter(torch.randn(len(subjects), EMBEDDING))
    rate = 2e-3
    optimizer = AdamW([*network.parameters(), people], rate, weight_decay=0.05)
    batches = Batches(tables, batch_size=64, pictures_per_epoch=pictures, pairing=pairing, seed=seed)
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
    """How well the judge separates people it was not trained on: the AUC of same-person against other-person pairs.

    Each picture is compared with its own neutral face and with another person's neutral face.
    """
    same, other = [], []
    for batch in ordered(table, 256):
        pairs = batch[batch.paired]
        shifted = pairs.neutral.roll(len(pairs) // 2, 0)
        same.append(judge.similarity(pairs.image, pairs.neutral))
        other.append(judge.similarity(pairs.image, shifted)[pairs.subject != pairs.subject.roll(len(pairs) // 2, 0)])
    ours, theirs = torch.cat(same), torch.cat(other)
    return float((ours[:, None] > theirs[None]).float().mean())


@dataclass(frozen=True)
class Judge:
    """A judge of identity for faces of one size, with its measured separation of unseen people."""

    network: Identity
    image_size: int
    separation: float | None  # see `separation`; None without at least two people to measure it on

    @torch.no_grad()
    def similarity(self, one: Tensor, other: Tensor) -> Tensor:
        """Cosines (N,) of two sets of faces (N, 3, S, S) of any size, which are resized to the judge's own."""
        return self.network.similarity(self._scaled(one), self._scaled(other))

    def _scaled(self, faces: Tensor) -> Tensor:
        side = self.image_size
        if faces.shape[3] == side:
            return faces
        return F.interpolate(faces, (side, side), mode="bilinear", antialias=True, align_corners=False)


def judge_from(answers: Answers, path: str | Path | None = None, most: int = LESSON) -> Judge | None:
    """Read a judge from `path`, or train one on the true pictures of paired people; None with fewer than ten people.

    Training uses no generated face. Every fifth person is held out to measure `separation`. CheckpointError for a file
    that holds no judge.
    """
    paired = answers.take(answers.paired & (answers.subjects != ""))
    side = int(answers.images.shape[1])
    people = np.unique(paired.subjects)
    if path is not None:
        network = Identity()
        try:
            network.load_state_dict(read_tensors(Path(path))[0])
        except RuntimeError:  # the file has other layers
            raise CheckpointError(f"{path} holds no judge of identity; benchmarks/methods.py writes one") from None
        return Judge(network.eval(), side, _separation(network, paired) if len(people) > 1 else None)
    if len(people) < PEOPLE:
        return None
    unseen = np.isin(paired.subjects, people[UNSEEN - 1 :: UNSEEN])
    lesson = _table(paired.take(~unseen))
    network = train_identity([lesson], pictures=min(most, 100 * len(lesson)))
    return Judge(network, side, _separation(network, paired.take(unseen)))


def _separation(network: Identity, paired: Answers) -> float:
    rows = np.random.default_rng(0).permutation(len(paired))[:SEPARATED]
    by_person = rows[np.argsort(paired.subjects[rows], kind="stable")]  # `separation` compares with rows half-way on
    return separation(network.eval(), _table(paired.take(by_person)))


def _table(answers: Answers) -> FaceTable:
    """Paired answers as a table whose twins are the true neutral faces."""
    count = len(answers)
    subjects, number = np.unique(answers.subjects, return_inverse=True)
    landmarks = np.full((count, *MESH), np.nan, np.float16)
    return FaceTable(
        path=Path("answers.parquet"),
        dataset="",
        expressions=answers.expressions,
        alignment="mesh",
        image_size=int(answers.images.shape[1]),
        names=answers.names,
        images=answers.images,
        twins=answers.true_neutral,
        twin_index=np.arange(count),
        target=answers.target,
        subjects=tuple(subjects.tolist()),
        subject=np.asarray(number, np.int64),
        donors=np.full(len(answers), ""),
        sequence=answers.sequences,
        frame=answers.frames,
        split=np.full(count, ""),
        landmarks=landmarks,
        twin_landmarks=landmarks,
        attributes=answers.attributes,
    )
