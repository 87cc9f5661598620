"""Refuse an output that would destroy a picture, an input, or a file that deadpan did not write."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from deadpan.files import PICTURE_ENDINGS, OutputError, is_device

LONGEST_LINE = 1 << 24
"""No first line that deadpan writes has as many bytes; the line of a file without line breaks ends there."""

Own = Callable[[Path], bool]
"""Whether deadpan wrote a file; asked only of files that exist and hold something."""


def check_file(path: Path, option: str, own: Own, inputs: Iterable[str | Path] = (), expected: str = "") -> None:
    """Refuse (OutputError) to write the file `path`, named by `option`, where that would destroy something.

    A device or a pipe may always be written. `expected` says what the option takes.
    """
    needs = f"{option} needs {expected or 'the name of a file to write'}"
    if is_device(path):
        return
    if path.is_dir():
        raise OutputError(f"{path} is a directory; {needs}")
    check_parents(path)
    if is_among(path, inputs):
        raise OutputError(f"{path} is to be read, and {option} would replace it; {needs}")
    if path.suffix.lower() in PICTURE_ENDINGS:
        raise OutputError(f"{path} has the name of a picture; {needs}")
    if path.exists() and path.stat().st_size and not own(path):
        raise OutputError(f"{path} was not written by this command, and {option} would replace it; {needs}")


def check_folder(path: Path, option: str) -> None:
    """Refuse (OutputError) a folder to write into that is a file, or that has the name of a picture."""
    check_parents(path)
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} is a file; expected a directory to write into: {option} DIRECTORY")
    if not path.exists() and path.suffix.lower() in PICTURE_ENDINGS:
        raise OutputError(f"{path} has the name of a picture; expected a directory to write into: {option} DIRECTORY")


def check_parents(path: Path) -> None:
    """Refuse (OutputError) a path that leads through a file."""
    for parent in path.parents:
        if parent.exists():
            if not parent.is_dir():
                raise OutputError(f"{path} cannot be written: {parent} is a file, not a directory")
            return


def is_among(path: Path, inputs: Iterable[str | Path]) -> bool:
    """Whether `path` is one of the files, under any name; an input may end with @SPLIT."""
    files = [Path(name) for each in inputs for name in (str(each), str(each).rpartition("@")[0]) if name]
    if not path.exists():
        return os.path.realpath(path) in map(os.path.realpath, files)
    own = path.stat()
    return any(os.path.samestat(own, file.stat()) for file in files if file.exists())


def json_in(path: Path) -> Any:
    """The value in a JSON file; None where the file holds no JSON."""
    return _parsed(path, -1)


def json_in_first_line(path: Path) -> Any:
    """The value in the first line of a file of JSON lines; None where that is no JSON."""
    return _parsed(path, LONGEST_LINE)


def _parsed(path: Path, most: int) -> Any:
    try:
        with path.open("rb") as file:
            return json.loads(file.read() if most < 0 else file.readline(most))
    except (OSError, ValueError, RecursionError):
        return None
