"""What every reader returns: one Sample per picture, and the error that says what is wrong with a tree."""

from __future__ import annotations

import re
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
    copies: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    "The same numbers of common copies that hold something else, by the name of the copy."
    on_purpose: Mapping[str, str] = field(default_factory=dict)
    "Pictures that the reader leaves out on purpose: why, and a regular expression that their paths below ROOT match."
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
    "neutral": ("calm", "ne", "neu", "normal"),
    "anger": ("angry", "an", "ang"),
    "contempt": ("contemptuous", "con"),
    "disgust": ("disgusted", "di", "dis"),
    "fear": ("fearful", "afraid", "scared", "fe", "fea"),
    "happiness": ("happy", "joy", "joyful", "smile", "smiling", "ha", "hap"),
    "sadness": ("sad", "sa"),
    "surprise": ("surprised", "suprise", "suprised", "su", "sur"),
}
_EXPRESSION_OF = {word: name for name, words in SPELLINGS.items() for word in (name, *words)}
Classes = Mapping[str, "str | None"]
"""What class names of the user's own mean (`{"1": "surprise"}`); None leaves a class out."""


def expression_in(word: str) -> str | None:
    """The expression that `word` means, also numbered and in any case (`0_Angry`, `3. sad`); None if it means none."""
    plain = re.sub(r"^[\W_]*(\d+[\W_]+)?|[\W_]+$", "", word.lower())
    return _EXPRESSION_OF.get(plain)


def expression_named(word: str, where: str) -> str:
    """The expression that `word` means (`happy` is happiness); DatasetError naming `where` if it means none."""
    expression = expression_in(word)
    if expression is None:
        number = "; what a number means is said by --classes 1=surprise 2=fear ..." if word.strip().isdigit() else ""
        raise DatasetError(f"{where}: {word!r} is not an expression; expected one of {', '.join(EXPRESSIONS)}{number}")
    return expression


def class_above(path: Path, root: Path, codes: Mapping[str, str] | None = None) -> str | None:
    """The expression that the nearest folder between `root` and a file is named after, by word or by code."""
    for name in reversed(path.relative_to(root).parts[:-1]):
        expression = (codes or {}).get(name) or expression_in(name)
        if expression:
            return expression
    return None


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
