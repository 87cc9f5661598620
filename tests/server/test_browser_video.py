"""A video on the page in a browser: read, scrubbed, its people and times marked, the table and the plot saved."""

from __future__ import annotations

import base64
import csv
import dataclasses
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from deadpan.cli.main import main
from deadpan.server.settings import Settings
from deadpan.video.events import Event, read_events
from tests.support.browsing import CHROMIUM, CONTRAST, WIDER, chromium, opened
from tests.support.films import portrait, smiling, write_film
from tests.support.running_server import running
from tests.support.waiting import figure, until

pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)")

HAPPINESS = (242, 165, 65)
"""The colour of the curve of happiness."""

TIME = "document.querySelector('video[src]').currentTime"


@pytest.fixture(scope="module")
def url(served: Settings) -> Iterator[str]:
    with running(served) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The video of `film` in a form that Chromium plays."""
    return write_film(tmp_path_factory.mktemp("film") / "talk.webm", smiling(), codec="VP80")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people side by side for one second."""
    both = np.hstack([portrait(107), portrait(119)])
    return write_film(tmp_path_factory.mktemp("film") / "two.webm", [both] * 25, codec="VP80")


def read(page: Any, film: Path) -> Any:
    """Give the page a video, wait until it is read, and return its section."""
    page.locator("#model option").first.wait_for(state="attached")
    page.locator("#files").set_input_files(film)
    page.get_by_text(re.compile(rf"^{re.escape(film.name)}: .* frames, read with tiny")).wait_for()
    return page.get_by_role("region", name=film.name)


def slider(section: Any) -> Any:
    return section.get_by_role("slider", name="Time in the video")


def colours(section: Any) -> set[tuple[int, ...]]:
    """The colours of the curves as they are drawn."""
    content = slider(section).evaluate("(bar) => bar.toDataURL()").partition(",")[2]
    with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
        return {tuple(colour) for colour in np.asarray(picture.convert("RGB")).reshape(-1, 3).tolist()}


def saved(page: Any, name: str) -> tuple[str, Path]:
    with page.expect_download() as download:
        page.get_by_role("button", name=name).click()
    return download.value.suggested_filename, Path(download.value.path())


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_video(browser: Any, url: str, talk: Path, width: int, scheme: str) -> None:
    with opened(browser, url, width, scheme) as page:
        section = read(page, talk)
        assert section.get_by_text("2 people in 44 frames, read with tiny.").is_visible()
        assert section.locator("progress").is_hidden()
        assert section.locator("rect").count() == 2  # one frame in two colours
        assert section.locator(".number").inner_text() == "face 0"
        assert HAPPINESS not in colours(section)  # the tiny model reads something else
        section.get_by_label("Curves").select_option("happiness")
        assert HAPPINESS in colours(section)
        for summary in section.locator("summary").all():
            summary.click()
        assert page.evaluate(WIDER) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(CONTRAST) == []


def test_the_cursor_by_keyboard_and_mouse(browser: Any, url: str, talk: Path) -> None:
    with opened(browser, url) as page:
        section = read(page, talk)
        bar = slider(section)
        assert page.evaluate("document.activeElement.textContent") == talk.name
        reached = []
        for _ in range(3):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent"))
        assert [each[:17] for each in reached] == ["Play", "distance from res", "Time in the video"]
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        texts = [bar.get_attribute("aria-valuetext")]
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "PageUp", "End", "Home"):
            page.keyboard.press(key)
            texts.append(bar.get_attribute("aria-valuetext"))
            assert page.evaluate(TIME) == pytest.approx(float(bar.get_attribute("aria-valuenow")), abs=0.02)
        places = [text.partition(";")[0] for text in texts]
        assert places == ["0:00.00", "0:00.12", "0:00.20", "0:00.12", "0:00.56", "0:04.32", "0:00.00"]
        assert texts[0].startswith("0:00.00; face 0 ") and texts[0].endswith("from rest")
        assert texts[5].startswith("0:04.32; face 1 ")
        assert section.locator(".clock").inner_text() == "0:00.00 of 0:04.40"
        place = bar.bounding_box()
        page.mouse.click(place["x"] + place["width"] * 3.4 / 4.4, place["y"] + 30)
        until(lambda: abs(page.evaluate(TIME) - 3.4) < 0.05)
        assert re.fullmatch(r"0:03\.\d\d; no face", bar.get_attribute("aria-valuetext"))
        assert section.locator("rect").count() == 0
        assert section.get_by_text("not in sight").count() == 2


def test_the_cursor_follows_the_video(browser: Any, url: str, talk: Path) -> None:
    with opened(browser, url) as page:
        section = read(page, talk)
        slider(section).focus()
        page.keyboard.press("Space")
        section.get_by_role("button", name="Pause").wait_for()
        until(lambda: page.evaluate(TIME) > 0.3 and section.locator(".clock").inner_text() > "0:00.30")
        page.keyboard.press("Space")
        section.get_by_role("button", name="Play").wait_for()
        assert page.evaluate(TIME) == pytest.approx(float(slider(section).get_attribute("aria-valuenow")), abs=0.1)
        section.get_by_role("button", name="Play").click()
        until(lambda: page.evaluate("document.querySelector('video[src]').ended"))
        section.get_by_role("button", name="Play").wait_for()


@pytest.mark.parametrize(("frames", "options"), [("10 a second", ["--fps", "10"]), ("all of them", [])])
def test_the_saved_table_is_the_command_lines(
    browser: Any, url: str, talk: Path, model_file: Path, tmp_path: Path, frames: str, options: list[str]
) -> None:
    out = tmp_path / "talk.csv"
    assert main(["predict", str(talk), "--model", str(model_file), *options, "-o", str(out)]) == 0
    with opened(browser, url) as page:
        section = read(page, talk)
        if frames != "10 a second":
            section.get_by_text("How the video is read").click()
            section.get_by_label("Frames").select_option(frames)
            section.get_by_role("button", name="Read again").click()
            section.get_by_text("2 people in 110 frames").wait_for()
        name, path = saved(page, "Save the table")
        got, expected = table(path), table(out)
    assert name == "talk.csv"
    assert list(got[0]) == list(expected[0]) and len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        for column, value in other.items():
            if column != "input":
                assert one[column] == value or float(one[column]) == float(value), column
        assert one["input"] == "talk.webm"


def test_people_renamed_and_made_one(browser: Any, url: str, talk: Path) -> None:
    with opened(browser, url) as page:
        section = read(page, talk)
        section.get_by_label("Name of face 0").fill('Anna "A", B')
        page.keyboard.press("Enter")
        assert section.locator(".number").inner_text() == 'Anna "A", B'
        assert "Anna" in slider(section).get_attribute("aria-valuetext")
        section.get_by_label("face 1 is the same person as").select_option('Anna "A", B')
        page.get_by_text('face 1 and Anna "A", B are one person now.').wait_for()
        assert section.get_by_label("Name of face 1").count() == 0
        rows = table(saved(page, "Save the table")[1])
        assert {(row["face"], row["name"]) for row in rows} == {("0", 'Anna "A", B'), ("", "")}
        section.get_by_role("button", name="Separate").click()
        rows = table(saved(page, "Save the table")[1])
        assert {(row["face"], row["name"]) for row in rows} == {("0", 'Anna "A", B'), ("1", ""), ("", "")}


def test_people_in_sight_together_are_two(browser: Any, url: str, two: Path) -> None:
    with opened(browser, url) as page:
        section = read(page, two)
        section.get_by_label("face 1 is the same person as").select_option("face 0")
        page.get_by_text(re.compile(r"face 1 and face 0 are both in sight in \d+ frames, so they are two")).wait_for()
        assert {row["face"] for row in table(saved(page, "Save the table")[1])} == {"0", "1"}


def test_events_and_excluded_ranges(browser: Any, url: str, talk: Path, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text('\ufeffname, from,to,participant\n"a, b",0:01.2,2,0\nend,4,4.4,\n')
    (tmp_path / "bad.csv").write_text("name,from,to\na,2,1\n")
    with opened(browser, url) as page:
        section = read(page, talk)
        section.get_by_text("Events and excluded ranges").click()
        section.locator("input[type=file]").set_input_files(tmp_path / "events.csv")
        page.get_by_text("events.csv: 2 events.").wait_for()
        assert section.get_by_text(re.compile(r"0:01.20 to 0:02.00; face 0: mean 0\.\d\d, maximum")).is_visible()
        section.locator("input[type=file]").set_input_files(tmp_path / "bad.csv")
        page.get_by_text("bad.csv: event 1: a range must end after it begins; got 2 to 1").wait_for()

        section.get_by_label("Name", exact=True).fill("by hand")
        slider(section).focus()
        page.keyboard.press("PageUp")
        section.get_by_role("button", name="From the cursor").click()
        section.get_by_label("To", exact=True).fill("0:01")
        section.get_by_label("Who").select_option("face 1")
        section.get_by_role("button", name="Add an event").click()
        page.get_by_text("The event is added.").wait_for()
        name, path = saved(page, "Save the events")
        assert name == "talk.events.csv"
        assert read_events(path) == [Event("a, b", 1.2, 2, 0), Event("end", 4, 4.4), Event("by hand", 0.44, 1, 1)]

        section.get_by_label("From", exact=True).fill("1")
        section.get_by_label("To", exact=True).fill("x")
        section.get_by_role("button", name="Exclude this range").click()
        page.get_by_text("This range cannot be used: expected a time in seconds").wait_for()
        section.get_by_label("To", exact=True).fill("3")
        section.get_by_role("button", name="Exclude this range").click()
        page.get_by_text("The range is excluded").wait_for()
        times = [float(row["time_s"]) for row in table(saved(page, "Save the table")[1])]
        assert len(times) == 24 and not any(1 <= time < 3 for time in times)
        section.get_by_role("button", name="Go to excluded").click()
        assert slider(section).get_attribute("aria-valuetext").endswith("excluded")
        section.get_by_role("button", name="Remove excluded").click()
        assert len(table(saved(page, "Save the table")[1])) == 44


def test_the_saved_plot(browser: Any, url: str, talk: Path) -> None:
    with opened(browser, url, scheme="dark") as page:
        section = read(page, talk)
        section.get_by_label("Curves").select_option("happiness")
        name, path = saved(page, "Save the plot")
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
    assert name == "talk.png"
    assert pixels.shape[1] == 2800 and (pixels[-1, -1] == 255).all()
    assert (pixels == HAPPINESS).all(axis=2).sum() > 1000


def test_a_video_that_the_browser_cannot_play(browser: Any, url: str, film: Path) -> None:
    with opened(browser, url) as page:
        section = read(page, film)
        section.get_by_text("This browser cannot play videos of this kind").wait_for()
        slider(section).focus()
        page.keyboard.press("End")
        assert slider(section).get_attribute("aria-valuetext").startswith("0:04.32; face 1 ")


def test_a_damaged_video(browser: Any, url: str, talk: Path, tmp_path: Path) -> None:
    content = talk.read_bytes()
    (tmp_path / "half.webm").write_bytes(content[: len(content) // 2])
    with opened(browser, url) as page:
        page.locator("#model option").first.wait_for(state="attached")
        page.locator("#files").set_input_files(tmp_path / "half.webm")
        said = page.locator("#status", has_text="The file is damaged or cut short; reading stopped at 0:01 of 0:04.")
        said.wait_for()


def test_reading_is_stopped(browser: Any, url: str, tmp_path: Path) -> None:
    film = write_film(tmp_path / "long.mp4", list(smiling())[:80] * 30, codec="mp4v")
    with opened(browser, url) as page:
        page.locator("#model option").first.wait_for(state="attached")
        page.locator("#files").set_input_files(film)
        page.locator("progress[value]").wait_for()
        page.get_by_role("button", name="Stop").last.click()
        page.get_by_text("Reading long.mp4 was stopped.").wait_for()
        until(lambda: figure(url, "deadpan_requests_running") == 0)


def test_a_dropped_video(browser: Any, url: str, two: Path) -> None:
    with opened(browser, url) as page:
        page.locator("#model option").first.wait_for(state="attached")
        page.evaluate(
            """(bytes) => {
                const dataTransfer = new DataTransfer();
                dataTransfer.items.add(new File([new Uint8Array(bytes)], "two.webm", { type: "video/webm" }));
                document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
            }""",
            list(two.read_bytes()),
        )
        page.get_by_text("two.webm: 2 people in").wait_for()


def test_a_video_that_is_too_large(browser: Any, served: Settings, talk: Path) -> None:
    with running(dataclasses.replace(served, max_video_mb=0.01)) as url, opened(browser, url) as page:
        page.locator("#model option").first.wait_for(state="attached")
        page.locator("#files").set_input_files(talk)
        page.get_by_text("talk.webm has 1 MB; this server takes at most 0.01 ").wait_for()
