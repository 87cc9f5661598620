"""A copy of a data set beside what is known of it: people, sequences, pictures of each expression, what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from deadpan.datasets import DATASETS, read
from deadpan.datasets.sample import Sample, VideoFrame
from deadpan.faces.photographs import PhotographError, read_photograph
from deadpan.faces.video import read_frame


class Line(NamedTuple):
    """One number of a copy; `expected` is None where nothing is known."""

    what: str
    found: int
    expected: int | None

    @property
    def differs(self) -> bool:
        """Whether the number is known to be another."""
        return self.expected is not None and self.found != self.expected


@dataclass(frozen=True)
class Check:
    """What was found of a data set."""

    lines: list[Line]
    bad: list[str]  # pictures that are absent, empty or, where they were opened, unreadable

    @property
    def whole(self) -> bool:
        """Whether nothing differs from what is known and no picture is bad."""
        return not self.bad and not any(line.differs for line in self.lines)


def check(name: str, root: Path, *, pictures: bool = False) -> Check:
    """Count what the reader finds at `root`; `pictures` opens every picture instead of looking whether it is there.

    DatasetError for an unknown name or a tree that is not the data set's.
    """
    samples = read(name, root)
    expected = DATASETS[name].facts.counts
    found = Counter(_numbers(samples, DATASETS[name].expressions))
    order = ("subjects", "sequences", "pictures", *DATASETS[name].expressions)
    lines = [Line(what, found[what], expected.get(what)) for what in order if found[what] or what in expected]
    examine = _unreadable if pictures else _absent
    bad = [f"{sample.name}: {why}" for sample in samples if (why := examine(sample.picture)) is not None]
    return Check(lines, bad)


def _numbers(samples: Iterable[Sample], expressions: tuple[str, ...]) -> Iterator[str]:
    """Every word of the report as often as it is counted."""
    subjects: set[str] = set()
    sequences: set[tuple[str, str]] = set()
    for sample in samples:
        yield "pictures"
        yield expressions[sample.target.index(max(sample.target))]
        if sample.subject and sample.subject not in subjects:
            subjects.add(sample.subject)
            yield "subjects"
        if sample.sequence and (sample.subject, sample.sequence) not in sequences:
            sequences.add((sample.subject, sample.sequence))
            yield "sequences"


def _absent(picture: Path | bytes | VideoFrame) -> str | None:
    if isinstance(picture, bytes):
        return None if picture else "empty"
    path = picture.path if isinstance(picture, VideoFrame) else picture
    if not path.is_file():
        return "missing"
    return None if path.stat().st_size else "empty"


def _unreadable(picture: Path | bytes | VideoFrame) -> str | None:
    try:
        if isinstance(picture, VideoFrame):
            read_frame(picture.path, picture.index)
        else:
            read_photograph(picture)
    except PhotographError as error:
        return str(error).rpartition(": ")[2]
    return None
