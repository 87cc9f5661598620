"""Lists, archives and standard input as places of photographs; folders and patterns are in test_inputs.py."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from deadpan.faces.photographs import PhotographError, read_photograph
from deadpan.prediction import containers
from deadpan.prediction.containers import FolderError
from deadpan.prediction.folders import input_of, inputs_of
from deadpan.prediction.predictor import Predictor


@pytest.fixture
def archive(girl: Path, tmp_path: Path) -> Path:
    path = tmp_path / "album.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("b.png", "inner/a.png", "__MACOSX/b.png", ".hidden/c.png", "inner/.d.png"):
            file.write(girl, name)
        file.writestr("broken.png", "no picture")
        file.writestr("notes.txt", "no picture")
    return path


def test_a_list_names_one_file_a_line(girl: Path, portrait: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_bytes(f"\ufeff{girl}\r\n\n{portrait}\n  spaced.png".encode() + b"\ncaf\xe9.png\n")
    found = inputs_of(names)
    assert [each.name for each in found] == [str(girl), str(portrait), "  spaced.png", "caf\udce9.png"]
    assert found.total == 4
    names.write_text("\n\n")
    with pytest.raises(FolderError, match=r"names\.txt: no picture found"):
        inputs_of(names)


def test_an_archive_holds_pictures_in_folders_too(archive: Path, girl: Path, model_file: Path) -> None:
    found = inputs_of(archive)
    names = [f"{archive}/{name}" for name in ("b.png", "broken.png", "inner/a.png")]
    assert [each.name for each in found] == names and found.total == 3
    assert np.array_equal(next(iter(found)).read(), read_photograph(girl))
    predictor = Predictor(model_file)
    results = list(predictor.predict_many(archive))
    assert [result.path for result in results] == names
    assert results[1].error is not None and results[1].error.startswith("not a picture")
    (alone,) = predictor.predict(girl)
    assert [face.as_json() for face in results[2].faces] == [alone.as_json()]


def test_archives_that_cannot_be_read(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.zip").write_text("no archive")
    with pytest.raises(FolderError, match=r"bad\.zip: cannot be read as a ZIP archive"):
        inputs_of(tmp_path / "bad.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as file:
        file.writestr("notes.txt", "no picture")
    with pytest.raises(FolderError, match=r"empty\.zip: no picture found"):
        inputs_of(tmp_path / "empty.zip")
    content = bytearray(archive.read_bytes())
    content[200] ^= 255  # inside the first picture
    (tmp_path / "damaged.zip").write_bytes(content)
    with pytest.raises(PhotographError, match="cannot be unpacked from the archive"):
        next(iter(inputs_of(tmp_path / "damaged.zip"))).read()
    monkeypatch.setattr(containers, "MAX_BYTES", 1000)
    with pytest.raises(PhotographError, match=r"too large to unpack: .* bytes, expected at most 1,000"):
        next(iter(inputs_of(archive))).read()


def test_standard_input_is_a_list_of_unknown_length(
    girl: Path, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{girl}\n{portrait}\n".encode())))
    found = inputs_of(["-", "first.png"])
    assert found.total is None
    assert [each.name for each in found.known()] == ["first.png"]
    assert [each.name for each in found] == ["first.png", str(girl), str(portrait)]


def test_photographs_in_memory_are_named_by_their_file_or_index(girl: Path) -> None:
    pixels = read_photograph(girl)
    with girl.open("rb") as file:
        given = [girl, pixels, file, girl.read_bytes()]
        assert [input_of(each, index).name for index, each in enumerate(given)] == [str(girl), "1", str(girl), "3"]
    with pytest.raises(PhotographError, match=r"^empty, expected a picture"):
        input_of(b"", 0).read()
