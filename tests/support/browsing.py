"""Chromium, and in it the page of a server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

PATIENCE = 180_000
"""Milliseconds; waiting ends as soon as the page is ready, and a machine with other work may be slow."""

WIDER = """() => [...document.querySelectorAll("body *")]
    .filter(each => each.checkVisibility() && each.getBoundingClientRect().right > innerWidth + 1)
    .map(each => each.outerHTML.slice(0, 80))"""
BROKEN = "() => [...document.images].filter(each => each.src && (!each.complete || !each.naturalWidth)).length"
CONTRAST = """() => {
  const light = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((each) => each / 255)
      .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (each) => {
    const colour = getComputedStyle(each).backgroundColor;
    return /, 0\\)$/.test(colour) && each.parentElement ? ground(each.parentElement) : colour;
  };
  const says = (each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  return [...document.querySelectorAll("body *")]
    .filter((each) => each.checkVisibility() && says(each))
    .map((each) => [light(getComputedStyle(each).color), light(ground(each)), each.outerHTML.slice(0, 80)])
    .filter(([a, b]) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5);
}"""


@contextmanager
def chromium(*flags: str) -> Iterator[Any]:
    """Start Chromium without a window; it needs the package playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *flags])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, url: str, width: int = 1280, scheme: str = "light", **options: Any) -> Iterator[Any]:
    """The page, which must cause no error and no request to anybody but its own server."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    troubles: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.on("websocket", lambda socket: requests.append(socket.url))
    page.goto(url)
    yield page
    context.close()
    own = url.partition("#")[0].partition("//")[2]
    others = [
        each for each in requests if each[:5] not in ("data:", "blob:") and each.partition("//")[2][: len(own)] != own
    ]
    assert (troubles, others) == ([], [])


@contextmanager
def opened_with_errors(browser: Any, url: str) -> Iterator[Any]:
    """The page where the server is meant to refuse something: Chromium writes that to its console."""
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(url)
    yield page
    page.close()
