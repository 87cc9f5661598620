"""The types that all readers share: Sample, one picture; Facts about a data set; and the error of a reader."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deadpan.errors import DeadpanError
from deadpan.expressions import EXPRESSIONS


class DatasetError(DeadpanError):
    """A data set that is missing or not in the expected form; the text says what was expected and what to do."""


@dataclass(frozen=True)
class VideoFrame:
    """One frame of a video file, counted from 0, and the clockwise rotation that turns it upright."""

    path: Path
    index: int
    turn: int = 0  # degrees: 0, 90, 180 or 270


@dataclass(frozen=True)
class Facts:
    """The published facts about a data set, which `deadpan data list` prints and `deadpan data check` compares."""

    title: str
    "Full name, with the paper that describes it."
    owner: str
    "The institution that distributes it."
    request: str
    "Where to get or request it."
    terms: str
    "Licence or terms of use, in a few words; a model card repeats them."
    tree: str
    "The expected files below ROOT, one pattern per line, as the owner distributes them."
    neutral: str
    "The source of neutral faces of the same people, or none."
    counts: Mapping[str, int] = field(default_factory=dict)
    "Expected counts of the reader's samples: subjects, sequences, pictures, and pictures of each expression by name."
    copies: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    "The same counts for common copies with other content, by the name of the copy."
    on_purpose: Mapping[str, str] = field(default_factory=dict)
    "Pictures that the reader leaves out on purpose: the reason, and a regular expression for their paths below ROOT."
    confirmed: bool = True
    "Whether public documentation confirms the tree."

    def absent(self, root: Path, found: str) -> DatasetError:
        """The error for a missing tree: it says what was found, what is expected and where to request the data set."""
        return DatasetError(f"{root}: {found}; expected\n{self.tree}\nof {self.title}, from {self.request}")


@dataclass(frozen=True)
class Sample:
    """One picture of a data set with its label and attributes; landmarks are (x, y) in pixels of the picture."""

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
    cropped: bool = False  # whether the picture is a face crop, in which no face is detected
    attributes: Mapping[str, str | float] = field(default_factory=dict)


# Spellings of the eight expressions in lab data sets, folder names and spreadsheets.
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
"""The expressions of the user's own class names (`{"1": "surprise"}`); None leaves a class out."""


def expression_in(word: str) -> str | None:
    """The expression that `word` means, also numbered and in any case (`0_Angry`, `3. sad`); None if it means none."""
    plain = re.sub(r"^[\W_]*(\d+[\W_]+)?|[\W_]+$", "", word.lower())
    return _EXPRESSION_OF.get(plain)


def expression_named(word: str, where: str) -> str:
    """The expression that `word` means (`happy` is happiness); DatasetError naming `where` if it means none."""
    expression = expression_in(word)
    if expression is None:
        number = "; to use numbers, add --classes 1=surprise 2=fear ..." if word.strip().isdigit() else ""
        raise DatasetError(f"{where}: {word!r} is not an expression; expected one of {', '.join(EXPRESSIONS)}{number}")
    return expression


def class_above(path: Path, root: Path, codes: Mapping[str, str] | None = None) -> str | None:
    """The expression in the name of the nearest folder between `root` and a file, as a word or one of `codes`."""
    for name in reversed(path.relative_to(root).parts[:-1]):
        expression = (codes or {}).get(name) or expression_in(name)
        if expression:
            return expression
    return None


def one_hot(expression: str, expressions: Sequence[str]) -> tuple[float, ...]:
    """The one-hot label distribution over `expressions`: 1 for `expression`, 0 for the others."""
    return tuple(float(name == expression) for name in expressions)


def check_names(samples: Iterable[Sample], where: Path) -> None:
    """Raise DatasetError if two pictures of a data set have the same name."""
    seen: set[str] = set()
    for sample in samples:
        if sample.name in seen:
            raise DatasetError(f"{where}: two pictures are named {sample.name!r}; names must be unique")
        seen.add(sample.name)
