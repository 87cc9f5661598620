"""Writes miniatures of data sets' folders, and helps to check the samples that readers return."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from deadpan.datasets.sample import Sample, VideoFrame, check_names
from deadpan.faces.video import read_frame

LITTER = (".DS_Store", "Thumbs.db", "._picture.jpg", "Readme.txt")


def touch(root: Path, *places: str, text: str = "") -> None:
    """Write a file with the same text at each place."""
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)


def put(root: Path, *names: str) -> None:
    """Write a small picture under each name, in the format of its suffix, and files of operating systems beside it."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = path.suffix.lower() if path.suffix.lower() in {".jpg", ".png", ".tiff"} else ".gif"
        Image.new("L", (8, 8), 128).save(
            path, format={".jpg": "JPEG", ".png": "PNG", ".tiff": "TIFF"}.get(suffix, "GIF")
        )
        for litter in LITTER:
            (path.parent / litter).write_bytes(b"litter")


def write_video(path: Path, count: int, size: tuple[int, int] = (32, 32)) -> None:
    """Write a Motion JPEG video of (width, height) whose frame n is grey of value 10 n."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.stem + ".avi")
    film = cv2.VideoWriter(str(part), cv2.VideoWriter.fourcc(*"MJPG"), 25, size)
    for index in range(count):
        film.write(np.full((size[1], size[0], 3), 10 * index, np.uint8))
    film.release()
    part.rename(path)


def frame_shown(sample: Sample) -> int:
    """The number of the frame that is decoded, computed from its grey value."""
    assert isinstance(sample.picture, VideoFrame)
    return round(float(read_frame(sample.picture.path, sample.picture.index).mean()) / 10)


def expression_of(sample: Sample, expressions: Sequence[str]) -> str:
    """The expression of a sample with a one-hot target."""
    assert sum(sample.target) == 1 and len(sample.target) == len(expressions)
    return expressions[int(np.argmax(sample.target))]


def labels(samples: Iterable[Sample], expressions: Sequence[str]) -> dict[str, str]:
    """The expression of each sample by its name; names must be unique."""
    samples = list(samples)
    check_names(samples, Path("miniature"))
    return {sample.name: expression_of(sample, expressions) for sample in samples}


def write_bp4d(root: Path, tasks: int = 8, above: str = "") -> None:
    for person in ("F001", "M018"):
        for task in range(1, tasks + 1):
            touch(root, *(f"{above}{person}/T{task}/{number:04d}.jpg" for number in range(30)))
    touch(
        root,
        f"{above}F001/.DS_Store",
        f"{above}F001/T1/0000.obj",
        f"{above}F001/T1/._0001.jpg",
        "3DFeatures/F001/x.bnd",
    )
