"""The page in a browser with a webcam made of photographs: upload, slider, keyboard, phone width, live."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from deadpan.faces.photographs import read_photograph
from deadpan.prediction.predictor import Predictor
from deadpan.server.settings import Settings
from tests.support.browsing import BROKEN, CHROMIUM, CONTRAST, WIDER, chromium, opened, opened_with_errors
from tests.support.photos import PHOTOS
from tests.support.running_server import running, webcam

pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)")

TOKEN = "0123456789abcdef+/="
NEUTRAL, SMILE = PHOTOS / "london_107_neutral.jpg", PHOTOS / "london_107_happiness.jpg"
CANVAS = "each => each.toDataURL()"
ASKED = """() => document.getElementById("files").addEventListener("click", (event) => {
  event.preventDefault();
  document.title = "asked";
})"""
FOCUSED = "(({ ariaLabel, textContent, type }) => ariaLabel || textContent || type)(document.activeElement)"
LATE = """() => {
  const inTime = window.fetch;
  window.fetch = (...request) => {
    window.fetch = inTime;
    const answer = inTime(...request);
    window.late = new Promise((done) => setTimeout(done, 2000));
    return window.late.then(() => answer);
  };
}"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running(Settings(models=("derl", "dgcn", "cnn"))) as address:
        yield address


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    film = webcam(tmp_path_factory.mktemp("webcam") / "film.y4m", [NEUTRAL, SMILE])
    faked = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with chromium(*faked, f"--use-file-for-fake-video-capture={film}") as started:
        yield started


def upload(page: Any, *photographs: Path) -> None:
    page.locator("#model option").first.wait_for(state="attached")
    page.locator("#files").set_input_files(photographs)
    for photograph in photographs:
        page.get_by_role("heading", name=photograph.name).wait_for()
    page.get_by_text(f"{photographs[-1].name}: ").wait_for()
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_photographs(browser: Any, url: str, width: int, scheme: str) -> None:
    with opened(browser, url, width, scheme) as page:
        assert "Nothing leaves this machine" in page.locator("header").inner_text()
        upload(page, SMILE, PHOTOS / "girl_happiness.png")
        (face,) = Predictor("derl").predict(SMILE)
        assert page.get_by_role("heading", name="Face 0: happiness").count() == 2
        row = page.get_by_role("region", name=SMILE.name).get_by_role("row", name="happiness")
        share = 100 * face.probabilities["happiness"]
        assert row.locator("td.value").inner_text() == f"{share:.0f} %"
        left, _, right, _ = face.box
        frame = page.get_by_role("region", name=SMILE.name).locator("rect").first
        assert (
            abs(float(frame.get_attribute("x")) - left) < 0.1
            and abs(float(frame.get_attribute("width")) - right + left) < 0.2
        )
        assert page.locator("#status").inner_text().startswith("girl_happiness.png: face 0 happiness")
        assert page.evaluate(BROKEN) == 0
        assert page.evaluate(WIDER) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(CONTRAST) == []
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


def test_the_expression_dissolves_by_keyboard_and_under_the_pointer(browser: Any, url: str) -> None:
    with opened(browser, url) as page:
        upload(page, SMILE)
        slider = page.get_by_role("slider", name="From the expression to rest")
        canvas = page.locator("canvas")
        slider.focus()
        pictures = [canvas.evaluate(CANVAS)]
        for key, text in (("ArrowRight", "1 % at rest"), ("PageUp", "11 % at rest"), ("End", "100 % at rest")):
            page.keyboard.press(key)
            assert slider.get_attribute("aria-valuetext") == text
            assert canvas.get_attribute("aria-label") == f"The face at {text.partition(' at')[0]} of the way to rest"
            pictures.append(canvas.evaluate(CANVAS))
        assert len(set(pictures)) == 4
        page.keyboard.press("Home")
        assert canvas.evaluate(CANVAS) == pictures[0]
        canvas.scroll_into_view_if_needed()
        place = canvas.bounding_box()
        page.mouse.move(place["x"] + place["width"] - 1, place["y"] + place["height"] / 2)
        assert int(slider.input_value()) >= 99
        page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        assert slider.input_value() == "50"


def test_by_keyboard_alone(browser: Any, url: str) -> None:
    with opened(browser, url) as page:
        page.locator("#model option").first.wait_for(state="attached")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "pick"
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.evaluate(ASKED)
        page.keyboard.press("Enter")
        assert page.title() == "asked"
        page.locator("#files").set_input_files([SMILE])
        page.get_by_role("heading", name=SMILE.name).wait_for()
        assert page.evaluate("document.activeElement.textContent") == SMILE.name
        reached = []
        for _ in range(8):
            page.keyboard.press("Tab")
            reached.append(page.evaluate(FOCUSED))
        assert reached[:4] == ["Face 0, happiness", "Save the figures", "Save the photograph at rest", "range"]


def test_drop_and_paste(browser: Any, url: str) -> None:
    with opened(browser, url) as page:
        page.locator("#model option").first.wait_for(state="attached")
        for kind, target in (("drop", "dataTransfer"), ("paste", "clipboardData")):
            page.evaluate(
                """([kind, target, bytes]) => {
                    const data = new DataTransfer();
                    data.items.add(new File([new Uint8Array(bytes)], `${kind}.jpg`, { type: "image/jpeg" }));
                    const Kind = kind === "drop" ? DragEvent : ClipboardEvent;
                    document.body.dispatchEvent(new Kind(kind, { [target]: data, bubbles: true, cancelable: true }));
                }""",
                [kind, target, list(SMILE.read_bytes())],
            )
            page.get_by_role("heading", name=f"{kind}.jpg").wait_for()


def test_what_is_saved(browser: Any, url: str, tmp_path: Path) -> None:
    with opened(browser, url) as page:
        upload(page, SMILE)
        with page.expect_download() as figures:
            page.get_by_role("button", name="Save the figures").click()
        assert figures.value.suggested_filename == "london_107_happiness.json"
        saved = json.loads(Path(figures.value.path()).read_text())
        assert saved["faces"][0]["expression"] == "happiness" and "pictures" not in saved["faces"][0]
        with page.expect_download() as relaxed:
            page.get_by_role("button", name="Save the photograph at rest").click()
        assert relaxed.value.suggested_filename == "london_107_happiness.rest.png"
        expected = Predictor("derl").relax(SMILE).photograph
        assert (read_photograph(relaxed.value.path()) == expected).all()


def test_what_cannot_be_read(browser: Any, url: str, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_text("no picture")
    Image.open(SMILE).save(tmp_path / "rare.tif")
    Image.new("RGB", (60, 50)).save(tmp_path / "dark.png")
    (tmp_path / "talk.mp4").write_bytes(b"film")
    with opened_with_errors(browser, url) as page:
        page.locator("#model option").first.wait_for(state="attached")
        for name, said in (
            ("bad.jpg", "bad.jpg: not a picture in a supported format"),
            ("talk.mp4", "talk.mp4: not a video that can be opened"),
            ("dark.png", "dark.png: no face found."),
            ("rare.tif", "rare.tif: face 0 happiness"),
        ):
            page.locator("#files").set_input_files([tmp_path / name])
            page.get_by_text(said).wait_for()
        page.get_by_text("This browser cannot show pictures of this kind").wait_for()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_webcam_and_the_face_at_rest(browser: Any, url: str, width: int) -> None:
    with opened(browser, f"{url}#live", width, "dark") as page:
        happy = page.locator("#live tr.first", has_text="happiness")
        calm = page.locator("#live tr.first", has_text="neutral")
        happy.wait_for()
        calm.wait_for()  # the film shows both, two seconds each
        page.get_by_text("pictures a second").wait_for()
        assert page.locator("#live rect").count() == 2
        assert page.locator("#live td.change").first.is_hidden()
        page.get_by_role("button", name="This is my face at rest").click()
        page.get_by_text("Your face at rest is kept").wait_for()
        page.get_by_text("from rest (0 to 1)").wait_for()
        page.get_by_label("Smooth over time").uncheck()
        happy.wait_for()
        calm.wait_for()
        assert page.locator("#live td.change").first.inner_text()[0] in "+−±"
        assert page.get_by_role("img", name="your face at rest").first.is_visible()
        assert page.evaluate(WIDER) == []
        page.get_by_role("button", name="Forget it").click()
        page.locator("#live td.change").first.wait_for(state="hidden")
        assert page.get_by_role("img", name="generated neutral face").first.is_visible()
        page.get_by_role("button", name="Stop").click()
        assert page.locator("#live").is_hidden()
        assert page.evaluate("document.activeElement.id") == "webcam"
        assert page.evaluate("document.getElementById('video').srcObject.active") is False


@pytest.mark.parametrize("model", ["dgcn", "cnn"])
def test_the_webcam_with_other_models(browser: Any, url: str, model: str) -> None:
    with opened(browser, url) as page:
        page.locator("#model option").first.wait_for(state="attached")
        page.select_option("#model", model)
        page.get_by_role("button", name="Use the webcam").click()
        page.locator("#live tr.first", has_text="happiness").wait_for()
        page.get_by_role("button", name="This is my face at rest").click()
        page.get_by_text("Your face at rest is kept").wait_for()
        page.locator("#live td.change").first.wait_for()
        page.get_by_role("img", name="your face at rest").first.wait_for()


def test_a_server_with_a_token(browser: Any) -> None:
    with running(Settings(models=("cnn",), token=TOKEN)) as url:
        with opened_with_errors(browser, url) as page:
            page.get_by_label("This server asks for its token").fill("wrong")
            page.keyboard.press("Enter")
            page.locator("#token").fill(TOKEN)
            page.keyboard.press("Enter")
            page.locator("#token-form").wait_for(state="hidden")
            upload(page, SMILE)
        with opened_with_errors(browser, url) as page:  # the answer to a wrong token comes after that to the right one
            page.get_by_label("This server asks for its token").wait_for()
            page.evaluate(LATE)
            page.locator("#token").fill("wrong")
            page.keyboard.press("Enter")
            page.locator("#token").fill(TOKEN)
            page.keyboard.press("Enter")
            page.locator("#model option").first.wait_for(state="attached")
            page.evaluate("late.then(() => new Promise((done) => setTimeout(done, 500)))")
            assert page.locator("#token-form").is_hidden()
        with opened(browser, f"{url}#token={TOKEN.replace('+', '%2B')}") as page:
            page.locator("#model option").first.wait_for(state="attached")
            assert "token" not in page.url
            page.get_by_role("button", name="Use the webcam").click()
            page.get_by_text("pictures a second").wait_for()
