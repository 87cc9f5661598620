"""The results of recognition: of one photograph, of one face, and of a batch of aligned faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deadpan.faces.quality import Quality
from deadpan.pixels import RGB
from deadpan.prediction.folders import Input

Row = dict[str, Any]
"""One row of a table: the values by column, in the order of the columns; a column without a value may be missing."""

FACE_COLUMNS: dict[str, type] = {
    "path": str,
    "width": int,
    "height": int,
    "face": int,
    "left": float,
    "top": float,
    "right": float,
    "bottom": float,
    "score": float,
    "expression": str,
}
"""The first columns of a table of faces, and the type of each."""

COMPARED = ("residue", "distance_from_rest")
"""The columns after the probabilities: differences from the generated neutral face and the face at rest."""


class Shown(NamedTuple):
    """One explanation of a model's prediction for one face; `deadpan.method.Shown` defines the kinds."""

    kind: str  # votes, amounts, level, picture or shifts
    value: NDArray[np.float32]  # (K,), (K,), (), (S, S, 3) in 0..255 or (P, 2, 2)


@dataclass(frozen=True, eq=False, repr=False)
class FaceResult:
    """The result for one face. S is the model's input size, `Predictor.image_size`."""

    box: tuple[float, float, float, float]  # left, top, right, bottom in pixels of the photograph
    score: float  # the detector's confidence, 0..1
    landmarks: NDArray[np.float32]  # (5, 2) eyes, nose tip, mouth corners in pixels of the photograph
    expression: str  # the most probable one
    probabilities: dict[str, float]  # one for each of the model's expressions; they sum to 1
    aligned: RGB  # (S, S, 3) the aligned crop, the model's input
    neutral: RGB | None  # (S, S, 3) the same person without expression; None if the model generates no neutral face
    residue: float | None  # mean of residue_map, 0..1; None if the model generates no neutral face
    residue_map: NDArray[np.float32] | None  # (S, S) absolute difference of aligned and neutral, 0..1
    quality: Quality  # size, sharpness, rotation and occlusion of the face
    mesh: NDArray[np.float32] | None = None  # (468, 3) in pixels of the photograph; None if no mesh is trusted
    shown: dict[str, Shown] = field(default_factory=dict)  # explanations by caption; empty without Predictor(show=True)
    distance_from_rest: float | None = None  # 0 (at rest) to 1, as in videos; None without a rest face or without mesh

    def __repr__(self) -> str:
        box = ", ".join(f"{value:.0f}" for value in self.box)
        return f"FaceResult({self.expression} {self.probabilities[self.expression]:.1%}, box ({box}))"

    @property
    def marks(self) -> tuple[str, ...]:
        """Reasons not to trust the expression: any of small, blurred, turned, covered, unclear; () if there is none."""
        return self.quality.marks

    def without_pictures(self) -> FaceResult:
        """The same result without its pictures; `aligned` is empty."""
        shown = {caption: each for caption, each in self.shown.items() if each.kind != "picture"}
        return replace(self, aligned=self.aligned[:0], neutral=None, residue_map=None, shown=shown)

    def as_json(self, shown: bool = False, mesh: bool = False) -> dict[str, Any]:
        """The result without pictures, in plain types for JSON; `shown` adds the explanations, `mesh` the face mesh.

        See docs/output.md.
        """
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
            "distance_from_rest": None if self.distance_from_rest is None else round(self.distance_from_rest, 4),
            "quality": self.quality.as_json(),
            "marks": list(self.marks),
            **({"mesh": None if self.mesh is None else _rounded(self.mesh).tolist()} if mesh else {}),
            **({"shown": extra} if shown else {}),
        }


@dataclass(frozen=True)
class PhotographResult:
    """The result for one file: its faces from left to right, or the error if it could not be read."""

    path: str
    width: int = 0  # pixels, of the upright photograph; 0 if the file could not be read
    height: int = 0
    faces: list[FaceResult] = field(default_factory=list)
    error: str | None = None
    stored: Input | None = field(default=None, repr=False, compare=False)  # reads it again if `path` is no file's path

    def as_json(self, shown: bool = False, mesh: bool = False) -> dict[str, Any]:
        """The object that `deadpan predict --json` writes; `shown` adds the explanations, `mesh` the face meshes.

        See docs/output.md.
        """
        return {
            "path": self.path,
            "width": self.width,
            "height": self.height,
            "faces": [face.as_json(shown, mesh) for face in self.faces],
            "error": self.error,
        }

    def without_pictures(self) -> PhotographResult:
        """The same result without its pictures, which have most of its bytes; `aligned` is empty."""
        return replace(self, faces=[face.without_pictures() for face in self.faces])

    def rows(self, mesh: bool = False) -> list[Row]:
        """Return one flat row for each face, or a single row if there is no face; see docs/output.md.

        `mesh` adds a column with the 1,404 coordinates of the face mesh in pixels: x, y, z of each of 468 points.
        """
        start = {"path": self.path, "width": self.width, "height": self.height}
        rows = []
        for index, face in enumerate(self.faces):
            facts = face.as_json()
            box = dict(zip(("left", "top", "right", "bottom"), facts["box"], strict=True))
            read = {"score": facts["score"], "expression": facts["expression"], **facts["probabilities"]}
            compared = {name: facts[name] for name in COMPARED}
            seen = {**compared, **facts["quality"], "marks": " ".join(face.marks)}
            points = {"mesh": None if face.mesh is None else _rounded(face.mesh).ravel().tolist()} if mesh else {}
            rows.append({**start, "face": index, **box, **read, **seen, **points, "error": None})
        return rows or [{**start, "error": self.error}]


def face_columns(expressions: Sequence[str], mesh: bool = False) -> dict[str, type]:
    """The columns of PhotographResult.rows for a model with these expressions, and the type of each column."""
    read = {**FACE_COLUMNS, **dict.fromkeys([*expressions, *COMPARED], float)}
    seen = {**dict.fromkeys(Quality._fields, float), "marks": str}
    return {**read, **seen, **({"mesh": list} if mesh else {}), "error": str}


def _rounded(mesh: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """Round a face mesh to a hundredth of a pixel."""
    return np.round(mesh.astype(np.float64), 2)


class Recognition(NamedTuple):
    """The model's predictions for N aligned faces."""

    probabilities: NDArray[np.float64]  # (N, K) over the model's expressions, rows sum to 1
    neutral: RGB | None  # (N, S, S, 3); None if the model generates no neutral face
    shown: tuple[NDArray[np.float32], ...] = ()  # explanations, (N, ...) each, in the order of Predictor.shows
