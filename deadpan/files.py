"""Writes files atomically: a file is complete under its name, or does not exist. Devices and pipes are written to."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from deadpan.errors import DeadpanError

PICTURE_ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".heic", ".heif", ".hif", ".tif", ".tiff", ".gif"),
    *(".bmp", ".mpo", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".tga", ".ico"),
)
"""Endings of picture files, in lower case. Files with these endings are read as pictures, and no table or model may
have one."""

VIDEO_ENDINGS = (
    *(".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".vob", ".wmv", ".flv"),
    *(".3gp", ".ogv"),
)
"""Endings of video files, in small letters."""

DESCRIPTORS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""The errors of a full or failing disk, in which Python does not name the file."""


class OutputError(DeadpanError):
    """An output that would overwrite another file, or that cannot be written; no file has been changed."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the name of the file to an error of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file to write; it replaces `path` if the block ends without an error.

    The temporary file is in the folder of `path`. If `path` is a link, the file that it points to is replaced. If
    `path` is a device or a pipe, the bytes of the file are written to it.
    """
    if is_device(path):
        with TemporaryDirectory(prefix="deadpan-") as directory:
            whole = Path(directory) / "whole"
            yield whole
            with naming(path), open_device(path) as device, whole.open("rb") as file:
                shutil.copyfileobj(file, device)
        return
    place = Path(os.path.realpath(path))
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".deadpan-{secrets.token_hex(4)}.partial")
    try:
        with naming(path):
            yield partial
        take_place(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def growing(path: Path, start: str = "", *, resume: bool = False) -> Iterator[Callable[[str], None]]:
    """Yield a function that appends one complete record to NAME.partial, which becomes NAME when the block ends.

    If the block ends by an error or an interruption, NAME.partial keeps the records written so far; if there are none,
    it is deleted. Records for a device or a pipe are written immediately. `start` is written before the first record.
    With `resume` the new records follow those of an existing NAME.partial. Without it, OutputError if one exists.
    """
    if is_device(path):
        with naming(path), open_device(path) as device:
            _append(device, start)
            yield lambda record: _append(device, record)
        return
    partial = partial_path(path)
    partial.parent.mkdir(parents=True, exist_ok=True)

    goes_on = resume and partial.exists() and partial.stat().st_size > 0
    try:
        file = partial.open("ab" if goes_on else "wb" if resume else "xb", buffering=0)
    except FileExistsError as error:
        raise OutputError(interrupted(partial)) from error
    records = int(goes_on)

    def append(record: str) -> None:
        nonlocal records
        _append(file, record)
        records += 1

    try:
        with naming(partial), file:
            _append(file, "" if goes_on else start)
            yield append
        take_place(partial, path)
    except BaseException:
        if not records:
            partial.unlink(missing_ok=True)
        raise


def interrupted(partial: Path) -> str:
    """The message for a run that would overwrite the results of an interrupted one."""
    return f"{partial} holds the results of an interrupted run; move or delete it, then start again"


def take_place(written: Path, path: Path) -> None:
    """Move a file to `path`, or to the target of the link `path`, with the permissions of the file that it replaces."""
    place = Path(os.path.realpath(path))
    if place.exists():
        shutil.copymode(place, written)
    written.replace(place)


def _append(file: IO[bytes], record: str) -> None:
    """Write a record; after an error or an interruption, an incomplete record is removed from a regular file."""
    data = record.encode("utf-8", "surrogateescape")
    end = file.tell() if file.seekable() else None
    try:
        while data:
            data = data[file.write(data) :]
    except BaseException:
        if end is not None:
            with suppress(OSError):  # a device cannot be truncated
                file.truncate(end)
        raise


def partial_path(path: Path) -> Path:
    """The path that `growing` writes to until the file is complete."""
    path = Path(os.path.realpath(path))
    return path.with_name(path.name + ".partial")


def is_device(path: Path) -> bool:
    """Whether `path` is a device, a pipe, a socket or a descriptor of this process."""
    return _descriptor(path) is not None or (path.exists() and not path.is_file() and not path.is_dir())


def open_device(path: Path) -> IO[bytes]:
    """Open a device or a pipe for writing, unbuffered; a descriptor of this process keeps its position."""
    descriptor = _descriptor(path)
    if descriptor is None:
        return path.open("wb", buffering=0)
    sys.stdout.flush()
    return os.fdopen(os.dup(descriptor), "wb", buffering=0)


def _descriptor(path: Path) -> int | None:
    text = os.fspath(path)
    found = re.fullmatch(r"/(?:dev|proc/self)/fd/(\d+)", text)
    return int(found[1]) if found else DESCRIPTORS.get(text)


def paths_of(given: str | Path | Iterable[str | Path]) -> list[str]:
    """One path, or several, as a list of strings."""
    return [str(path) for path in ([given] if isinstance(given, (str, Path)) else given)]


def folder(path: str | Path) -> Path:
    """The directory `path`, which is created if it does not exist; OutputError if it is a file."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"{path} is a file; expected a directory to write into") from error
    return path


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 RGB as a PNG whose metadata names deadpan as the software."""
    mark = PngInfo()
    mark.add_text("Software", "deadpan")
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG", pnginfo=mark)


def is_own_png(path: Path) -> bool:
    """Whether `write_png` wrote the file."""
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            return picture.info.get("Software") == "deadpan"
    except (OSError, ValueError, SyntaxError):
        return False


def write_text(path: Path, text: str) -> None:
    """Write a text, atomically."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, facts: Any) -> None:
    """Write `facts` to a JSON file, atomically."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(facts, indent=1) + "\n")
