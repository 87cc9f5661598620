"""The reader of tables on small ones."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deadpan.datasets import read
from deadpan.datasets.sample import DatasetError
from deadpan.expressions import EXPRESSIONS
from tests.support.data_trees import expression_of


def test_csv_reads_every_column(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(
        "\ufeffpath,subject,expression,sequence,frame,split,neutral,gender\n"
        "a/1.jpg,007,Happy,s1,3,train,a/0.jpg,female\n"
        "a/2.jpg,,surprise,,,,,\n",
        encoding="utf-8",
    )
    first, second = read("csv", tmp_path)
    assert (first.picture, first.twin) == (tmp_path / "a" / "1.jpg", tmp_path / "a" / "0.jpg")
    assert (first.name, first.subject, first.sequence, first.frame, first.split) == ("a/1.jpg", "007", "s1", 3, "train")
    assert expression_of(first, EXPRESSIONS) == "happiness"
    assert first.attributes == {"gender": "female"}
    assert (second.subject, second.frame, second.twin, expression_of(second, EXPRESSIONS)) == ("", -1, None, "surprise")


def test_csv_takes_parquet_with_pictures_inside(tmp_path: Path) -> None:
    path = tmp_path / "faces.parquet"
    rows = [{"image": b"x", "expression": "fear", "subject": "A", "name": "a", "neutral": b"n", "age": 30}]
    pq.write_table(pa.Table.from_pylist([*rows, {**rows[0], "name": "b", "age": None, "neutral": None}]), path)
    first, second = read("csv", path)
    assert (first.picture, first.twin, first.name, first.attributes) == (b"x", b"n", "a", {"age": 30.0})
    assert (second.twin, second.attributes) == (None, {})


def test_csv_keeps_zeros_of_a_parquet_table(tmp_path: Path) -> None:
    path = tmp_path / "faces.parquet"
    row = {"image": b"x", "expression": "fear", "name": "a", "subject": 0, "sequence": 0, "frame": 0}
    pq.write_table(pa.Table.from_pylist([row]), path)
    (sample,) = read("csv", path)
    assert (sample.subject, sample.sequence, sample.frame) == ("0", "0", 0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,expression\na,fear\n", "lacks the column path"),
        ("path,label\na,fear\n", "lacks the column expression"),
        ("path,expression\na,bored\n", "row 2: 'bored' is not an expression"),
        ("path,expression\na,fear\na,fear\n", "two pictures are named 'a'"),
        ("path,expression\n,fear\n", "neither path nor image"),
        ("path,expression,frame\na,fear,two\n", "frame must be a whole number, got 'two'"),
        ("path,expression\na\n", "line 2: expected 2 fields"),
        ("path,expression\n", "has no rows"),
    ],
)
def test_csv_says_what_is_wrong(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(DatasetError, match=complaint):
        read("csv", tmp_path / "manifest.csv")


def test_csv_takes_nan_of_a_parquet_table_for_unknown(tmp_path: Path) -> None:
    path = tmp_path / "faces.parquet"
    row = {"image": b"x", "expression": "fear", "name": "a", "subject": float("nan"), "age": float("nan")}
    pq.write_table(pa.Table.from_pylist([row]), path)
    (sample,) = read("csv", path)
    assert (sample.subject, sample.attributes) == ("", {})
    pq.write_table(pa.Table.from_pylist([row | {"expression": None}, row]), path)
    with pytest.raises(DatasetError, match=r"row 1: .*None.* is not an expression"):
        read("csv", path)


def test_csv_with_numbers_for_expressions(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,expression\na.jpg,0\nb.jpg,3\nc.jpg,9\n")
    with pytest.raises(DatasetError, match=r"row 2: '0' is not an expression; .*--classes"):
        read("csv", tmp_path)
    found = read("csv", tmp_path, classes="0=anger 3=happy 9=none")
    assert {sample.name: expression_of(sample, EXPRESSIONS) for sample in found} == {
        "a.jpg": "anger",
        "b.jpg": "happiness",
    }
