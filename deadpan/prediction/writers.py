"""Results as files: JSON lines, CSV, neutral faces, panels; each appears complete under its name or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deadpan.faces.photographs import read_photograph
from deadpan.faces.quality import Quality
from deadpan.files import OutputError, growing, is_own_png, write_png
from deadpan.outputs import check_file, check_folder, is_among, json_in_first_line
from deadpan.prediction.results import PhotographResult
from deadpan.printable import printable

STDOUT = "-"

Writer = Callable[[PhotographResult], None]
"""What takes one photograph's result at a time."""


JSON_KEYS = ("path", "width", "height", "faces", "error")

FACE_COLUMNS = ("path", "width", "height", "face", "left", "top", "right", "bottom", "score", "expression")


def check_outputs(
    inputs: Sequence[str | Path],
    *,
    json: Path | None = None,
    csv: Path | None = None,
    panel: Path | None = None,
    neutral: Path | None = None,
) -> None:
    """Refuse (OutputError) outputs that would destroy an input or a file that an earlier call did not write."""
    if json is not None and csv is not None and os.path.realpath(json) == os.path.realpath(csv):
        raise OutputError(f"JSON and CSV cannot both be written to {json}")
    for path, option, own in ((json, "--json", _is_json_lines), (csv, "--csv", _is_csv_table)):
        if path is not None and str(path) != STDOUT:
            check_file(path, option, own, inputs, "a file name, or - for standard output")
    for directory, option, ending in ((panel, "--panel", "panel"), (neutral, "--neutral-dir", r"\d+\.(face|neutral)")):
        if directory is not None:
            check_folder(directory, option)
            _check_pictures(directory, option, re.compile(rf"(.+)[._]{ending}\.png"), inputs)


def _check_pictures(directory: Path, option: str, written: re.Pattern[str], inputs: Sequence[str | Path]) -> None:
    """Refuse the directory where a picture to write may replace one that is to be read or is not deadpan's."""
    names = Names()
    taken = {names(path) for path in inputs}
    for path in directory.iterdir() if directory.is_dir() else ():
        found = written.fullmatch(path.name)
        if found and found[1] in taken and (is_among(path, inputs) or not is_own_png(path)):
            raise OutputError(f"{path} would be replaced by {option}; choose another directory, or move it away")


def _is_json_lines(path: Path) -> bool:
    facts = json_in_first_line(path)
    return isinstance(facts, dict) and all(key in facts for key in JSON_KEYS)


def _is_csv_table(path: Path) -> bool:
    start = (",".join(FACE_COLUMNS) + ",").encode()
    with path.open("rb") as file:
        return file.read(len(start)) == start


@contextmanager
def _records(path: Path, start: str = "") -> Iterator[Callable[[str], None]]:
    """Yield a function that writes one record; "-" is standard output, where each record is flushed."""
    if str(path) != STDOUT:
        with growing(path, start) as append:
            yield append
        return

    def write(record: str) -> None:
        if sys.stdout.isatty():
            record = "\n".join(map(printable, record.split("\n")))
        sys.stdout.write(record)
        sys.stdout.flush()

    if start:
        write(start)
    yield write


@contextmanager
def json_lines(path: Path, shown: bool = False) -> Iterator[Writer]:
    """A writer of one JSON object per photograph and line; "-" is standard output, where each line is flushed."""
    with _records(path) as append:
        yield lambda result: append(json.dumps(result.as_json(shown)) + "\n")


@contextmanager
def csv_table(path: Path, expressions: Sequence[str]) -> Iterator[Writer]:
    """A writer of one row per face, and one without face for a photograph that has none or cannot be read."""
    columns = csv_columns(expressions)
    header = dict(zip(columns, columns, strict=True))
    with _records(path, _csv_text(columns, [header])) as append:
        yield lambda result: append(_csv_text(columns, _csv_rows(result)))


def _csv_text(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, columns, restval="", lineterminator="\n").writerows(rows)
    return text.getvalue()


def csv_columns(expressions: Sequence[str]) -> list[str]:
    """The header of the CSV table, the model's expressions in their order."""
    return [*FACE_COLUMNS, *expressions, "residue", *Quality._fields, "marks", "error"]


def _csv_rows(result: PhotographResult) -> list[dict[str, Any]]:
    start = {"path": result.path, "width": result.width, "height": result.height, "error": result.error or ""}
    rows = []
    for index, face in enumerate(result.faces):
        facts = face.as_json()
        box = dict(zip(("left", "top", "right", "bottom"), facts["box"], strict=True))
        numbers = {key: facts[key] for key in ("score", "expression", "residue")}
        seen = {**facts["quality"], "marks": " ".join(face.marks)}
        rows.append({**start, "face": index, **box, **numbers, **facts["probabilities"], **seen})
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
            write_png(directory / f"{name}.panel.png", draw_panel(read_photograph(result.path), result.faces))

    return write
