"""Files that contain many photographs: ZIP archives, and Parquet files with a column of pictures."""

from __future__ import annotations

import secrets
import threading
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from zipfile import BadZipFile, ZipFile, ZipInfo

from deadpan.arrow import import_arrow, is_address, open_file
from deadpan.errors import DeadpanError
from deadpan.faces.photographs import MAX_PIXELS, PhotographError

MAX_BYTES = 4 * MAX_PIXELS
"""Size in bytes of the largest photograph that is unpacked; the header of its container gives the size."""

BATCH, BUFFER = 16, 1 << 20
"""Rows of a Parquet file that are decoded at once, and bytes that are read at once."""

PICTURE, NAME = "image", "name"
"""Columns of a Parquet file: the bytes of a picture file, and the name of the picture, which is optional."""


class FolderError(DeadpanError):
    """A folder, a glob pattern, a list, an archive or a Parquet file that contains no picture or cannot be read."""


class Container(Protocol):
    """A file that contains photographs; a pickled copy opens the file again."""

    def read(self, member: Any) -> bytes:
        """Read the file of one photograph; PhotographError without a file name if that fails."""


class _Reopened:
    """Pickles as its path; a process that unpickles it several times opens the file once."""

    def __init__(self, path: str) -> None:
        self.path = path if is_address(path) else str(Path(path).absolute())
        self._token = secrets.token_hex(8)  # tells a file from a later file of the same name

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (type(self), self.path, self._token)


@lru_cache(maxsize=4)
def _reopened(kind: type[_Reopened], path: str, token: str) -> _Reopened:
    opened = kind(path)
    opened._token = token
    return opened


class Archive(_Reopened):
    """A ZIP archive; its pictures are unpacked in memory, one at a time."""

    def __init__(self, path: str) -> None:
        """Open the archive; FolderError if it cannot be read."""
        super().__init__(path)
        try:
            self._file = ZipFile(open_file(path))
        except (BadZipFile, OSError) as error:
            raise FolderError(f"{path}: cannot be read as a ZIP archive ({error})") from error

    def members(self) -> list[str]:
        """The names of the files in the archive and in its folders, sorted; hidden files are left out."""
        return sorted(info.filename for info in self._file.infolist() if _is_shown(info))

    def read(self, member: str) -> bytes:
        """Unpack one file; PhotographError if it is too large or cannot be unpacked."""
        size = self._file.getinfo(member).file_size
        if size > MAX_BYTES:
            raise PhotographError(f"too large to unpack: {size:,} bytes, expected at most {MAX_BYTES:,}")
        try:
            return self._file.read(member)
        except Exception as error:  # encrypted, an unknown compression, a wrong checksum: each has its own class
            raise PhotographError(f"cannot be unpacked from the archive ({error})") from error


def _is_shown(info: ZipInfo) -> bool:
    parts = PurePosixPath(info.filename).parts
    return not info.is_dir() and not any(part.startswith(".") or part == "__MACOSX" for part in parts)


@dataclass
class _Cursor:
    """A place in a Parquet file that moves forward: a column can be read only from the start of a row group."""

    token: str  # of the file
    file: Any
    group: int = -1
    start: int = 0  # the first row in `values`
    values: list[Any] = field(default_factory=list)
    batches: Iterator[Any] = field(default_factory=lambda: iter(()))


_current = threading.local()
"""The cursor of each thread."""


class PictureTable(_Reopened):
    """A Parquet file with the pictures' bytes in the column `image`, and perhaps their names in the column `name`.

    As in data sets of Hugging Face, `image` may be a struct with the field `bytes`. Each thread reads forward through
    the file, so that memory does not grow with the size of its row groups.
    """

    def __init__(self, path: str) -> None:
        """Open the file; FolderError if it cannot be read or has no such column."""
        super().__init__(path)
        self._arrow = import_arrow("to read Parquet")
        file = self._opened()
        schema, facts = file.schema_arrow, file.metadata
        self._starts = [0, *accumulate(facts.row_group(index).num_rows for index in range(facts.num_row_groups))]
        self._named = NAME in schema.names
        types = {each.name: str(each.type) for each in schema}
        self._nested = "bytes: binary" in types.get(PICTURE, "")  # a struct
        if not self._nested and types.get(PICTURE) not in ("binary", "large_binary"):
            found = ", ".join(f"{name} ({kind})" for name, kind in types.items())
            raise FolderError(
                f"{path}: expected a column {PICTURE} with the bytes of picture files (type binary); found {found}"
            )

    def __len__(self) -> int:
        """The number of rows."""
        return int(self._starts[-1])

    def names(self) -> Iterator[str]:
        """The name of each row: its `name`, or its number from 0; FolderError if two rows have the same name."""
        if not self._named:
            yield from map(str, range(len(self)))
            return
        column = self._opened().read(columns=[NAME]).column(0)
        if len(column.unique()) < len(column):
            counts = column.value_counts()
            twice = next(each["values"] for each in counts.to_pylist() if each["counts"] > 1)
            raise FolderError(f"{self.path}: the values of the column {NAME} must differ; {twice!r} occurs repeatedly")
        for chunk in column.chunks:
            yield from map(str, chunk.to_pylist())

    def read(self, member: int) -> bytes:
        """Read the picture in one row, counted from 0; PhotographError if it cannot be read."""
        try:
            content = self._value(self._here(), member)
        except (OSError, ValueError) as error:  # pyarrow's errors are both
            _current.cursor = None
            raise PhotographError(f"cannot be read from the Parquet file ({error})") from error
        if content is None:
            raise PhotographError(f"no picture: the column {PICTURE} is empty")
        return bytes(content)

    def _value(self, cursor: _Cursor, row: int) -> Any:
        group = bisect_right(self._starts, row) - 1
        if group != cursor.group or row < cursor.start:
            cursor.group, cursor.start, cursor.values = group, self._starts[group], []
            cursor.batches = cursor.file.iter_batches(
                BATCH,
                row_groups=[group],
                columns=[f"{PICTURE}.bytes" if self._nested else PICTURE],
                use_threads=False,
            )
        while row >= cursor.start + len(cursor.values):
            cursor.start += len(cursor.values)
            column = next(cursor.batches).column(0)
            cursor.values = (column.field(0) if self._nested else column).to_pylist()
        return cursor.values[row - cursor.start]

    def _here(self) -> _Cursor:
        """The cursor of this thread, which keeps only one file open: there may be thousands of files."""
        cursor: _Cursor | None = getattr(_current, "cursor", None)
        if cursor is None or cursor.token != self._token:
            cursor = _current.cursor = _Cursor(self._token, self._opened())
        return cursor

    def _opened(self) -> Any:
        try:
            # without a buffer pyarrow reads a row group at once, and `pre_buffer` turns the buffer off
            return self._arrow.parquet.ParquetFile(open_file(self.path), buffer_size=BUFFER, pre_buffer=False)
        except (OSError, ValueError) as error:
            raise FolderError(f"{self.path}: cannot be read as a Parquet file ({error})") from error
