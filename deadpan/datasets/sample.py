"""What every reader returns: one Sample per picture, and the error that says what is wrong with a tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deadpan.errors import DeadpanError
from deadpan.expressions import EXPRESSIONS


class DatasetError(DeadpanError):
    """A data set is absent or not in the expected form; the message says what was expected and what to do."""


@dataclass(frozen=True)
class VideoFrame:
    """One frame of a video file, counted from 0, and by how many degrees clockwise to turn it upright."""

    path: Path
    index: int
    turn: int = 0  # 0, 90, 180 or 270


@dataclass(frozen=True)
class Facts:
    """What is publicly known about a data set: shown by `deadpan data list`, compared by `deadpan data check`."""

    title: str
    "Full name, with the paper that describes it."
    owner: str
    "Who hands it out."
    request: str
    "Where to get or request it."
    terms: str
    "Licence or terms of use, in a few words; a model card repeats them."
    tree: str
    "The expected files below ROOT, one pattern in a line, as the owner distributes them."
    neutral: str
    "Where neutral faces of the same people come from, or none."
    counts: Mapping[str, int] = field(default_factory=dict)
    "Expected numbers of what the reader returns: subjects, sequences, pictures, and pictures of an expression by name."
    confirmed: bool = True
    "Whether the tree could be confirmed from public documentation."

    def absent(self, root: Path, found: str) -> DatasetError:
        """The error for a tree that is not there: what was found, what is expected, where to request it."""
        return DatasetError(f"{root}: {found}; expected\n{self.tree}\nof {self.title}, from {self.request}")


@dataclass(frozen=True)
class Sample:
    """One picture of a data set with all that is known about it; landmarks are (x, y) in pixels of the picture."""

    picture: Path | bytes | VideoFrame  # a file, the encoded bytes of one, or a frame of a video
    name: str  # unique in the data set
    target: tuple[float, ...]  # label distribution over the data set's expressions, sums to 1
    subject: str = ""
    sequence: str = ""
    frame: int = -1
    split: str = ""
    twin: Path | bytes | None = None  # the same person neutral, in the same pose, light and pixel geometry
    landmarks: np.ndarray | None = None  # (68, 2) in iBUG-68 order
    twin_landmarks: np.ndarray | None = None
    cropped: bool = False  # the picture is a face crop already: nothing to detect
    attributes: Mapping[str, str | float] = field(default_factory=dict)


# How lab sets, folder names and spreadsheets write the eight expressions.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "neutral": ("calm", "ne"),
    "anger": ("angry", "an"),
    "contempt": ("contemptuous",),
    "disgust": ("disgusted", "di"),
    "fear": ("fearful", "afraid", "scared", "fe"),
    "happiness": ("happy", "joy", "smile", "smiling", "ha"),
    "sadness": ("sad", "sa"),
    "surprise": ("surprised", "su"),
}
_EXPRESSION_OF = {word: name for name, words in SPELLINGS.items() for word in (name, *words)}


def expression_named(word: str, where: str) -> str:
    """The expression that `word` means (`happy` is happiness); DatasetError naming `where` if it means none."""
    try:
        return _EXPRESSION_OF[word.strip().lower()]
    except KeyError:
        raise DatasetError(
            f"{where}: {word!r} is not an expression; expected one of {', '.join(EXPRESSIONS)}"
        ) from None


def one_hot(expression: str, expressions: Sequence[str]) -> tuple[float, ...]:
    """The label distribution that is certain of `expression`."""
    return tuple(float(name == expression) for name in expressions)


def check_names(samples: Iterable[Sample], where: Path) -> None:
    """Refuse a data set in which two pictures have the same name (DatasetError)."""
    seen: set[str] = set()
    for sample in samples:
        if sample.name in seen:
            raise DatasetError(f"{where}: two pictures are named {sample.name!r}; names must be unique")
        seen.add(sample.name)
