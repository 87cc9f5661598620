"""Measures how close a relaxed face is to the same person's true neutral photograph.

    python benchmarks/relaxed.py FOLDER [--model NAME|FILE ...] [--reader cnn] [--expression happiness]
                                 [--sheet FILE.png] [--json FILE.json]

FOLDER holds SUBJECT_neutral.jpg and SUBJECT_EXPRESSION.jpg, for instance the Face Research Lab London Set (DeBruine &
Jones, figshare 5047666, CC BY 4.0). Without --model the photograph is relaxed as by `deadpan relax`. With --model, the
model's generated neutral face is pasted into the photograph, and the model also reads all photographs. With n models,
the people number i, i + n, i + 2 n, ... are measured with model i: cross-validation, if that model was trained without
them. --json writes the figures as {FOLDER: ...}, which `deadpan export --metrics` puts into a card; where FOLDER holds
manifest.csv, with the accuracy of each group of people.

The released model `default` learnt from 26 people of the London Set: measure it on other people.

Errors of shape are differences between the face mesh of a result and that of the true neutral photograph, in distances
between the outer eye corners. L1, sharpness and the change of neutral photographs are measured on grey 64 px faces
that are aligned by the eyes and the nose. The L1 covers mouth and cheeks. The mean brightness there is matched, and the
best shift within 2 px and scale within 3 % is used, so that neither blur nor alignment is rewarded.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan import Predictor
from deadpan.faces.alignment import TEMPLATE, alignment, five_as_mesh, margin_size, mesh_alignment, similarity
from deadpan.faces.face import Detector, Face
from deadpan.faces.landmarks import main_face, mesh_of
from deadpan.faces.photographs import read_photograph
from deadpan.faces.relaxing import steady_mesh
from deadpan.files import write_png
from deadpan.metrics.groups import groups_in
from deadpan.pixels import LUMA, RGB
from deadpan.prediction.relaxing import relax_photograph
from deadpan.video.episodes import APART

Floats = NDArray[np.float64]

SIZE = 64
MOUTH_AND_CHEEKS = np.s_[32:61, 10:54]
MOUTH = np.s_[38:60, 16:48]
STILL = (33, 133, 362, 263, 168, 6, 197)
"""Mesh points of the eye corners and the bridge of the nose: faces are aligned by these."""

ATTRIBUTES = ("gender", "ethnicity")

Relax = Callable[[RGB], RGB]


class Person(NamedTuple):
    """One pair and its result: aligned faces (SIZE, SIZE) in grey, 0 to 1, and measures of their meshes."""

    smile: Floats
    result: Floats
    neutral: Floats
    neutral_result: Floats  # the neutral photograph, relaxed
    measures: Floats  # (3, 3): of smile, result and neutral: mouth width, rise of its corners, gap between the lips


def relax_by_model(predictor: Predictor) -> Relax:
    """A function that pastes the model's neutral face over the main face of a photograph."""
    size, edge = predictor.image_size, (margin_size(predictor.image_size) - predictor.image_size) // 2

    def relax(photograph: RGB) -> RGB:
        height, width = photograph.shape[:2]
        faces = predictor.predict(photograph)
        face = max(faces, key=lambda each: each.box[2] - each.box[0])
        if face.neutral is None:
            raise SystemExit(f"the model {predictor.name} generates no neutral face")
        if predictor.alignment == "five":
            matrix = alignment(face.landmarks, size)
        else:
            matrix = five_as_mesh(face.landmarks, size) if face.mesh is None else mesh_alignment(face.mesh, size)
        matrix[:, 2] -= edge
        change = face.neutral.astype(np.float32) - face.aligned
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        back = cv2.warpAffine(change, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray(np.clip(np.rint(photograph + back), 0, 255), np.uint8)

    return relax


def mesh_points(photograph: RGB, detector: Detector) -> Floats:
    """The mesh (468, 3) of the main face."""
    faces: list[Face] = detector(photograph)
    if not faces:
        raise SystemExit("no face was found in one of the photographs")
    mesh = mesh_of(photograph, main_face(faces, photograph.shape[1], photograph.shape[0]))
    if mesh is None:
        raise SystemExit("the face mesh finds no face in one of the photographs")
    return steady_mesh(photograph, mesh)


def measures(mesh: Floats) -> Floats:
    """Mouth width, rise of its corners and gap between the lips, in distances between the outer eye corners."""
    across = mesh[263, :2] - mesh[33, :2]
    apart = float(np.hypot(*across))
    down = np.array([-across[1], across[0]]) / apart
    y = mesh[:, :2] @ down
    width = np.linalg.norm(mesh[61, :2] - mesh[291, :2])
    rise = y[[0, 13, 14, 17]].mean() - y[[61, 291]].mean()
    gap = (y[[87, 14, 317]] - y[[82, 13, 312]]).mean()
    return np.array([width, rise, gap]) / apart


def aligned(photograph: RGB, mesh: Floats) -> Floats:
    """The face (SIZE, SIZE) in grey, 0 to 1, aligned by eyes and nose."""
    eyes = [mesh[list(pair), :2].mean(axis=0) for pair in ((33, 133), (362, 263))]
    source = np.stack([*eyes, mesh[STILL[4:], :2].mean(axis=0)])
    target = np.stack([*TEMPLATE[:2], (0.5, TEMPLATE[0, 1] + 0.045)]) * SIZE - 0.5
    finer = max(1, int(np.ceil(1 / np.hypot(*similarity(source, target)[:, 0]))))
    matrix = similarity(source, (target + 0.5) * finer - 0.5)
    cut = cv2.warpAffine(photograph, matrix, (SIZE * finer, SIZE * finer), borderMode=cv2.BORDER_REPLICATE)
    small = cv2.resize(cut, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    grey: Floats = small @ np.array(LUMA) / 255
    return grey


def registered_l1(face: Floats, neutral: Floats) -> float:
    """L1 over mouth and cheeks at the best shift within 2 px and scale within 3 %, brightness matched."""
    wanted = neutral[MOUTH_AND_CHEEKS]
    best = np.inf
    for scale in (0.97, 1.0, 1.03):
        for x in range(-2, 3):
            for y in range(-2, 3):
                middle = (SIZE - 1) / 2 * (1 - scale)
                matrix = np.array([[scale, 0, middle + x], [0, scale, middle + y]])
                got = cv2.warpAffine(face, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)[MOUTH_AND_CHEEKS]
                best = min(best, float(np.abs(got + wanted.mean() - got.mean() - wanted).mean()))
    return best


def sharpness(face: Floats) -> float:
    """Variance of the Laplacian over the mouth."""
    return float(cv2.Laplacian(face, cv2.CV_64F)[MOUTH].var())


def read_people(
    folder: Path, expression: str, detector: Detector, relaxes: Sequence[Relax]
) -> tuple[list[Person], list[RGB]]:
    """Every pair of the folder, measured, and the photographs with the expression followed by their results."""
    people, photographs = [], []
    for path, relax in zip(sorted(folder.glob("*_neutral.jpg")), cycle(relaxes), strict=False):
        smile = read_photograph(path.with_name(path.name.replace("_neutral", f"_{expression}")))
        neutral = read_photograph(path)
        result = relax(smile)
        meshes = [mesh_points(each, detector) for each in (smile, result, neutral)]
        people.append(
            Person(
                aligned(smile, meshes[0]),
                aligned(result, meshes[1]),
                aligned(neutral, meshes[2]),
                aligned(relax(neutral), meshes[2]),
                np.stack([measures(mesh) for mesh in meshes]),
            )
        )
        photographs += [smile, result]
    if not people:
        raise SystemExit(f"{folder} holds no SUBJECT_neutral.jpg with SUBJECT_{expression}.jpg")
    return people, photographs


def report(people: list[Person]) -> dict[str, float]:
    """Print the figures, and return the chief ones."""
    rows: dict[str, list[Floats]] = {
        "as it is": [person.smile for person in people],
        "blurred by 1 px": [np.asarray(cv2.GaussianBlur(person.smile, (0, 0), 1)) for person in people],
        "relaxed": [person.result for person in people],
    }
    neutrals = [person.neutral for person in people]
    l1 = {
        name: np.array([registered_l1(*both) for both in zip(faces, neutrals, strict=True)])
        for name, faces in rows.items()
    }
    true = np.array(list(map(sharpness, neutrals)))
    print(f"{len(people)} people\n{'':<16}{'registered L1':>14}{'sharpness, 1 = true':>21}")
    for name, faces in rows.items():
        print(f"{name:<16}{l1[name].mean():>14.4f}{np.median(np.array(list(map(sharpness, faces))) / true):>21.2f}")
    nearer = [(l1["relaxed"] < l1[name]).mean() for name in ("as it is", "blurred by 1 px")]
    share = l1["relaxed"].mean() / l1["as it is"].mean()
    print(f"L1 left {share:.2f}; nearer than as it is {nearer[0]:.1%}, than blurred {nearer[1]:.1%}")
    of = np.stack([person.measures for person in people])  # (P, 3, 3)
    errors = np.abs(of[:, :2] - of[:, 2:]).mean(axis=0)  # (2, 3)
    left = {}
    for index, name in enumerate(("mouth width", "corner rise", "lip gap")):
        before, after = errors[:, index]
        left[f"{name} left"] = after / before
        print(f"{name:<12} error {before:.4f} -> {after:.4f}, left {after / before:.2f}")
    rest = [np.abs(person.neutral_result - person.neutral).mean() for person in people]
    print(f"neutral photographs changed by {np.mean(rest):.4f}, at most {np.max(rest):.4f}")
    sharp = np.median(np.array(list(map(sharpness, rows["relaxed"]))) / true)
    measured = {"registered L1 left": share, "nearer than blurred": nearer[1], "sharpness": sharp}
    return {**left, **measured, "neutral photographs changed by": np.mean(rest)}


def reading(predictors: Sequence[Predictor], folder: Path, expression: str) -> dict[str, Any]:
    """How the models read the photographs of each person, neutral and with the expression; prints and returns it."""
    margins, right, distances = [], [], []
    for path, predictor in zip(sorted(folder.glob("*_neutral.jpg")), cycle(predictors), strict=False):
        for name, photograph in (("neutral", path), (expression, path.with_name(f"{path.stem[:-8]}_{expression}.jpg"))):
            face = max(predictor.predict(photograph), key=lambda each: each.box[2] - each.box[0])
            right.append(face.expression == name)
            margins.append(np.log(face.probabilities[expression] / face.probabilities["neutral"]))
        distances += [face.distance_from_rest or 0 for face in predictor.with_rest_face(path).predict(photograph)]
    calm, moved = np.array(margins).reshape(-1, 2).T
    found = {
        "accuracy": np.mean(right),
        "neutral recognised": np.mean(right[::2]),
        f"{expression} recognised": np.mean(right[1::2]),
        "area under the ROC curve": (moved[:, None] > calm).mean() + (moved[:, None] == calm).mean() / 2,
        "more than in the own neutral photograph": (moved > calm).mean(),
        f"at least {APART} from the own neutral photograph": np.mean(np.array(distances) >= APART),
    }
    names = ", ".join(predictor.name for predictor in predictors)
    print(f"{names}: " + ", ".join(f"{name} {value:.3f}" for name, value in found.items()))
    figures: dict[str, Any] = {name: float(value) for name, value in found.items()}
    if (folder / "manifest.csv").exists():
        figures["groups"] = group_accuracy(folder, np.array(right, np.float64))
    return figures


def group_accuracy(folder: Path, right: Floats) -> dict[str, dict[str, float]]:
    """The accuracy of each group that manifest.csv defines, from two photographs of each person; printed too."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        facts = {row["path"]: row for row in csv.DictReader(file)}
    names = [path.name for path in sorted(folder.glob("*_neutral.jpg"))]
    pictures: list[dict[str, Any]] = [
        {key: facts[name].get(key) for key in ATTRIBUTES} for name in names for _ in range(2)
    ]
    groups = {
        attribute: {group: round(float(right[rows].mean()), 4) for group, rows in members.items()}
        for attribute, members in groups_in(pictures).items()
    }
    for attribute, accuracy in groups.items():
        print(f"{attribute}: " + ", ".join(f"{group} {value:.3f}" for group, value in accuracy.items()))
    return groups


def main() -> None:
    """Print the figures and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--model",
        nargs="+",
        default=[],
        help="models that generate neutral faces; without them the photograph is warped",
    )
    parser.add_argument("--reader", default="cnn", help="the model that reads the results")
    parser.add_argument("--expression", default="happiness")
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--sheet", type=Path, help="PNG: expression, result and true neutral of everyone, aligned")
    parser.add_argument("--json", type=Path, help="write the figures to this file, for the card of a model")
    arguments = parser.parse_args()
    reader = Predictor(arguments.reader)

    def warp(photograph: RGB) -> RGB:
        return relax_photograph(photograph, reader.detector, strength=arguments.strength).photograph

    models = [Predictor(each) for each in arguments.model]
    relaxes = [relax_by_model(model) for model in models] or [warp]
    people, photographs = read_people(arguments.folder, arguments.expression, reader.detector, relaxes)
    figures: dict[str, Any] = {"people": len(people), **report(people)}
    if models:
        figures |= reading(models, arguments.folder, arguments.expression)
    read = [[face.expression for face in reader.predict(each)[:1]] == [arguments.expression] for each in photographs]
    print(f"{reader.name} reads {arguments.expression}: {np.mean(read[::2]):.1%} -> {np.mean(read[1::2]):.1%}")
    if arguments.json:
        figures[f"{reader.name} reads {arguments.expression}"] = float(np.mean(read[1::2]))
        rounded = {name: value if name == "groups" else round(float(value), 4) for name, value in figures.items()}
        arguments.json.write_text(json.dumps({arguments.folder.resolve().name: rounded}, indent=1) + "\n")
    if arguments.sheet:
        rows = [np.hstack([getattr(person, name) for person in people]) for name in ("smile", "result", "neutral")]
        grey = np.clip(np.vstack(rows) * 255, 0, 255).astype(np.uint8)
        write_png(arguments.sheet, np.repeat(grey[..., None], 3, axis=2))


if __name__ == "__main__":
    main()
