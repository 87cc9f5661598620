"""Predictor on a tiny model: results, batches, files that cannot be read, models that cannot be used, no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

import deadpan
from deadpan.expressions import EXPRESSIONS
from deadpan.faces.alignment import align, centre
from deadpan.faces.detection import make_detector
from deadpan.faces.photographs import PhotographError, read_photograph
from deadpan.models import ModelError, card, find, is_intact, released
from deadpan.pixels import RGB
from deadpan.prediction.predictor import Predictor, RestFaceError, load
from deadpan.prediction.results import PhotographResult, Recognition
from tests.support.tiny_model import tiny_model


@pytest.fixture(scope="module")
def predictor(model_file: Path) -> Predictor:
    return Predictor(model_file)


@pytest.fixture(scope="module")
def crowd(photos: list[Path]) -> np.ndarray:
    """Twelve people in three rows."""
    tiles = [np.asarray(Image.open(path).convert("RGB").resize((150, 190))) for path in photos[:12]]
    return np.vstack([np.hstack(tiles[row * 4 : row * 4 + 4]) for row in range(3)])


def test_one_face(predictor: Predictor, girl: Path) -> None:
    (face,) = predictor.predict(girl)
    assert tuple(face.probabilities) == EXPRESSIONS == predictor.expressions
    assert sum(face.probabilities.values()) == pytest.approx(1)
    assert face.probabilities[face.expression] == max(face.probabilities.values())
    assert face.aligned.shape == (64, 64, 3) and face.aligned.dtype == np.uint8
    assert face.neutral is not None and face.neutral.shape == (64, 64, 3) and face.neutral.dtype == np.uint8
    assert face.residue_map is not None and face.residue_map.dtype == np.float32
    difference = np.abs(face.aligned.astype(float) - face.neutral).mean(axis=2) / 255
    assert np.allclose(face.residue_map, difference, atol=1e-6)
    assert face.residue == pytest.approx(difference.mean(), abs=1e-6)


def test_an_equal_prior_divides_by_the_shares_in_the_training_pictures(tmp_path: Path, girl: Path) -> None:
    shares = dict(zip(EXPRESSIONS, (0.4, 0.1, 0.001, 0.05, 0.05, 0.3, 0.049, 0.05), strict=True))
    model = tiny_model(tmp_path / "tiny.onnx", description={"prior": shares})
    (trained,), (equal,) = Predictor(model).predict(girl), Predictor(model, prior="equal").predict(girl)
    divided = {name: trained.probabilities[name] / max(share, 0.005) for name, share in shares.items()}
    total = sum(divided.values())
    assert equal.probabilities == pytest.approx({name: value / total for name, value in divided.items()})
    assert equal.expression == max(divided, key=lambda name: divided[name])


def test_priors_that_cannot_be_taken(model_file: Path) -> None:
    with pytest.raises(ModelError, match="tiny does not say how frequent each expression was in its training"):
        Predictor(model_file, prior="equal")
    with pytest.raises(ValueError, match="prior must be trained or equal, got 'flat'"):
        Predictor(model_file, prior="flat")  # type: ignore[arg-type]


def test_the_network_gets_what_training_gave_it(predictor: Predictor, model_file: Path, girl: Path) -> None:
    pixels = read_photograph(girl)
    (found,) = make_detector()(pixels)
    aligned = centre(align(pixels, found.landmarks, 64), 64)
    image = aligned.transpose(2, 0, 1)[None].astype(np.float32) / 127.5 - 1
    session = onnxruntime.InferenceSession(str(model_file), providers=["CPUExecutionProvider"])
    logits, neutral = session.run(["logits", "neutral"], {"image": image})
    (face,) = predictor.predict(girl)
    expected = np.exp(logits[0]) / np.exp(logits[0]).sum()
    assert np.allclose(list(face.probabilities.values()), expected, atol=1e-5)
    assert face.neutral is not None
    assert np.abs((neutral[0].transpose(1, 2, 0) + 1) * 127.5 - face.neutral).max() < 0.51


def test_path_bytes_and_pixels_agree(predictor: Predictor, portrait: Path) -> None:
    answers = [predictor.predict(given)[0] for given in (portrait, str(portrait), portrait.read_bytes())]
    answers.append(predictor.predict(read_photograph(portrait))[0])
    assert all(answer.as_json() == answers[0].as_json() for answer in answers)


def test_several_faces_are_one_batch(predictor: Predictor, crowd: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    run = predictor._run

    def counted(aligned: RGB, neutral: bool) -> Recognition:
        calls.append(len(aligned))
        return run(aligned, neutral)

    monkeypatch.setattr(predictor, "_run", counted)
    found = predictor.predict(crowd)
    assert calls == [12] == [len(found)]
    lefts = [face.box[0] for face in found]
    assert lefts == sorted(lefts)
    monkeypatch.undo()
    for face in found:  # each answer belongs to its own face
        alone = predictor.predict_faces(face.aligned[None])
        assert np.allclose(alone.probabilities[0], list(face.probabilities.values()), atol=1e-5)


def test_long_batches_are_cut(predictor: Predictor) -> None:
    aligned = np.random.default_rng(0).integers(0, 256, (150, 64, 64, 3), dtype=np.uint8)
    probabilities, neutral, _ = predictor.predict_faces(aligned)
    assert probabilities.shape == (150, 8) and neutral is not None and neutral.shape == (150, 64, 64, 3)
    assert np.allclose(probabilities[149], predictor.predict_faces(aligned[149:]).probabilities[0], atol=1e-5)
    assert predictor.predict_faces(aligned[:0]).probabilities.shape == (0, 8)


def test_wrong_arrays_say_what_is_expected(predictor: Predictor) -> None:
    with pytest.raises(ValueError, match=r"\(N, 64, 64, 3\) uint8, got \(1, 70, 70, 3\)"):
        predictor.predict_faces(np.zeros((1, 70, 70, 3), np.uint8))
    floats: Any = np.zeros((1, 64, 64, 3))
    with pytest.raises(ValueError, match="float64"):
        predictor.predict_faces(floats)
    wrong: Any
    for wrong in (np.zeros((30, 30), np.uint8), np.zeros((30, 30, 3)), np.zeros((0, 30, 3), np.uint8)):
        with pytest.raises(ValueError, match=r"\(H, W, 3\) uint8"):
            predictor.predict(wrong)
        with pytest.raises(ValueError, match=r"\(H, W, 3\) uint8"):
            predictor.predict_crop(wrong)


def test_any_memory_layout(predictor: Predictor, girl: Path) -> None:
    pixels = read_photograph(girl)
    bgr = np.ascontiguousarray(pixels[..., ::-1])
    fixed = pixels.copy()
    fixed.setflags(write=False)
    wide = np.zeros((*pixels.shape[:2], 6), np.uint8)
    wide[..., ::2] = pixels
    expected = predictor.predict(pixels)[0].as_json()
    for given in (bgr[..., ::-1], fixed, wide[..., ::2], np.asfortranarray(pixels), pixels[::-1][::-1]):
        assert predictor.predict(given)[0].as_json() == expected
    assert predictor.predict(np.ascontiguousarray(pixels[:, ::-1])[:, ::-1])[0].as_json() == expected


def test_crop(predictor: Predictor, model_file: Path, girl: Path) -> None:
    pixels = read_photograph(girl)
    (face,) = make_detector()(pixels)
    crop = align(pixels, face.landmarks, 64)
    result = predictor.predict_crop(crop)
    assert result.box == (0, 0, 70, 70) and result.score == 1
    assert np.array_equal(result.aligned, centre(crop, 64))
    assert Predictor(model_file, "none").predict(crop)[0].as_json() == result.as_json()


def test_no_face(predictor: Predictor) -> None:
    assert predictor.predict(np.full((200, 300, 3), 90, np.uint8)) == []


def test_without_neutral_face(plain_model_file: Path, girl: Path) -> None:
    (face,) = Predictor(plain_model_file).predict(girl)
    assert face.neutral is None and face.residue is None and face.residue_map is None
    assert face.as_json()["residue"] is None


def test_files_report_and_skip(predictor: Predictor, girl: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(girl.read_bytes()[:500])
    Image.new("RGB", (50, 40)).save(tmp_path / "dark.png")
    paths = [tmp_path / "bad.jpg", girl, tmp_path, tmp_path / "dark.png", tmp_path / "absent.png"]
    results = list(predictor.predict_files(paths))
    assert [result.path for result in results] == [str(path) for path in paths]
    assert [len(result.faces) for result in results] == [0, 1, 0, 0, 0]
    assert [result.error is None for result in results] == [False, True, False, True, False]
    assert "truncated" in str(results[0].error) and "bad.jpg" not in str(results[0].error)
    assert (results[1].width, results[1].height) == (275, 360)
    with pytest.raises(PhotographError):
        predictor.predict(tmp_path / "absent.png")


def test_json_line(predictor: Predictor, girl: Path) -> None:
    (result,) = predictor.predict_files([girl])
    line = json.loads(json.dumps(result.as_json()))
    assert list(line) == ["path", "width", "height", "faces", "error"]
    (face,) = line["faces"]
    keys = ["box", "score", "landmarks", "expression", "probabilities", "residue"]
    keys += ["distance_from_rest", "quality", "marks"]
    assert list(face) == keys
    assert len(face["box"]) == 4 and np.shape(face["landmarks"]) == (5, 2)
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert PhotographResult("x", error="gone").as_json() == {
        "path": "x",
        "width": 0,
        "height": 0,
        "faces": [],
        "error": "gone",
    }


# Models


def test_model_files_that_cannot_be_used(tmp_path: Path, model_file: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a model")
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "cut.onnx").write_bytes(model_file.read_bytes()[:-2000])
    tiny_model(tmp_path / "foreign.onnx", description="")
    tiny_model(tmp_path / "garbled.onnx", description="{not json")
    tiny_model(tmp_path / "list.onnx", description="[1, 2]")
    tiny_model(tmp_path / "newer.onnx", description={"format": 2})
    tiny_model(tmp_path / "order.onnx", description={"expressions": list(EXPRESSIONS[::-1])})
    tiny_model(tmp_path / "fewer.onnx", description={"expressions": list(EXPRESSIONS[:7])})
    tiny_model(tmp_path / "size.onnx", description={"image_size": 128})
    expected = {
        "text": "damaged or not an ONNX model",
        "empty": "damaged or not an ONNX model",
        "cut": "damaged or not an ONNX model",
        "foreign": "not one of deadpan's",
        "garbled": "cannot be read",
        "list": "cannot be read",
        "newer": "format 2, this deadpan reads format 1",
        "order": "in the order",
        "fewer": "does not fit its own description",
        "size": "does not fit its own description",
        "absent": "no such model file",
    }
    for name, reason in expected.items():
        with pytest.raises(ModelError, match=reason) as caught:
            Predictor(tmp_path / f"{name}.onnx")
        assert f"{name}.onnx" in str(caught.value) and "\n" not in str(caught.value)


def test_unknown_names_list_the_known(tmp_path: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deadpan.models.FOLDER", tmp_path)
    with pytest.raises(ModelError, match="no model named 'derl'; released models: none"):
        find("derl")
    (tmp_path / "derl.onnx").write_bytes(model_file.read_bytes())
    with pytest.raises(ModelError, match="no model named 'drel'; released models: derl"):
        Predictor("drel")
    assert load("derl").path == find("derl") == released()["derl"]
    with pytest.raises(ModelError, match="is a folder"):
        find(tmp_path)
    with pytest.raises(ModelError, match="has no card"):
        card("derl")
    (tmp_path / "derl.json").write_text("[]")
    with pytest.raises(ModelError, match="is not a model card"):
        card("derl")


def test_released_models_are_what_their_cards_say() -> None:
    for name in released():
        facts = card(name)
        predictor = Predictor(name)
        assert is_intact(name)
        assert (predictor.name, predictor.method, predictor.generates) == (name, facts["method"], facts["generates"])
        assert list(predictor.expressions) == facts["expressions"] and predictor.image_size == facts["image_size"]


def test_threads_must_be_positive(model_file: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Predictor(model_file, threads=0)


# The package


def test_public_names() -> None:
    assert deadpan.Predictor is Predictor and deadpan.load is load
    assert set(deadpan.__all__) <= set(dir(deadpan))
    with pytest.raises(AttributeError, match="no attribute 'predictor'"):
        _ = deadpan.predictor
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert f'version = "{deadpan.__version__}"' in project


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, deadpan; print([m for m in ('torch', 'numpy', 'cv2', 'onnxruntime') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_recognising_needs_no_training_package(model_file: Path, girl: Path) -> None:
    code = """
import sys
for name in "torch onnx scipy sklearn pyarrow matplotlib kornia lightning safetensors numba".split():
    sys.modules[name] = None
import deadpan
from deadpan.cli.main import main
print(deadpan.load(sys.argv[1]).predict(sys.argv[2])[0].expression)
sys.exit(main(["predict", sys.argv[2], "--model", sys.argv[1]]))
"""
    arguments = [sys.executable, "-c", code, str(model_file), str(girl)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] in EXPRESSIONS


# a rest face, and what a model can show


def test_a_rest_face_takes_the_place_of_the_generated_one(comparing_model_file: Path, photos: list[Path]) -> None:
    by_name = {path.stem: path for path in photos}
    smile, rest = by_name["london_107_happiness"], by_name["london_107_neutral"]
    alone, against = Predictor(comparing_model_file), Predictor(comparing_model_file, rest_face=rest)
    (at_rest,) = alone.predict(rest)
    (without,), (given,) = alone.predict(smile), against.predict(smile)
    assert given.neutral is not None and np.array_equal(given.neutral, at_rest.aligned)
    assert without.neutral is not None and not np.array_equal(without.neutral, at_rest.aligned)
    assert given.probabilities != without.probabilities
    difference = np.abs(given.aligned.astype(float) - at_rest.aligned).mean() / 255
    assert given.residue == pytest.approx(difference, abs=1e-6) and without.residue != given.residue
    (itself,) = against.predict(rest)
    assert itself.residue == 0
    assert itself.distance_from_rest == 0 and without.distance_from_rest is None
    assert list(itself.probabilities.values()) == pytest.approx([1 / 8] * 8)  # no difference, no opinion


def test_a_rest_face_that_cannot_be_used_is_refused(
    comparing_model_file: Path, girl: Path, crowd: np.ndarray, tmp_path: Path
) -> None:
    with pytest.raises(RestFaceError, match="must be a photograph of one person; found 12 faces"):
        Predictor(comparing_model_file, rest_face=crowd)
    with pytest.raises(RestFaceError, match="found 0 faces"):
        Predictor(comparing_model_file, rest_face=np.zeros((90, 90, 3), np.uint8))
    with pytest.raises(PhotographError, match="gone"):
        Predictor(comparing_model_file, rest_face=tmp_path / "gone.png")
    predictor = Predictor(comparing_model_file, rest_face=girl)
    Image.fromarray(crowd).save(tmp_path / "crowd.png")
    bad, good = predictor.predict_files([tmp_path / "crowd.png", girl])
    assert bad.error == "12 faces, but a rest face of one person; crop the photograph to the person"
    assert bad.width == crowd.shape[1] and not bad.faces
    assert good.error is None and len(good.faces) == 1


def test_what_a_model_can_show_is_there_on_demand(comparing_model_file: Path, girl: Path) -> None:
    assert Predictor(comparing_model_file).predict(girl)[0].shown == {}
    predictor = Predictor(comparing_model_file, show=True, rest_face=girl)
    (face,) = predictor.predict(girl)
    assert [(caption, each.kind) for caption, each in face.shown.items()] == list(predictor.shows.items())
    assert face.shown["branch"].value == pytest.approx(list(face.probabilities.values()))
    assert float(face.shown["intensity"].value) == pytest.approx(0, abs=1e-6)
    assert face.neutral is not None and np.array_equal(face.shown["someone else"].value, face.neutral)
    assert face.shown["displacements"].value.shape == (3, 2, 2)
    line = face.as_json(shown=True)["shown"]
    assert line["branch"]["fear"] == pytest.approx(1 / 8)
    assert line["intensity"] == 0 and "someone else" not in line
    assert line["displacements"][1] == [[30, 30], [30, 34]]
    assert "shown" not in face.as_json()
