"""Results: many results as one table, data frame, Arrow stream, plot and file."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import deadpan
from deadpan.errors import DeadpanError
from deadpan.expressions import EXPRESSIONS
from deadpan.files import OutputError
from deadpan.prediction.collected import SHOWN, Results
from deadpan.prediction.predictor import Predictor
from deadpan.prediction.results import Row, face_columns


@pytest.fixture(scope="module")
def results(model_file: Path, photos: list[Path]) -> Results:
    return deadpan.Results(Predictor(model_file).predict_many(["gone.png", *photos]))


class Frame:
    """What a video would give for one frame."""

    def __init__(self, frame: int, faces: int) -> None:
        self.frame, self.faces = frame, faces

    def rows(self) -> list[Row]:
        start = {"input": "talk.mp4", "frame": self.frame, "time_s": self.frame / 25}
        read = [{**start, "face": face, **dict.fromkeys(EXPRESSIONS, 0.125)} for face in range(self.faces)]
        return read or [start]


@pytest.fixture(scope="module")
def frames() -> Results:
    return Results(Frame(index, index % 3) for index in range(30))


def test_rows_and_columns(results: Results, photos: list[Path]) -> None:
    assert len(results) == len(photos) + 1
    assert list(results.columns) == list(face_columns(EXPRESSIONS))
    first, second, *_ = results
    assert first["path"] == "gone.png" and first["error"] == "no such file" and first["anger"] is None
    assert second["face"] == 0 and second["expression"] in EXPRESSIONS
    assert results.expressions == EXPRESSIONS
    assert repr(results).startswith("Results(14 rows: path, width, height, face, left")


def test_columns_of_frames(frames: Results) -> None:
    assert list(frames.columns) == ["input", "frame", "time_s", "face", *EXPRESSIONS]
    assert [frames.columns[name] for name in ("input", "frame", "time_s", "face")] == [str, int, float, int]
    assert len(frames) == 40


def test_pandas(results: Results) -> None:
    frame = results.to_pandas()
    assert isinstance(frame, pd.DataFrame) and list(frame.columns) == list(results.columns)
    assert frame["face"].dtype == "Int64" and frame["anger"].dtype == "float64"
    assert frame["face"].isna().tolist() == [True] + [False] * (len(results) - 1)
    assert frame["anger"][1] == results.rows[1]["anger"]


def test_arrow(results: Results) -> None:
    table = results.to_arrow()
    assert table.schema.field("face").type == pa.int64() and table.schema.field("error").type == pa.string()
    assert table.to_pylist() == list(results)
    assert pa.table(results) == table  # by __arrow_c_stream__


@pytest.mark.parametrize("name", ["faces.csv", "faces.jsonl", "faces.parquet"])
def test_save(name: str, results: Results, tmp_path: Path) -> None:
    path = tmp_path / name
    results.save(path)
    before = path.read_bytes()
    results.save(str(path))  # an own file is replaced
    assert path.read_bytes() == before
    if name.endswith("csv"):
        with path.open(newline="") as file:
            found = [row["path"] for row in csv.DictReader(file)]
    elif name.endswith("jsonl"):
        found = [json.loads(line)["path"] for line in before.splitlines()]
    else:
        found = pd.read_parquet(path)["path"].tolist()
    assert found == [row["path"] for row in results.rows]
    path.write_text("my notes\n")
    with pytest.raises(OutputError, match="save would overwrite it"):
        results.save(path)
    assert path.read_text() == "my notes\n"


def test_plots(results: Results, frames: Results) -> None:
    (axes,) = results.plot().axes
    counts = [bar.get_width() for bar in axes.patches]
    assert sum(counts) == len(results) - 1
    assert counts[EXPRESSIONS.index(results.rows[1]["expression"])] > 0
    first, second = frames.plot().axes
    assert len(first.lines) == len(second.lines) == len(EXPRESSIONS)
    assert first.lines[0].get_xdata()[0] == 1 / 25


def test_in_a_notebook(results: Results) -> None:
    page = results._repr_html_()
    assert page.count("<tr>") == SHOWN + 1 and f"14 rows, of which {SHOWN} are shown" in page
    image = results._repr_png_()
    assert image is not None and image.startswith(b"\x89PNG")
    empty = Results([])
    assert empty._repr_png_() is None and "0 rows" in empty._repr_html_() and len(empty.to_pandas()) == 0


def test_markup_in_names_is_escaped() -> None:
    class Named:
        def rows(self) -> list[Row]:
            return [{"path": "<script>alert(1)</script>.png", "error": None}]

    assert "<script>" not in Results([Named()])._repr_html_()


@pytest.mark.parametrize(
    ("package", "method"), [("pandas", "to_pandas"), ("pyarrow", "to_arrow"), ("matplotlib", "plot")]
)
def test_a_missing_package_is_named(
    package: str, method: str, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DeadpanError, match=rf"the package {package} is needed: pip install 'deadpan\[tables\]'"):
        getattr(results, method)()
    if package == "matplotlib":
        assert results._repr_png_() is None
