"""The table of `benchmarks/speed.py --peers`: deadpan beside other programs, on the same photographs, in one run.

A peer is the command of another program, as in `benchmarks/accuracy.py`. It must read the pictures that it is given
twice, and print one line of JSON for each at the second time:
{"image": PATH, "ms": MILLISECONDS, "faces": [...]}. The milliseconds are those of the whole call without decoding the
file, where deadpan's include it.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import cv2

from deadpan.faces.video import open_film
from deadpan.jobs import cores
from deadpan.prediction.predictor import Predictor
from deadpan.video.reading import VideoSettings, open_video

WARM = 15
"""Times that the one photograph is read; the median counts."""

FEW = 40
"""Pictures of each kind that the peers read."""

ONE, RELAXED, COLD, MEMORY = (
    "one 512 x 512 photograph, warm: ms",
    "the same with the relaxed photograph: ms",
    "cold start to the first answer, process included: s",
    "peak memory of that: MB",
)
RATES = {
    "portrait": "folder of portraits of 640 x 480: per second",
    "several": "folder of one to three people, 640 x 480: per second",
    "crops": "face crops: per second",
    "video": "video of 1280 x 720, not written: frames per second",
}


class Pictures(NamedTuple):
    """What all programs read."""

    photograph: str
    kinds: dict[str, list[str]]  # the files of "portrait", "several" and "crops"
    video: Path


class Run(NamedTuple):
    """One run of a command."""

    seconds: float
    peak_mb: float
    output: str


class PeerError(Exception):
    """A peer that failed."""


def run(words: list[str]) -> Run:
    """Run a command and measure its time and, on Linux, its memory; PeerError if it fails."""
    start, peak = time.perf_counter(), float("nan")
    with tempfile.TemporaryFile("w+") as errors, tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(words, stdout=output, stderr=errors)
        while process.poll() is None:
            # wait4() would count the memory that this process had when it started the other
            with suppress(OSError, IndexError):
                status = Path(f"/proc/{process.pid}/status").read_text()
                peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
            time.sleep(0.01)
        seconds = time.perf_counter() - start
        errors.seek(0)
        output.seek(0)
        if process.returncode:
            raise PeerError(f"{shlex.join(words[:3])} ended with {process.returncode}: {errors.read()[-500:]}")
        return Run(seconds, peak, output.read())


def read_by_peer(command: str, pictures: Pictures) -> dict[str, float]:
    """Measure a peer: the rows of its column, without those that it cannot do."""
    words = shlex.split(command)

    def milliseconds(files: Iterable[str], *flags: str) -> float:
        lines = run([*words, *flags, *files]).output.splitlines()
        return float(median(line["ms"] for line in map(json.loads, lines) if "ms" in line))

    once = run([*words, pictures.photograph])
    warm = milliseconds([pictures.photograph] * WARM)
    found = {ONE: warm, COLD: once.seconds - warm / 1000, MEMORY: once.peak_mb}  # it reads each picture twice
    for kind, files in pictures.kinds.items():
        flags = ["--crop"] if kind == "crops" else []
        try:
            found[RATES[kind]] = 1000 / milliseconds(files[:FEW], *flags)
        except PeerError as error:
            print(error, file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        found[RATES["video"]] = 1000 / milliseconds(frames_of(pictures.video, Path(folder)))
    return found


def frames_of(video: Path, folder: Path) -> list[str]:
    """Write frames of the video, evenly spread, as JPEG files; the peers have no common way to read a video."""
    files = []
    with open_film(video) as film:
        step = max(1, film.announced // FEW)
        for frame in film.frames():
            if frame.index % step == 0:
                files.append(str(folder / f"{frame.index:05}.jpg"))
                cv2.imwrite(files[-1], frame.pixels[..., ::-1])
    return files


def read_by_deadpan(model: str, pictures: Pictures, threads: int) -> dict[str, float]:
    """Measure deadpan: the rows of its column; `threads` is the number of threads that run the model."""
    predictor, photograph = Predictor(model, threads=threads), pictures.photograph
    found = {
        ONE: _milliseconds(lambda: predictor.predict(photograph)),
        RELAXED: _milliseconds(lambda: (predictor.predict(photograph), predictor.relax(photograph))),
    }
    if threads > 1:
        return found
    command = [sys.executable, "-m", "deadpan", "predict", photograph, "--model", model, "--json", "-"]
    once = [run(command) for _ in range(5)]
    found |= {COLD: median(each.seconds for each in once), MEMORY: median(each.peak_mb for each in once)}
    for kind, files in pictures.kinds.items():
        reader = Predictor(model, "none") if kind == "crops" else predictor
        found[RATES[kind]] = _per_second(reader.predict_many(files))
    start = time.perf_counter()
    with open_video(predictor, pictures.video, VideoSettings()) as reading:
        frames = len({int(row["frame"]) for row in reading.read().rows})
    return {**found, RATES["video"]: frames / (time.perf_counter() - start)}


def _milliseconds(task: Callable[[], object]) -> float:
    times = []
    for _ in range(WARM + 2):
        start = time.perf_counter()
        task()
        times.append(1000 * (time.perf_counter() - start))
    return median(times[2:])


def _per_second(results: Any) -> float:
    start = time.perf_counter()
    with closing(results):
        count = sum(1 for _ in results)
    return count / (time.perf_counter() - start)


def table(model: str, peers: list[str], pictures: Pictures, limits: dict[str, float]) -> str:
    """Measure deadpan and every peer NAME=COMMAND, and return a table in Markdown; `limits` is one more column."""
    columns = {f"`{model}`": read_by_deadpan(model, pictures, 1)}
    columns[f"`{model}`, {cores()} threads"] = read_by_deadpan(model, pictures, cores())
    columns["limit of its networks"] = limits
    for peer in peers:
        name, _, command = peer.partition("=")
        try:
            columns[name] = read_by_peer(command, pictures)
        except PeerError as error:
            print(error, file=sys.stderr)
            columns[name] = {}
    lines = [f"| | {' | '.join(columns)} |", f"|---{'|---' * len(columns)}|"]
    for row in (ONE, RELAXED, COLD, MEMORY, *RATES.values()):
        cells = [f"{found[row]:.3g}" if row in found else "" for found in columns.values()]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)
