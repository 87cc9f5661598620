"""What every reader returns: one Sample per picture, and the error that says what is wrong with a tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deadpan.expressions import EXPRESSIONS


class DatasetError(ValueError):
    """A data set is absent or not in the expected form; the message says what was expected and what to do."""


@dataclass(frozen=True)
class Sample:
    """One picture of a data set with all that is known about it; landmarks are (x, y) in pixels of the picture."""

    picture: Path | bytes  # a file, or the encoded bytes of one
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
