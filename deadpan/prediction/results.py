"""What recognition returns: one photograph, its faces, and what was read from each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deadpan.faces.quality import Quality
from deadpan.pixels import RGB


class Shown(NamedTuple):
    """Something that the model can show about one face beyond its answer, as `deadpan.method.Shown`."""

    kind: str  # votes, amounts, level, picture or shifts
    value: NDArray[np.float32]  # (K,), (K,), (), (S, S, 3) in 0..255 or (P, 2, 2)


@dataclass(frozen=True, eq=False, repr=False)
class FaceResult:
    """What was read from one face; S is the side of what the model sees."""

    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels of the photograph
    score: float  # the detector's confidence, 0..1
    landmarks: NDArray[np.float32]  # (5, 2) eyes, nose tip, mouth corners in pixels of the photograph
    expression: str  # the most probable one
    probabilities: dict[str, float]  # of each of the model's expressions; sum to 1
    aligned: RGB  # (S, S, 3)
    neutral: RGB | None  # (S, S, 3) the same person without expression; None where the model makes none
    residue: float | None  # mean of residue_map, 0..1; None where the model makes no neutral face
    residue_map: NDArray[np.float32] | None  # (S, S) absolute difference of aligned and neutral, 0..1
    quality: Quality  # size, sharpness, turn and cover of the face
    shown: dict[str, Shown] = field(default_factory=dict)  # by caption; empty unless the Predictor was asked to show

    def __repr__(self) -> str:
        box = ", ".join(f"{value:.0f}" for value in self.box)
        return f"FaceResult({self.expression} {self.probabilities[self.expression]:.1%}, box ({box}))"

    @property
    def marks(self) -> tuple[str, ...]:
        """Why the expression must not be trusted: any of small, blurred, turned, covered, unclear."""
        return self.quality.marks

    def as_json(self, shown: bool = False) -> dict[str, Any]:
        """Everything but the pixels, in plain types, on demand with what the model can show; see docs/output.md."""
        extra: dict[str, Any] = {}
        for caption, (kind, value) in self.shown.items():
            numbers = np.round(value.astype(float), 6).tolist()
            if kind != "picture":
                named = kind in ("votes", "amounts")
                extra[caption] = dict(zip(self.probabilities, numbers, strict=True)) if named else numbers
        return {
            "box": [round(value, 1) for value in self.box],
            "score": round(self.score, 4),
            "landmarks": [[round(float(x), 1), round(float(y), 1)] for x, y in self.landmarks],
            "expression": self.expression,
            "probabilities": {name: round(value, 6) for name, value in self.probabilities.items()},
            "residue": None if self.residue is None else round(self.residue, 6),
            "quality": self.quality.as_json(),
            "marks": list(self.marks),
            **({"shown": extra} if shown else {}),
        }


@dataclass(frozen=True)
class PhotographResult:
    """What was read from one file: its faces from left to right, or the error that kept it from being read."""

    path: str
    width: int = 0  # pixels, upright; 0 where the file could not be read
    height: int = 0
    faces: list[FaceResult] = field(default_factory=list)
    error: str | None = None

    def as_json(self, shown: bool = False) -> dict[str, Any]:
        """The line of `deadpan predict --json`; see docs/output.md."""
        return {
            "path": self.path,
            "width": self.width,
            "height": self.height,
            "faces": [face.as_json(shown) for face in self.faces],
            "error": self.error,
        }


class Recognition(NamedTuple):
    """The model's answer to N aligned faces."""

    probabilities: NDArray[np.float64]  # (N, K) over the model's expressions, rows sum to 1
    neutral: RGB | None  # (N, S, S, 3); None where the model makes no neutral face
    shown: tuple[NDArray[np.float32], ...] = ()  # (N, ...) each, in the order of the Predictor's `shows`
