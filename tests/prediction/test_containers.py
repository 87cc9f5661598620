"""Parquet files of pictures and addresses such as s3://bucket/photos as places of photographs."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deadpan.arrow import AddressError, is_address
from deadpan.errors import DeadpanError
from deadpan.faces.photographs import PhotographError, read_photograph
from deadpan.prediction.containers import Archive, FolderError, PictureTable
from deadpan.prediction.folders import inputs_of
from deadpan.prediction.predictor import Predictor
from tests.support.fake_s3 import fake_s3
from tests.support.photos import write_pictures


@pytest.fixture
def table(photos: list[Path], tmp_path: Path) -> Path:
    names = [path.name for path in photos]
    return write_pictures(tmp_path / "photos.parquet", [path.read_bytes() for path in photos], name=names)


def names(place: Any) -> list[str]:
    return [each.name for each in inputs_of(place)]


def test_a_table_of_pictures_is_read_as_their_files(
    table: Path, photos: list[Path], model_file: Path, tmp_path: Path
) -> None:
    found = list(inputs_of(table))
    assert [each.name for each in found] == [f"{table}/{path.name}" for path in photos]
    assert inputs_of(table).total == len(photos)
    predictor = Predictor(model_file)
    ours = [face.as_json() for result in predictor.predict_many(table) for face in result.faces]
    theirs = [face.as_json() for result in predictor.predict_many(map(str, photos)) for face in result.faces]
    assert ours == theirs and len(ours) >= len(photos)


def test_rows_are_read_in_any_order_by_several_threads(tmp_path: Path) -> None:
    contents: list[bytes | None] = [bytes([index]) * 5000 for index in range(100)]
    for rows in (7, 100):
        table = PictureTable(str(write_pictures(tmp_path / f"{rows}.parquet", contents, rows)))
        assert len(table) == 100 and list(table.names()) == [str(index) for index in range(100)]
        order = [*range(0, 100, 3), *range(99, -1, -1), 50, 50]
        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(table.read, order)) == [contents[index] for index in order]


def test_a_row_group_is_not_kept_in_memory(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.parquet", [os.urandom(50_000) for _ in range(400)], 400)
    before = pa.default_memory_pool().max_memory()
    table = PictureTable(str(path))
    assert [len(table.read(row)) for row in range(400)] == [50_000] * 400
    assert pa.default_memory_pool().max_memory() - before < 10_000_000  # of 20


def test_a_struct_of_bytes_is_a_picture_too(girl: Path, tmp_path: Path) -> None:
    rows = [{"bytes": girl.read_bytes(), "path": "a.png"}, {"bytes": None, "path": "b.png"}]
    pq.write_table(pa.table({"image": rows, "label": [0, 1]}), tmp_path / "faces.parquet")
    first, second = inputs_of(tmp_path / "faces.parquet")
    assert (first.name, second.name) == (f"{tmp_path}/faces.parquet/0", f"{tmp_path}/faces.parquet/1")
    assert (first.read() == read_photograph(girl)).all()
    with pytest.raises(PhotographError, match="no picture: the column image is empty"):
        second.read()


def test_broken_pictures_of_a_table_are_results_with_a_reason(girl: Path, model_file: Path, tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.pq", [girl.read_bytes(), b"no picture", None, b""])
    results = list(Predictor(model_file).predict_many(path))
    assert [len(result.faces) for result in results] == [1, 0, 0, 0]
    reasons = [str(result.error) for result in results]
    assert reasons[0] == "None" and reasons[1].startswith("not a picture") and reasons[3].startswith("empty")
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)  # the header of the first page
    path.write_bytes(content)
    with pytest.raises(PhotographError, match="cannot be read from the Parquet file"):
        next(iter(inputs_of(path))).read()


def test_tables_that_cannot_be_read(table: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"path": ["a"], "image": ["a.png"]}), tmp_path / "text.parquet")
    with pytest.raises(FolderError, match=r"expected a column image .*; found path \(string\), image \(string\)"):
        inputs_of(tmp_path / "text.parquet")
    (tmp_path / "bad.parquet").write_text("no table")
    with pytest.raises(FolderError, match=r"bad\.parquet: cannot be read as a Parquet file"):
        inputs_of(tmp_path / "bad.parquet")
    twice = write_pictures(tmp_path / "twice.parquet", [b"1", b"2"], name=["a", "a"])
    with pytest.raises(FolderError, match=r"twice\.parquet: the values of the column name must differ; 'a' occurs"):
        names(twice)
    with pytest.raises(FolderError, match="no picture found"):
        inputs_of(write_pictures(tmp_path / "empty.parquet", []))


def test_folders_and_patterns_of_tables(girl: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    for index in (2, 10, 1):
        write_pictures(parts / f"part-{index:02d}.parquet", [girl.read_bytes()] * index)
    expected = [f"{parts}/part-{index:02d}.parquet/{row}" for index in (1, 2, 10) for row in range(index)]
    assert names(parts) == names(f"{parts}/*.parquet") == expected
    (parts / "a.png").write_bytes(girl.read_bytes())
    assert names(parts) == names(f"{parts}/*") == [f"{parts}/a.png"]  # a table beside pictures may be a result


def test_pickled_containers_open_their_file_once(
    table: Path, girl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    chunk = list(inputs_of("photos.parquet"))[:2]
    data = pickle.dumps(chunk)
    assert len(data) < 1000
    monkeypatch.chdir("/")
    first, second, third = [*pickle.loads(data), *pickle.loads(pickle.dumps(chunk))][:3]
    assert first.container is second.container is third.container is not chunk[0].container
    assert (first.read() == chunk[0].read()).all()
    write_pictures(table, [girl.read_bytes()])
    (replaced,) = pickle.loads(pickle.dumps(list(inputs_of(table))))
    assert (replaced.read() == read_photograph(girl)).all()


@pytest.fixture
def bucket(girl: Path, photos: list[Path], tmp_path: Path) -> Path:
    folder = tmp_path / "bucket"
    (folder / "album" / "inner").mkdir(parents=True)
    for name in ("b.PNG", "a 100%#1?.png", "inner/c.png", "a.panel.png", ".hidden.png", "notes.md"):
        (folder / "album" / name).write_bytes(girl.read_bytes())
    (folder / "album" / "broken.png").write_text("no picture")
    write_pictures(folder / "photos.parquet", [path.read_bytes() for path in photos])
    (folder / "parts").mkdir()
    write_pictures(folder / "parts" / "1.parquet", [girl.read_bytes()] * 2)
    return folder


@pytest.mark.parametrize("scheme", ["s3", "file"])
def test_places_at_an_address(
    scheme: str, bucket: Path, girl: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_s3(bucket.parent) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        root = "s3://bucket" if scheme == "s3" else f"file://{bucket}"
        album = [f"{root}/album/{name}" for name in ("a 100%#1?.png", "b.PNG", "broken.png")]
        assert names(f"{root}/album") == names(f"{root}/album/") == names(f"{root}/album/*") == album
        assert names(f"{root}/album/**/[a-c].*") == [album[1], f"{root}/album/inner/c.png"]
        assert names(f"{root}/parts") == names(f"{root}/*/*.parquet") == [f"{root}/parts/1.parquet/{i}" for i in (0, 1)]
        assert names(f"{root}/gone.png") == [f"{root}/gone.png"]
        (bucket / "list.txt").write_text("\n".join([album[1], str(girl)]))
        assert names(f"{root}/list.txt") == [album[1], str(girl)]
        predictor = Predictor(model_file)
        first, second, broken, gone = predictor.predict_many(inputs_of([f"{root}/album", f"{root}/gone.png"]))
        expected = [face.as_json() for face in predictor.predict(girl)]
        assert [face.as_json() for face in first.faces] == [face.as_json() for face in second.faces] == expected
        assert str(broken.error).startswith("not a picture") and gone.error == "no such file"
        assert second.stored is not None and second.stored.read().shape == (360, 275, 3)
        assert inputs_of(f"{root}/photos.parquet").total == 13
        pictures = [each.read() for each in inputs_of(f"{root}/photos.parquet")]
        assert len(pictures) == 13
        with pytest.raises(FolderError, match="no picture found"):
            names(f"{root}/album/*.gif")


def test_addresses_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AddressError, match=r"carrier://pigeon: cannot be read \(Unrecognized filesystem type"):
        names("carrier://pigeon/photos")
    assert not is_address("C://photos") and not is_address("photos/a.png") and is_address("gs://bucket")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(DeadpanError, match=r"to read hdfs:// the package pyarrow is needed"):
        names("hdfs://host/photos")


def test_an_archive_at_an_address(girl: Path, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.write(girl, "girl.png")
    (found,) = inputs_of(f"file://{tmp_path}/a.zip")
    assert found.name == f"file://{tmp_path}/a.zip/girl.png" and isinstance(found.container, Archive)
    assert (found.read() == read_photograph(girl)).all()
