"""The files of the page; they are read once at the start, and no path of a request is looked up on the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import Response

FOLDER = Path(__file__).parent / "static"

FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/api.js": ("api.js", "text/javascript"),
    "/face.js": ("face.js", "text/javascript"),
    "/live.js": ("live.js", "text/javascript"),
    "/video.js": ("video.js", "text/javascript"),
    "/track.js": ("track.js", "text/javascript"),
    "/curves.js": ("curves.js", "text/javascript"),
    "/people.js": ("people.js", "text/javascript"),
    "/marks.js": ("marks.js", "text/javascript"),
    "/times.js": ("times.js", "text/javascript"),
}
"""The name and the media type of the file that is served at each path."""


def add_page(app: FastAPI) -> None:
    """Add a route for every path in FILES."""
    for path, (name, kind) in FILES.items():
        app.add_api_route(path, _answer(name, kind), methods=["GET", "HEAD"], include_in_schema=False)


def _answer(name: str, kind: str) -> Callable[[], Response]:
    content = (FOLDER / name).read_bytes()
    return lambda: Response(content, media_type=f"{kind}; charset=utf-8")
