"""Writes reference positions of eyes from dlib's 68 points, which share no code or data with deadpan's detectors.

    pip install dlib-bin face_recognition_models pyarrow pillow "setuptools<81"     (in an environment of its own)
    python benchmarks/detection_reference.py REFERENCE.npz --london FOLDER --plates FOLDER --news FILE.parquet

For benchmarks/detection.py. Pictures in which dlib's frontal detector does not find exactly one face are left out.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def news_rows(count: int, pictures: int) -> list[int]:
    """The rows of the news file that are measured: a fixed random choice of `pictures` rows."""
    return sorted(np.random.default_rng(0).permutation(count)[:pictures].tolist())


def read_sets(options: argparse.Namespace) -> dict[str, np.ndarray[Any, np.dtype[np.uint8]]]:
    """RGB pixels of every picture by "london/NAME", "plates/NAME" or "news/ROW"."""
    import pyarrow.parquet as pq

    pictures = {}
    for name in ("london", "plates"):
        folder: Path | None = getattr(options, name)
        for path in sorted([*folder.glob("*.jpg"), *folder.glob("*.png")]) if folder else []:
            pictures[f"{name}/{path.name}"] = np.asarray(Image.open(path).convert("RGB"))
    if options.news:
        images = pq.read_table(options.news, columns=["image"])["image"]
        for row in news_rows(len(images), options.pictures):
            pictures[f"news/{row}"] = np.asarray(Image.open(io.BytesIO(images[row].as_py())).convert("RGB"))
    return pictures


def add_sets(parser: argparse.ArgumentParser) -> None:
    """The options that name the pictures."""
    parser.add_argument("reference", type=Path, help="the .npz file")
    parser.add_argument("--london", type=Path, help="folder of the Face Research Lab London Set")
    parser.add_argument("--plates", type=Path, help="folder of plates by Duchenne, one face each, and plate-3.jpg")
    parser.add_argument("--news", type=Path, help="Parquet file with a column `image` of encoded pictures, a face each")
    parser.add_argument("--pictures", type=int, default=2000, help="number of news pictures to measure")


def main() -> None:
    """Write the eye centres (2, 2) of every picture with one face."""
    import dlib
    import face_recognition_models

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sets(parser)
    options = parser.parse_args()
    detect = dlib.get_frontal_face_detector()
    predict = dlib.shape_predictor(face_recognition_models.pose_predictor_model_location())
    eyes = {}
    pictures = read_sets(options)
    for name, pixels in pictures.items():
        boxes = detect(np.ascontiguousarray(pixels), 1)
        if len(boxes) == 1:
            points = np.array([(point.x, point.y) for point in predict(pixels, boxes[0]).parts()], dtype=float)
            eyes[name] = np.stack([points[36:42].mean(axis=0), points[42:48].mean(axis=0)])
    np.savez(options.reference, **eyes)  # type: ignore[arg-type]
    print(f"{len(eyes)} of {len(pictures)} pictures have one face by dlib; written to {options.reference}")


if __name__ == "__main__":
    main()
