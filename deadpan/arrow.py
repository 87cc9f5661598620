"""pyarrow, imported on first use: for Parquet, for Arrow tables, and for files at addresses (s3://bucket/photos)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from deadpan.errors import DeadpanError, how_to_install

ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://([^/]*)(.*)", re.DOTALL)
"""An address: scheme, host or bucket, path. A Windows drive is a single letter."""


class AddressError(DeadpanError):
    """An address that pyarrow does not know, or a file or folder there that cannot be read."""


def import_arrow(purpose: str) -> Any:
    """Import pyarrow; DeadpanError if it is not installed. `purpose` begins the message, as in "to write Parquet"."""
    try:
        import pyarrow
        import pyarrow.fs
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise DeadpanError(f"{purpose} the package pyarrow is needed: {how_to_install('pyarrow', 'tables')}") from error
    return pyarrow


def is_address(place: object) -> bool:
    """Whether a place is an address such as s3://bucket/photos, and not a path."""
    return isinstance(place, str) and ADDRESS.match(place) is not None


def open_file(place: str) -> IO[bytes]:
    """Open a path, or the file at an address, for reading; OSError if that fails."""
    if not is_address(place):
        return Path(place).open("rb")
    files, path = _located(place)
    opened: IO[bytes] = files.open_input_file(path)
    return opened


def is_folder(address: str) -> bool:
    """Whether there is a folder at the address; AddressError if that cannot be found out."""
    files, path = _located(address)
    return bool(_asked(address, lambda: files.get_file_info(path)).type.name == "Directory")


def files_in(address: str, *, recursive: bool = False) -> list[str]:
    """The addresses of the files in a folder, sorted; AddressError if it cannot be listed."""
    from pyarrow.fs import FileSelector

    files, path = _located(address)
    infos = _asked(address, lambda: files.get_file_info(FileSelector(path, recursive=recursive)))
    scheme = address.partition("://")[0]
    return sorted(f"{scheme}://{info.path}" for info in infos if info.is_file)


def _located(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it; AddressError for an unknown scheme."""
    scheme, host, path = ADDRESS.fullmatch(address).groups()  # type: ignore[union-attr]
    return _file_system(scheme, host), f"{host}{path}".rstrip("/")


@lru_cache(maxsize=8)
def _file_system(scheme: str, host: str) -> Any:
    """Open a file system without a path: names with spaces or percent signs are no valid URI."""
    arrow = import_arrow(f"to read {scheme}://")
    return _asked(f"{scheme}://{host}", lambda: arrow.fs.FileSystem.from_uri(f"{scheme}://{host}/")[0])


def _asked(address: str, question: Callable[[], Any]) -> Any:
    try:
        return question()
    except (OSError, ValueError) as error:  # pyarrow's errors are both
        raise AddressError(f"{address}: cannot be read ({' '.join(str(error).split())})") from error
