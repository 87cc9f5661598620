"""Write rows as CSV, JSON lines or Parquet, one group at a time; an interrupted file is valid and can be continued."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from deadpan.arrow import import_arrow
from deadpan.errors import DeadpanError
from deadpan.files import OutputError, growing, interrupted, is_device, partial_path, replacing
from deadpan.outputs import json_in_first_line
from deadpan.prediction.results import Row
from deadpan.printable import printable

STDOUT = "-"

Format = Literal["csv", "jsonl", "parquet"]

ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}

Columns = Mapping[str, type]
"""The columns of a table in their order, each with the type of its values: str, int, float, or list (of numbers)."""

Write = Callable[[Sequence[Row]], None]
"""A function that writes the rows of one photograph or frame, all of them or none."""

PART_ROWS, PART_SECONDS = 5_000, 60
"""A part of a Parquet file is written after this many rows or seconds; a killed process loses at most one part."""


def format_of(path: Path, given: Format | None = None) -> Format:
    """Return `given`, or else the format that the ending of `path` names; OutputError if the ending is unknown.

    Standard output takes no Parquet: that is an OutputError too.
    """
    found = given or ENDINGS.get(path.suffix.lower())
    if found is None:
        expected = "expected a name that ends in .csv, .jsonl or .parquet, or --format csv, jsonl or parquet"
        raise OutputError(f"cannot tell the format of {path} from its name; {expected}")
    if found == "parquet" and str(path) == STDOUT:
        raise OutputError("Parquet cannot be written to standard output; give -o FILE, or --format csv or jsonl")
    return found


@contextmanager
def table(path: Path, way: Format, columns: Columns, *, resume: bool = False) -> Iterator[Write]:
    """Open a table and yield a function that writes rows to it; "-" is standard output.

    If a row lacks a column, the cell is empty. Until the table is complete, its rows are in NAME.partial: a CSV or JSON
    lines file, or a folder of Parquet files, which pandas and others read as one table. With `resume` the new rows
    follow those that `take_up` found. Raises OutputError if NAME.partial exists and `resume` is not set, and
    DeadpanError for Parquet if pyarrow is not installed.
    """
    if way == "parquet":
        with _parquet(path, columns, resume) as write:
            yield write
        return
    start = _csv_text(columns, [dict(zip(columns, columns, strict=True))]) if way == "csv" else ""
    text = _csv_text if way == "csv" else _json_text
    with records(path, start, resume=resume) as append:
        yield lambda rows: append(text(columns, rows))


@contextmanager
def records(path: Path, start: str = "", *, resume: bool = False) -> Iterator[Callable[[str], None]]:
    """Open a file and yield a function that writes one record; "-" is standard output, flushed after each record."""
    if str(path) != STDOUT:
        with growing(path, start, resume=resume) as append:
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


def is_table(path: Path, way: Format, first: Iterable[str]) -> bool:
    """Whether a file is a table in the format `way` whose first columns are `first`."""
    names = list(first)
    if way == "csv":
        start = (",".join(names) + ",").encode()
        with path.open("rb") as file:
            return file.read(len(start)) == start
    if way == "jsonl":
        facts = json_in_first_line(path)
        return isinstance(facts, dict) and list(facts)[: len(names)] == names
    arrow = import_arrow("to read Parquet")
    try:
        found: list[str] = arrow.parquet.read_schema(path).names
    except (OSError, arrow.ArrowInvalid):
        return False
    return found[: len(names)] == names


def take_up(path: Path, way: Format, columns: Columns, model: str | None = None) -> dict[str, bool]:
    """Prepare NAME.partial so that a run can continue it, and return the names in its column `path`.

    The result maps each name, in the form that `readable` gives it, to whether its row reports an error. If there is no
    NAME.partial, NAME is renamed to it. In CSV and JSON lines files the rows of the last name are removed, because they
    may be incomplete. OutputError if the columns of the file are not `columns`, or if the column `model` of a row is
    not `model`; None accepts every model.
    """

    def checked(names: Iterable[str]) -> None:
        if list(names) != list(columns):
            raise OutputError(
                f"{path} has other columns; --resume needs the same model and options, expected {', '.join(columns)}"
            )

    if way == "parquet":
        return _taken_up_parts(path, checked, model)

    def entry(record: str) -> tuple[str, bool]:
        row = json.loads(record) if way == "jsonl" else dict(zip(columns, next(csv.reader([record])), strict=True))
        checked(row)
        check_model(path, row.get("model"), model)
        return row["path"], bool(row["error"])

    return taken_up(path, entry, ",".join(columns) if way == "csv" else None)


def check_model(path: Path, found: str | None, expected: str | None) -> None:
    """Raise OutputError if another model wrote a row of the file; `expected` None accepts every model."""
    if expected is not None and found != expected:
        raise OutputError(
            f"{path} was written by the model {found or '(unknown)'}, and this is {expected}; "
            "--resume needs the same model, so give the other one or write to another file"
        )


def taken_up(path: Path, entry: Callable[[str], tuple[str, bool]], header: str | None = None) -> dict[str, bool]:
    """Do the work of `take_up` for a file of records; `entry` returns a record's name and whether it is an error."""
    earlier = _earlier(path)
    if earlier is None:
        return {}
    done: dict[str, bool] = {}
    last, cut, end = None, 0, 0
    with earlier.open("rb") as file:
        for index, record in enumerate(_whole_records(file, quotes=header is not None)):
            text = record.decode("utf-8", "surrogateescape")
            if index == 0 and header is not None:
                if text.rstrip("\n") != header:
                    raise OutputError(
                        f"{earlier} has other columns; --resume needs the same model and options, expected {header}"
                    )
                cut = len(record)
            else:
                try:
                    name, failed = entry(text)
                except (ValueError, KeyError, TypeError) as error:
                    if isinstance(error, DeadpanError):
                        raise
                    raise OutputError(f"{earlier}: line {index + 1} was not written by this command") from error
                if name != last:
                    last, cut = name, end
                done[readable(name)] = failed
            end += len(record)
    if last is not None:
        del done[readable(last)]
    partial = earlier.replace(partial_path(path))
    with partial.open("r+b") as file:
        file.truncate(cut)
    return done


def _earlier(path: Path) -> Path | None:
    """The file or folder in which an earlier run left its rows; None if there is none."""
    if is_device(path) or str(path) == STDOUT:
        raise OutputError(f"{path} cannot be continued; --resume needs a file: -o FILE")
    partial = partial_path(path)
    if partial.exists():
        return partial
    return path.resolve() if path.is_file() and path.stat().st_size else None


def _whole_records(lines: Iterable[bytes], *, quotes: bool) -> Iterator[bytes]:
    """Yield complete records; with `quotes`, a line break inside quotation marks is part of the record."""
    record = b""
    for line in lines:
        record += line
        if record.endswith(b"\n") and not (quotes and record.count(b'"') % 2):
            yield record
            record = b""


def _csv_text(columns: Columns, rows: Iterable[Row]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, columns, restval="", lineterminator="\n").writerows(rows)
    return text.getvalue()


def _json_text(columns: Columns, rows: Iterable[Row]) -> str:
    return "".join(json.dumps({name: row.get(name) for name in columns}) + "\n" for row in rows)


@contextmanager
def _parquet(path: Path, columns: Columns, resume: bool) -> Iterator[Write]:
    arrow = import_arrow("to write Parquet")
    kinds = {str: arrow.string(), int: arrow.int64(), float: arrow.float64(), list: arrow.list_(arrow.float32())}
    schema = arrow.schema([(name, kinds[kind]) for name, kind in columns.items()])
    if is_device(path):
        with TemporaryDirectory(prefix="deadpan-") as directory, _parts(Path(directory), schema, arrow) as write:
            yield write
            write([])
            _join(Path(directory), path, schema, arrow)
        return
    folder = partial_path(path)
    if folder.exists() and not (resume and folder.is_dir()):
        raise OutputError(interrupted(folder))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _parts(folder, schema, arrow) as write:
            yield write
        _join(folder, path, schema, arrow)
        shutil.rmtree(folder)
    except BaseException:
        if not any(folder.glob("*.parquet")):
            shutil.rmtree(folder)
        raise


@contextmanager
def _parts(folder: Path, schema: Any, arrow: Any) -> Iterator[Write]:
    """Yield a function that collects rows and writes them as small Parquet files, each completely or not at all.

    Calling it without rows writes the collected rows at once.
    """
    rows: list[Row] = []
    written = len(list(folder.glob("*.parquet")))
    began = time.monotonic()

    def flush() -> None:
        nonlocal written, began
        if rows:
            with replacing(folder / f"{written:06d}.parquet") as part:
                arrow.parquet.write_table(arrow.Table.from_pylist(rows, schema), part)
            written += 1
            rows.clear()
        began = time.monotonic()

    def write(new: Sequence[Row]) -> None:
        rows.extend({name: readable(value) for name, value in row.items()} for row in new)
        if not new or len(rows) >= PART_ROWS or time.monotonic() - began >= PART_SECONDS:
            flush()

    try:
        yield write
        flush()
    except BaseException:
        with suppress(OSError):  # a full disk
            flush()
        raise


def _join(folder: Path, path: Path, schema: Any, arrow: Any) -> None:
    with replacing(path) as whole, arrow.parquet.ParquetWriter(whole, schema) as file:
        for part in sorted(folder.glob("*.parquet")):
            file.write_table(arrow.parquet.read_table(part, schema=schema))


def _taken_up_parts(path: Path, checked: Callable[[Iterable[str]], None], model: str | None) -> dict[str, bool]:
    arrow = import_arrow("to go on with Parquet")
    earlier = _earlier(path)
    if earlier is None:
        return {}
    done: dict[str, bool] = {}
    for part in [earlier] if earlier.is_file() else sorted(earlier.glob("*.parquet")):
        checked(arrow.parquet.read_schema(part).names)
        found = arrow.parquet.read_table(part, columns=["path", "error", *(["model"] if model else [])])
        for each in found["model"].unique().to_pylist() if model else ():
            check_model(path, each, model)
        done.update(zip(found["path"].to_pylist(), map(bool, found["error"].to_pylist()), strict=True))
    if earlier.is_file():  # the finished file becomes the first part
        folder = partial_path(path)
        whole = earlier.rename(folder.with_name(folder.name + ".whole"))
        folder.mkdir()
        whole.replace(folder / "000000.parquet")
    return done


def readable(value: Any) -> Any:
    """Replace the bytes of a file name that are not valid text by escapes such as \\xe9: Arrow accepts only text."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value
