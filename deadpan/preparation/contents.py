"""The contents of a prepared file: its columns and their types, its metadata, and checks of the values in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from deadpan.errors import DeadpanError
from deadpan.expressions import check_expressions
from deadpan.faces.alignment import Alignment

FORMAT = 2

METADATA_KEY = b"deadpan"

COLUMNS = (
    *("name", "image", "twin", "target", "subject", "donor", "sequence", "frame", "split"),
    *("landmarks", "twin_landmarks", "attributes"),
)
"""The columns of a prepared file. `image` and `twin` are PNG files of aligned faces with margin. `landmarks` and
`twin_landmarks` are the bytes of their meshes: x and y of 468 points, in pixels of these faces, as 16-bit floats.
`target` is the label distribution over the expressions in the metadata. `donor` is DATASET/SUBJECT, the person whose
expression a composite shows (no SUBJECT if that person is unknown), and empty for a photograph. `attributes` is a JSON
object."""

LATER = ("donor",)
"""Columns that files of photographs may lack; those of older versions do."""

NUMBERS = "a list of numbers in each row"

FACTS = ("name", "target", "subject", "donor", "sequence", "frame", "split", "attributes")
"""The small columns: all except pictures and landmarks."""


class TableError(DeadpanError):
    """A prepared file that cannot be used; the text says what was expected and what to do."""


def prepared_schema(about: dict[str, Any]) -> Any:
    """The pyarrow schema of a prepared file with `about` as its metadata."""
    import pyarrow as pa

    numbers = pa.list_(pa.float32())
    types = {"image": pa.binary(), "twin": pa.binary(), "frame": pa.int32(), "target": numbers}
    types |= {"landmarks": pa.binary(), "twin_landmarks": pa.binary()}
    fields = [pa.field(name, types.get(name, pa.string())) for name in COLUMNS]
    return pa.schema(fields, {METADATA_KEY: json.dumps(about)})


def read_metadata(file: Any, path: Path) -> dict[str, Any]:
    """The metadata of an open Parquet file; TableError if `deadpan prepare` did not write the file."""
    there = file.schema_arrow.names
    missing = [column for column in COLUMNS if column not in (*there, *LATER)]
    if missing:
        raise TableError(f"{path} lacks the columns {', '.join(missing)}; `deadpan prepare` writes such a file")
    raw = (file.schema_arrow.metadata or {}).get(METADATA_KEY)
    if raw is None:
        raise TableError(f"{path} has no deadpan metadata: it is not a file that `deadpan prepare` wrote")
    try:
        about: dict[str, Any] = json.loads(raw)
        if about.get("format") != FORMAT:
            raise TableError(f"{path} has format {about.get('format')}, this deadpan reads {FORMAT}: prepare it again")
        check_expressions(about["expressions"])
        sizes = (about["image_size"], about["margin_size"])
        if not isinstance(about["dataset"], str) or not all(isinstance(size, int) and size > 0 for size in sizes):
            raise ValueError(f"dataset {about['dataset']!r}, image and margin size {sizes}")
        if about["alignment"] not in get_args(Alignment):
            raise ValueError(f"alignment {about['alignment']!r}")
        sources = about["composed"]["of"] if "composed" in about else []
        if not isinstance(sources, list) or not all(isinstance(each, str) for each in sources):
            raise ValueError(f"composed of {sources!r}")
    except TableError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TableError(f"{path} has damaged deadpan metadata ({error!r}); prepare it again") from error
    if "composed" in about and "donor" not in there:
        raise TableError(f"{path} holds composites without the donors of their expressions: compose them again")
    return about


def read_columns(group: Any, columns: tuple[str, ...], path: Path) -> Any:
    """Cast columns of a pyarrow table to the types of a prepared file; TableError if a column holds other values."""
    import pyarrow as pa

    schema = prepared_schema({})
    arrays = []
    for name in columns:
        wanted = schema.field(name).type
        column = group.column(name) if name in group.column_names else pa.nulls(len(group), wanted)
        found = column.type
        try:
            if pa.types.is_string(wanted) != _is_text(found) and found != pa.null():  # or a cast makes text
                raise pa.ArrowInvalid(f"no {wanted}")
            arrays.append(column.cast(wanted))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            meant = {"string": "text", "int32": "whole numbers", "binary": "bytes"}.get(str(wanted), NUMBERS)
            raise TableError(f"{path}: the column {name} must hold {meant}, it holds {found}") from error
    return pa.table(arrays, names=list(columns))


def _is_text(found: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(found):
        return _is_text(found.value_type)
    return bool(pa.types.is_string(found) or pa.types.is_large_string(found))


def read_targets(column: Any, expressions: tuple[str, ...], path: Path) -> NDArray[np.float32]:
    """Read label distributions (N, K); TableError naming the first row, counted from 1, that is not one."""
    import pyarrow.compute as pc

    lengths = np.asarray(pc.fill_null(pc.list_value_length(column), 0).to_numpy(), np.int64)
    wrong = (lengths != len(expressions)).nonzero()[0]
    if len(wrong):
        raise TableError(_row(path, column, wrong[0], f"{len(expressions)} numbers, one for each expression"))
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    target = np.asarray(flat, np.float32).reshape(-1, len(expressions))
    with np.errstate(invalid="ignore"):
        good = np.isfinite(target).all(1) & (target >= 0).all(1) & (abs(target.sum(1) - 1) < 0.01)
    if not good.all():
        raise TableError(_row(path, column, (~good).nonzero()[0][0], "shares of at least 0 that sum to 1"))
    return target


def _row(path: Path, column: Any, row: int, expected: str) -> str:
    return f"{path}, row {row + 1}: the target must be {expected}, got {column[int(row)].as_py()}; prepare it again"


def read_attributes(column: Any, path: Path) -> list[dict[str, Any]]:
    """Read the attributes of every row; TableError naming the first row, counted from 1, that is not a JSON object."""
    found = []
    for number, text in enumerate(column.to_pylist(), start=1):
        try:
            attributes = json.loads(text or "{}")
        except json.JSONDecodeError:
            attributes = None
        if not isinstance(attributes, dict):
            raise TableError(f"{path}, row {number}: the attributes must be a JSON object, got {text!r}")
        found.append(attributes)
    return found
