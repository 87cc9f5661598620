"""Files that are there whole or not at all, and devices and pipes, which are written to and never replaced."""

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
"""Endings of picture files, in small letters: what is read of a folder, and what no table or model may be called."""

DESCRIPTORS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""The errors of a disk that takes no more; Python does not say which file they came from."""


class OutputError(DeadpanError):
    """An output that would destroy something, or that cannot be written; nothing has been touched."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let the error of a full disk name the file that was being written."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write; its file takes the place of `path` when the block ends without an error.

    The file lies beside `path` under a name of its own. A link stays, and the file that it names is replaced. A
    device or a pipe gets the bytes of the file.
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
def growing(path: Path, start: str = "") -> Iterator[Callable[[str], None]]:
    """Yield a function that appends one record to NAME.partial, whole or not at all; the end renames it to NAME.

    If the block ends by an error or an interruption, NAME.partial stays with its records; without any it is removed.
    A device or a pipe gets each record at once. `start` is written before the first record.
    """
    if is_device(path):
        with naming(path), open_device(path) as device:
            _append(device, start)
            yield lambda record: _append(device, record)
        return
    partial = partial_path(path)
    partial.parent.mkdir(parents=True, exist_ok=True)
    records = 0

    def append(record: str) -> None:
        nonlocal records
        _append(file, record)
        records += 1

    try:
        file = partial.open("xb", buffering=0)
    except FileExistsError as error:
        raise OutputError(
            f"{partial} holds the results of an interrupted run; move it away or delete it, then start again"
        ) from error
    try:
        with naming(partial), file:
            _append(file, start)
            yield append
        take_place(partial, path)
    except BaseException:
        if not records:
            partial.unlink(missing_ok=True)
        raise


def take_place(written: Path, path: Path) -> None:
    """Move a file to `path`, or to where the link `path` leads, with the permissions of the file that it replaces."""
    place = Path(os.path.realpath(path))
    if place.exists():
        shutil.copymode(place, written)
    written.replace(place)


def _append(file: IO[bytes], record: str) -> None:
    """Write a record; on an error or an interruption a regular file loses what was written of it."""
    data = record.encode("utf-8", "surrogateescape")
    end = file.tell() if file.seekable() else None
    try:
        while data:
            data = data[file.write(data) :]
    except BaseException:
        if end is not None:
            with suppress(OSError):  # a device cannot be cut
                file.truncate(end)
        raise


def partial_path(path: Path) -> Path:
    """Where `growing` keeps a file until it is complete."""
    path = Path(os.path.realpath(path))
    return path.with_name(path.name + ".partial")


def is_device(path: Path) -> bool:
    """Whether `path` is a device, a pipe, a socket or a descriptor of this process."""
    return _descriptor(path) is not None or (path.exists() and not path.is_file() and not path.is_dir())


def open_device(path: Path) -> IO[bytes]:
    """Open a device or a pipe for writing, unbuffered; a descriptor of this process goes on where it stands."""
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
    """Paths as a list; one given alone is one path, not its letters."""
    return [str(path) for path in ([given] if isinstance(given, (str, Path)) else given)]


def folder(path: str | Path) -> Path:
    """The directory `path`, created where it does not exist; OutputError where a file is in the way."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(f"{path} is a file; expected a directory to write into") from error
    return path


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 RGB as a PNG that says that deadpan wrote it."""
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


def write_json(path: Path, facts: Any) -> None:
    """Write JSON, atomically."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(facts, indent=1) + "\n")
