"""Findings about a copy of a data set: pictures that are left out, occur twice or are blank, and truncated videos."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from deadpan.datasets.listing import PICTURES, VIDEOS, files_below
from deadpan.datasets.pictures import read_pictures
from deadpan.datasets.sample import Facts, Sample, VideoFrame
from deadpan.faces.photographs import PhotographError
from deadpan.faces.video import measure_videos
from deadpan.pixels import RGB

UNREADABLE = frozenset({".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".psd", ".svg", ".eps", ".pdf"})
"""Suffixes of pictures in formats that deadpan does not read."""

EXAMPLES = 3

PROBE = 4096  # bytes at the start, middle and end of a file; whole files are compared only if these are equal

OPENED = 64  # number of pictures, at even distances in the data set, that are always opened

FLAT = 4  # of 255: greatest difference between the pixels of a blank picture; JPEG adds some noise


class Finding(NamedTuple):
    """A property of some pictures or videos, their number and some of their names.

    `intended` is true for files that the reader omits on purpose.
    """

    what: str
    number: int
    examples: list[str]
    intended: bool = False

    def __str__(self) -> str:
        more = ", ..." if self.number > len(self.examples) else ""
        return f"{self.what}: {self.number:,} ({', '.join(self.examples)}{more})"


def left_out(samples: Sequence[Sample], root: Path, facts: Facts) -> list[Finding]:
    """Pictures and videos below `root` that are in no sample, grouped by format, by folder or by unknown names."""
    if not root.is_dir():
        return []
    used = {Path(path) for sample in samples for path in (_file(sample.picture), _file(sample.twin)) if path}
    filled = {folder for path in used for folder in path.parents}
    groups: dict[str, list[str]] = defaultdict(list)
    intended: dict[str, list[str]] = defaultdict(list)
    for path in files_below(root, PICTURES | VIDEOS | UNREADABLE):
        if path in used:
            continue
        name = path.relative_to(root).as_posix()
        why = next((why for why, pattern in facts.on_purpose.items() if re.search(pattern, name, re.IGNORECASE)), None)
        if why is not None:
            intended[f"left out on purpose ({why})"].append(name)
        elif path.suffix.lower() in UNREADABLE:
            groups[f"left out, {path.suffix.lower()} is not a supported format"].append(name)
        else:
            above = (folder for folder in path.parents if root in folder.parents)
            unread = [folder for folder in above if folder not in filled]
            if unread:
                groups[f"left out, the whole folder {unread[-1].relative_to(root).as_posix()}"].append(name)
            else:
                groups[f"left out, unknown names or labels in {_place(path.parent, root)}"].append(name)
    found = [_finding(what, names) for what, names in groups.items()]
    return [*found, *(_finding(what, names)._replace(intended=True) for what, names in intended.items())]


def _file(picture: Path | bytes | VideoFrame | None) -> Path | None:
    if isinstance(picture, VideoFrame):
        return picture.path
    return picture if isinstance(picture, Path) else None


def _place(folder: Path, root: Path) -> str:
    return "the folder itself" if folder == root else folder.relative_to(root).as_posix()


def _finding(what: str, names: Iterable[str]) -> Finding:
    names = list(names)
    return Finding(what, len(names), names[:EXAMPLES])


# --- twice -----------------------------------------------------------------------------------------------------------


def repeated(samples: Sequence[Sample]) -> list[Finding]:
    """Pictures whose files hold the same bytes as an earlier one.

    Those that occur in two splits, under two labels or under two people are separate findings.
    """
    return same(samples, _same_content(samples))


def same(samples: Sequence[Sample], keys: Iterable[Hashable]) -> list[Finding]:
    """The findings about samples with equal keys. A key identifies the content of a picture; None is never equal."""
    groups: dict[Hashable, list[Sample]] = defaultdict(list)
    for sample, key in zip(samples, keys, strict=True):
        if key is not None:
            groups[key].append(sample)
    several = [group for group in groups.values() if len(group) > 1]
    checks: dict[str, Callable[[Sample], Hashable]] = {
        "that occur twice": lambda sample: sample.name,
        "that occur in two splits": lambda sample: sample.split,
        "that occur under two labels": lambda sample: sample.target,
        "that occur under two people": lambda sample: sample.subject,
    }
    found = []
    for what, of in checks.items():
        differing = [group for group in several if len({of(sample) for sample in group}) > 1]
        if differing:
            pairs = [" = ".join(sample.name for sample in group[:2]) for group in differing[:EXAMPLES]]
            found.append(Finding(f"pictures {what}", sum(len(group) - 1 for group in differing), pairs))
    return found


def _same_content(samples: Sequence[Sample]) -> Iterator[Hashable]:
    """Yield a key for each sample, equal for samples with the same bytes.

    A file is read as a whole only if its size and its bytes at three places equal those of another.
    """
    paths = {path for sample in samples if (path := _file(sample.picture))}
    keys: dict[Path, Hashable] = {path: path.stat().st_size if path.is_file() else path for path in paths}
    for refine in (_probe, _digest):
        shared = Counter(keys.values())
        keys |= {path: (key, refine(path)) for path, key in keys.items() if shared[key] > 1 and path.is_file()}
    for sample in samples:
        if isinstance(sample.picture, bytes):
            yield hashlib.blake2b(sample.picture).digest()
        elif isinstance(sample.picture, VideoFrame):
            yield keys[sample.picture.path], sample.picture.index
        else:
            yield keys[sample.picture]


def _probe(path: Path) -> bytes:
    size, parts = path.stat().st_size, []
    with path.open("rb") as file:
        for start in (0, size // 2, max(size - PROBE, 0)):
            file.seek(start)
            parts.append(file.read(PROBE))
    return hashlib.blake2b(b"".join(parts)).digest()


def _digest(path: Path) -> bytes:
    digest = hashlib.blake2b()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.digest()


# --- opened ----------------------------------------------------------------------------------------------------------


def opened(samples: Sequence[Sample], *, every: bool) -> tuple[dict[str, str], list[Finding]]:
    """Open pictures: `every` one, or a sample and those with unusually few bytes.

    Returns the reason for each unreadable picture, by name, and the findings about pixels.
    """
    chosen = list(samples) if every else _worth_opening(samples)
    bad: dict[str, str] = {}
    blank: list[str] = []
    readable: list[Sample] = []
    digests: list[bytes] = []
    for sample, pixels in read_pictures(chosen):
        if isinstance(pixels, PhotographError):
            bad[sample.name] = str(pixels).rpartition(": ")[2]
            continue
        if is_blank(pixels):
            blank.append(sample.name)
        readable.append(sample)
        digests.append(hashlib.blake2b(pixels.tobytes(), person=repr(pixels.shape).encode()[:16]).digest())
    found = [_finding("pictures of one colour", blank)] if blank else []
    return bad, [*found, *(same(readable, digests) if every else [])]


def is_blank(pixels: RGB) -> bool:
    """Whether a picture has a single colour, apart from the noise of compression."""
    return bool(np.ptp(pixels.reshape(-1, 3), axis=0).max() <= FLAT)


def _worth_opening(samples: Sequence[Sample]) -> list[Sample]:
    """OPENED samples at even distances, and up to OPENED samples with less than a quarter of the median file size."""
    still = [index for index, sample in enumerate(samples) if not isinstance(sample.picture, VideoFrame)]
    sizes = {index: _size(samples[index].picture) for index in still}
    small = [index for index in still if 0 < sizes[index] < median(sizes.values()) / 4]
    spread = np.linspace(0, len(samples) - 1, min(OPENED, len(samples))).round().astype(int).tolist()
    return [samples[index] for index in sorted({*spread, *small[:OPENED]})]


def _size(picture: Path | bytes | VideoFrame) -> int:
    path = _file(picture)
    if path is None:
        return len(picture) if isinstance(picture, bytes) else 0
    return path.stat().st_size if path.is_file() else 0


def cut_short(samples: Sequence[Sample]) -> list[Finding]:
    """Videos of which clearly fewer frames can be decoded than their headers announce."""
    videos = list({sample.picture.path: None for sample in samples if isinstance(sample.picture, VideoFrame)})
    measured = zip(videos, measure_videos(videos), strict=True)
    short = [f"{path.name} ({facts.frames} of {facts.announced} frames)" for path, facts in measured if facts.cut_short]
    return [_finding("truncated videos", short)] if short else []
