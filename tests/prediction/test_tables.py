"""Rows in files: three formats with the same content, whole or not at all, gone on with after a stop."""

from __future__ import annotations

import csv
import json
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from deadpan.errors import DeadpanError
from deadpan.files import OutputError
from deadpan.prediction import tables
from deadpan.prediction.results import Row
from deadpan.prediction.tables import Format, format_of, is_table, table, take_up

FORMATS: tuple[Format, ...] = ("csv", "jsonl", "parquet")

COLUMNS = {"path": str, "frame": int, "time_s": float, "error": str}


class Stop(BaseException):
    """An interruption."""


def rows_of(name: str, count: int = 2) -> list[Row]:
    return [{"path": name, "frame": index, "time_s": index / 8} for index in range(count)]


BROKEN: list[Row] = [{"path": 'b "\n,é.png', "error": "cut short, it says: \n"}]


def read(path: Path, way: Format) -> list[dict[str, Any]]:
    """The rows of a file; numbers of CSV as numbers."""
    if way == "parquet":
        return list(pq.read_table(path).to_pylist())
    if way == "jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    return [
        {
            "path": row["path"],
            "frame": int(row["frame"]) if row["frame"] else None,
            "time_s": float(row["time_s"]) if row["time_s"] else None,
            "error": row["error"] or None,
        }
        for row in found
    ]


def filled(rows: list[Row]) -> list[Row]:
    return [{name: row.get(name) for name in COLUMNS} for row in rows]


@pytest.mark.parametrize("way", FORMATS)
def test_a_format_holds_the_rows_in_their_columns(way: Format, tmp_path: Path) -> None:
    path = tmp_path / "new" / "out"
    with table(path, way, COLUMNS) as write:
        write(rows_of("a.png"))
        write(BROKEN)
    assert read(path, way) == filled([*rows_of("a.png"), *BROKEN])
    assert [each.name for each in path.parent.iterdir()] == ["out"]
    assert is_table(path, way, ["path", "frame"]) and not is_table(path, way, ["frame", "path"])
    with table(path, way, COLUMNS) as write:
        pass
    assert read(path, way) == []


@pytest.mark.parametrize("way", FORMATS)
def test_a_stop_keeps_what_was_written_and_resume_goes_on(way: Format, tmp_path: Path) -> None:
    path, partial = tmp_path / "out", tmp_path / "out.partial"
    names = [*(f"{index}.png" for index in range(4)), 'last "é\n".png']
    with suppress(Stop), table(path, way, COLUMNS) as write:
        for name in names[:3]:
            write(rows_of(name))
        write(BROKEN)
        write(rows_of(names[3], 3))
        raise Stop
    assert not path.exists()
    assert read(partial, way) == filled(
        [*(row for name in names[:3] for row in rows_of(name)), *BROKEN, *rows_of(names[3], 3)]
    )
    with pytest.raises(OutputError, match="holds the results of an interrupted run"), table(path, way, COLUMNS):
        pass
    done = take_up(path, way, COLUMNS)
    expected = {**dict.fromkeys(names[:3], False), BROKEN[0]["path"]: True}
    assert done == (expected if way != "parquet" else {**expected, names[3]: False})
    with table(path, way, COLUMNS, resume=True) as write:
        for name in names[3:]:
            if name not in done:
                write(rows_of(name, 3))
    every = [*(row for name in names[:3] for row in rows_of(name)), *BROKEN]
    assert read(path, way) == filled([*every, *rows_of(names[3], 3), *rows_of(names[4], 3)])
    assert not partial.exists()
    again = take_up(path, way, COLUMNS)  # a file that is complete can grow too
    assert set(names[:4]) <= set(again) and not path.exists()
    with table(path, way, COLUMNS, resume=True) as write:
        if names[4] not in again:
            write(rows_of(names[4], 3))
        write(rows_of("new.png"))
    assert read(path, way) == filled([*every, *rows_of(names[3], 3), *rows_of(names[4], 3), *rows_of("new.png")])


@pytest.mark.parametrize("way", ["csv", "jsonl"])
def test_a_record_that_was_cut_is_removed(way: Format, tmp_path: Path) -> None:
    path, partial = tmp_path / "out", tmp_path / "out.partial"
    with suppress(Stop), table(path, way, COLUMNS) as write:
        write(rows_of("a.png"))
        write(rows_of("b.png"))
        raise Stop
    whole = partial.read_bytes()
    partial.write_bytes(whole[:-5])
    assert take_up(path, way, COLUMNS) == {"a.png": False}
    assert whole.startswith(partial.read_bytes()) and read(partial, way) == filled(rows_of("a.png"))
    partial.write_bytes(b"")
    assert take_up(path, way, COLUMNS) == {}
    with table(path, way, COLUMNS, resume=True) as write:
        write(rows_of("a.png"))
    assert read(path, way) == filled(rows_of("a.png"))


@pytest.mark.parametrize("way", FORMATS)
def test_other_columns_are_not_gone_on_with(way: Format, tmp_path: Path) -> None:
    path = tmp_path / "out"
    with table(path, way, COLUMNS) as write:
        write(rows_of("a.png"))
    with pytest.raises(OutputError, match="column"):
        take_up(path, way, {**COLUMNS, "anger": float})
    with pytest.raises(OutputError, match="--resume needs a file"):
        take_up(Path("-"), way, COLUMNS)
    (tmp_path / "notes").write_text("{}\nmine\n" if way == "jsonl" else "path,frame,time_s,error\nmine\n")
    if way != "parquet":
        with pytest.raises(OutputError, match=r"column|not written by this command"):
            take_up(tmp_path / "notes", way, COLUMNS)


def test_parts_of_a_parquet_file_are_written_as_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PART_ROWS", 5)
    path = tmp_path / "out.parquet"
    with table(path, "parquet", COLUMNS) as write:
        for index in range(9):
            write(rows_of(f"{index}.png"))
            assert len(list((tmp_path / "out.parquet.partial").glob("*.parquet"))) == (index + 1) // 3
    assert pq.ParquetFile(path).num_row_groups == 3
    assert read(path, "parquet") == filled([row for index in range(9) for row in rows_of(f"{index}.png")])
    monkeypatch.setattr(tables, "PART_SECONDS", 0)
    with suppress(Stop), table(tmp_path / "slow", "parquet", COLUMNS) as write:
        write(rows_of("a.png"))
        assert len(list((tmp_path / "slow.partial").glob("*.parquet"))) == 1
        raise Stop


def test_a_start_that_failed_leaves_nothing(tmp_path: Path) -> None:
    for way in FORMATS:
        with suppress(Stop), table(tmp_path / "out", way, COLUMNS):
            raise Stop
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_no_text(tmp_path: Path) -> None:
    for way in FORMATS:
        with suppress(Stop), table(tmp_path / "out", way, COLUMNS) as write:
            write(rows_of("caf\udce9.png"))
            write(rows_of("b.png"))
            raise Stop
        assert "caf\\xe9.png" in take_up(tmp_path / "out", way, COLUMNS)
        with suppress(Stop), table(tmp_path / "out", way, COLUMNS, resume=True) as write:
            pass
        (tmp_path / "out").unlink()


def test_the_format_is_that_of_the_ending_or_the_option() -> None:
    assert [format_of(Path(name)) for name in ("a.csv", "A.JSONL", "a.ndjson", "a.pq")] == [
        "csv",
        "jsonl",
        "jsonl",
        "parquet",
    ]
    assert format_of(Path("a.txt"), "csv") == "csv"
    for name in ("a.json", "a", "-"):
        with pytest.raises(OutputError, match=r"expected a name that ends in \.csv, \.jsonl or \.parquet"):
            format_of(Path(name))
    with pytest.raises(OutputError, match="Parquet cannot be written to standard output"):
        format_of(Path("-"), "parquet")


def test_parquet_needs_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    expected = r"to write Parquet the package pyarrow is needed: pip install 'deadpan\[tables\]'"
    with pytest.raises(DeadpanError, match=expected), table(tmp_path / "out", "parquet", COLUMNS):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("way", FORMATS)
def test_a_pipe_gets_the_whole_table(way: Format, tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe", tmp_path / "got"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.write_bytes(pipe.read_bytes()), daemon=True)
    reader.start()
    with table(pipe, way, COLUMNS) as write:
        write(rows_of("a.png"))
    reader.join(20)
    assert read(got, way) == filled(rows_of("a.png"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["got", "pipe"]
