"""Folders and patterns -> the pictures in them, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Iterable
from glob import glob, has_magic
from pathlib import Path

from deadpan.errors import DeadpanError
from deadpan.files import PICTURE_ENDINGS, paths_of


class FolderError(DeadpanError):
    """A folder or a pattern without a picture."""


def pictures_of(places: str | Path | Iterable[str | Path]) -> list[str]:
    """The files that `places` name, place by place: a file itself, the pictures of a folder or those of a pattern.

    The pictures of a folder or a pattern (`photos/*.jpg`, `photos/**/*`) are sorted by name. Hidden files and panels
    that deadpan drew are left out, and so are the folders inside a folder. A place that does not exist stays as it is,
    for the reader to complain about. Raises FolderError for a folder or a pattern without a picture.
    """
    return [path for place in paths_of(places) for path in _pictures(place)]


def _pictures(place: str) -> list[str]:
    if Path(place).is_dir():
        found = [str(path) for path in Path(place).iterdir()]
    elif has_magic(place) and not Path(place).exists():
        found = glob(place, recursive=True)  # noqa: PTH207  (Path.glob takes no absolute pattern)
    else:
        return [place]
    pictures = sorted(path for path in found if _is_picture(Path(path)))
    if not pictures:
        kinds = "JPEG, PNG, WebP, TIFF, HEIC and the like, by the ending of its name"
        inner = f"; for the folders inside it give '{Path(place) / '**' / '*'}'" if Path(place).is_dir() else ""
        raise FolderError(f"{place}: no picture in it, expected at least one ({kinds}){inner}")
    return pictures


def _is_picture(path: Path) -> bool:
    name = path.name.lower()
    is_one = path.suffix.lower() in PICTURE_ENDINGS and not name.startswith(".") and not name.endswith(".panel.png")
    return is_one and path.is_file()
