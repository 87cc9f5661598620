"""Tables of faces -> Batch: a loader that mixes data sets, balances classes and pairs pictures with neutral faces.

The rows and random changes of a batch depend on (seed, epoch, step) alone. A resumed training therefore sees the same
pictures as an uninterrupted one, with no loader state to save.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from deadpan.faces.landmarks import POINTS
from deadpan.loading.augmentation import Augmentation, augment, centre_crop
from deadpan.loading.pairing import Pairing, Partners
from deadpan.method import Batch
from deadpan.preparation.table import FaceTable, Rows


def subject_index(tables: Sequence[FaceTable]) -> dict[str, int]:
    """A number for every subject of the tables ("dataset/subject"), the same whatever order the tables come in."""
    return {subject: index for index, subject in enumerate(sorted({s for table in tables for s in table.subjects}))}


class Batches:
    """Epochs of batches from several tables, with augmentation."""

    def __init__(
        self,
        tables: Sequence[FaceTable],
        weights: Sequence[float] | None = None,
        *,
        batch_size: int,
        pairing: Pairing = "twin",
        balance: float = 0.0,
        own_neutral: float | None = None,
        augment: Augmentation | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        pictures_per_epoch: int | None = None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """Mix `tables` with the same expressions and image size.

        `weights` are the tables' shares of every batch (None: proportional to their sizes). `pairing` chooses the
        neutral face of a picture: its twin; another neutral picture of the subject ("hard", or the twin without one);
        or none. If a picture has no such neutral face but its label is at least `own_neutral` neutral, it serves as its
        own. `balance` samples the classes of a table in proportion to (their frequency) ** (1 - balance): 0 keeps the
        natural frequencies, 1 makes them equal. An epoch has `pictures_per_epoch` pictures (None: the rows of all
        tables). With several `ranks`, each gets its part of the same epoch. ValueError for settings that do not fit the
        tables or each other.
        """
        self.tables = list(tables)
        self.weights = _checked(self.tables, weights)
        if batch_size < 1 or (pictures_per_epoch is not None and pictures_per_epoch < 1):
            raise ValueError(f"batch size and pictures per epoch must be positive: {batch_size}, {pictures_per_epoch}")
        if pairing not in ("twin", "hard", "none"):
            raise ValueError(f"pairing must be twin, hard or none, got {pairing!r}")
        if not 0 <= balance <= 1:
            raise ValueError(f"balance must be between 0 (natural) and 1 (uniform classes), got {balance}")
        if not 0 <= rank < ranks:
            raise ValueError(f"rank must be one of {ranks}, got {rank}")
        self.batch_size, self.rank, self.ranks = batch_size, rank, ranks
        self.balance, self.seed, self.device = balance, seed, torch.device(device)
        self.augmentation = augment or Augmentation()
        self.pictures_per_epoch = pictures_per_epoch
        self.subjects = subject_index(self.tables)
        if self.device.type == "cpu":
            _keep_freed_memory()
        self._subject_of = [_subject_numbers(table, self.subjects) for table in self.tables]
        self._partners = [Partners(table, pairing, own_neutral) for table in self.tables]

    def steps(self, paired_only: bool = False) -> int:
        """The number of batches in an epoch."""
        rows = sum(len(self._eligible(index, paired_only)) for index in range(len(self.tables)))
        return max(1, (self.pictures_per_epoch or rows) // (self.batch_size * self.ranks))

    def epoch(self, index: int, paired_only: bool = False, start: int = 0) -> Iterator[Batch]:
        """The batches of epoch `index` from step `start` on; `paired_only` uses only pictures with a neutral face.

        ValueError if no picture has one.
        """
        plan = self._plan(index, paired_only)  # (steps, ranks * batch, 2) of table and row
        first = self.rank * self.batch_size
        for step in range(start, len(plan)):
            draw = np.random.default_rng([self.seed, index, step, self.rank])
            yield self._batch(plan[step, first : first + self.batch_size], draw)

    def _eligible(self, index: int, paired_only: bool) -> Rows:
        """The rows of a table that an epoch may use."""
        partners = self._partners[index]
        return partners.paired.nonzero()[0] if paired_only else np.arange(len(partners.paired))

    def _plan(self, epoch: int, paired_only: bool) -> Rows:
        """Choose the pictures of an epoch: (steps, ranks * batch, 2) of table and row."""
        eligible = [self._eligible(index, paired_only) for index in range(len(self.tables))]
        shares = np.array([float(len(rows)) for rows in eligible])
        if self.weights is not None:
            shares = np.where(shares > 0, self.weights, 0.0)
        if not shares.sum():
            raise ValueError(
                "no picture with a known neutral face; add a data file with twins, or set own_neutral, or use pairing "
                "hard with subjects that have neutral pictures"
            )
        draw = np.random.default_rng([self.seed, epoch])
        steps, width = self.steps(paired_only), self.batch_size * self.ranks
        total = steps * width
        ends = np.rint(np.cumsum(shares) / shares.sum() * total).astype(int)
        counts = np.diff(ends, prepend=0)
        plan = np.empty((total, 2), np.int64)
        places = np.empty(total)
        for index, (rows, count) in enumerate(zip(eligible, counts, strict=True)):
            part = slice(ends[index] - count, ends[index])
            plan[part, 0] = index
            plan[part, 1] = draw_rows(self.tables[index].classes[rows], rows, count, self.balance, draw)
            # spread each table's pictures evenly over the epoch, so that every batch holds its share of them
            places[part] = (np.arange(count) + draw.random()) / max(count, 1)
        batches = plan[np.argsort(places, kind="stable")].reshape(steps, width, 2)
        shuffled: Rows = draw.permuted(np.arange(width)[None].repeat(steps, 0), axis=1)
        return np.take_along_axis(batches, shuffled[..., None], axis=1)

    def _batch(self, plan: Rows, draw: np.random.Generator) -> Batch:
        """Read, pair and augment the planned pictures."""
        side = self.tables[0].images.shape[1]
        used = [(index, (plan[:, 0] == index).nonzero()[0]) for index in np.unique(plan[:, 0])]
        channels = max(self.tables[index].channels for index, _ in used)
        image = np.empty((len(plan), side, side, channels), np.uint8)
        neutral = np.empty_like(image)
        paired = np.zeros(len(plan), bool)
        landmarks = np.empty((2, len(plan), POINTS, 2), np.float32)
        target = np.empty((len(plan), len(self.tables[0].expressions)), np.float32)
        subject = np.empty(len(plan), np.int64)
        for index, places in used:
            table, rows = self.tables[index], plan[places, 1]
            image[places] = table.images[rows]  # a grey picture spreads over three channels
            neutral[places], landmarks[1, places], paired[places] = self._partners[index].draw(rows, draw)
            landmarks[0, places], target[places] = table.landmarks[rows], table.target[rows]
            subject[places] = self._subject_of[index][rows]
        generator = torch.Generator().manual_seed(int(draw.integers(2**62)))
        pixels = torch.from_numpy(image).to(self.device)
        known = torch.from_numpy(paired).to(self.device)
        partner = torch.from_numpy(neutral).to(self.device) if paired.any() else None
        points, neutral_points = torch.from_numpy(landmarks).to(self.device)
        grey = torch.tensor([table.channels == 1 for table in self.tables])[plan[:, 0]].to(self.device)
        size, settings = self.tables[0].image_size, self.augmentation
        changed = augment(pixels, partner, points, neutral_points, size, generator, settings, grey, known)
        return Batch(
            **changed._asdict(),
            paired=known,
            target=torch.from_numpy(target).to(self.device),
            subject=torch.from_numpy(subject).to(self.device),
        )


def expected_shares(
    tables: Sequence[FaceTable], weights: Sequence[float] | None, balance: float
) -> NDArray[np.float64]:
    """The expected share of each expression in the targets of a batch of `Batches` with these settings: (K,)."""
    parts = np.asarray([len(table) for table in tables] if weights is None else weights, np.float64)
    means = []
    for table in tables:
        frequency = np.bincount(table.classes)[table.classes] / len(table)
        means.append(np.average(table.target, axis=0, weights=frequency**-balance))
    shares: NDArray[np.float64] = np.average(means, axis=0, weights=parts)
    return shares


def draw_rows(classes: Rows, rows: Rows, count: int, balance: float, draw: np.random.Generator) -> Rows:
    """Sample `count` of `rows` in random order, balanced by their `classes`.

    Systematic sampling: a row whose expected count is x is chosen floor(x) or ceil(x) times. An epoch of all rows
    without balance therefore holds each row exactly once.
    """
    if not count:
        return rows[:0]
    frequency = np.bincount(classes)[classes] / len(classes)  # of each row's class
    order = draw.permutation(len(rows))
    expected = np.cumsum(frequency[order] ** -balance)
    places = (np.arange(count) + draw.random()) * (expected[-1] / count)
    chosen = order[np.minimum(np.searchsorted(expected, places, side="right"), len(order) - 1)]
    return rows[draw.permutation(chosen)]


def ordered(table: FaceTable, batch_size: int, pairing: Pairing = "twin", device: str = "cpu") -> Iterator[Batch]:
    """Every row once, in the table's order, centre-cropped and without augmentation: for evaluation."""
    partners, subject = Partners(table, pairing, None), _subject_numbers(table, subject_index([table]))
    margin = (table.images.shape[1] - table.image_size) // 2
    for start in range(0, len(table), batch_size):
        rows = np.arange(start, min(start + batch_size, len(table)))
        partner, neutral_landmarks, paired = partners.draw(rows, np.random.default_rng([0, start]))
        pictures = [centre_crop(torch.from_numpy(p), table.image_size) for p in (table.images[rows], partner)]
        image, neutral = (picture.expand(-1, 3, -1, -1).contiguous() for picture in pictures)
        yield Batch(
            image=image,
            clean=image,
            neutral=neutral,
            paired=torch.from_numpy(paired),
            target=torch.from_numpy(table.target[rows]),
            subject=torch.from_numpy(subject[rows]),
            landmarks=torch.from_numpy(table.landmarks[rows].astype(np.float32) - margin),
            neutral_landmarks=torch.from_numpy(neutral_landmarks.astype(np.float32) - margin),
        ).to(device)


def _keep_freed_memory() -> None:
    """Make glibc keep freed memory instead of returning it to the system after every batch.

    glibc keeps blocks up to the size of the largest one freed so far, 32 MB at most. Without this, a batch of 64 costs
    3,200 page faults: 124 us per picture beside 140 us of work. On other systems it is a harmless allocation.
    """
    torch.empty(31 << 20, dtype=torch.uint8)


def _subject_numbers(table: FaceTable, numbers: Mapping[str, int]) -> Rows:
    lookup = np.array([numbers[subject] for subject in table.subjects] + [-1], np.int64)
    return lookup[table.subject]


def _checked(tables: Sequence[FaceTable], weights: Sequence[float] | None) -> NDArray[np.float64] | None:
    """The weights as an array; ValueError where the tables or the weights do not fit together."""
    if not tables:
        raise ValueError("at least one table of faces is needed")
    for table in tables[1:]:
        for what in ("expressions", "image_size", "alignment"):
            one, other = getattr(tables[0], what), getattr(table, what)
            if one != other:
                raise ValueError(f"{tables[0].path} and {table.path} differ in {what}: {one} and {other}")
    if weights is None:
        return None
    if len(weights) != len(tables) or min(weights) < 0 or not sum(weights) > 0:
        raise ValueError(
            f"one weight of at least 0 for each of the {len(tables)} tables is needed, got {list(weights)}"
        )
    return np.asarray(weights, np.float64)
