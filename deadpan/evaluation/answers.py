"""Stored predictions on pictures of people that the model was not trained on, in one Parquet file.

The file holds everything that a comparison needs: truth, predictions, pictures and generated neutral faces.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan.errors import DeadpanError
from deadpan.files import replacing
from deadpan.metrics.classification import Classification

FORMAT = 1

METADATA_KEY = b"deadpan-answers"


class AnswersError(DeadpanError):
    """A file of answers that cannot be read, or answers that cannot be joined."""


@dataclass(frozen=True, eq=False, repr=False)
class Answers:
    """N pictures with the truth, the prediction and the generated neutral face; pixels are uint8 RGB."""

    expressions: tuple[str, ...]
    names: NDArray[np.str_]  # (N,) unique in the data set
    folds: NDArray[np.str_]  # (N,) the fold that tested the picture
    subjects: NDArray[np.str_]  # (N,) "dataset/subject", empty where unknown
    sequences: NDArray[np.str_]  # (N,) empty where the picture belongs to none
    frames: NDArray[np.int64]  # (N,) -1 unknown
    attributes: tuple[dict[str, Any], ...]  # N
    target: NDArray[np.float32]  # (N, K) label distributions
    probabilities: NDArray[np.float32]  # (N, K)
    images: NDArray[np.uint8]  # (N, S, S, 3) as the network saw them
    neutral: NDArray[np.uint8] | None  # (N, S, S, 3) generated; None for a method that generates none
    paired: NDArray[np.bool_]  # (N,) the true neutral face is known
    true_neutral: NDArray[np.uint8]  # (N, S, S, 3) the image itself where not paired

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Answers({len(self)} pictures, {len(set(self.subjects) - {''})} people, {', '.join(self.expressions)})"

    @property
    def classification(self) -> Classification:
        """The predictions on single pictures, with the truth."""
        return Classification(self.expressions, self.probabilities, self.target)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Answers:
        """The given rows (indices or a mask), in that order."""
        index = np.arange(len(self))[rows]
        own: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        taken = {name: value[index] for name, value in own.items() if isinstance(value, np.ndarray)}
        return Answers(**{**own, **taken, "attributes": tuple(self.attributes[i] for i in index)})


def joined(parts: Sequence[Answers]) -> Answers:
    """The answers of several folds as one; AnswersError where they come from different kinds of models."""
    first = parts[0]
    for part in parts[1:]:
        same = part.expressions == first.expressions and part.images.shape[1:] == first.images.shape[1:]
        if not same or (part.neutral is None) != (first.neutral is None):
            raise AnswersError("the folds differ in expressions, image size or whether neutral faces were generated")
    arrays: dict[str, Any] = {}
    for field in fields(Answers):
        values = [getattr(part, field.name) for part in parts]
        if isinstance(values[0], np.ndarray):
            arrays[field.name] = np.concatenate(values)
    attributes = tuple(each for part in parts for each in part.attributes)
    return Answers(**{"neutral": None, **arrays, "expressions": first.expressions, "attributes": attributes})


def write_answers(path: Path, answers: Answers) -> None:
    """Write answers to one Parquet file, with pictures as PNG; atomically."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = pa.list_(pa.float32())
    columns = {
        "name": pa.array(answers.names.tolist(), pa.string()),
        "fold": pa.array(answers.folds.tolist(), pa.string()),
        "subject": pa.array(answers.subjects.tolist(), pa.string()),
        "sequence": pa.array(answers.sequences.tolist(), pa.string()),
        "frame": pa.array(answers.frames, pa.int64()),
        "attributes": pa.array([json.dumps(each) for each in answers.attributes], pa.string()),
        "target": pa.array(answers.target.tolist(), numbers),
        "probabilities": pa.array(answers.probabilities.tolist(), numbers),
        "image": pa.array(map(_png, answers.images), pa.binary()),
        "neutral": pa.array(_pngs(answers.neutral, np.ones(len(answers), bool)), pa.binary()),
        "true_neutral": pa.array(_pngs(answers.true_neutral, answers.paired), pa.binary()),
    }
    about = {"format": FORMAT, "expressions": list(answers.expressions), "generates": answers.neutral is not None}
    table = pa.table(columns).replace_schema_metadata({METADATA_KEY: json.dumps(about)})
    with replacing(path) as partial:
        pq.write_table(table, partial)


def read_answers(path: str | Path) -> Answers:
    """Read a file that `write_answers` wrote; AnswersError for any other file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise AnswersError(f"{path} cannot be read as answers: {error}; `deadpan evaluate` writes them") from None
    about = json.loads((table.schema.metadata or {}).get(METADATA_KEY, b"{}"))
    if about.get("format") != FORMAT:
        raise AnswersError(f"{path} holds no answers of format {FORMAT}; `deadpan evaluate` writes them")
    own = table.to_pydict()
    images = np.stack([_pixels(each) for each in own["image"]])
    truths = zip(own["true_neutral"], images, strict=True)
    return Answers(
        expressions=tuple(about["expressions"]),
        names=np.array(own["name"], np.str_),
        folds=np.array(own["fold"], np.str_),
        subjects=np.array(own["subject"], np.str_),
        sequences=np.array(own["sequence"], np.str_),
        frames=np.array(own["frame"], np.int64),
        attributes=tuple(json.loads(each) for each in own["attributes"]),
        target=np.array(own["target"], np.float32),
        probabilities=np.array(own["probabilities"], np.float32),
        images=images,
        neutral=np.stack([_pixels(each) for each in own["neutral"]]) if about["generates"] else None,
        paired=np.array([each is not None for each in own["true_neutral"]]),
        true_neutral=np.stack([image if each is None else _pixels(each) for each, image in truths]),
    )


def _png(pixels: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


def _pngs(pictures: NDArray[np.uint8] | None, known: NDArray[np.bool_]) -> list[bytes | None]:
    """A PNG for each known picture, None for the others."""
    if pictures is None:
        return [None] * len(known)
    return [_png(picture) if there else None for picture, there in zip(pictures, known, strict=True)]


def _pixels(encoded: bytes) -> NDArray[np.uint8]:
    decoded: Any = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(decoded[..., ::-1], np.uint8)
