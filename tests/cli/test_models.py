"""`deadpan models --check`, and model files that no command can use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from deadpan.cli.main import main
from deadpan.faces import networks
from deadpan.models import FOLDER, released
from tests.support.tiny_model import tiny_model

KINDS = {
    "truncated.onnx": "damaged or not an ONNX model",
    "text.onnx": "damaged or not an ONNX model",
    "empty.onnx": "the file is empty",
    "pointer.onnx": "git lfs pull",
    "foreign.onnx": "not one of deadpan's",
    "weights.pt": "deadpan never unpickles",
    "old.pt": "deadpan never unpickles",
}

COMMANDS = {
    "predict": ["predict", "GIRL", "--model", "MODEL"],
    "predict a video": ["predict", "FILM", "--model", "MODEL"],
    "serve": ["serve", "--port", "0", "--model", "MODEL"],
    "score": ["score", "MODEL", "DATA"],
    "evaluate": ["evaluate", "MODEL", "DATA", "--protocol", "subjects", "--folds", "2", "--out", "OUT"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model files of every kind that cannot be used."""
    folder = tmp_path_factory.mktemp("unusable")
    whole = released()["cnn"].read_bytes()
    (folder / "truncated.onnx").write_bytes(whole[: len(whole) // 2])
    (folder / "text.onnx").write_text("not a model")
    (folder / "empty.onnx").write_bytes(b"")
    (folder / "pointer.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    tiny_model(folder / "foreign.onnx", description="")
    torch.save({"weight": torch.zeros(3)}, folder / "weights.pt")
    torch.save({"weight": torch.zeros(3)}, folder / "old.pt", _use_new_zipfile_serialization=False)
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_why_it_cannot_use_a_model_file(
    command: str,
    kind: str,
    folder: Path,
    girl: Path,
    film: Path,
    drawn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"GIRL": girl, "FILM": film, "DATA": drawn, "MODEL": folder / kind, "OUT": tmp_path / "out"}
    assert main([str(places.get(each, each)) for each in COMMANDS[command]]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and kind in line and KINDS[kind] in line


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """Copies of the folders of models and face networks, in place of the real ones."""
    models, faces = tmp_path / "models", tmp_path / "faces"
    shutil.copytree(FOLDER, models)
    shutil.copytree(networks.ASSETS, faces)
    monkeypatch.setattr("deadpan.models.FOLDER", models)
    monkeypatch.setattr(networks, "ASSETS", faces)
    networks.session.cache_clear()
    yield models, faces
    networks.session.cache_clear()


def test_every_shipped_file_is_intact(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--check"]) == 0
    found = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert set(found) >= {"model default", "model derl", "face network centerface", "face network face_mesh"}
    assert set(found.values()) == {"intact"}


def test_each_damaged_or_missing_file_is_named(copies: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    models, faces = copies
    content = bytearray((models / "cnn.onnx").read_bytes())
    content[len(content) // 2] ^= 1  # one bit
    (models / "cnn.onnx").write_bytes(content)
    (models / "dgcn.onnx").unlink()
    (models / "derl.json").unlink()
    (models / "default.json").write_text("{}")
    (faces / "cover.json").write_text("[]")
    mesh = faces / "face_mesh.onnx"
    mesh.write_bytes(mesh.read_bytes()[:-1])
    assert main(["models", "--check"]) == 2
    out, err = capsys.readouterr()
    states = dict(line.split(": ") for line in out.splitlines())
    unknown = "no SHA-256 is recorded"
    assert states == {
        "model cnn": "DAMAGED",
        "model default": unknown,
        "model derl": unknown,
        "model dgcn": "DAMAGED",
        "model small": "intact",
        "face network blazeface": "intact",
        "face network centerface": "intact",
        "face network cover": "DAMAGED",
        "face network face_mesh": "DAMAGED",
    }
    cnn, dgcn, cover, mesh_line, last = err.splitlines()
    assert f"{models / 'cnn.onnx'} is damaged: expected the SHA-256 " in cnn
    assert f"{models / 'dgcn.onnx'} cannot be read (No such file or directory)" in dgcn
    assert "cover.json is not a model card" in cover
    assert f"{mesh} is damaged" in mesh_line
    assert last == "error: 4 network files are damaged or missing; reinstall deadpan"


@pytest.mark.parametrize("name", ["centerface", "face_mesh", "cover"])
def test_a_damaged_face_network_ends_a_command_with_advice(
    name: str, copies: tuple[Path, Path], girl: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copies[1] / f"{name}.onnx"
    path.write_bytes(path.read_bytes()[:1000])
    assert main(["predict", str(girl)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"the face network {path} is damaged" in line and "`deadpan models --check`" in line


def test_the_check_takes_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "derl", "--check"]) == 2
    assert "leave out derl" in capsys.readouterr().err
