"""Writes the face meshes on which recipes/relax.py trains, one .npz for each source.

    python recipes/relax_meshes.py people OUT.npz --people 400 [--head ict --assets ict_facekit_light.npz] [--first 0]
    python recipes/relax_meshes.py table FACES.parquet OUT.npz     (columns image and expression or votes_*, subject)
    python recipes/relax_meshes.py folder FOLDER OUT.npz           (SUBJECT_EXPRESSION.jpg)

A file holds `mesh` (N, 468, 3), `presence`, `subject` and `expression` (N,), and for rendered people `neutral`
(N, 468, 3), the mesh of the same picture without expression. Each synthetic person is rendered in three scenes; a scene
has four expressions at random intensity and one blend of two. Photographs give the mesh of their main face, crops that
of the whole picture.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan.expressions import EXPRESSIONS
from deadpan.faces.detection import make_detector
from deadpan.faces.landmarks import main_face
from deadpan.faces.mesh import Mesh, read_mesh
from deadpan.faces.photographs import read_photograph
from deadpan.pixels import RGB
from deadpan.synthetic.expression import Weights, add, expression_weights, for_head, small_variation
from deadpan.synthetic.figure import make_figure
from deadpan.synthetic.render import Studio, sample_scene

SIDE = 144  # of the rendered pictures: the face fills two thirds
SCENES, APART = 3, 3  # scenes of a person; single expressions in a scene, besides a neutral one and a blend
CROP_SQUARES = ((1.45, 0.0), (1.25, 0.0), (1.7, 0.0), (1.45, 0.08), (1.45, -0.08), (1.1, 0.0), (2.0, 0.0))
"""Sides and downward shifts, as shares of the picture, of the squares tried on a crop until a presence of TRUSTED."""
TRUSTED = 12.0  # presence at which no other square is tried

Row = dict[str, Any]


def closer(photograph: RGB, mesh: Mesh) -> Mesh:
    """Read the mesh again in its own square, and keep the one with the higher presence."""
    if mesh.presence <= 0:
        return mesh
    again = read_mesh(photograph, mesh.square)
    return max(mesh, again, key=lambda each: each.presence)


def weights_of(expression: str, head: str, rng: np.random.Generator) -> Weights:
    """Blendshape weights of an expression at random intensity; "blend" is two at once, at times with an open jaw."""
    if expression == "blend":
        first, second = rng.choice(EXPRESSIONS[1:], 2, replace=False)
        weights = add(
            expression_weights(str(first), float(rng.uniform(0.2, 0.9)), rng),
            expression_weights(str(second), float(rng.uniform(0.2, 0.7)), rng),
        )
        jaw = 0.8 if rng.random() < 0.5 else 0.0
    else:
        amount = 0.0 if expression == "neutral" else float(np.clip(rng.beta(1.7, 1.3) * 0.95 + 0.25, 0.25, 1.2))
        weights = expression_weights(expression, amount, rng)
        jaw = 0.5 if expression in ("anger", "surprise", "fear") and rng.random() < 0.3 else 0.0
    weights = add(add(weights, {"jawOpen": float(rng.uniform(0, jaw))}), small_variation(rng))
    return for_head(head, weights)


def rendered(people: range, head: str, assets: Path | None) -> Iterator[Row]:
    """A row for each rendered expression."""
    for person in people:
        rng = np.random.default_rng([20261127, person, head == "ict"])
        figure = make_figure(head, int(rng.integers(2**31)), assets)
        for _ in range(SCENES):
            scene = sample_scene(int(rng.integers(2**31)))
            studio = Studio(figure, dataclasses.replace(scene, zoom=float(rng.uniform(1.15, 1.5))), SIDE)
            neutral = rendered_mesh(studio, {})
            some = rng.permutation(len(EXPRESSIONS) - 1)[:APART] + 1
            for expression in ("neutral", *(EXPRESSIONS[index] for index in some), "blend"):
                mesh = rendered_mesh(studio, weights_of(expression, head, rng))
                presence = min(mesh.presence, neutral.presence)
                row = {"mesh": mesh.points, "neutral": neutral.points, "presence": presence}
                yield {**row, "subject": f"{head}-{person}", "expression": expression}


def rendered_mesh(studio: Studio, weights: Weights) -> Mesh:
    """The mesh of a rendered picture, in which the face is in the centre."""
    picture, _ = studio.picture(weights)
    return closer(picture, read_mesh(picture, (SIDE / 2, SIDE / 2 + 0.03 * SIDE, SIDE, 0.0)))


def photograph_mesh(photograph: RGB) -> Mesh:
    """The mesh of the main face, or of the whole picture if none is found, in pixels of the photograph."""
    height, width = photograph.shape[:2]
    faces = make_detector()(photograph) if max(height, width) > 64 else []
    if faces:
        points = main_face(faces, width, height).mesh
        return read_mesh(photograph, Mesh(np.asarray(points, np.float64), 0.0).square)
    best = Mesh(np.zeros((468, 3)), -np.inf)
    for side, down in CROP_SQUARES:
        square = (width / 2, height / 2 + down * height, side * max(height, width), 0.0)
        best = max(best, closer(photograph, read_mesh(photograph, square)), key=lambda each: each.presence)
        if best.presence > TRUSTED:
            break
    return best


def of_table(path: Path) -> Iterator[Row]:
    """A row for each picture of a Parquet table, labelled by the most votes unless these are unclear."""
    import pyarrow.parquet

    for row in pyarrow.parquet.read_table(path).to_pylist():
        expression = row.get("expression")
        votes = {name: row.get(f"votes_{name}") for name in EXPRESSIONS}
        if None not in votes.values():
            expression = max(votes, key=lambda name: votes[name] or 0)
        mesh = photograph_mesh(padded(read_photograph(row["image"])))
        yield {
            "mesh": mesh.points,
            "presence": mesh.presence,
            "subject": row.get("subject", ""),
            "expression": expression,
        }


def padded(photograph: RGB) -> RGB:
    """Enlarge a small crop and pad it by repeating its edge, for the squares of the mesh; keep other pictures."""
    if max(photograph.shape[:2]) > 64:
        return photograph
    larger = cv2.resize(photograph, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.copyMakeBorder(larger, 32, 32, 32, 32, cv2.BORDER_REPLICATE), np.uint8)


def of_folder(folder: Path) -> Iterator[Row]:
    """A row for each SUBJECT_EXPRESSION.jpg."""
    for path in sorted(folder.glob("*_*.jpg")):
        subject, expression = path.stem.split("_", 1)
        mesh = photograph_mesh(read_photograph(path))
        yield {"mesh": mesh.points, "presence": mesh.presence, "subject": subject, "expression": expression}


def main() -> None:
    """Write one file of meshes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    people = kinds.add_parser("people")
    people.add_argument("out", type=Path)
    people.add_argument("--people", type=int, default=400)
    people.add_argument("--first", type=int, default=0)
    people.add_argument("--head", default="makehuman")
    people.add_argument("--assets", type=Path)
    for kind in ("table", "folder"):
        source = kinds.add_parser(kind)
        source.add_argument("source", type=Path)
        source.add_argument("out", type=Path)
    given = parser.parse_args()
    if given.kind == "people":
        rows = rendered(range(given.first, given.first + given.people), given.head, given.assets)
    else:
        rows = of_table(given.source) if given.kind == "table" else of_folder(given.source)
    save(given.out, list(rows))


def save(out: Path, rows: list[Row]) -> None:
    """Write the columns of the rows; meshes in 32 bits."""
    columns: dict[str, NDArray[Any]] = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    for name in {"mesh", "neutral"} & set(columns):
        columns[name] = columns[name].astype(np.float32)
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out, **columns)  # type: ignore[arg-type]
    print(f"{out}: {len(rows)} meshes, {int((columns['presence'] <= 0).sum())} not trusted")


if __name__ == "__main__":
    main()
