"""Samples -> one Parquet file of aligned faces: detected, aligned and cropped once, so that training only decodes."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deadpan import datasets
from deadpan.atomic import replacing
from deadpan.datasets import Sample, VideoFrame
from deadpan.face_table import FORMAT, prepared_schema
from deadpan.faces import (
    Detector,
    Face,
    PhotographError,
    WholePicture,
    alignment,
    crop_alignment,
    make_detector,
    margin_size,
    read_photograph,
    warp,
)
from deadpan.photographs import read_frame
from deadpan.preparation_report import PreparationReport, Skipped, skipped_path

CHUNK = 64  # samples a worker gets at once: 0.2 to 3 s of work, and at most 64 decoded rows on their way back
ROW_GROUP = 1024
IMAGE_SIZES = range(16, 513)


Results = list["dict[str, Any] | Skipped"]


def prepare(
    dataset: str,
    root: Path,
    out: Path,
    image_size: int = 64,
    detector: str = "yuface",
    workers: int | None = None,
    console: Console | None = None,
    *,
    all_frames: bool = False,
) -> PreparationReport:
    """Write the data set at `root` to the Parquet file `out`, as aligned faces for networks of `image_size` pixels.

    Pictures that cannot be used are listed in OUT.skipped.jsonl with the reason. `workers` processes share the work
    (None: one per core; 1: none but this one); the file is the same for any number. It appears only when complete.
    `all_frames` takes whole sequences instead of their first and peak frames.
    DatasetError for an unreadable data set or when no face is left, ValueError for settings out of range.
    """
    if out.is_dir() or out.resolve() == Path(root).resolve():
        raise ValueError(f"{out} must be a new Parquet file, neither a folder nor the data itself")
    if image_size not in IMAGE_SIZES:
        raise ValueError(f"image size must be {IMAGE_SIZES[0]} to {IMAGE_SIZES[-1]} pixels, got {image_size}")
    if workers is not None and workers < 1:
        raise ValueError(f"at least one worker is needed, got {workers}")
    begun = time.perf_counter()
    make_detector(detector)  # an unknown detector is an error here, not in a worker
    samples = datasets.read(dataset, Path(root), all_frames=all_frames)
    expressions = datasets.DATASETS[dataset].expressions
    about = {
        "format": FORMAT,
        "dataset": dataset,
        "expressions": list(expressions),
        "image_size": image_size,
        "margin_size": margin_size(image_size),
        "detector": detector,
    }
    out = Path(out)
    results = _chunks(samples, image_size, detector, workers or _cores())
    with replacing(out) as partial:
        kept, twins, skipped = _write(results, partial, about, len(samples), console or Console(stderr=True))
        if not kept:
            why = ", ".join(sorted({skip.reason for skip in skipped}))
            raise datasets.DatasetError(f"no face is left of the {len(samples)} pictures of {root}: {why}")
        _write_skipped(skipped_path(out), skipped)
    reasons = dict(Counter(skip.reason for skip in skipped))
    return PreparationReport(dataset, out, kept, twins, reasons, time.perf_counter() - begun)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# --- one sample, in a worker -----------------------------------------------------------------------------------------


def read_picture(picture: Path | bytes | VideoFrame) -> NDArray[np.uint8]:
    """The pixels of a sample's picture, (H, W, 3) uint8 RGB; PhotographError where it cannot be read."""
    if isinstance(picture, VideoFrame):
        return np.ascontiguousarray(np.rot90(read_frame(picture.path, picture.index), -picture.turn // 90))
    return read_photograph(picture)


def prepare_sample(sample: Sample, size: int, find: Detector) -> dict[str, Any] | Skipped:
    """One row of the prepared file, or why there is none."""
    try:
        photograph = read_picture(sample.picture)
        twin = None if sample.twin is None else read_photograph(sample.twin)
    except PhotographError as error:
        return Skipped(sample.name, "unreadable picture", str(error))
    if twin is not None and twin.shape != photograph.shape:
        sizes = " and ".join(f"{picture.shape[1]} x {picture.shape[0]}" for picture in (photograph, twin))
        return Skipped(sample.name, "twin of another size", sizes)
    height, width = photograph.shape[:2]
    try:
        if sample.cropped:
            matrix = crop_alignment(height, width, size)
        else:
            points = five_points(sample, photograph, find)
            if points is None:
                return Skipped(sample.name, "no face found", f"{width} x {height} pixels")
            matrix = alignment(points, size)
    except ValueError as error:
        return Skipped(sample.name, "landmarks that give no alignment", str(error))
    return {
        "name": sample.name,
        "image": encode(warp(photograph, matrix, size)),
        "twin": None if twin is None else encode(warp(twin, matrix, size)),
        "target": sample.target,
        "subject": sample.subject,
        "sequence": sample.sequence,
        "frame": sample.frame,
        "split": sample.split,
        "landmarks": _transformed(sample.landmarks, matrix),
        "twin_landmarks": _transformed(sample.twin_landmarks, matrix),
        "attributes": json.dumps(dict(sample.attributes), sort_keys=True),
    }


def five_points(sample: Sample, photograph: NDArray[np.uint8], find: Detector) -> NDArray[np.floating[Any]] | None:
    """The points to align a photograph by: the detector's, else the data set's landmarks, else None.

    A drawn face is looked for as a photographed one is: the detector's mouth corners lie 7 to 13 % of the eye distance
    above the mesh's, and a generator that learnt the one alignment paints mouths beside the other's.
    """
    if sample.landmarks is not None and isinstance(find, WholePicture):
        return five_of_68(sample.landmarks)
    faces = find(photograph)
    if faces:
        return main_face(faces, photograph.shape[1], photograph.shape[0]).landmarks
    return None if sample.landmarks is None else five_of_68(sample.landmarks)


def main_face(faces: Sequence[Face], width: int, height: int) -> Face:
    """Of the faces at least half as large as the largest, the one nearest to the picture's centre."""

    def area(face: Face) -> float:
        left, top, right, bottom = face.box
        return (right - left) * (bottom - top)

    def distance(face: Face) -> float:
        left, top, right, bottom = face.box
        return float(np.hypot((left + right - width) / 2, (top + bottom - height) / 2))

    largest = max(map(area, faces))
    return min((face for face in faces if area(face) >= largest / 2), key=distance)


def five_of_68(landmarks: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The (5, 2) points that faces are aligned by, from (68, 2) in iBUG order: eye centres, nose tip, mouth corners."""
    points = np.asarray(landmarks, dtype=np.float64)
    return np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])


def encode(image: NDArray[np.uint8]) -> bytes:
    """A PNG of an (M, M, 3) uint8 RGB picture, with a single channel where it is grey."""
    grey = bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())
    # level 1: a 70 px face takes 0.1 ms; level 9 saves a tenth of the size for six times that
    encoded = cv2.imencode(".png", image[..., 0] if grey else image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    return bytes(encoded.tobytes())


def _transformed(landmarks: NDArray[Any] | None, matrix: NDArray[np.float64]) -> list[float] | None:
    if landmarks is None:
        return None
    moved: list[float] = (landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32).ravel().tolist()
    return moved


# --- many samples, over processes ------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _detector(name: str) -> Detector:
    cv2.setNumThreads(1)  # the processes share the cores; threads inside them would only compete
    return make_detector(name)


def _prepare_chunk(chunk: list[Sample], size: int, detector: str) -> Results:
    find = _detector(detector)
    return [prepare_sample(sample, size, find) for sample in chunk]


def _chunks(samples: Sequence[Sample], size: int, detector: str, workers: int) -> Iterator[Results]:
    """The results in the order of the samples, with at most four chunks per worker in memory."""
    chunks = (list(samples[start : start + CHUNK]) for start in range(0, len(samples), CHUNK))
    if workers == 1 or len(samples) <= CHUNK:
        threads = cv2.getNumThreads()
        try:
            yield from (_prepare_chunk(chunk, size, detector) for chunk in chunks)
        finally:
            cv2.setNumThreads(threads)
        return
    # spawn, not fork: the same on Linux, macOS and Windows, and safe in a process that already runs threads
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    pending: deque[Future[Results]] = deque()
    try:
        for chunk in chunks:
            pending.append(pool.submit(_prepare_chunk, chunk, size, detector))
            if len(pending) >= 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


# --- the files -------------------------------------------------------------------------------------------------------


def _write(
    results: Iterable[Results], path: Path, about: dict[str, Any], total: int, console: Console
) -> tuple[int, int, list[Skipped]]:
    """Stream the rows to `path`; returns how many were kept, how many of them have twins, and what was skipped."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = prepared_schema(about)
    kept, twins, skipped, rows = 0, 0, [], []
    with pq.ParquetWriter(path, schema) as writer, _progress(console) as progress:
        task = progress.add_task("prepare", total=total, rate="")
        begun = time.perf_counter()
        for chunk in results:
            for result in chunk:
                if isinstance(result, Skipped):
                    skipped.append(result)
                else:
                    rows.append(result)
            if len(rows) >= ROW_GROUP:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows = []
            good = [result for result in chunk if not isinstance(result, Skipped)]
            kept += len(good)
            twins += sum(row["twin"] is not None for row in good)
            done = kept + len(skipped)
            rate = f"{done / (time.perf_counter() - begun):.0f} per s, {len(skipped)} skipped"
            progress.update(task, completed=done, rate=rate)
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, schema))
    return kept, twins, skipped


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True)


def _write_skipped(path: Path, skipped: Sequence[Skipped]) -> None:
    if not skipped:
        path.unlink(missing_ok=True)  # an earlier run's list would be taken for this one's
        return
    lines = [json.dumps({"name": skip.name, "reason": skip.reason, "detail": skip.detail}) for skip in skipped]
    with replacing(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
