"""Folders, patterns, lists, ZIP archives and Parquet files -> the photographs in them, in the order of reading."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from glob import glob, has_magic
from io import TextIOWrapper
from itertools import chain, takewhile
from pathlib import Path
from typing import Any, Protocol

from deadpan.arrow import files_in, is_address, is_folder, open_file
from deadpan.faces.photographs import Photograph, PhotographError, read_photograph
from deadpan.files import PICTURE_ENDINGS, paths_of
from deadpan.pixels import RGB
from deadpan.prediction.containers import MAX_BYTES, Archive, Container, FolderError, PictureTable

STDIN = ("-", "/dev/stdin")
"""Names of standard input, from which a list of files is read."""

LIST, ARCHIVE, TABLES = ".txt", ".zip", (".parquet", ".pq")
"""Endings of a text file that lists photographs, one per line, of an archive, and of Parquet files with photographs."""

UNNAMED = ("the given bytes", "the given picture", "the given file")
"""The names that errors give to a photograph that is not a file."""


@dataclass(frozen=True)
class Input:
    """One photograph to be read."""

    name: str  # `path` in the results
    photograph: Photograph | None = None  # None: the photograph is the file with the path or address `name`
    container: Container | None = None  # if given, the photograph is the `member` of this container
    member: str | int = ""

    @property
    def is_stored(self) -> bool:
        """Whether the photograph is in a container or at an address."""
        return self.container is not None or (self.photograph is None and is_address(self.name))

    def read(self, *, bgr: bool = False) -> RGB:
        """Read the photograph as `read_photograph` does: (H, W, 3) uint8 RGB.

        PhotographError if it cannot be read; its text is the reason, without the name of the photograph.
        """
        try:
            if self.container is not None:
                return read_photograph(self.container.read(self.member))
            if self.is_stored:
                return read_photograph(_fetched(self.name))
            return read_photograph(self.name if self.photograph is None else self.photograph, bgr=bgr)
        except PhotographError as error:
            text = str(error)
            for name in (self.name, self.photograph, *UNNAMED):
                text = text.removeprefix(f"{Path(name)}: " if isinstance(name, str) else "")
            raise PhotographError(text) from error

    def absolute(self) -> Input:
        """The same photograph with an absolute path, for a process with another working directory."""
        if self.is_stored or self.photograph is not None:
            return self
        return replace(self, photograph=os.path.abspath(self.name))  # noqa: PTH100  (not every name is a valid Path)


class _Group(Sized, Iterable[Input], Protocol):
    """The photographs in one place, such as a folder."""


class Inputs:
    """The photographs in all places, one after the other; memory holds the names of those in folders and archives."""

    def __init__(self, groups: list[_Group], stdin: bool) -> None:
        """`stdin` says whether the files listed on standard input follow those of `groups`."""
        self._groups = groups
        self._stdin = stdin

    @property
    def total(self) -> int | None:
        """The number of photographs; None if standard input lists any of them."""
        return None if self._stdin else sum(map(len, self._groups))

    def known(self) -> Iterator[Input]:
        """Iterate over the photographs except those listed on standard input."""
        return chain.from_iterable(self._groups)

    def __iter__(self) -> Iterator[Input]:
        return chain(self.known(), _named_on_standard_input() if self._stdin else ())


def inputs_of(places: str | Path | Iterable[str | Path]) -> Inputs:
    """List the photographs in one or several places, in the order of the places.

    A place is a picture file, a folder, a glob pattern (`photos/*.jpg`, `photos/**/*`), a list (`photos.txt`, one file
    per line), a ZIP archive, a Parquet file with a column `image` of picture files, a folder of such Parquet files, an
    address of any of these (`s3://bucket/photos`), or "-" for a list on standard input, which is read last. The
    pictures of a folder, a pattern or an archive are sorted by name. Hidden files, panels drawn by deadpan and the
    folders inside a folder are skipped. A file that does not exist is listed too; the error is raised when it is read.
    Raises FolderError for a place that contains no picture or cannot be read, and AddressError for an address that
    cannot be read.
    """
    paths = paths_of(places)
    named = [path for path in paths if path not in STDIN]
    return Inputs([_group(path) for path in named], stdin=len(named) < len(paths))


def input_of(photograph: Any, index: int) -> Input:
    """Make an Input from a photograph in any form; its name is its path or file name, or `index` if it has neither."""
    if isinstance(photograph, Input):
        return photograph
    if isinstance(photograph, (str, os.PathLike)):
        return Input(os.fspath(photograph))
    given = getattr(photograph, "filename", None) or getattr(photograph, "name", None)
    return Input(given if isinstance(given, str) else str(index), photograph)


def _group(place: str) -> _Group:
    group = _at_address(place) if is_address(place) else _at_path(place)
    if not len(group):
        kinds = "JPEG, PNG, WebP, TIFF, HEIC and the like, by the ending of its name"
        inner = f"; for the folders inside it give '{Path(place) / '**' / '*'}'" if Path(place).is_dir() else ""
        raise FolderError(f"{place}: no picture found; expected at least one ({kinds}){inner}")
    return group


def _at_path(place: str) -> _Group:
    path = Path(place)
    if path.is_dir():
        return _Files(path) if len(_Files(path)) else _InTables(sorted(map(str, path.glob(f"*{TABLES[0]}"))))
    if path.suffix.lower() in OPENERS and path.is_file():
        return OPENERS[path.suffix.lower()](place)
    if has_magic(place) and not path.exists():
        found = glob(place, recursive=True)  # noqa: PTH207  (Path.glob takes no absolute pattern)
        return _named_like(place, sorted(each for each in found if Path(each).is_file()))
    return [Input(place)]


def _at_address(place: str) -> _Group:
    ending = Path(place).suffix.lower()
    if has_magic(place):
        return _named_like(place, _matching(place))
    if ending in PICTURE_ENDINGS:
        return [Input(place)]
    if is_folder(place):
        found = files_in(place)
        return _named_like("", found) or _named_like(TABLES[0], found)
    return OPENERS[ending](place) if ending in OPENERS else [Input(place)]


def _named_like(pattern: str, found: list[str]) -> _Group:
    """Of the files that a pattern names, the Parquet files if its ending is theirs, and otherwise the pictures."""
    if pattern.lower().endswith(TABLES):
        return _InTables([each for each in found if each.lower().endswith(TABLES)])
    return [Input(each) for each in found if _is_picture(Path(each).name)]


def _matching(pattern: str) -> list[str]:
    """The addresses of the files that match a pattern, sorted; as in a path, ** includes the folders inside."""
    scheme, _, rest = pattern.partition("://")
    parts = rest.split("/")
    fixed = list(takewhile(lambda part: not has_magic(part), parts))
    folder = f"{scheme}://{'/'.join(fixed)}"
    found = files_in(folder, recursive=len(parts) > len(fixed) + 1)
    return [each for each in found if _matches(each[len(folder) + 1 :].split("/"), parts[len(fixed) :])]


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


class _Files:
    """The pictures of a folder, sorted by name."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        with os.scandir(folder) as entries:
            self._names = sorted(entry.name for entry in entries if _is_picture(entry.name) and entry.is_file())

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[Input]:
        return (Input(str(Path(self._folder, name))) for name in self._names)


class _Listed:
    """The files that a text file lists, one per line; the text file is read twice, first to count them."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._count = sum(1 for _ in self)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Input]:
        try:
            with TextIOWrapper(open_file(self._place), encoding="utf-8-sig", errors="surrogateescape") as lines:
                yield from _named_in(lines)
        except OSError as error:
            raise FolderError(f"{self._place}: cannot be read ({error.strerror or error})") from error


class _Archived:
    """The pictures of a ZIP archive, including those in its folders."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._archive = Archive(place)
        self._names = [name for name in self._archive.members() if _is_picture(name)]

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[Input]:
        return (Input(f"{self._place}/{name}", container=self._archive, member=name) for name in self._names)


class _InTables:
    """The pictures in Parquet files, row by row."""

    def __init__(self, places: Sequence[str]) -> None:
        self._tables = {place: PictureTable(place) for place in places}

    def __len__(self) -> int:
        return sum(map(len, self._tables.values()))

    def __iter__(self) -> Iterator[Input]:
        for place, table in self._tables.items():
            for row, name in enumerate(table.names()):
                yield Input(f"{place}/{name}", container=table, member=row)


OPENERS: dict[str, Callable[[str], _Group]] = {
    LIST: _Listed,
    ARCHIVE: _Archived,
    **dict.fromkeys(TABLES, lambda place: _InTables([place])),
}
"""What reads a file that contains or lists photographs, by the ending of its name."""


def _named_on_standard_input() -> Iterator[Input]:
    with suppress(AttributeError):  # file names may contain bytes that are not valid text
        sys.stdin.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    return _named_in(sys.stdin)


def _named_in(lines: Iterable[str]) -> Iterator[Input]:
    return (Input(name) for line in lines if (name := line.strip("\r\n")))


def _fetched(address: str) -> bytes:
    """Read the file at an address; PhotographError if that fails."""
    try:
        with open_file(address) as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise PhotographError("no such file") from error
    except (OSError, ValueError) as error:  # pyarrow's errors are both
        raise PhotographError(f"cannot be read ({' '.join(str(error).split())})") from error
    if len(content) > MAX_BYTES:
        raise PhotographError(f"too large: expected at most {MAX_BYTES:,} bytes")
    return content


def _is_picture(name: str) -> bool:
    name = name.lower()
    ending = os.path.splitext(name)[1]  # noqa: PTH122  (of a million names: Path takes six times as long)
    return ending in PICTURE_ENDINGS and not name.startswith(".") and not name.endswith(".panel.png")
