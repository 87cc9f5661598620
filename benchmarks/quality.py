"""Measures the accuracy of the released models on FER+ pictures of decreasing quality, for the thresholds of the marks.

    python benchmarks/quality.py FERPLUS [--models cnn derl]

FERPLUS is what `deadpan prepare ferplus` reads. Every second picture of public_test is read as it is and sorted by its
`FaceResult.quality`. The first 1,000 of them with a majority label and a face mesh are also shrunk and blurred. The
thresholds of the marks were chosen on these pictures. The last lines compare the true turn of rendered people with the
measured one, and give the time of the measurement.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan import datasets
from deadpan.datasets.pictures import read_pictures
from deadpan.expressions import EXPRESSIONS
from deadpan.faces.detection import make_detector
from deadpan.faces.landmarks import Located, locate
from deadpan.faces.photographs import PhotographError
from deadpan.faces.quality import Quality, quality
from deadpan.pixels import RGB
from deadpan.prediction.predictor import Predictor
from deadpan.synthetic.figure import make_figure
from deadpan.synthetic.render import Studio, sample_scene

MOST = 1000
SIZES = (20, 16, 14, 12, 10, 8)
BLURS = (0.03, 0.05, 0.07, 0.09, 0.12)
EDGES = {"turn": (0, 35, 40, 50, 60), "cover": (0, 0.02, 0.1, 0.2, 1)}
YAWS, PEOPLE = (0, 30, 50, 65), 6

Answers = dict[str, NDArray[np.str_]]
"""The expression that each model recognises in each picture."""


def read(pictures: list[RGB], predictors: dict[str, Predictor]) -> tuple[Answers, list[Quality]]:
    """The expressions that the models recognise in face crops, and the quality of the crops."""
    found = {name: [predictor.predict_crop(each) for each in pictures] for name, predictor in predictors.items()}
    answers = {name: np.array([face.expression for face in faces]) for name, faces in found.items()}
    return answers, [face.quality for face in next(iter(found.values()))]


def row(name: str, answers: Answers, true: NDArray[np.str_], rows: NDArray[np.bool_] | None = None) -> None:
    """Print the accuracy of each model on some of the pictures."""
    rows = np.ones(len(true), bool) if rows is None else rows
    if not rows.any():
        return
    shares = "".join(f"{100 * float((each == true)[rows].mean()):8.1f}" for each in answers.values())
    print(f"{name:<36}{rows.sum():>6,}{shares}", flush=True)


def by_quality(answers: Answers, seen: list[Quality], true: NDArray[np.str_]) -> None:
    """Print the accuracy on pictures sorted by turn and by cover."""
    turned = np.array([np.nan if each.turn is None else each.turn for each in seen])
    row("unclear: no mesh", answers, true, np.isnan(turned))
    for name, values in (("turn", turned), ("cover", np.array([each.cover for each in seen]))):
        for low, high in zip(EDGES[name], EDGES[name][1:], strict=False):
            row(f"{name} {low:g} to {high:g}", answers, true, (values >= low) & (values < high))


def degraded(
    pictures: list[RGB], sizes: NDArray[np.float64], true: NDArray[np.str_], predictors: dict[str, Predictor]
) -> None:
    """Print the accuracy on pictures that were shrunk and blurred."""
    row(f"as they are (size {np.median(sizes):.0f})", read(pictures, predictors)[0], true)
    for size in SIZES:
        factors = np.minimum(1, size / sizes)
        small = [
            cv2.resize(each, None, fx=float(factor), fy=float(factor), interpolation=cv2.INTER_AREA)
            for each, factor in zip(pictures, factors, strict=True)
        ]
        row(f"shrunk to size {size}", read(small, predictors)[0], true)  # type: ignore[arg-type]
    for blur in BLURS:
        soft = [cv2.GaussianBlur(each, (0, 0), blur * size) for each, size in zip(pictures, sizes, strict=True)]
        answers, seen = read(soft, predictors)  # type: ignore[arg-type]
        row(f"blurred by {blur} of size (sharpness {np.median([each.sharpness for each in seen]):.2f})", answers, true)


def turns() -> None:
    """Print the measured turn of rendered people."""
    detector = make_detector("centerface")
    for yaw in YAWS:
        found = []
        for number in range(PEOPLE):
            scene = dataclasses.replace(sample_scene(number), yaw=yaw, pitch=0.0, roll=0.0, occluder="none")
            picture, _ = Studio(make_figure("makehuman", 100 + number), scene, 192).picture({})
            for face in detector(picture)[:1]:
                found.append(quality(picture, locate(picture, face, 64), 64).turn or 0.0)
        print(f"rendered people turned by {yaw}: {len(found)} of {PEOPLE} found, median turn {np.median(found):.0f}")


def seconds(photograph: RGB, located: Located) -> None:
    """Print how long the measurement takes."""
    for side in (60, 110):
        mesh = located.mesh
        if mesh is None:
            return
        factor = side / float(np.linalg.norm(mesh[33] - mesh[263]))
        resized = cv2.resize(photograph, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        times = []
        for _ in range(200):
            begun = time.perf_counter()
            quality(resized, Located(located.matrix / factor, mesh * factor), 64)  # type: ignore[arg-type]
            times.append(time.perf_counter() - begun)
        print(f"size {side}: {1000 * np.median(times):.2f} ms a face")


def main() -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ferplus", type=Path)
    parser.add_argument("--models", nargs="+", default=["cnn", "derl"])
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    predictors = {name: Predictor(name, "none") for name in arguments.models}
    samples = [each for each in datasets.read("ferplus", arguments.ferplus) if each.split == "public_test"][::2]
    pairs = [(each, pixels) for each, pixels in read_pictures(samples) if not isinstance(pixels, PhotographError)]
    pictures = [pixels for _, pixels in pairs]
    targets = np.array([sample.target for sample, _ in pairs])
    true = np.array(EXPRESSIONS)[targets.argmax(axis=1)]
    print(f"{'accuracy in %':<42}" + "".join(f"{name:>8}" for name in predictors))
    answers, seen = read(pictures, predictors)
    row("all", answers, true)
    by_quality(answers, seen, true)
    clear = [row for row, each in enumerate(seen) if each.turn is not None and targets[row].max() > 0.5][:MOST]
    degraded([pictures[row] for row in clear], np.array([seen[row].size for row in clear]), true[clear], predictors)
    turns()
    picture, _ = Studio(make_figure("makehuman", 100), sample_scene(1), 512).picture({})
    seconds(picture, locate(picture, make_detector("centerface")(picture)[0], 64))


if __name__ == "__main__":
    main()
