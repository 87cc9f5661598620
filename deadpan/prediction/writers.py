"""Results as files: JSON lines, CSV, neutral faces; each appears complete under its name or not at all."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from deadpan.faces.photographs import read_photograph
from deadpan.files import replacing, write_png
from deadpan.prediction.results import PhotographResult

STDOUT = "-"

Writer = Callable[[PhotographResult], None]
"""What takes one photograph's result at a time."""


@contextmanager
def _stream(path: Path) -> Iterator[IO[str]]:
    if str(path) == STDOUT:
        yield sys.stdout
        return
    if path.is_dir():  # said now, not when everything has been read
        raise IsADirectoryError(f"{path} is a directory; expected the name of a file to write")
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="", errors="surrogateescape") as file,
    ):
        yield file


@contextmanager
def json_lines(path: Path, shown: bool = False) -> Iterator[Writer]:
    """A writer of one JSON object per photograph and line; "-" is standard output, where each line is flushed."""
    with _stream(path) as file:

        def write(result: PhotographResult) -> None:
            file.write(json.dumps(result.as_json(shown)) + "\n")
            if file is sys.stdout:
                file.flush()

        yield write


@contextmanager
def csv_table(path: Path, expressions: Sequence[str]) -> Iterator[Writer]:
    """A writer of one row per face, and one without face for a photograph that has none or cannot be read."""
    with _stream(path) as file:
        table = csv.DictWriter(file, csv_columns(expressions), restval="", lineterminator="\n")
        table.writeheader()

        def write(result: PhotographResult) -> None:
            table.writerows(_csv_rows(result))
            if file is sys.stdout:
                file.flush()

        yield write


def csv_columns(expressions: Sequence[str]) -> list[str]:
    """The header of the CSV table, the model's expressions in their order."""
    return [
        *("path", "width", "height", "face", "left", "top", "right", "bottom", "score", "expression"),
        *expressions,
        *("residue", "error"),
    ]


def _csv_rows(result: PhotographResult) -> list[dict[str, Any]]:
    start = {"path": result.path, "width": result.width, "height": result.height, "error": result.error or ""}
    rows = []
    for index, face in enumerate(result.faces):
        facts = face.as_json()
        box = dict(zip(("left", "top", "right", "bottom"), facts["box"], strict=True))
        numbers = {key: facts[key] for key in ("score", "expression", "residue")}
        rows.append({**start, "face": index, **box, **numbers, **facts["probabilities"]})
    return rows or [start]


class Names:
    """File names for photographs: the stem, followed by -2, -3 where an earlier photograph has taken it."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def __call__(self, path: str | Path) -> str:
        """A name that no earlier call gave, compared as file systems that ignore case do."""
        stem = Path(path).stem
        name, number = stem, 1
        while name.lower() in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._taken.add(name.lower())
        return name


def neutral_faces(directory: Path) -> Writer:
    """A writer of NAME_FACE.face.png and, where the model makes one, NAME_FACE.neutral.png; faces count from 0."""
    names = Names()

    def write(result: PhotographResult) -> None:
        name = names(result.path)
        for index, face in enumerate(result.faces):
            for kind, pixels in (("face", face.aligned), ("neutral", face.neutral)):
                if pixels is not None:
                    write_png(directory / f"{name}_{index}.{kind}.png", pixels)

    return write


def panels(directory: Path) -> Writer:
    """A writer of NAME.panel.png with the photograph, its faces and what was read from each."""
    from deadpan.prediction.panel import draw_panel

    names = Names()

    def write(result: PhotographResult) -> None:
        name = names(result.path)
        if result.error is None:
            target = directory / f"{name}.panel.png"
            if target.exists() and target.samefile(result.path):
                raise ValueError(f"{target} is the photograph itself; give another --panel folder")
            write_png(target, draw_panel(read_photograph(result.path), result.faces))

    return write
