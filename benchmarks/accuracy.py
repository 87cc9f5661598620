"""Measure how accurately deadpan and other programs read the same labelled pictures.

    python benchmarks/accuracy.py DATASET=ROOT[@SPLIT]... [--models cnn derl] [--peers "NAME=COMMAND"...] [--limit N]

DATASET is a name listed by `deadpan data list`; use `csv` or `folders` for your own pictures. A peer is the command of
another program. The command must accept the paths of pictures, and `--crop` if they are face crops. It must print one
line of JSON for each picture:
{"image": PATH, "ms": MILLISECONDS, "faces": [{"box": [X, Y, WIDTH, HEIGHT], "probs": {EXPRESSION: PROBABILITY}}]}.
Expressions may have other spellings, such as `happy`.

If a program finds several faces, the largest counts. If it finds none, the picture counts as wrong. The columns:

    found      % of the pictures in which a face is found
    all        accuracy in % over all pictures, including those with expressions that the program does not know
    balanced   mean recall in % over all expressions of the pictures
    own        accuracy in % on the pictures whose expression the program knows
    among      accuracy in % if only expressions that occur in the pictures are allowed as answers
    ms         median time per picture in milliseconds, without decoding the file
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from deadpan.datasets import DATASETS, read
from deadpan.datasets.pictures import read_pictures
from deadpan.datasets.sample import expression_in
from deadpan.faces.photographs import PhotographError
from deadpan.files import write_png
from deadpan.pixels import RGB
from deadpan.prediction.predictor import Predictor
from deadpan.prediction.results import FaceResult

BATCH = 200
"""Number of pictures in each call of a peer's command."""


class Labelled(NamedTuple):
    """The pictures of one data set with their labels."""

    name: str
    pictures: list[RGB]
    truth: list[str]
    clear: list[bool]  # whether more than half of the annotators agree; True if the data set has no votes
    cropped: bool  # whether all pictures are face crops


class Answer(NamedTuple):
    """A program's answer for one picture: probabilities of the expressions, empty if no face was found."""

    shares: dict[str, float]
    milliseconds: float


Reader = Callable[[list[RGB], bool], list[Answer]]
"""A function of pictures, and whether they are face crops, that returns an answer for each."""


def read_data(word: str, limit: int) -> Labelled:
    """Read the pictures of DATASET=ROOT[@SPLIT]; with `limit`, about that many, spread evenly over the data set."""
    name, _, place = word.partition("=")
    root, _, split = place.partition("@")
    samples = [sample for sample in read(name, Path(root)) if not split or sample.split == split]
    if not samples:
        raise SystemExit(f"{word}: no pictures")
    samples = samples[:: max(1, len(samples) // limit)] if limit else samples
    expressions = DATASETS[name].expressions
    kept = [(sample, pixels) for sample, pixels in read_pictures(samples) if not isinstance(pixels, PhotographError)]
    return Labelled(
        Path(root).name + (f"@{split}" if split else ""),
        [pixels for _, pixels in kept],
        [expressions[int(np.argmax(sample.target))] for sample, _ in kept],
        [sample.attributes.get("majority", 1) == 1 for sample, _ in kept],
        all(sample.cropped for sample, _ in kept),
    )


def area(face: FaceResult) -> float:
    """The area of a face's box in square pixels."""
    left, top, right, bottom = face.box
    return (right - left) * (bottom - top)


def read_by_model(model: str) -> Reader:
    """Make a reader from one of deadpan's models."""
    predictor = Predictor(model)

    def answers(pictures: list[RGB], cropped: bool) -> list[Answer]:
        made = []
        for pixels in pictures:
            start = time.perf_counter()
            faces = [predictor.predict_crop(pixels)] if cropped else predictor.predict(pixels)
            took = 1000 * (time.perf_counter() - start)
            largest = max(faces, key=area, default=None)
            made.append(Answer(largest.probabilities if largest else {}, took))
        return made

    return answers


def read_by_command(command: str) -> Reader:
    """Make a reader from a peer's command."""

    def answers(pictures: list[RGB], cropped: bool) -> list[Answer]:
        made: list[Answer] = []
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{index:05}.png" for index in range(len(pictures))]
            for path, pixels in zip(paths, pictures, strict=True):
                write_png(path, pixels)
            for start in range(0, len(paths), BATCH):
                words = [*shlex.split(command), *(["--crop"] if cropped else [])]
                some = [str(path) for path in paths[start : start + BATCH]]
                done = subprocess.run([*words, *some], capture_output=True, text=True, check=True)
                found = {line["image"]: line for line in map(json.loads, done.stdout.splitlines()) if "image" in line}
                made += [answer_of(found[path]) for path in some]
        return made

    return answers


def answer_of(line: dict[str, Any]) -> Answer:
    """Convert a peer's line: take the probabilities of the largest face, with deadpan's names of the expressions."""
    faces = line["faces"]
    if not faces:
        return Answer({}, line["ms"])
    largest = max(faces, key=lambda face: face["box"][2] * face["box"][3])
    named = {expression_in(word): float(share) for word, share in largest["probs"].items()}
    return Answer({name: share for name, share in named.items() if name}, line["ms"])


def figures(answers: list[Answer], truth: list[str]) -> dict[str, float]:
    """Compute the columns of the table, by name."""
    occurring = sorted(set(truth))
    known = {name for each in answers for name in each.shares}

    def best(shares: dict[str, float], names: Iterable[str]) -> str:
        return max((name for name in names if name in shares), key=lambda name: shares[name], default="")

    right = np.array([best(each.shares, each.shares) == true for each, true in zip(answers, truth, strict=True)])
    among = np.array([best(each.shares, occurring) == true for each, true in zip(answers, truth, strict=True)])
    shown, own = np.array(truth), np.array([true in known for true in truth])
    return {
        "found": 100 * float(np.mean([bool(each.shares) for each in answers])),
        "all": 100 * float(right.mean()),
        "balanced": 100 * float(np.mean([right[shown == name].mean() for name in occurring])),
        "own": 100 * float(right[own].mean()) if own.any() else float("nan"),
        "among": 100 * float(among.mean()),
        "ms": float(np.median([each.milliseconds for each in answers])),
    }


def report(data: Labelled, readers: dict[str, Reader]) -> None:
    """Print the table of one data set; if it has votes, one table for the clear pictures and one for all."""
    answers = {name: reader(data.pictures, data.cropped) for name, reader in readers.items()}
    readings = {"": np.ones(len(data.truth), bool)}
    if not all(data.clear):
        readings = {", majority": np.array(data.clear), ", plurality": readings[""]}
    for reading, rows in readings.items():
        truth = [data.truth[row] for row in rows.nonzero()[0]]
        print(f"\n{data.name}{reading}: {len(truth):,} pictures, {len(set(truth))} expressions")
        for name, made in answers.items():
            row = figures([made[place] for place in rows.nonzero()[0]], truth)
            if not list(answers).index(name):
                print(" " * 32 + "".join(f"{column:>10}" for column in row))
            print(f"{name:<32}" + "".join(f"{value:10.1f}" for value in row.values()), flush=True)


def main() -> None:
    """Print the table of every data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", metavar="DATASET=ROOT[@SPLIT]")
    parser.add_argument("--models", nargs="*", default=["default", "cnn", "derl"])
    parser.add_argument("--peers", nargs="*", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--limit", type=int, default=0, help="read about this many pictures per data set; 0 reads all")
    options = parser.parse_args()
    readers = {model: read_by_model(model) for model in options.models}
    readers |= {name: read_by_command(command) for name, _, command in (each.partition("=") for each in options.peers)}
    for word in options.data:
        report(read_data(word, options.limit), readers)


if __name__ == "__main__":
    main()
