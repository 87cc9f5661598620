"""The example faces of a report: their selection and their encoding in the page."""

from __future__ import annotations

import base64
import io
import zlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deadpan.evaluation.answers import Answers
from deadpan.prediction.panel import heat_map

MOST = 12  # at most this many pictures in a gallery

PER_PERSON = 2  # at most this many pictures of one person


@dataclass(frozen=True)
class GalleryFace:
    """One picture of a gallery: its faces, each with a caption and as a data URI, and the prediction."""

    name: str
    person: str
    truth: str
    answer: str
    probability: float
    tiles: tuple[tuple[str, str], ...]


def gallery(answers: Answers, *, right: bool) -> list[GalleryFace]:
    """Up to MOST pictures that were predicted correctly, or wrongly."""
    return [_gallery_face(answers, row) for row in chosen(answers, right=right)]


def chosen(answers: Answers, *, right: bool) -> list[int]:
    """The rows of a gallery: true expressions alternate, with at most PER_PERSON pictures of a person.

    Within an expression, pictures are sorted by a checksum of their names. Nobody picks them, and the choice is always
    the same.
    """
    classified = answers.classification
    truth = classified.truth
    names = [str(name) for name in answers.names]
    rows = np.flatnonzero((classified.answer == truth) == right).tolist()
    turns: Counter[int] = Counter()
    queue = []
    for row in sorted(rows, key=lambda row: (zlib.crc32(names[row].encode()), names[row])):
        queue.append((turns[truth[row]], int(truth[row]), row))
        turns[truth[row]] += 1
    of_person: Counter[str] = Counter()
    taken: list[tuple[int, int, int]] = []
    for _, expression, row in sorted(queue):
        person = str(answers.subjects[row])
        if len(taken) < MOST and (not person or of_person[person] < PER_PERSON):
            of_person[person] += 1
            taken.append((expression, len(taken), row))
    return [row for _, _, row in sorted(taken)]


def _gallery_face(answers: Answers, row: int) -> GalleryFace:
    classified = answers.classification
    image, answer = answers.images[row], int(classified.answer[row])
    tiles = [("image", image)]
    if answers.neutral is not None:
        made = answers.neutral[row]
        residue = np.abs(image.astype(np.float32) - made).mean(2) / 255  # (S, S)
        tiles += [("neutral", made), ("residue", heat_map(residue, len(image)))]
    if answers.paired[row]:
        tiles.append(("true neutral", answers.true_neutral[row]))
    return GalleryFace(
        name=str(answers.names[row]),
        person=str(answers.subjects[row]),
        truth=answers.expressions[int(classified.truth[row])],
        answer=answers.expressions[answer],
        probability=float(answers.probabilities[row, answer]),
        tiles=tuple((caption, data_uri(pixels)) for caption, pixels in tiles),
    )


def data_uri(pixels: NDArray[np.uint8]) -> str:
    """(H, W, 3) uint8 RGB as a JPEG data URI."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
