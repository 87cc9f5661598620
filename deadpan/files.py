"""Files that are there whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write beside `path`; it takes the place of `path` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def paths_of(given: str | Path | Iterable[str | Path]) -> list[str]:
    """Paths as a list; one given alone is one path, not its letters."""
    return [str(path) for path in ([given] if isinstance(given, (str, Path)) else given)]


def folder(path: str | Path) -> Path:
    """The directory `path`, created where it does not exist; NotADirectoryError where a file is in the way."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(f"{path} is a file; expected a directory to write into") from error
    return path


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 RGB as a PNG."""
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


def write_json(path: Path, facts: Any) -> None:
    """Write JSON, atomically."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(facts, indent=1) + "\n")
