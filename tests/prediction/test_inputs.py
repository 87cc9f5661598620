"""What `predict` takes: paths, bytes, open files, PIL pictures, arrays, lists; and the same Predictor everywhere."""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps, features

from deadpan.errors import DeadpanError
from deadpan.faces.photographs import PhotographError, read_photograph
from deadpan.prediction.containers import FolderError
from deadpan.prediction.folders import inputs_of
from deadpan.prediction.panel import draw_panel
from deadpan.prediction.predictor import Predictor


@pytest.fixture(scope="module")
def predictor(model_file: Path) -> Predictor:
    return Predictor(model_file)


# one photograph


def test_every_form_of_a_photograph_gives_the_same_pixels(portrait: Path) -> None:
    expected = np.asarray(Image.open(portrait).convert("RGB"))
    content = portrait.read_bytes()
    with portrait.open("rb") as file, Image.open(portrait) as picture:
        given: tuple[Any, ...] = (portrait, str(portrait), content, bytearray(content), file, io.BytesIO(content))
        for source in (*given, picture, picture.copy(), expected):
            assert np.array_equal(read_photograph(source), expected), type(source)
    assert np.array_equal(read_photograph(np.asarray(cv2.imread(str(portrait)), np.uint8), bgr=True), expected)


def test_a_pil_picture_is_turned_upright_and_laid_on_white(girl: Path) -> None:
    picture = Image.open(girl).convert("RGB")
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[0x0112] = 6
    assert np.array_equal(read_photograph(turned), np.asarray(picture))
    assert (read_photograph(Image.new("RGBA", (9, 9), (0, 0, 0, 0))) == 255).all()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("turn", [1, 6])
def test_a_jpeg_file_gives_the_pixels_that_pillow_decodes(
    portrait: Path, mode: str, progressive: bool, subsampling: int, turn: int
) -> None:
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = turn
    picture = Image.open(portrait).convert(mode).resize((333, 217))
    picture.save(
        file, "JPEG", progressive=progressive, exif=exif, **({} if mode == "L" else {"subsampling": subsampling})
    )
    expected = np.asarray(ImageOps.exif_transpose(Image.open(file)).convert("RGB"))
    assert np.array_equal(read_photograph(file.getvalue()), expected)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_truncated_jpeg_file_is_refused(portrait: Path, share: float) -> None:
    content = portrait.read_bytes()
    with pytest.raises(PhotographError, match=r"the given bytes: .*runcated"):
        read_photograph(content[: int(share * len(content))])


def test_predict_predict_crop_and_rest_face_take_every_form(comparing_model_file: Path, portrait: Path) -> None:
    content, picture = portrait.read_bytes(), Image.open(portrait)
    pixels = np.asarray(picture.convert("RGB"))
    bgr = pixels[..., ::-1]
    forms: tuple[Any, ...] = (str(portrait), content, io.BytesIO(content), picture, pixels)
    predictor = Predictor(comparing_model_file)
    whole, crop = predictor.predict(portrait)[0].as_json(), predictor.predict_crop(portrait).as_json()
    at_rest = Predictor(comparing_model_file, rest_face=portrait).predict(portrait)[0].as_json()
    for form in forms:
        assert predictor.predict(form)[0].as_json() == whole
    assert predictor.predict(bgr, bgr=True)[0].as_json() == whole
    assert predictor.predict_crop(io.BytesIO(content)).as_json() == crop == predictor.predict_crop(picture).as_json()
    assert predictor.predict_crop(bgr, bgr=True).as_json() == crop != predictor.predict_crop(bgr).as_json()
    for form in (io.BytesIO(content), picture):
        assert Predictor(comparing_model_file, rest_face=form).predict(portrait)[0].as_json() == at_rest
    faces = predictor.predict(portrait)
    assert np.array_equal(draw_panel(str(portrait), faces), draw_panel(pixels, faces))


def test_a_list_gives_a_list_for_each_photograph(predictor: Predictor, girl: Path, portrait: Path) -> None:
    nobody = np.full((90, 90, 3), 80, np.uint8)
    alone = [predictor.predict(each)[0].as_json() for each in (girl, portrait)]
    for given in ([girl, nobody, portrait.read_bytes()], (str(girl), nobody, Image.open(portrait))):
        first, second, third = predictor.predict(given)
        assert [first[0].as_json(), third[0].as_json()] == alone
        assert second == []
    assert predictor.predict([]) == []
    with pytest.raises(PhotographError, match=r"gone\.png: no such file"):
        predictor.predict([girl, "gone.png"])


@pytest.mark.parametrize(
    ("array", "got", "advice"),
    [
        (np.zeros((30, 40)), r"\(30, 40\) float64", "grey picture in three channels"),
        (np.zeros((30, 40), np.uint8), r"\(30, 40\) uint8", "grey picture in three channels"),
        (np.zeros((30, 40, 1), np.uint8), r"\(30, 40, 1\)", "grey picture in three channels"),
        (np.zeros((30, 40, 3), np.float32), "float32", r"\(photograph \* 255\)"),
        (np.zeros((30, 40, 3), np.uint16), "uint16", "whole numbers from 0 to 255"),
        (np.zeros((30, 40, 4), np.uint8), r"\(30, 40, 4\)", r"photograph\[\.\.\., :3\]"),
        (np.zeros((3, 30, 40), np.uint8), r"\(3, 30, 40\)", r"transpose\(1, 2, 0\)"),
        (np.zeros((2, 30, 40, 3), np.uint8), r"\(2, 30, 40, 3\)", r"list\(photographs\)"),
        (np.zeros((0, 40, 3), np.uint8), r"\(0, 40, 3\)", "empty"),
    ],
)
def test_another_array_is_refused_with_what_to_do(predictor: Predictor, array: Any, got: str, advice: str) -> None:
    with pytest.raises(DeadpanError, match=rf"\(H, W, 3\) uint8, got .*{got}.*; .*{advice}.*bgr=True"):
        predictor.predict(array)


def test_the_advice_for_arrays_helps(predictor: Predictor, girl: Path) -> None:
    photograph = read_photograph(girl)
    expected = predictor.predict(photograph)[0].as_json()
    grey = np.asarray(Image.open(girl).convert("L"))
    parts = (photograph.astype(np.float64) / 255 * 255).round().astype(np.uint8)
    assert predictor.predict(parts)[0].as_json() == expected
    assert predictor.predict(photograph.transpose(2, 0, 1).transpose(1, 2, 0))[0].as_json() == expected
    assert len(predictor.predict(np.dstack([grey] * 3))) == 1
    assert len(predictor.predict(list(np.stack([photograph] * 2)))) == 2


def test_what_is_no_photograph_is_refused(predictor: Predictor, girl: Path, tmp_path: Path) -> None:
    given: Any
    for given in (7, None, {"a": 1}, {girl}):
        with pytest.raises(PhotographError, match=f"expected one photograph as a path.*got {type(given).__name__}"):
            predictor.predict(given)
    with pytest.raises(PhotographError, match="got list"):
        predictor.predict_crop([girl])  # type: ignore[arg-type]
    with girl.open(encoding="latin-1") as text, pytest.raises(PhotographError, match="open it with open"):
        predictor.predict(text)  # type: ignore[arg-type]
    with girl.open("rb") as file:
        assert len(predictor.predict(file)) == 1
        with pytest.raises(PhotographError, match=r"girl_happiness\.png: empty"):  # it has been read to its end
            predictor.predict(file)
    with pytest.raises(PhotographError, match="cannot be read"):
        predictor.predict(file)
    with pytest.raises(PhotographError, match="the given file: not a picture"):
        predictor.predict(io.BytesIO(b"no picture"))
    short = tmp_path / "short.png"
    short.write_bytes(girl.read_bytes()[:9000])
    with Image.open(short) as picture, pytest.raises(PhotographError, match="the given picture: damaged or truncated"):
        predictor.predict(picture)


def test_a_face_is_written_on_one_line(predictor: Predictor, girl: Path) -> None:
    (result,) = predictor.predict_files(girl)
    (face,) = result.faces
    assert repr(face).startswith(f"FaceResult({face.expression} {face.probabilities[face.expression]:.1%}, box (")
    assert "\n" not in repr(result) and len(repr(face)) < 80


def test_longest_side_of_0_keeps_the_size(model_file: Path, portrait: Path) -> None:
    scene = np.full((1500, 2400, 3), 200, np.uint8)
    scene[700:760, 1200:1260] = np.asarray(Image.open(portrait).resize((60, 60), Image.Resampling.LANCZOS))
    assert Predictor(model_file).predict(scene) == []
    assert len(Predictor(model_file, longest_side=0).predict(scene)) == 1
    assert len(Predictor(model_file, longest_side=None).predict(scene)) == 1


# folders


@pytest.fixture
def album(tmp_path: Path, girl: Path) -> Path:
    folder = tmp_path / "album"
    (folder / "inner").mkdir(parents=True)
    names = ("b.PNG", "a.png", "10.png", "9.png", ".hidden.png", "a.panel.png", "inner/c.png")
    for name in names:
        (folder / name).write_bytes(girl.read_bytes())
    (folder / "notes.txt").write_text("no picture")
    (folder / "folder.png").mkdir()
    return folder


def pictures(places: Any) -> list[str]:
    return [each.name for each in inputs_of(places)]


def test_pictures_of_folders_patterns_and_files(album: Path) -> None:
    def names(places: Any) -> list[str]:
        return [str(Path(path).relative_to(album)) for path in pictures(places)]

    assert names(album) == names([str(album)]) == ["10.png", "9.png", "a.png", "b.PNG"]
    assert names(f"{album}/[ab].*") == ["a.png", "b.PNG"]
    assert names(f"{album}/**/*") == ["10.png", "9.png", "a.png", "b.PNG", "inner/c.png"]
    assert names([album / "b.PNG", album / "inner", album / "gone.png"]) == ["b.PNG", "inner/c.png", "gone.png"]
    (album / "[ab].png").write_bytes(b"a file may bear such a name")
    assert names(f"{album}/[ab].png") == ["[ab].png"]


def test_a_folder_without_pictures_is_an_error(tmp_path: Path, predictor: Predictor) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(FolderError, match=rf"{tmp_path}: no picture found.*{tmp_path}/\*\*/\*"):
        predictor.predict_folder(tmp_path)
    with pytest.raises(FolderError, match="no picture found"):
        pictures(f"{tmp_path}/*.jpg")


def test_predict_folder_and_predict_files(predictor: Predictor, album: Path, girl: Path) -> None:
    (album / "9.png").write_text("no picture")
    results = list(predictor.predict_folder(str(album)))
    assert [Path(result.path).name for result in results] == ["10.png", "9.png", "a.png", "b.PNG"]
    assert [len(result.faces) for result in results] == [1, 0, 1, 1]
    assert results[1].error is not None and "not a picture" in results[1].error
    for one in (girl, str(girl)):
        (result,) = predictor.predict_files(one)
        assert result.path == str(girl) and len(result.faces) == 1


# HEIC


def test_heic_is_read_upright_or_names_its_package(girl: Path, tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "IMG_0001.HEIC"
    picture = Image.open(girl).convert("RGB")
    heif.from_pillow(picture).save(path, quality=95)
    pixels = read_photograph(path)
    assert pixels.shape == np.asarray(picture).shape
    assert np.abs(pixels.astype(int) - np.asarray(picture)).mean() < 4
    assert pictures(tmp_path) == [str(path)]
    code = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from deadpan.faces.photographs import read_photograph\n"
        f"read_photograph({str(path)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "IMG_0001.HEIC: a HEIC picture, which needs the package pillow-heif: pip install" in done.stderr
    assert "deadpan[heic]" in done.stderr


def test_avif_names_the_pillow_that_reads_it(girl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not features.check("avif"):
        pytest.skip("this Pillow cannot write AVIF")
    content = io.BytesIO()
    Image.open(girl).convert("RGB").save(content, "AVIF")
    assert read_photograph(content.getvalue()).shape[2] == 3
    monkeypatch.setattr("deadpan.faces.photographs._readable_formats", lambda: ["JPEG"])
    with pytest.raises(PhotographError, match="AVIF picture, which this Pillow cannot read: pip install --upgrade"):
        read_photograph(content.getvalue())


# the same Predictor in other threads and processes


def test_a_pickled_predictor_opens_its_model_anew(
    model_file: Path, comparing_model_file: Path, girl: Path, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model_file.parent)
    given = Predictor(model_file.name, longest_side=320, confidence=0.7)
    resting = Predictor(comparing_model_file, show=True, rest_face=girl)
    expected = [face.as_json(shown=True) for each in (given, resting) for face in each.predict(portrait)]
    data = pickle.dumps((given, resting))
    assert len(data) < 50_000  # neither network travels
    monkeypatch.chdir(girl.parent)
    first, second = pickle.loads(data)
    assert [face.as_json(shown=True) for each in (first, second) for face in each.predict(portrait)] == expected
    assert first.expressions == given.expressions and repr(first) == repr(given)
    assert copy.deepcopy(given).predict(portrait)[0].as_json() == given.predict(portrait)[0].as_json()


def test_a_pickled_predictor_answers_as_its_file_does_now(model_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model_file.read_bytes())
    data = pickle.dumps(Predictor(path))
    path.unlink()
    with pytest.raises(DeadpanError, match=r"model\.onnx: no such model file"):
        pickle.loads(data)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_share_a_predictor(model_file: Path, photos: list[Path], threads: int) -> None:
    predictor = Predictor(model_file, threads=threads)
    expected = [[face.as_json() for face in predictor.predict(path)] for path in photos]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(predictor.predict, photos * 4))
    assert [[face.as_json() for face in faces] for faces in found] == expected * 4


FORKED = """
import os, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from deadpan.prediction.predictor import Predictor

model, photograph, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
predictor = Predictor(model, threads=threads)
expected = predictor.predict(photograph)[0].as_json()

def answer(_):
    return predictor.predict(photograph)[0].as_json()

with ProcessPoolExecutor(2, get_context("fork")) as pool:
    assert list(pool.map(answer, range(4))) == [expected] * 4
child = os.fork()
if not child:
    sys.exit(0 if answer(0) == expected else 1)
assert os.waitpid(child, 0)[1] == 0
assert answer(0) == expected
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_predictor_works_after_a_fork(model_file: Path, portrait: Path, threads: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKED, str(model_file), str(portrait), threads]
    # ONNX Runtime's telemetry would hang every forked process at its end
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr


def test_faces_of_several_photographs_in_one_run(model_file: Path, girl: Path, portrait: Path) -> None:
    predictor = Predictor(model_file)
    photographs = [read_photograph(girl), np.zeros((50, 60, 3), np.uint8), read_photograph(portrait)]
    found = [(pixels, predictor.detector(pixels)) for pixels in photographs]
    first, none, last = predictor.read(found)
    assert none == [] and predictor.read([]) == [] and predictor.read(found[1:2]) == [[]]
    for together, alone in ((first, predictor.predict(girl)), (last, predictor.predict(portrait))):
        assert [face.box for face in together] == [face.box for face in alone]
        assert together[0].probabilities == pytest.approx(alone[0].probabilities, abs=1e-5)
        assert (together[0].aligned == alone[0].aligned).all()


def test_a_predictor_for_one_person_shares_the_model(comparing_model_file: Path, girl: Path, portrait: Path) -> None:
    predictor = Predictor(comparing_model_file)
    before = predictor.predict(portrait)[0].probabilities
    resting = predictor.with_rest_face(girl)
    assert resting._here() is predictor._here()
    expected = Predictor(comparing_model_file, rest_face=girl).predict(portrait)[0]
    assert resting.predict(portrait)[0].as_json() == expected.as_json()
    assert predictor.predict(portrait)[0].probabilities == before != expected.probabilities


def test_the_largest_photograph_can_be_set(girl: Path) -> None:
    assert read_photograph(girl, max_pixels=275 * 360).shape == (360, 275, 3)
    for source in (girl, girl.read_bytes(), Image.open(girl)):
        with pytest.raises(PhotographError, match="275 x 360 pixels, expected at most 0 million"):
            read_photograph(source, max_pixels=275 * 360 - 1)
