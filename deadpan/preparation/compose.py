"""Composes pairs from prepared photographs: a neutral photograph, and a copy with the expression of another person."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from deadpan.expressions import EXPRESSIONS
from deadpan.faces.alignment import margin_size, warp
from deadpan.files import replacing
from deadpan.jobs import cores
from deadpan.outputs import check_file
from deadpan.pixels import RGB
from deadpan.preparation.contents import FORMAT, prepared_schema
from deadpan.preparation.donors import ComposeError, Measures, best_donor, measure_face, measures, people_of, pools
from deadpan.preparation.pasting import Recipe, composite
from deadpan.preparation.prepare import ROW_GROUP
from deadpan.preparation.sample import encode
from deadpan.preparation.table import FaceTable, is_prepared, open_data, pack_mesh
from deadpan.preparation.workers import in_turn, progress_bar

Item = TypeVar("Item")

CHUNK = 32

KINDS = {"main": 0.8, "control": 0.1, "identity": 0.1}
"""Shares of the kinds of pairs. A control has the mouth and folds of a neutral donor; an identity is not changed."""

STRENGTHS = (0.55, 1.15)

IN_THE_BROWS = ("anger", "contempt", "disgust", "fear", "sadness", "surprise")


class Photograph(NamedTuple):
    """A face of a prepared file."""

    pixels: NDArray[np.uint8]  # (M, M, C)
    points: NDArray[np.float16]  # (468, 2)


class Order(NamedTuple):
    """One pair to compose, with all data that a worker needs."""

    seed: tuple[int, int]
    own: Photograph
    donor: Photograph
    recipe: Recipe
    facts: dict[str, Any]  # the other columns of the row


def compose(
    neutral: str | Path,
    expressive: Sequence[str | Path],
    out: str | Path,
    pairs: int = 20_000,
    image_size: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    console: Console | None = None,
) -> CompositionReport:
    """Compose `pairs` pairs from the faces of `neutral` and the expressions of `expressive` files, into the file `out`.

    `image_size` is the side of the network's input in pixels, at most that of the files (None: equal to it). The file
    is the same for any number of `workers` (None: one per core). Raises ComposeError if the files do not fit together
    or have no suitable faces, OutputError if `out` would replace another file, ValueError for settings out of range.
    """
    out, begun = Path(out), time.perf_counter()
    if pairs < 1:
        raise ValueError(f"expected at least one pair, got {pairs}")
    if workers is not None and workers < 1:
        raise ValueError(f"at least one worker is needed, got {workers}")
    check_file(out, "compose", is_prepared, (neutral, *expressive), "a new Parquet file")
    tables = [open_data(spec, None, None) for spec in (neutral, *expressive)]
    _check(tables, image_size)
    size = image_size or tables[0].image_size
    expressions = [name for name in EXPRESSIONS if any(name in table.expressions for table in tables)]
    about = {
        "format": FORMAT,
        "dataset": tables[0].dataset,
        "expressions": expressions,
        "image_size": size,
        "margin_size": margin_size(size),
        "alignment": tables[0].alignment,
        "composed": {"of": [f"{table.dataset}/{table.path.name}" for table in tables], "pairs": pairs, "seed": seed},
    }
    with replacing(out) as unfinished, progress_bar(console or Console(stderr=True)) as progress:
        task = progress.add_task("compose", total=pairs, rate="measuring faces")
        orders = _orders(tables, expressions, pairs, seed, workers or cores())
        work = partial(_make, scale=(tables[0].image_size, size))
        kinds: Counter[str] = Counter()
        for rows in _written(in_turn(work, _chunks(orders, CHUNK), workers or cores()), unfinished, about):
            kinds.update(json.loads(row["attributes"])["kind"] for row in rows)
            rate = f"{kinds.total() / (time.perf_counter() - begun):.0f} per s"
            progress.update(task, completed=kinds.total(), rate=rate)
    return CompositionReport(out, dict(kinds), time.perf_counter() - begun)


def _check(tables: Sequence[FaceTable], image_size: int | None) -> None:
    first = tables[0]
    if len(tables) < 2:
        raise ComposeError("expected a file of neutral faces and at least one of expressions: NEUTRAL EXPRESSIVE OUT")
    for table in tables:
        if table.composed_of:
            raise ComposeError(f"{table.path} holds composites; expected prepared files of photographs")
        if (table.image_size, table.alignment) != (first.image_size, "mesh"):
            raise ComposeError(
                f"{table.path} has image size {table.image_size} and alignment {table.alignment}; expected "
                f"{first.image_size}, as in {first.path}, and mesh: prepare it again"
            )
    if image_size is not None and not 16 <= image_size <= first.image_size:
        raise ValueError(f"image size must be 16 to {first.image_size}, that of {first.path}; got {image_size}")


def _measured(tables: Sequence[FaceTable], workers: int) -> Measures:
    faces = (Photograph(*each) for table in tables for each in zip(table.images, table.landmarks, strict=True))
    return measures(np.concatenate(list(in_turn(_measure, _chunks(faces, 16 * CHUNK), workers))))


def _chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk


def _measure(faces: list[Photograph]) -> NDArray[np.float64]:
    return np.stack([measure_face(face.pixels, face.points) for face in faces])


def _orders(
    tables: Sequence[FaceTable], expressions: Sequence[str], pairs: int, seed: int, workers: int
) -> Iterator[Order]:
    """Choose the pairs: neutral faces equally often, expressions by the square root of their frequency."""
    own_table, donor_tables = tables[0], tables[1:]
    own, given = _measured([own_table], workers), _measured(donor_tables, workers)
    pool = pools(own_table, own, donor_tables, given)
    own_people, people = people_of([own_table]), people_of(donor_tables)
    ends = np.cumsum([len(table) for table in donor_tables])
    names = list(pool.donors)
    shares = np.sqrt([len(pool.donors[name]) for name in names])
    draw = np.random.default_rng([seed, 0])
    order = np.concatenate([draw.permutation(pool.neutral) for _ in range(-(-pairs // len(pool.neutral)))])
    for index, one in enumerate(order[:pairs].tolist()):
        kind = str(draw.choice(list(KINDS), p=list(KINDS.values())))
        expression = str(draw.choice(names, p=shares / shares.sum()))
        strength = float(draw.uniform(*STRENGTHS)) if kind == "main" else 0.0
        if kind == "main":
            row = best_donor(one, own, own_people[one], pool.donors[expression], given, people, draw)
            person = people[row]
            which = int(np.searchsorted(ends, row, side="right"))
            table, row = donor_tables[which], row - int(ends[which] - len(donor_tables[which]))
        else:
            table, row = own_table, one
            if kind == "control":
                row = best_donor(one, own, own_people[one], pool.neutral, own, own_people, draw)
            person = own_people[row]
        labelled, label = (table, row) if kind == "main" else (own_table, one)
        shares_of = dict(zip(labelled.expressions, labelled.target[label].tolist(), strict=True))
        about: dict[str, Any] = {"kind": kind, "neutral": str(own_table.names[one])}
        if kind != "identity":
            about |= {"donor": str(table.names[row])}
        if kind == "main":
            about |= {"strength": round(strength, 3)}
        yield Order(
            (seed, index + 1),
            Photograph(own_table.images[one], own_table.landmarks[one]),
            Photograph(table.images[row], table.landmarks[row]),
            Recipe(kind, strength, kind == "main" and expression in IN_THE_BROWS),
            {
                "name": f"composite_{index:06d}",
                "target": [shares_of.get(name, 0.0) for name in expressions],
                "subject": own_people[one].partition("/")[2],
                "donor": "" if kind == "identity" else str(person) or f"{table.dataset}/",
                "split": common_split(str(own_table.split[one]), str(table.split[row])),
                "attributes": json.dumps(own_table.attributes[one] | about, sort_keys=True),
            },
        )


def common_split(own: str, donor: str) -> str:
    """The split of a composite; empty if its photographs are in two splits, so that FILE@SPLIT shows no other split."""
    named = {own, donor} - {""}
    return named.pop() if len(named) == 1 else ""


def _make(orders: list[Order], scale: tuple[int, int]) -> list[dict[str, Any]]:
    """Compose some pairs at the size of their photographs, and return their rows at the size of the file."""
    given, size = scale
    factor = size / given
    shift = factor * (0.5 - (margin_size(given) - given) // 2) + (margin_size(size) - size) // 2 - 0.5
    matrix = np.array([[factor, 0, shift], [0, factor, shift]])
    rows = []
    for order in orders:
        own, donor = alike(order.own.pixels, order.donor.pixels)
        made = composite(own, order.own.points, donor, order.donor.points, order.recipe, order.seed)
        faces = [image if size == given else warp(image, matrix, size) for image in (made.image, own)]
        twin = np.asarray(order.own.points, np.float64)
        rows.append(
            {
                "image": encode(faces[0]),
                "twin": encode(faces[1]),
                "sequence": "",
                "frame": -1,
                "landmarks": pack_mesh(made.mesh, matrix),
                "twin_landmarks": pack_mesh(twin, matrix),
                **order.facts,
            }
        )
    return rows


def alike(own: NDArray[np.uint8], donor: NDArray[np.uint8]) -> tuple[RGB, RGB]:
    """Convert both pictures to RGB; a coloured donor becomes grey if the neutral face is grey."""
    coloured = own.shape[2] == 3 and not (own == own[..., :1]).all()
    if not coloured and donor.shape[2] == 3:
        donor = cv2.cvtColor(donor, cv2.COLOR_RGB2GRAY)[..., None]  # type: ignore[assignment]
    one, other = (each if each.shape[2] == 3 else np.repeat(each, 3, axis=2) for each in (own, donor))
    return np.ascontiguousarray(one), np.ascontiguousarray(other)


def _written(
    results: Iterable[list[dict[str, Any]]], path: Path, about: dict[str, Any]
) -> Iterator[list[dict[str, Any]]]:
    """Write the rows to the file in groups, and yield them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, rows = prepared_schema(about), list[dict[str, Any]]()
    with pq.ParquetWriter(path, schema) as writer:
        for made in results:
            rows += made
            if len(rows) >= ROW_GROUP:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows = []
            yield made
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, schema))


@dataclass(frozen=True)
class CompositionReport:
    """The result of composing pairs."""

    out: Path
    kinds: dict[str, int]
    seconds: float

    def __str__(self) -> str:
        count = sum(self.kinds.values())
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(self.kinds.items()))
        return f"{self.out}: {count:,} pairs ({kinds}) in {self.seconds:.1f} s, {count / self.seconds:.0f} per s"
