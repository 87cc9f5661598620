"""A prepared Parquet file in memory: aligned faces as uint8, their neutral twins, labels, people and attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan.expressions import check_expressions
from deadpan.faces.alignment import Alignment
from deadpan.faces.landmarks import POINTS
from deadpan.preparation.contents import (
    FACTS,
    METADATA_KEY,
    TableError,
    read_attributes,
    read_columns,
    read_metadata,
    read_targets,
)

Rows = NDArray[np.int64]

MESH = (POINTS, 2)

PIXELS = ("image", "twin", "landmarks", "twin_landmarks")


def is_prepared(path: Path) -> bool:
    """Whether `deadpan prepare` wrote the file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return METADATA_KEY in (pq.read_schema(path).metadata or {})
    except (OSError, pa.ArrowException):
        return False


@dataclass(frozen=True, eq=False, repr=False)
class FaceTable:
    """N faces with margin; pixels are uint8 RGB or grey (C = 3 or 1), landmarks (x, y) pixels of the stored face."""

    path: Path
    dataset: str
    expressions: tuple[str, ...]
    image_size: int  # side of a network's input in pixels, without the margin
    alignment: Alignment  # the landmarks by which the faces were aligned
    names: NDArray[np.str_]  # (N,)
    images: NDArray[np.uint8]  # (N, M, M, C)
    twins: NDArray[np.uint8]  # (T, M, M, C) the neutral twins of the rows that have one
    twin_index: Rows  # (N,) index of a row's twin in `twins`, -1 if it has none
    target: NDArray[np.float32]  # (N, K) label distributions
    subjects: tuple[str, ...]  # the people of the pictures (not donors) as "dataset/subject", sorted
    subject: Rows  # (N,) index into `subjects`, -1 unknown
    donors: NDArray[np.str_]  # (N,) donor of a composite's expression: "dataset/subject", or "dataset/" if unknown
    sequence: NDArray[np.str_]  # (N,) empty if the picture belongs to none
    frame: Rows  # (N,) -1 unknown
    split: NDArray[np.str_]  # (N,)
    landmarks: NDArray[np.float16]  # (N, 468, 2) the face mesh, NaN where unknown
    twin_landmarks: NDArray[np.float16]  # (N, 468, 2)
    attributes: tuple[dict[str, Any], ...]  # N
    composed_of: tuple[str, ...] = ()  # the source data sets of composites; empty for photographs

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        size = f"{self.image_size} x {self.image_size}"
        return f"FaceTable({str(self.path)!r}, {len(self)} faces of {len(self.people)} people, {size})"

    @property
    def channels(self) -> int:
        """The number of colour channels: 1 if every picture and twin is grey, else 3."""
        return int(max(self.images.shape[3], self.twins.shape[3]))

    @property
    def classes(self) -> Rows:
        """(N,): the index of each row's most likely expression."""
        return np.asarray(self.target.argmax(axis=1), np.int64)

    @property
    def people(self) -> list[str]:
        """All people in the rows of this table, also donors; `subjects` may list further people after `take`."""
        return sorted({person for people in people_in(self) for person in people} - {""})

    @property
    def sources(self) -> tuple[str, ...]:
        """The source data sets of the pictures."""
        return self.composed_of or (self.dataset,)

    def take(self, rows: Rows | NDArray[np.bool_]) -> FaceTable:
        """The given rows (indices or a mask), in that order; `subjects` still lists all people."""
        index = np.arange(len(self))[rows]
        per_row = ("names", "images", "twin_index", "target", "subject", "donors", "sequence", "frame", "split")
        arrays = {name: getattr(self, name)[index] for name in (*per_row, "landmarks", "twin_landmarks")}
        return replace(self, **arrays, attributes=tuple(self.attributes[i] for i in index))

    def some(self, count: int) -> FaceTable:
        """At most `count` rows, a fixed random choice in the table's order."""
        if count >= len(self):
            return self
        return self.take(np.sort(np.random.default_rng(0).permutation(len(self))[:count]))

    def restricted(self, expressions: Sequence[str]) -> FaceTable:
        """The table with targets over `expressions`; rows that are mostly another expression are dropped.

        Raises TableError if the table has none of the expressions, or no row is mostly one of them.
        """
        expressions = check_expressions(expressions)
        if expressions == self.expressions:
            return self
        target, kept = _mapped(self.target, self.expressions, expressions, self.path)
        return replace(self, target=target, expressions=expressions).take(kept)


def open_data(spec: str | Path, expressions: Sequence[str] | None, image_size: int | None) -> FaceTable:
    """The table that FILE.parquet or FILE.parquet@SPLIT names on the command line."""
    path, _, split = str(spec).rpartition("@") if "@" in Path(spec).name else (spec, "", "")
    return read_table(Path(path), expressions, image_size, split or None)


def read_table(
    path: str | Path,
    expressions: Sequence[str] | None = None,
    image_size: int | None = None,
    split: str | None = None,
) -> FaceTable:
    """Load prepared faces of one split (None: all), with targets over `expressions` (None: those of the file).

    Rows that are mostly another expression are dropped; the targets of all other rows are scaled to sum to 1. Raises
    TableError if the file is missing, was not written by `deadpan prepare` or has another image size, and if no row has
    one of the expressions or the split.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(path)
    if not path.is_file():
        raise TableError(f"{path} does not exist; `deadpan prepare` writes such a file")
    try:
        with pq.ParquetFile(path) as file:
            about = read_metadata(file, path)
            if image_size is not None and about["image_size"] != image_size:
                raise TableError(
                    f"{path} holds faces of image size {about['image_size']}, {image_size} are needed: prepare the "
                    f"data set again with --image-size {image_size}"
                )
            return _load(file, path, about, expressions, split)
    except (pa.ArrowInvalid, OSError) as error:
        raise TableError(f"{path} is not a Parquet file, or damaged: {error}; `deadpan prepare` writes one") from error


def _mapped(
    target: NDArray[np.float32], given: Sequence[str], wanted: Sequence[str], path: Path
) -> tuple[NDArray[np.float32], Rows]:
    """Targets (N, K) over `wanted` from targets over `given`, and the rows in which `wanted` has at least half."""
    common = [name for name in wanted if name in given]
    if not common:
        raise TableError(f"{path} has the expressions {', '.join(given)}; expected one of {', '.join(wanted)}")
    mapped = np.zeros((len(target), len(wanted)), np.float32)
    for name in common:
        mapped[:, wanted.index(name)] = target[:, given.index(name)]
    mass = mapped.sum(axis=1, keepdims=True)
    kept = (mass[:, 0] >= 0.5).nonzero()[0]
    if not len(kept):
        raise TableError(f"{path} has no face that shows one of {', '.join(wanted)}")
    return mapped / np.maximum(mass, 1e-9), kept


def _load(file: Any, path: Path, about: dict[str, Any], wanted: Sequence[str] | None, split: str | None) -> FaceTable:
    facts = read_columns(file.read(columns=list(FACTS)), FACTS, path)
    given = check_expressions(about["expressions"])
    target, attributes = read_targets(facts["target"], given, path), read_attributes(facts["attributes"], path)
    splits = np.array([split or "" for split in facts["split"].to_pylist()], dtype=np.str_)
    rows = np.arange(len(splits)) if split is None else (splits == split).nonzero()[0]
    if not len(rows):
        there = ", ".join(sorted({name or "(unnamed)" for name in splits.tolist()})) or "no rows"
        raise TableError(f"{path} has no split {split!r}; it has {there}")
    expressions = given if wanted is None else check_expressions(wanted)
    target, kept = _mapped(target[rows], given, expressions, path)
    rows = rows[kept]
    wrong = sorted({donor for donor in facts["donor"].to_pylist() if donor and "/" not in donor})
    if wrong:
        raise TableError(f"{path}: the column donor must hold DATASET/SUBJECT, it holds {wrong[0]!r}: compose it again")
    people = facts["subject"].to_pylist()
    qualified = [f"{about['dataset']}/{people[row]}" if people[row] else "" for row in rows]
    subjects = tuple(sorted(set(qualified) - {""}))
    number = {subject: index for index, subject in enumerate(subjects)} | {"": -1}

    def text(column: str) -> NDArray[np.str_]:
        return np.array([value or "" for value in facts[column].to_pylist()], dtype=np.str_)[rows]

    return FaceTable(
        path=path,
        dataset=about["dataset"],
        expressions=expressions,
        image_size=about["image_size"],
        alignment=about["alignment"],
        names=text("name"),
        **_faces(file, rows, about["margin_size"], path),
        target=target[kept],
        subjects=subjects,
        subject=np.array([number[subject] for subject in qualified], np.int64),
        donors=text("donor"),
        sequence=text("sequence"),
        frame=facts["frame"].fill_null(-1).to_numpy().astype(np.int64)[rows],
        split=splits[rows],
        attributes=tuple(attributes[row] for row in rows),
        composed_of=tuple(dict.fromkeys(each.partition("/")[0] for each in about.get("composed", {}).get("of", ()))),
    )


def _faces(file: Any, rows: Rows, side: int, path: Path) -> dict[str, Any]:
    """Pixels and landmarks of the given rows, read in row groups so that few encoded pictures are in memory."""
    images, twins = _Pixels(len(rows), side, path), _Pixels(len(rows), side, path)
    twin_index = np.full(len(rows), -1, np.int64)
    points = np.full((2, len(rows), *MESH), np.nan, np.float16)
    begin = place = 0
    for group in range(file.num_row_groups):
        end = begin + file.metadata.row_group(group).num_rows
        inside = rows[(rows >= begin) & (rows < end)] - begin
        begin = end
        if not len(inside):
            continue
        part = read_columns(file.read_row_group(group, columns=list(PIXELS)), PIXELS, path).take(inside)
        for offset, (image, twin) in enumerate(zip(part["image"].to_pylist(), part["twin"].to_pylist(), strict=True)):
            images.add(image)
            if twin is not None:
                twin_index[place + offset] = twins.add(twin)
        for which, column in enumerate(("landmarks", "twin_landmarks")):
            for offset, mesh in enumerate(part[column].to_pylist()):
                if mesh is not None:
                    points[which, place + offset] = unpack_mesh(mesh, path)
        place += len(inside)
    return {
        "images": images.array(),
        "twins": twins.array(),
        "twin_index": twin_index,
        "landmarks": points[0],
        "twin_landmarks": points[1],
    }


def pack_mesh(mesh: NDArray[np.floating[Any]] | None, matrix: NDArray[np.float64]) -> bytes | None:
    """Encode a mesh (468, 3) of a photograph for a prepared file, in pixels of the face that `matrix` aligns."""
    if mesh is None:
        return None
    return (mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2]).astype("<f2").tobytes()


def unpack_mesh(packed: bytes, path: Path) -> NDArray[np.float16]:
    """Decode the (468, 2) points that `pack_mesh` encoded; TableError if their number is wrong."""
    needed = 2 * MESH[0] * MESH[1]
    if len(packed) != needed:
        raise TableError(f"{path} holds a mesh of {len(packed)} bytes, {needed} are needed: prepare it again")
    return np.frombuffer(packed, "<f2").reshape(MESH)


class _Pixels:
    """Decoded pictures in one array, which has one channel until the first coloured picture is added."""

    def __init__(self, capacity: int, side: int, path: Path) -> None:
        self.pixels = np.empty((capacity, side, side, 1), np.uint8)
        self.count, self.path = 0, path

    def add(self, encoded: bytes) -> int:
        """Decode one picture and return its index."""
        decoded: NDArray[np.uint8] | None = None
        if encoded:
            decoded = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)  # type: ignore[assignment]
        if decoded is None or decoded.shape[:2] != self.pixels.shape[1:3]:
            found = "damaged" if decoded is None else f"{decoded.shape[1]} x {decoded.shape[0]} pixels"
            raise TableError(
                f"{self.path}: picture {self.count} is {found}, expected a side of {self.pixels.shape[1]} pixels"
            )
        coloured = decoded.ndim == 3
        if coloured and self.pixels.shape[3] == 1:
            wider = np.empty((*self.pixels.shape[:3], 3), np.uint8)
            wider[: self.count] = self.pixels[: self.count]
            self.pixels = wider
        self.pixels[self.count] = decoded[..., ::-1] if coloured else decoded[..., None]
        self.count += 1
        return self.count - 1

    def array(self) -> NDArray[np.uint8]:
        return self.pixels[: self.count]


Mask = NDArray[np.bool_]


def by_name(table: FaceTable) -> FaceTable:
    """The table with its rows sorted by name, so that results do not depend on the order of preparation."""
    return table.take(np.argsort(table.names, kind="stable"))


def alone(table: FaceTable, rows: Rows | Mask) -> FaceTable:
    """The given rows, with only the people of these rows (not their donors) in `subjects`."""
    part = table.take(rows)
    people = tuple(sorted(set(subjects_of(part)) - {""}))
    place = {subject: index for index, subject in enumerate(people)}
    subject = [place[part.subjects[index]] if index >= 0 else -1 for index in part.subject]
    return replace(part, subjects=people, subject=np.array(subject, np.int64))


def subjects_of(table: FaceTable) -> list[str]:
    """The person of each of the N pictures as "dataset/subject"; empty if unknown."""
    return [table.subjects[index] if index >= 0 else "" for index in table.subject]


def people_in(table: FaceTable) -> list[tuple[str, ...]]:
    """The people in each of the N pictures: its subject and, for a composite, the donor; empty if unknown."""
    shown: list[tuple[str, ...]] = []
    for own, donor in zip(subjects_of(table), table.donors.tolist(), strict=True):
        shown.append((own, donor if donor.partition("/")[2] else "") if donor else (own,))
    return shown


def photographs_in(table: FaceTable) -> list[tuple[tuple[str, str], ...]]:
    """The photographs, as (data set, name), that show the people of `people_in`: the picture, or its two sources."""
    shown: list[tuple[tuple[str, str], ...]] = []
    for name, donor, about in zip(table.names.tolist(), table.donors.tolist(), table.attributes, strict=True):
        own = (table.dataset, str(about.get("neutral", "")) if table.composed_of else name)
        shown.append((own, (donor.partition("/")[0], str(about.get("donor", "")))) if donor else (own,))
    return shown
