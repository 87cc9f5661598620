"""Measures the speed and the memory of `deadpan prepare` on pictures of 640 x 480 made from the bundled photographs.

    python benchmarks/prepare.py [--pictures 10000] [--workers 2]

It prepares a tenth of the pictures, then all of them, each time in a new process. It prints pictures per second and the
peak memory of the largest process, which should not grow with the number of pictures.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
from pathlib import Path

import cv2
import numpy as np

PHOTOGRAPHS = Path(__file__).parent.parent / "examples" / "photos"
WIDTH, HEIGHT = 640, 480


def photograph(face: cv2.typing.MatLike, draw: np.random.Generator) -> cv2.typing.MatLike:
    """Place a bundled photograph, 260 to 460 pixels high, at random on a noisy background of 640 x 480."""
    scale = draw.uniform(260, 460) / face.shape[0]
    person = cv2.resize(face, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:, :WIDTH]
    canvas = draw.normal(draw.uniform(60, 190), 12, (HEIGHT, WIDTH, 3)).clip(0, 255).astype(np.uint8)
    top = int(draw.integers(0, HEIGHT - person.shape[0] + 1))
    left = int(draw.integers(0, WIDTH - person.shape[1] + 1))
    canvas[top : top + person.shape[0], left : left + person.shape[1]] = person
    return canvas


def write_folder(root: Path, count: int) -> None:
    """Write class folders with `count` different pictures altogether."""
    faces: dict[str, cv2.typing.MatLike] = {}
    for path in sorted(PHOTOGRAPHS.glob("london_*.jpg")):
        pixels = cv2.imread(str(path))
        assert pixels is not None, f"{path} cannot be read"
        faces[path.stem.split("_")[-1]] = pixels
    draw = np.random.default_rng(0)
    for expression in faces:
        (root / expression).mkdir(parents=True)
    for index in range(count):
        expression = list(faces)[index % len(faces)]
        cv2.imwrite(str(root / expression / f"{index:06d}.jpg"), photograph(faces[expression], draw))


def run(root: Path, out: Path, workers: int, answers: multiprocessing.Queue[tuple[str, float, float]]) -> None:
    """Prepare in this process; `answers` gets the report, seconds, and peak memory of the largest process in MB."""
    from deadpan.preparation.prepare import prepare

    report = prepare("folders", root, out, workers=workers)
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    answers.put((str(report), report.seconds, max(peaks) / 1024))


def main() -> None:
    """Write the pictures, prepare them twice, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    for count in (options.pictures // 10, options.pictures):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            write_folder(root / "pictures", count)
            answers: multiprocessing.Queue[tuple[str, float, float]] = context.Queue()
            job = context.Process(target=run, args=(root / "pictures", root / "out.parquet", options.workers, answers))
            job.start()
            report, seconds, peak = answers.get()
            job.join()
        print(report.splitlines()[0].rpartition("/")[2])
        print(f"  {count} photographs of 640 x 480 with detection: {seconds:.0f} s, {count / seconds:.0f} per second")
        print(f"  peak memory of the largest process: {peak:.0f} MB")


if __name__ == "__main__":
    main()
