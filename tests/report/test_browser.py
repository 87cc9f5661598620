"""The report in a browser: no errors, no requests, all pictures, and nothing wider than the window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deadpan.report.page import SECTIONS, write_report
from tests.support.browsing import CHROMIUM, chromium
from tests.support.fake_comparison import fake_comparison

pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed (apt-get install chromium)")

WIDER = """() => [...document.querySelectorAll("main *, header *")]
    .filter(each => !each.closest(".scroll table") && each.getBoundingClientRect().right > innerWidth + 1)
    .map(each => each.outerHTML.slice(0, 80))"""
BROKEN = "() => [...document.images].filter(each => !each.complete || !each.naturalWidth).length"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("report")
    write_report(fake_comparison(), out)
    return out / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_whole(browser: Any, report: Path, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("requestfailed", lambda request: troubles.append(request.url))
    page.goto(report.as_uri())
    assert page.locator("section h2").all_inner_texts() == list(SECTIONS.values())
    assert page.locator("img").count() >= 4 * 12
    assert page.evaluate(BROKEN) == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(WIDER) == []
    assert page.locator("figcaption").count() >= len(SECTIONS) - 1
    ground, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light") and ground != ink
    assert troubles == []
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
    page.close()
