"""The page in examples/browser gives the answers of Python in Chromium, and asks nobody but its file server."""

from __future__ import annotations

import base64
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from deadpan.faces.photographs import read_photograph
from deadpan.pixels import RGB
from deadpan.prediction.predictor import Predictor
from deadpan.prediction.results import FaceResult
from tests.support.browsing import CHROMIUM, chromium
from tests.support.npm import node_modules
from tests.support.photos import PHOTOS

pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)")

ROOT = Path(__file__).parents[2]
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")

CLOSE = 0.01
"""Largest difference of a probability. The networks are the same, and the same pixels give differences of about 1e-5:
ONNX Runtime adds in another order. The steps before them round: a pixel of the aligned face may differ by one step of
255, which moved a probability of the example photographs by 0.0013 at most."""

CLOSE_DECODED = 0.05
"""The same for JPEG files, which Chromium and Pillow decode with pixels that differ by a few steps."""

READ = """async ({size, pixels}) => {
  const data = Uint8Array.from(atob(pixels), (each) => each.charCodeAt(0));
  const faces = await window.reader.read({ width: size[0], height: size[1], data });
  const text = (picture) => picture && btoa(String.fromCharCode(...picture.data));
  return faces.map((face) => ({ ...face, aligned: text(face.aligned), neutral: text(face.neutral) }));
}"""


OPEN = """async (name) => {
  const [ort, { Reader }] = await Promise.all([import("./ort/ort.wasm.min.mjs"), import("./deadpan.js")]);
  const networks = "../../deadpan/faces/assets/", model = `../../deadpan/models/${name}`;
  window.reader = await Reader.open(ort, {
    centerface: `${networks}centerface.onnx`, blazeface: `${networks}blazeface.onnx`,
    faceMesh: `${networks}face_mesh.onnx`, model: `${model}.onnx`, card: `${model}.json`,
  });
}"""


class Quiet(SimpleHTTPRequestHandler):
    """A static file server that writes no log."""

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A file server with the page, the networks and the runtime at the places that the documentation gives them."""
    place = tmp_path_factory.mktemp("server")
    (place / "deadpan").symlink_to(ROOT / "deadpan")
    page = place / "examples" / "browser"
    shutil.copytree(ROOT / "examples" / "browser", page, ignore=shutil.ignore_patterns("ort"))
    (page / "ort").mkdir()
    for name in RUNTIME:
        (page / "ort" / name).symlink_to(node_modules("onnxruntime-web") / "onnxruntime-web" / "dist" / name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(place)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/examples/browser/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@contextmanager
def opened(browser: Any, address: str, **options: Any) -> Iterator[Any]:
    """The page with its networks loaded; it must cause no error and no request to another server."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(120_000)
    troubles: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    page.get_by_text("Ready. Choose a photograph.").wait_for()
    yield page
    context.close()
    own = address.partition("/examples")[0]
    others = [each for each in requests if not each.startswith((own, "data:", f"blob:{own}"))]
    assert (troubles, others) == ([], [])


@pytest.fixture(scope="module")
def page(browser: Any, address: str) -> Iterator[Any]:
    with opened(browser, address) as page:
        yield page


def read(page: Any, pixels: RGB) -> list[dict[str, Any]]:
    """What the page reads in these pixels."""
    text = base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode()
    found = page.evaluate(READ, {"size": [pixels.shape[1], pixels.shape[0]], "pixels": text})
    return list(found)


def pixels_of(text: str, like: NDArray[np.uint8]) -> NDArray[np.int_]:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(like.shape).astype(int)


def assert_same(found: list[dict[str, Any]], expected: list[FaceResult]) -> None:
    assert len(found) == len(expected)
    for one, face in zip(found, expected, strict=True):
        assert one["box"] == pytest.approx(face.box, abs=0.05)
        assert face.mesh is not None and np.abs(np.array(one["mesh"]) - face.mesh).max() < 0.2
        assert np.abs(pixels_of(one["aligned"], face.aligned) - face.aligned).mean() < 0.2
        assert one["probabilities"] == pytest.approx(face.probabilities, abs=CLOSE)
        assert face.neutral is not None and face.residue is not None
        assert np.abs(pixels_of(one["neutral"], face.neutral) - face.neutral).mean() < 0.5
        assert one["residue"] == pytest.approx(face.residue, abs=1e-3)


def test_the_same_pixels_give_the_answers_of_python(page: Any, photos: list[Path]) -> None:
    predictor = Predictor()
    for photo in photos:
        pixels = read_photograph(photo)
        assert_same(read(page, pixels), predictor.predict(pixels))


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_turned_photograph(page: Any, girl: Path, turn: int) -> None:
    pixels = np.ascontiguousarray(np.rot90(read_photograph(girl), turn))
    assert_same(read(page, pixels), Predictor().predict(pixels))


def test_several_sizes_and_no_face(page: Any, portrait: Path) -> None:
    face = read_photograph(portrait)
    group: RGB = np.full((480, 640, 3), 120, np.uint8)
    group[100:228, 300:428] = cv2.resize(face, (128, 128), interpolation=cv2.INTER_AREA)
    group[200:456, 20:276] = cv2.resize(face, (256, 256), interpolation=cv2.INTER_AREA)
    large: RGB = np.asarray(cv2.resize(face, (1600, 1600), interpolation=cv2.INTER_CUBIC), np.uint8)
    predictor = Predictor()
    assert len(predictor.predict(group)) == 2
    for pixels in (group, large, np.full((90, 120, 3), 128, np.uint8)):
        assert_same(read(page, pixels), predictor.predict(pixels))


def test_a_model_that_aligns_by_five_points_and_compares(browser: Any, address: str, photos: list[Path]) -> None:
    predictor = Predictor("dgcn")
    assert predictor.compares and predictor.alignment == "five"
    with opened(browser, address) as page:
        page.evaluate(OPEN, "dgcn")
        for photo in photos[4:7]:
            pixels = read_photograph(photo)
            assert_same(read(page, pixels), predictor.predict(pixels))


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_files_that_are_chosen_in_the_page(
    browser: Any, address: str, photos: list[Path], tmp_path: Path, width: int, scheme: str
) -> None:
    chosen = [photo for photo in photos if photo.stem in ("girl_happiness", "london_107_happiness")]
    turned = tmp_path / "turned.png"  # stored on its side, upright by its EXIF orientation
    with Image.open(PHOTOS / "girl_happiness.png") as picture:
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.convert("RGB").transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif)
    (tmp_path / "broken.png").write_bytes(turned.read_bytes()[:200])
    with opened(browser, address, viewport={"width": width, "height": 900}, color_scheme=scheme) as page:
        for photo in [*chosen, turned]:
            page.get_by_label("Photograph", exact=True).set_input_files(photo)
            page.get_by_text(f"{photo.name}: 1 face found").wait_for()
            (face,) = Predictor().predict(photo)
            assert page.get_by_role("heading", name=f"Face 0: {face.expression}").count() == 1
            for name, probability in face.probabilities.items():
                shown = page.get_by_role("row", name=name).locator("td").last.inner_text()
                close = CLOSE if photo.suffix == ".png" else CLOSE_DECODED
                assert float(shown.removesuffix(" %")) / 100 == pytest.approx(probability, abs=close + 5e-4)
            assert page.locator("figure canvas").count() == 2
            left, _, right, _ = face.box
            assert float(page.locator("rect").get_attribute("width")) == pytest.approx(right - left, abs=2)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_label("Photograph", exact=True).set_input_files(tmp_path / "broken.png")
        page.get_by_text("This did not work").wait_for()
        page.get_by_label("Photograph", exact=True).set_input_files(chosen[0])
        page.get_by_text(f"{chosen[0].name}: 1 face found").wait_for()
