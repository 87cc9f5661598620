"""Detects, aligns and crops the faces of a data set once, and writes them to one Parquet file for training."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console

from deadpan import datasets
from deadpan.datasets.findings import Finding, cut_short, left_out, repeated
from deadpan.datasets.pictures import runs
from deadpan.datasets.sample import Sample
from deadpan.faces.alignment import Alignment, margin_size
from deadpan.faces.detection import DEFAULT_DETECTOR, make_detector
from deadpan.faces.face import Detector
from deadpan.files import replacing
from deadpan.jobs import cores
from deadpan.outputs import check_file, json_in_first_line
from deadpan.preparation.contents import FORMAT, prepared_schema
from deadpan.preparation.parts import Parts, Results
from deadpan.preparation.sample import Skipped, prepare_samples
from deadpan.preparation.table import is_prepared
from deadpan.preparation.workers import in_turn, progress_bar
from deadpan.printable import printable

CHUNK = 64  # samples of one task of a worker: 0.2 to 3 s of work

ROW_GROUP = 1024

Work = Callable[[list[Sample]], Results]
"""A function that prepares one chunk of samples."""

IMAGE_SIZES = range(16, 513)


def prepare(
    dataset: str,
    root: str | Path,
    out: str | Path,
    image_size: int = 64,
    detector: str = DEFAULT_DETECTOR,
    workers: int | None = None,
    console: Console | None = None,
    *,
    all_frames: bool = False,
    alignment: Alignment = "mesh",
    settings: Mapping[str, Any] | None = None,
) -> PreparationReport:
    """Write the data set at `root` to the Parquet file `out`, as aligned faces for networks of `image_size` pixels.

    Pictures that cannot be used are listed in OUT.skipped.jsonl with the reason. `workers` is the number of processes
    (None: one per core; 1: only this process); the file is the same for any number. The file is written when it is
    complete. Until then the folder OUT.partial holds the finished parts, and repeating the call continues from there.
    `alignment` "five" aligns by eyes, nose tip and mouth corners, as models of version 0.1 need. `all_frames` prepares
    every frame of a sequence, not only first and peak frames. `settings` are those of the data set's reader. The report
    lists the pictures that the reader left out and those that occur twice.

    Raises DatasetError if the data set cannot be read or no face is left, OutputError if `out` would replace a file
    that this command did not write, and ValueError for settings out of range.
    """
    out = Path(out)
    check_file(out, "prepare", is_prepared, (root, detector), "a new Parquet file, not the data")
    check_file(skipped_path(out), "prepare", _is_list_of_skipped)
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"image size must be {IMAGE_SIZES[0]} to {IMAGE_SIZES[-1]} pixels, got {image_size}")
    if workers is not None and workers < 1:
        raise ValueError(f"at least one worker is needed, got {workers}")
    begun = time.perf_counter()
    make_detector(detector)  # raises for an unknown detector, before the workers start
    samples = datasets.read(dataset, Path(root), all_frames=all_frames, **(settings or {}))
    facts = datasets.DATASETS[dataset].facts
    findings = [*left_out(samples, Path(root), facts), *repeated(samples), *cut_short(samples)]
    expressions = datasets.DATASETS[dataset].expressions
    about = {
        "format": FORMAT,
        "dataset": dataset,
        "expressions": list(expressions),
        "image_size": image_size,
        "margin_size": margin_size(image_size),
        "detector": detector,
        "alignment": alignment,
    }
    chunks = list(_split(samples))
    parts = Parts(out, about, chunks)
    work = partial(_prepare_chunk, size=image_size, detector=detector, alignment=alignment)
    try:
        _prepare_missing(parts, chunks, work, workers or cores(), console or Console(stderr=True))
        with replacing(out) as unfinished:
            counts, skipped = _join(parts, unfinished, prepared_schema(about))
            if not counts["faces"]:
                why = ", ".join(sorted({skip.reason for skip in skipped}))
                raise datasets.DatasetError(f"no face is left of the {len(samples)} pictures of {root}: {why}")
            _write_skipped(skipped_path(out), skipped)
    except datasets.DatasetError:
        parts.remove()
        raise
    except BaseException:
        if len(parts.missing()) == len(chunks):
            parts.remove()
        raise
    parts.remove()
    reasons = dict(Counter(skip.reason for skip in skipped))
    report = (counts["faces"], counts["twins"], counts["meshless"])
    return PreparationReport(dataset, out, *report, reasons, findings, time.perf_counter() - begun)


# --- many samples, over processes ------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _detector(name: str) -> Detector:
    cv2.setNumThreads(1)  # every core already runs one process, so that more threads would only compete
    return make_detector(name)


def _prepare_chunk(chunk: list[Sample], size: int, detector: str, alignment: Alignment) -> Results:
    return prepare_samples(chunk, size, _detector(detector), alignment)


def _split(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    """Split samples into chunks of about CHUNK; the frames of one video stay together, so that it is decoded once."""
    chunk: list[Sample] = []
    for video, group in runs(samples):
        step = CHUNK if video is None else len(group)
        for start in range(0, len(group), step):
            part = group[start : start + step]
            if chunk and len(chunk) + len(part) > CHUNK:
                yield chunk
                chunk = []
            chunk = chunk + part
    if chunk:
        yield chunk


def _prepare_missing(parts: Parts, chunks: Sequence[list[Sample]], work: Work, workers: int, console: Console) -> None:
    """Prepare every chunk whose part has not been written yet."""
    missing = parts.missing()
    total = sum(map(len, chunks))
    before = done = total - sum(len(chunks[index]) for index in missing)
    begun, skipped = time.perf_counter(), 0
    with progress_bar(console) as progress:
        task = progress.add_task("prepare", total=total, completed=done, rate="")
        for index, results in zip(missing, in_turn(work, [chunks[each] for each in missing], workers), strict=True):
            parts.write(index, results)
            done += len(results)
            skipped += sum(isinstance(result, Skipped) for result in results)
            rate = f"{(done - before) / (time.perf_counter() - begun):.0f} per s, {skipped} skipped"
            progress.update(task, completed=done, rate=rate)


# --- the files -------------------------------------------------------------------------------------------------------


def _join(parts: Parts, path: Path, schema: Any) -> tuple[Counter[str], list[Skipped]]:
    """Write all rows to `path`; returns the counts of faces, twins and faces without mesh, and the skipped samples."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    counts: Counter[str] = Counter()
    skipped: list[Skipped] = []
    waiting: list[Any] = []
    with pq.ParquetWriter(path, schema) as writer:
        for rows, left_out in parts.read():
            skipped += left_out
            counts["faces"] += len(rows)
            counts["twins"] += len(rows) - rows["twin"].null_count
            counts["meshless"] += rows["landmarks"].null_count
            waiting.append(rows)
            if sum(map(len, waiting)) >= ROW_GROUP:
                writer.write_table(pa.concat_tables(waiting).combine_chunks())
                waiting = []
        if any(map(len, waiting)):
            writer.write_table(pa.concat_tables(waiting).combine_chunks())
    return counts, skipped


def _write_skipped(path: Path, skipped: Sequence[Skipped]) -> None:
    if not skipped:
        path.unlink(missing_ok=True)  # a list of an earlier run would look like this run's
        return
    lines = [json.dumps({"name": skip.name, "reason": skip.reason, "detail": skip.detail}) for skip in skipped]
    with replacing(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _is_list_of_skipped(path: Path) -> bool:
    facts = json_in_first_line(path)
    return isinstance(facts, dict) and list(facts) == ["name", "reason", "detail"]


def skipped_path(out: Path) -> Path:
    """The list of unusable pictures that belongs to a prepared file."""
    return out.with_name(out.name + ".skipped.jsonl")


@dataclass(frozen=True)
class PreparationReport:
    """The result of preparing a data set."""

    dataset: str
    out: Path
    kept: int
    twins: int  # of the kept ones, those with a neutral twin
    meshless: int  # of the kept ones, those without a mesh: aligned by five landmarks, or not at all
    reasons: dict[str, int]  # why pictures were skipped, and how many
    findings: list[Finding]  # pictures that the reader left out, and pictures that occur twice
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every picture of the data set was used and none occurs twice."""
        return not self.skipped and all(finding.intended for finding in self.findings)

    @property
    def skipped(self) -> int:
        """How many pictures could not be used."""
        return sum(self.reasons.values())

    def __str__(self) -> str:
        rate = (self.kept + self.skipped) / max(self.seconds, 1e-9)
        faces = f"{self.kept:,} faces ({self.twins:,} with twin)"
        lines = [f"{printable(self.out)}: {faces} in {self.seconds:.1f} s, {rate:.0f} per s"]
        if self.meshless:
            lines.append(f"  {self.meshless:,} without a face mesh: aligned by five landmarks, or not aligned")
        lines += [f"  skipped {count:,}: {reason}" for reason, count in sorted(self.reasons.items())]
        lines += [f"  each in {printable(skipped_path(self.out))}"] if self.reasons else []
        return "\n".join([*lines, *(f"  {printable(str(finding))}" for finding in self.findings)])
