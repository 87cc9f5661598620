"""A copy of a data set beside what is known of it: people, sequences, pictures of each expression, what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from deadpan.datasets import DATASETS, read
from deadpan.datasets.findings import Finding, cut_short, left_out, opened, repeated
from deadpan.datasets.sample import Facts, Sample, VideoFrame
from deadpan.faces.photographs import LFS_POINTER, is_lfs_pointer


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
    bad: list[str]  # pictures that are absent, empty, Git LFS pointers or, where they were opened, unreadable
    findings: list[Finding]
    copy: str = ""  # which common copy of the data set the numbers are compared with, empty for the owner's

    @property
    def whole(self) -> bool:
        """Whether nothing differs from what is known, no picture is bad and nothing else needs a look."""
        wrong = [finding for finding in self.findings if not finding.intended]
        return not self.bad and not wrong and not any(line.differs for line in self.lines)


def check(name: str, root: Path, *, pictures: bool = False, settings: Mapping[str, Any] | None = None) -> Check:
    """Count what the reader finds at `root` and what it leaves out; `settings` are the reader's.

    A sample of the pictures is opened, with `pictures` every one. DatasetError for an unknown name or a tree that is
    not the data set's.
    """
    root = Path(root)
    samples = read(name, root, **(settings or {}))
    facts = DATASETS[name].facts
    found = Counter(_numbers(samples, DATASETS[name].expressions))
    copy, expected = _copy(facts, found)
    order = ("subjects", "sequences", "pictures", *DATASETS[name].expressions)
    lines = [Line(what, found[what], expected.get(what)) for what in order if found[what] or expected.get(what)]
    bad = {sample.name: why for sample in samples if (why := _absent(sample.picture)) is not None}
    there = [sample for sample in samples if sample.name not in bad]
    unreadable, looks = opened(there, every=pictures)
    seen = {finding.what for finding in looks}  # what the pixels say includes what the bytes say
    twice = [finding for finding in repeated(there) if finding.what not in seen]
    findings = [*left_out(samples, root, facts), *twice, *looks, *cut_short(there)]
    bad |= unreadable
    return Check(
        lines, [f"{sample.name}: {bad[sample.name]}" for sample in samples if sample.name in bad], findings, copy
    )


def _copy(facts: Facts, found: Mapping[str, int]) -> tuple[str, Mapping[str, int]]:
    """The owner's numbers, or those of the common copy that has people and neutral faces where this one does."""

    def distance(item: tuple[str, Mapping[str, int]]) -> tuple[int, int]:
        other = sum((found.get(what, 0) > 0) != (item[1].get(what, 0) > 0) for what in ("subjects", "neutral"))
        return other, abs(found.get("pictures", 0) - item[1].get("pictures", 0))

    return min({"": facts.counts, **facts.copies}.items(), key=distance)


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
    size = path.stat().st_size
    if not size:
        return "empty"
    return LFS_POINTER if size < 1024 and is_lfs_pointer(path.read_bytes()) else None
