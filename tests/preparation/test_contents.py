"""A prepared file that something else has written: every column is checked when it is opened, and the row is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deadpan.cli.main import main
from deadpan.preparation.contents import TableError
from deadpan.preparation.table import read_table
from tests.support.prepared_files import row, write

ZEROS = [0.0] * 8
HAPPY = [*ZEROS[:5], 1.0, *ZEROS[6:]]


def altered(folder: Path, column: str, values: list[Any], kind: Any = None) -> Path:
    """A prepared file of three rows in which one column holds something else."""
    path = write(folder / "faces.parquet", [row(number, "happiness") for number in range(3)])
    table = pq.read_table(path)
    table = table.set_column(table.schema.get_field_index(column), column, pa.array(values, kind))
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (
            [HAPPY, [float("nan")] * 8, HAPPY],
            r"row 2: the target must be shares of at least 0 that sum to 1, got \[nan",
        ),
        ([HAPPY, HAPPY, [-1.0, 2.0, *ZEROS[2:]]], r"row 3: the target must be shares of at least 0 .*got \[-1.0"),
        ([HAPPY, [float("inf"), *ZEROS[1:]], HAPPY], "row 2: the target must be shares"),
        ([HAPPY, ZEROS, HAPPY], "row 2: the target must be shares"),
        ([HAPPY, [0.0, *HAPPY[1:5], 7.0, *ZEROS[6:]], HAPPY], "row 2: the target must be shares"),
        ([HAPPY, HAPPY, [None, *HAPPY[1:]]], "row 3: the target must be shares"),
        ([[1.0, 0.0, 0.0]] * 3, r"row 1: the target must be 8 numbers, one for each expression, got \[1.0, 0.0, 0.0\]"),
        ([HAPPY, None, HAPPY], "row 2: the target must be 8 numbers, one for each expression, got None"),
        (["happiness"] * 3, "column target must hold a list of numbers in each row, it holds string"),
        ([["a"] * 8] * 3, "column target must hold a list of numbers in each row"),
        ([5, 5, 5], "column target must hold a list of numbers in each row, it holds int64"),
    ],
)
def test_targets_that_are_no_label_distributions(values: list[Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=complaint):
        read_table(altered(tmp_path, "target", values), None)


@pytest.mark.parametrize(
    ("column", "values", "complaint"),
    [
        ("subject", [1, 2, 3], "column subject must hold text, it holds int64"),
        ("donor", ["", "006", None], "column donor must hold DATASET/SUBJECT, it holds '006'"),
        ("frame", ["a", "b", "c"], "column frame must hold whole numbers, it holds string"),
        ("image", ["a", "b", "c"], "column image must hold bytes, it holds string"),
        ("image", [None] * 3, "picture 0 is damaged"),
        ("landmarks", [[1.0, 2.0]] * 3, "column landmarks must hold bytes"),
        ("landmarks", [b"xy"] * 3, "holds a mesh of 2 bytes"),
        ("attributes", ["{}", "{bad", "{}"], "row 2: the attributes must be a JSON object, got '{bad'"),
        ("attributes", ["{}", "{}", "7"], "row 3: the attributes must be a JSON object"),
    ],
)
def test_other_columns_that_hold_something_else(column: str, values: list[Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=complaint):
        read_table(altered(tmp_path, column, values), None)


def test_other_widths_and_empty_cells_are_read(tmp_path: Path) -> None:
    for kind in (pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 8)):
        assert read_table(altered(tmp_path, "target", [HAPPY] * 3, kind), None).target.tolist() == [HAPPY] * 3
    assert read_table(altered(tmp_path, "frame", [1, None, 2], pa.int64()), None).frame.tolist() == [1, -1, 2]
    assert read_table(altered(tmp_path, "split", ["a", None, "b"]), None).split.tolist() == ["a", "", "b"]
    assert read_table(altered(tmp_path, "subject", ["a", None, "a"], pa.large_string()), None).subject.tolist() == [
        0,
        -1,
        0,
    ]


def test_files_of_photographs_without_the_column_of_donors_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "old.parquet", [row(n, "happiness", subject=f"{n}") for n in range(3)])
    pq.write_table(pq.read_table(path).drop_columns("donor"), path)
    table = read_table(path)
    assert table.donors.tolist() == ["", "", ""] and table.sources == ("old",)
    assert table.people == ["old/0", "old/1", "old/2"]
    composed = write(tmp_path / "composed.parquet", [row(0, "happiness")], composed={"of": ["kdef/faces.parquet"]})
    assert read_table(composed).sources == ("kdef",)
    pq.write_table(pq.read_table(composed).drop_columns("donor"), composed)
    with pytest.raises(TableError, match="without the donors of their expressions: compose them again"):
        read_table(composed)


@pytest.mark.parametrize(
    "about",
    [
        {"expressions": ["happy", "sad"]},
        {"image_size": "64"},
        {"margin_size": None},
        {"dataset": 3},
        {"alignment": "eyes"},
        {"composed": {"of": "kdef/faces.parquet", "pairs": 3}},
        {"composed": {"of": [3]}},
        {"composed": []},
    ],
)
def test_damaged_metadata(about: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path / "faces.parquet", [row(0, "happiness")], **about)
    with pytest.raises(TableError, match="damaged deadpan metadata"):
        read_table(path, None, 64)


def test_score_names_the_row_and_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = altered(tmp_path, "target", [HAPPY, [float("nan")] * 8, HAPPY])
    assert main(["score", "derl", str(path)]) == 2
    assert "faces.parquet, row 2: the target must be" in capsys.readouterr().err
    assert main(["score", "derl", str(altered(tmp_path, "target", ["happy"] * 3))]) == 2
    assert "the column target must hold a list of numbers" in capsys.readouterr().err
