"""Checks that an output does not overwrite a picture, an input, or a file that deadpan did not write."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from deadpan.files import PICTURE_ENDINGS, OutputError, is_device

LONGEST_LINE = 1 << 24
"""Greatest number of bytes read as a first line. Those that deadpan writes are shorter; other files may have no line
breaks."""

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:[/\\\\]")
"""The start of an address as Path shortens it: s3:/bucket. A Windows drive is a single letter."""

Own = Callable[[Path], bool]
"""A function that says whether deadpan wrote a file; it is called only for files that exist and are not empty."""


def check_file(path: Path, option: str, own: Own, inputs: Iterable[str | Path] = (), expected: str = "") -> None:
    """Raise OutputError if writing the file `path` would overwrite an input or a file that deadpan did not write.

    Devices and pipes are always allowed. The error names `option`, and says that it needs `expected`.
    """
    needs = f"{option} needs {expected or 'the name of a file to write'}"
    if is_device(path):
        return
    if path.is_dir():
        raise OutputError(f"{path} is a directory; {needs}")
    check_parents(path)
    if is_among(path, inputs):
        raise OutputError(f"{path} is an input, and {option} would overwrite it; {needs}")
    if path.suffix.lower() in PICTURE_ENDINGS:
        raise OutputError(f"{path} has the name of a picture; {needs}")
    if path.exists() and path.stat().st_size and not own(path):
        raise OutputError(f"{path} was not written by this command, and {option} would overwrite it; {needs}")


def check_folder(path: Path, option: str) -> None:
    """Raise OutputError if an output folder is a file, or does not exist and has the name of a picture."""
    check_parents(path)
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} is a file; expected a directory to write into: {option} DIRECTORY")
    if not path.exists() and path.suffix.lower() in PICTURE_ENDINGS:
        raise OutputError(f"{path} has the name of a picture; expected a directory to write into: {option} DIRECTORY")


def check_parents(path: Path) -> None:
    """Raise OutputError if a parent of the path is a file, or if the path is an address such as s3://bucket/x.csv."""
    if ADDRESS.match(str(path)):
        raise OutputError(f"{path} is an address; expected a path on this machine")
    for parent in path.parents:
        if parent.exists():
            if not parent.is_dir():
                raise OutputError(f"{path} cannot be written: {parent} is a file, not a directory")
            return


def is_among(path: Path, inputs: Iterable[str | Path]) -> bool:
    """Whether `path` is one of the input files, also through a link; an input may end with @SPLIT."""
    files = [Path(name) for each in inputs for name in (str(each), str(each).rpartition("@")[0]) if name]
    if not path.exists():
        return os.path.realpath(path) in map(os.path.realpath, files)
    own = path.stat()
    return any(os.path.samestat(own, file.stat()) for file in files if file.exists())


def json_in(path: Path) -> Any:
    """The value in a JSON file; None if the file is not JSON."""
    return _parsed(path, -1)


def json_in_first_line(path: Path) -> Any:
    """The value in the first line of a file of JSON lines; None if that line is not JSON."""
    return _parsed(path, LONGEST_LINE)


def _parsed(path: Path, most: int) -> Any:
    try:
        with path.open("rb") as file:
            return json.loads(file.read() if most < 0 else file.readline(most))
    except (OSError, ValueError, RecursionError):
        return None
