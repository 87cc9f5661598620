"""Collect the rows of many results: as a data frame, an Arrow table, a plot or a file, and shown in a notebook."""

from __future__ import annotations

import html
import io
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from deadpan.arrow import import_arrow
from deadpan.errors import DeadpanError, how_to_install
from deadpan.expressions import EXPRESSIONS
from deadpan.outputs import check_file
from deadpan.prediction.results import Row
from deadpan.prediction.tables import Columns, Format, format_of, is_table, readable, table

SHOWN = 10
"""Number of rows that a notebook shows."""

COLOURS = ("#8a8f98", "#c8372d", "#5b3a29", "#5f8f3e", "#7a4fa3", "#e0a100", "#2f6db5", "#e07b39")
"""The colour of each expression in plots, in the order of EXPRESSIONS."""


class HasRows(Protocol):
    """The result for a photograph or a frame."""

    def rows(self) -> list[Row]:
        """The result as flat rows; their columns have the same names in all results."""


class Results:
    """The rows of many results: one row for each face, and one for each result without a face.

    >>> results = deadpan.Results(predictor.predict_many("photos"))
    >>> results.to_pandas().groupby("expression").size()

    Only the rows are kept, about 2 kB each, and no pictures. A notebook shows the first rows and a plot.
    """

    def __init__(self, results: Iterable[HasRows]) -> None:
        """Read all results of an iterator, such as `Predictor.predict_many` returns."""
        self.rows: list[Row] = [row for result in results for row in result.rows()]
        self.columns: Columns = _columns(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        """Iterate over the rows; each has every column, with None for a missing value."""
        return ({name: row.get(name) for name in self.columns} for row in self.rows)

    def __repr__(self) -> str:
        return f"Results({len(self)} rows: {', '.join(self.columns)})"

    @property
    def expressions(self) -> tuple[str, ...]:
        """The expressions that have a column of probabilities."""
        return tuple(name for name in EXPRESSIONS if name in self.columns)

    def to_pandas(self) -> Any:
        """Return the rows as a pandas DataFrame; DeadpanError if pandas is not installed."""
        pandas = _needed("pandas", "for a data frame")
        columns = {name: [row.get(name) for row in self.rows] for name in self.columns}
        kinds = {str: "object", int: "Int64", float: "float64"}
        return pandas.DataFrame(
            {name: pandas.Series(values, dtype=kinds[self.columns[name]]) for name, values in columns.items()}
        )

    def to_arrow(self) -> Any:
        """Return the rows as a pyarrow Table; DeadpanError if pyarrow is not installed."""
        arrow = import_arrow("for an Arrow table")
        kinds = {str: arrow.string(), int: arrow.int64(), float: arrow.float64()}
        schema = arrow.schema([(name, kinds[kind]) for name, kind in self.columns.items()])
        rows = [{name: readable(value) for name, value in row.items()} for row in self.rows]
        return arrow.Table.from_pylist(rows, schema)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Return the rows as an Arrow stream, which polars, DuckDB and pandas can read: `polars.DataFrame(results)`."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def save(self, path: str | Path, format: Format | None = None) -> None:
        """Write the rows as CSV, JSON lines or Parquet; `format` overrides the format that the file's ending names.

        Raises OutputError for an unknown ending, or if `path` exists and is not such a table written by deadpan.
        DeadpanError if Parquet is needed and pyarrow is not installed.
        """
        path = Path(path)
        way = format_of(path, format)
        first = list(self.columns)[:4]
        check_file(path, "save", lambda file: is_table(file, way, first))
        with table(path, way, self.columns) as write:
            write(self.rows)

    def plot(self) -> Any:
        """Plot the rows as a matplotlib Figure; DeadpanError if matplotlib is not installed.

        If the rows have a time, the figure shows the probabilities of each face over time. Otherwise it shows for how
        many faces each expression is the most probable one.
        """
        return _over_time(self) if "time_s" in self.columns else _counts(self)

    def _repr_html_(self) -> str:
        lines = [list(self.columns), *(list(row.values()) for row in islice(self, SHOWN))]
        cells = [["" if value is None else html.escape(str(readable(value))) for value in line] for line in lines]
        head, *body = ("".join(f"<td>{cell}</td>" for cell in line) for line in cells)
        table = f"<thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{line}</tr>' for line in body)}</tbody>"
        shown = f", of which {SHOWN} are shown" if len(self) > SHOWN else ""
        return f"<table>{table}</table><p>{len(self)} rows{shown}</p>"

    def _repr_png_(self) -> bytes | None:
        """The plot as PNG; None if there are no rows or no matplotlib, so that a notebook shows only the table."""
        try:
            figure = self.plot() if self.rows else None
        except DeadpanError:
            return None
        if figure is None:
            return None
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=100)
        return content.getvalue()


def _columns(rows: list[Row]) -> Columns:
    """The columns in the order of the longest row, and the type of each; str for a column without values."""
    kinds: dict[str, set[type]] = {}
    for row in [*sorted(rows, key=len)[-1:], *rows]:
        for name, value in row.items():
            found = kinds.setdefault(name, set())
            if value is not None:
                found.add(next((kind for kind in (int, float) if isinstance(value, kind)), str))
    return {
        name: str if not found or str in found else max(found, key=(int, float).index) for name, found in kinds.items()
    }


def _needed(module: str, purpose: str) -> Any:
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise DeadpanError(f"{purpose} the package {package} is needed: {how_to_install(package, 'tables')}") from error


def _figure(rows: int) -> tuple[Any, list[Any]]:
    """Make a figure with one plot below the other; unlike pyplot, it opens no window."""
    figures = _needed("matplotlib.figure", "to plot")
    figure = figures.Figure(figsize=(7, 1.2 + 2.2 * rows), layout="constrained")
    return figure, list(figure.subplots(rows, 1, squeeze=False)[:, 0])


def _colour(name: str) -> str:
    return COLOURS[EXPRESSIONS.index(name)]


def _counts(results: Results) -> Any:
    figure, (axes,) = _figure(1)
    names = results.expressions
    counts = [sum(row.get("expression") == name for row in results.rows) for name in names]
    bars = axes.barh(names, counts, color=[_colour(name) for name in names])
    axes.bar_label(bars, padding=3)
    axes.invert_yaxis()
    axes.set_xlabel("faces, by their most probable expression")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _over_time(results: Results) -> Any:
    read = [row for row in results.rows if row.get("face") is not None]
    faces = list(dict.fromkeys(row["face"] for row in read))
    figure, every = _figure(max(1, len(faces)))
    for face, axes in zip(faces, every, strict=False):
        own = [row for row in read if row["face"] == face]
        for name in results.expressions:
            axes.plot([row["time_s"] for row in own], [row[name] for row in own], color=_colour(name), label=name)
        axes.set(ylim=(0, 1), ylabel=f"face {face}", xlabel="seconds")
        axes.spines[["top", "right"]].set_visible(False)
    every[0].legend(loc="upper right", fontsize="small", ncols=2)
    return figure
