"""A table of pictures: a CSV or Parquet file with one row per picture, or a folder that holds `manifest.csv`.

The required columns are `expression` and `path` (relative to the table) or, in Parquet, `image` (encoded bytes).
Optional columns are `subject`, `sequence`, `frame`, `split`, `name`, and `neutral`: the same person's neutral picture
in the same pose and pixel geometry (a path, or bytes in Parquet). All other columns are kept as attributes.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deadpan.datasets.sample import Classes, DatasetError, Facts, Sample, check_names, expression_named, one_hot
from deadpan.expressions import EXPRESSIONS as EXPRESSIONS

FACTS = Facts(
    title="a table of your own",
    owner="you, or whoever made the pictures",
    request="nowhere: it is yours",
    terms="the user's own; see the owner of the pictures",
    tree="TABLE.csv or TABLE.parquet with columns path (or image) and expression, or a folder with manifest.csv",
    neutral="the column neutral, or other pictures of the subject",
    on_purpose={"pictures that the table does not list": r""},
)

KNOWN = frozenset({"path", "image", "expression", "subject", "sequence", "frame", "split", "name", "neutral"})


def read(root: Path, classes: Classes | None = None) -> list[Sample]:
    """Read every row of the table at `root`; `classes` maps other words or numbers in `expression` to expressions.

    Raises DatasetError for missing columns, unknown expressions or repeated names.
    """
    table = root / "manifest.csv" if root.is_dir() else root
    if not table.is_file():
        raise DatasetError(f"{table} does not exist; expected a CSV or Parquet file with columns path and expression")
    rows = _parquet_rows(table) if table.suffix.lower() in {".parquet", ".pq"} else _csv_rows(table)
    meanings = classes or {}
    left = ((number, row) for number, row in rows if meanings.get(str(row["expression"]), "") is not None)
    samples = [_sample(row, table, number, meanings) for number, row in left]
    if not samples:
        raise DatasetError(f"{table} has no rows")
    check_names(samples, table)
    return samples


def _csv_rows(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    # utf-8-sig: spreadsheets put a byte-order mark before the first column's name
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        _check_columns(reader.fieldnames or (), table)
        try:
            for row in reader:
                if None in row or None in row.values():
                    raise DatasetError(
                        f"{table}, line {reader.line_num}: expected {len(reader.fieldnames or ())} fields"
                    )
                yield reader.line_num, row
        except (UnicodeDecodeError, csv.Error) as error:
            raise DatasetError(f"{table} is not a CSV file in UTF-8: {error}") from error


def _parquet_rows(table: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(table)
        _check_columns(file.schema_arrow.names, table)
        rows = (row for batch in file.iter_batches(batch_size=1024) for row in batch.to_pylist())
        for number, row in enumerate(rows, start=1):
            yield number, {key: None if _unknown(value) else value for key, value in row.items()}
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(f"{table} is not a readable Parquet file: {error}") from error


def _check_columns(columns: Any, table: Path) -> None:
    if "path" not in columns and "image" not in columns:
        raise DatasetError(f"{table} lacks the column path (or image, in Parquet); it has {', '.join(columns)}")
    if "expression" not in columns:
        raise DatasetError(f"{table} lacks the column expression; it has {', '.join(columns)}")


def _sample(row: Mapping[str, Any], table: Path, number: int, classes: Classes) -> Sample:
    where = f"{table}, row {number}"
    given = row["image"] if row.get("image") else row.get("path")
    if not given:
        raise DatasetError(f"{where}: neither path nor image is given")
    name = str(row.get("name") or row.get("path") or (number if isinstance(given, bytes) else given))
    frame = _text(row.get("frame")) or "-1"
    if not frame.lstrip("-").isdigit():
        raise DatasetError(f"{where}: frame must be a whole number, got {frame!r}")
    word = str(row["expression"]).strip()
    return Sample(
        picture=_picture(given, table),
        name=name,
        target=one_hot(classes.get(word) or expression_named(word, where), EXPRESSIONS),
        subject=_text(row.get("subject")),
        sequence=_text(row.get("sequence")),
        frame=int(frame),
        split=_text(row.get("split")),
        twin=_picture(row["neutral"], table) if row.get("neutral") else None,
        attributes={key: _attribute(value) for key, value in row.items() if key not in KNOWN and value is not None},
    )


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _unknown(value: Any) -> bool:
    """Whether a cell of a Parquet table is empty; pandas writes NaN into empty cells."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _picture(given: str | bytes, table: Path) -> Path | bytes:
    return given if isinstance(given, bytes) else table.parent / given


def _attribute(value: Any) -> str | float:
    return float(value) if isinstance(value, (int, float)) else str(value)
