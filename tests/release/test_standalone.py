"""`export --standalone`: one file that gives the results of Predictor and holds all that a program needs to know."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from deadpan.cli.main import main
from deadpan.errors import DeadpanError
from deadpan.expressions import EXPRESSIONS
from deadpan.models import ModelError, card, released
from deadpan.pixels import to_network
from deadpan.prediction.predictor import Predictor
from deadpan.release.standalone import ENDING, export_standalone
from deadpan.training.checkpoint import build, save_method
from tests.support.tiny_model import tiny_model


@pytest.fixture(scope="module", params=sorted(released()))
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A released model's name and its standalone file."""
    folder = tmp_path_factory.mktemp("standalone")
    return request.param, export_standalone(request.param, folder)


@pytest.fixture(scope="module")
def faces(opened: tuple[str, Path], photos: list[Path]) -> NDArray[np.uint8]:
    """Faces of every example photograph, grey and coloured ones, aligned for the model."""
    predictor = Predictor(opened[0])
    return np.stack([predictor.predict(photo)[0].aligned for photo in photos])


def answer(path: Path, faces: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    session = onnxruntime.InferenceSession(path)
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, session.run(names, {"faces": faces}), strict=True))


def test_results_are_those_of_the_predictor(opened: tuple[str, Path], faces: NDArray[np.uint8]) -> None:
    name, path = opened
    predictor = Predictor(name)
    expected, got = predictor.predict_faces(faces), answer(path, faces)
    assert np.abs(got["probabilities"] - expected.probabilities).max() < 1e-5
    assert got["expressions"].tolist() == list(predictor.expressions)
    if expected.neutral is None:
        assert set(got) == {"probabilities", "expressions"}
        return
    assert got["neutral"].dtype == np.uint8 and got["neutral"].shape == faces.shape
    steps = np.abs(got["neutral"].astype(int) - expected.neutral)
    assert steps.max() <= 1 and (steps > 0).mean() < 1e-3  # a half may round to either side
    is_grey = (np.ptp(faces, axis=3) == 0).all((1, 2))
    assert 0 < is_grey.sum() < len(faces)
    assert not np.ptp(got["neutral"][is_grey], axis=3).any()
    residue_map = np.abs(faces.astype(float) - expected.neutral).mean(3) / 255
    assert np.abs(got["residue_map"] - residue_map).max() < 2 / 255
    assert np.abs(got["residue"] - residue_map.mean((1, 2))).max() < 1e-5


def test_any_number_of_faces(opened: tuple[str, Path], faces: NDArray[np.uint8]) -> None:
    all_together = answer(opened[1], faces)["probabilities"]
    assert np.abs(answer(opened[1], faces[4:5])["probabilities"] - all_together[4:5]).max() < 1e-5
    assert answer(opened[1], faces[:0])["probabilities"].shape == (0, len(EXPRESSIONS))


def test_the_metadata_say_what_a_program_must_know(opened: tuple[str, Path]) -> None:
    name, path = opened
    known = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    facts = card(name)
    assert known["name"] == name and known["method"] == facts["method"]
    assert known["expressions"].split(",") == facts["expressions"]
    assert int(known["image_size"]) == facts["image_size"]
    alignment = json.loads(known["alignment"])
    count = 8 if facts.get("alignment") == "mesh" else 5
    assert len(alignment["template"]) == count and all(0 < x < 1 and 0 < y < 1 for x, y in alignment["template"])
    assert ("mesh_points" in alignment) == (count == 8)
    assert known["licence"] == facts["licence"] and "Apache-2.0" in known["licence"]
    assert all(each["terms"] in known["terms"] for each in facts["data"])
    assert "2024/1689" in json.loads(known["use"])["law"]
    assert json.loads(known["card"]) == facts


def test_explanations_and_their_weights_are_left_out(opened: tuple[str, Path]) -> None:
    name, path = opened
    model = onnx.load(path)
    used = {each for node in model.graph.node for each in node.input}
    assert all(weight.name in used for weight in model.graph.initializer)
    assert [each.name for each in model.graph.input] == ["faces"]
    assert path.stat().st_size < released()[name].stat().st_size + len(json.dumps(card(name))) + 20_000


def test_a_finished_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    run.mkdir()
    method = build("cnn", {"width": 0.125}, EXPRESSIONS).eval()
    save_method(run / "model.safetensors", "cnn", method, {})
    assert main(["export", str(run), "--standalone", "--no-flip"]) == 0
    path = run / f"cnn{ENDING}"
    assert capsys.readouterr().out.split() == [str(path)]
    assert not (run / "cnn.onnx").exists()
    side = method.config.image_size
    faces = np.random.default_rng(1).integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = method(torch.from_numpy(to_network(faces))).logits.softmax(1).numpy()
    assert np.abs(answer(path, faces)["probabilities"] - expected).max() < 1e-2  # weights of 16 bits


def test_the_command_and_its_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # the second time it replaces its own file
        assert main(["export", "cnn", "--standalone"]) == 0
        assert capsys.readouterr().out.split() == [f"cnn{ENDING}"]
    Path("own.onnx").write_bytes(b"another program's")
    wrong = {
        ("cnn", "--standalone", "--strength", "0.5"): "strength: only for a run; cnn is exported already",
        ("cnn", "own.onnx", "--standalone"): "own.onnx was not written by this command",
        ("cnn", "face.png", "--standalone"): "has the name of a picture",
        ("cnm", "--standalone"): "no model named 'cnm'",
        ("cnn", "cnn.onnx"): "cnn is a released model and exported already",
        (f"cnn{ENDING}", "--standalone"): "was written by `deadpan export --standalone`",
    }
    for tokens, reason in wrong.items():
        assert main(["export", *tokens]) == 2
        assert reason in capsys.readouterr().err
    assert Path("own.onnx").read_bytes() == b"another program's"


def test_the_predictor_says_what_such_a_file_is_for(opened: tuple[str, Path]) -> None:
    with pytest.raises(DeadpanError, match="for programs without deadpan; give the model or run"):
        Predictor(opened[1])


def test_a_model_needs_its_own_card(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny.onnx")
    with pytest.raises(ModelError, match="has no card"):
        export_standalone(tmp_path / "tiny.onnx", tmp_path)
    shutil.copy(released()["cnn"].with_suffix(".json"), tmp_path / "tiny.json")
    with pytest.raises(ModelError, match=r"damaged, or tiny\.json is the card of another model"):
        export_standalone(tmp_path / "tiny.onnx", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.json", "tiny.onnx"]
