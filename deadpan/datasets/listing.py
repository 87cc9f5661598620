"""Lists the files and folders of a data set, without those that operating systems add."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from deadpan.files import PICTURE_ENDINGS

PICTURES = frozenset(PICTURE_ENDINGS)

VIDEOS = frozenset(
    {
        *(".mp4", ".m4v", ".mov", ".3gp", ".avi", ".mkv", ".webm", ".ogv", ".flv", ".wmv", ".asf"),
        *(".mpg", ".mpeg", ".mpe", ".m1v", ".m2v", ".vob", ".ts", ".mts", ".m2ts"),
    }
)


def visible(folder: Path) -> list[Path]:
    """The entries of `folder`, sorted by name, without .DS_Store, ._name and Thumbs.db; empty if it is not a folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.name[0] != "." and path.name.lower() != "thumbs.db")


def folders(folder: Path) -> list[Path]:
    """The folders in `folder`, sorted by name."""
    return [path for path in visible(folder) if path.is_dir()]


def frames(folder: Path) -> list[Path]:
    """The pictures in `folder` whose names end in a number, in the order of those numbers."""
    found = (path for path in visible(folder) if path.suffix.lower() in PICTURES and path.is_file())
    return sorted((path for path in found if path.stem[-1:].isdigit()), key=lambda path: (number(path), path.name))


def number(path: Path) -> int:
    """The number at the end of a file's name: 11 for S005_001_00000011.png; -1 if there is none."""
    digits = re.search(r"(\d+)$", path.stem)
    return int(digits[1]) if digits else -1


def nested(root: Path, depth: int) -> Iterator[Path]:
    """`root` and the folders below it, nearest first, down to `depth` levels."""
    level = [root] if root.is_dir() else []
    for _ in range(depth + 1):
        yield from level
        level = [inner for folder in level for inner in folders(folder)]


def holding(root: Path, pattern: str, depth: int = 2) -> Path | None:
    """The nearest folder, `root` or below it, that holds a folder whose whole name matches `pattern`."""
    wanted = re.compile(pattern, re.IGNORECASE)
    for folder in nested(root, depth):
        if any(wanted.fullmatch(inner.name) for inner in folders(folder)):
            return folder
    return None


def middle(frames: int, wanted: int) -> range:
    """The indices of `wanted` frames in the middle of `frames`, without frame 0, which is neutral."""
    last = min(frames, (frames + wanted + 1) // 2)
    return range(max(1, last - wanted), last)


SPLITS = {"train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation"}
SPLITS |= {"dev": "validation", "test": "test", "testing": "test"}
SPLITS |= {"publictest": "public_test", "privatetest": "private_test"}


def split_named(name: str) -> str:
    """The split in the name of a folder or file (`train_set`, `Val`, `PublicTest`); empty if there is none."""
    words = re.findall(r"[a-z]+", name.lower())
    return next((SPLITS[word] for word in (each.removesuffix("set") for each in words) if word in SPLITS), "")


def split_of(path: Path, root: Path) -> str:
    """The split in the name of the nearest folder between a file and `root` (inclusive); empty if there is none."""
    names = [*reversed(path.relative_to(root).parts[:-1]), root.name]
    return next((split for split in map(split_named, names) if split), "")


def tables_below(root: Path, pattern: str, depth: int = 3) -> list[Path]:
    """The files whose whole name matches `pattern` in any case, nearest first; `root` itself if it is such a file."""
    if root.is_file():
        return [root] if root.suffix.lower() in (".csv", ".txt") else []
    wanted = re.compile(pattern, re.IGNORECASE)
    found = (path for folder in nested(root, depth) for path in visible(folder))
    return [path for path in found if wanted.fullmatch(path.name) and path.is_file()]


def summary(root: Path) -> str:
    """Describe the content of `root` for the error that the data set is not there."""
    if not root.is_dir():
        return "is not a folder" if root.exists() else "does not exist"
    names = [path.name for path in visible(root)]
    return f"holds {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}" if names else "is empty"


def files_below(root: Path, suffixes: frozenset[str] = PICTURES) -> list[Path]:
    """Every visible file below `root` that ends in one of `suffixes`, in any case and at any depth, sorted."""
    found = (path for path in root.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
    return sorted(path for path in found if not any(part[0] == "." for part in path.relative_to(root).parts))
