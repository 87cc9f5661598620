"""Checks a copy of a data set: compares its counts with the published ones, and lists omitted and damaged files."""

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
    """One count of a copy; `expected` is the published number, or None if it is not known."""

    what: str
    found: int
    expected: int | None

    @property
    def differs(self) -> bool:
        """Whether the count differs from the expected one."""
        return self.expected is not None and self.found != self.expected


@dataclass(frozen=True)
class Check:
    """The result of checking a copy of a data set."""

    lines: list[Line]
    bad: list[str]  # pictures that are missing, empty or Git LFS pointers, and opened pictures that are unreadable
    findings: list[Finding]
    copy: str = ""  # the common copy whose counts are expected; empty for the owner's distribution

    @property
    def whole(self) -> bool:
        """Whether all counts are as expected, no picture is bad and no finding needs attention."""
        wrong = [finding for finding in self.findings if not finding.intended]
        return not self.bad and not wrong and not any(line.differs for line in self.lines)


def check(name: str, root: Path, *, pictures: bool = False, settings: Mapping[str, Any] | None = None) -> Check:
    """Count the pictures that the reader finds at `root` and those that it omits; `settings` are the reader's.

    A sample of the pictures is opened, or every picture with `pictures`. Raises DatasetError for an unknown name, and
    if `root` does not hold the files of the data set.
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
    seen = {finding.what for finding in looks}  # pictures with equal pixels include those with equal bytes
    twice = [finding for finding in repeated(there) if finding.what not in seen]
    findings = [*left_out(samples, root, facts), *twice, *looks, *cut_short(there)]
    bad |= unreadable
    return Check(
        lines, [f"{sample.name}: {bad[sample.name]}" for sample in samples if sample.name in bad], findings, copy
    )


def _copy(facts: Facts, found: Mapping[str, int]) -> tuple[str, Mapping[str, int]]:
    """The expected counts: the owner's, or those of the common copy that this one is most similar to.

    Copies are similar if both or neither have known people and neutral faces, and then by their number of pictures.
    """

    def distance(item: tuple[str, Mapping[str, int]]) -> tuple[int, int]:
        other = sum((found.get(what, 0) > 0) != (item[1].get(what, 0) > 0) for what in ("subjects", "neutral"))
        return other, abs(found.get("pictures", 0) - item[1].get("pictures", 0))

    return min({"": facts.counts, **facts.copies}.items(), key=distance)


def _numbers(samples: Iterable[Sample], expressions: tuple[str, ...]) -> Iterator[str]:
    """Yield the name of a count once for each sample, person or sequence that it counts."""
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
