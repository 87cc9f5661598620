"""The quality of generated neutral faces: distance to the true ones, identity, and the remaining expression."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from deadpan.comparison.identity import Identity
from deadpan.evaluation.answers import Answers
from deadpan.loading.batches import ordered
from deadpan.metrics.measurement import Answer
from deadpan.metrics.neutral_faces import Faces, Similarity, compare_kinds
from deadpan.pixels import to_network
from deadpan.prediction.predictor import Predictor
from deadpan.preparation.table import FaceTable

LIMIT = 5000  # at most this many pictures of a run are compared with their true neutral faces

READ = 2000  # at most this many pictures of a run are classified for a remaining expression

JUDGE = "cnn"  # the released model that classifies them

CHUNK = 256  # pictures at a time


def compare_answers(answers: Answers, similarity: Similarity | None) -> dict[str, dict[str, Any]]:
    """`compare_kinds` of a run's stored neutral faces, on at most 5,000 pictures.

    ValueError where `answers` holds no generated faces.
    """
    rows = chosen(answers, answers.paired, LIMIT)
    at_rest = torch.from_numpy(~expressive(answers))
    made = answers.neutral
    if made is None:
        raise ValueError("these answers hold no generated neutral faces: their method generates none")

    def parts() -> Iterator[Faces]:
        for start in range(0, len(rows), CHUNK):
            some = rows[start : start + CHUNK]
            pictures = (answers.images, answers.true_neutral, made)
            image, neutral, generated = (torch.from_numpy(to_network(each[some])) for each in pictures)
            yield Faces(image, neutral, generated, at_rest[some])

    return compare_kinds(parts(), similarity)


def expression_left(answers: Answers, predictor: Predictor | None = None) -> dict[str, Any] | None:
    """Classify the generated neutral faces of expressive pictures, and the pictures themselves, by a released model.

    {"judge", "pictures", "read_as_neutral", "image_read_as_neutral", "recognised", "image_recognised"}: shares of at
    most 2,000 expressive pictures whose expression the model knows. None where there is no such picture.
    """
    predictor = predictor or Predictor(JUDGE)
    known = np.array([name in predictor.expressions for name in answers.expressions])
    truth = answers.classification.truth
    rows = chosen(answers, expressive(answers) & known[truth], READ)
    if not len(rows) or answers.neutral is None:
        return None
    names = [answers.expressions[index] for index in truth[rows]]
    out: dict[str, Any] = {"judge": f"{predictor.name} (released)", "pictures": len(rows)}
    for prefix, pictures in (("", answers.neutral), ("image_", answers.images)):
        read = predictor.predict_faces(resized(pictures[rows], predictor.image_size)).probabilities.argmax(1)
        words = [predictor.expressions[index] for index in read]
        out[f"{prefix}read_as_neutral"] = round(float(np.mean([word == "neutral" for word in words])), 4)
        hits = [word == name for word, name in zip(words, names, strict=True)]
        out[f"{prefix}recognised"] = round(float(np.mean(hits)), 4)
    return out


def expressive(answers: Answers) -> NDArray[np.bool_]:
    """(N,) True where the true expression is not neutral."""
    return np.array([name != "neutral" for name in answers.expressions])[answers.classification.truth]


def chosen(answers: Answers, mask: NDArray[np.bool_], limit: int) -> NDArray[np.int64]:
    """At most `limit` rows of a mask, chosen at random but fixed by name, so that runs over the same pictures agree."""
    rows = np.flatnonzero(mask)
    rows = rows[np.argsort(answers.names[rows], kind="stable")]
    return rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:limit])]


def resized(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Pictures (N, S, S, 3), resized to `side`."""
    if pixels.shape[1] == side:
        return pixels
    way = cv2.INTER_AREA if side < pixels.shape[1] else cv2.INTER_LINEAR
    return np.stack([np.asarray(cv2.resize(each, (side, side), interpolation=way), np.uint8) for each in pixels])


@torch.no_grad()
def measure_neutral(answer: Answer, table: FaceTable, judge: Identity, batch_size: int = 256) -> dict[str, Any]:
    """Measure how close generated neutral faces come to the true ones, for expressive and for neutral faces.

    Each kind has {"pictures", "l1", "ssim", "identity"}, and the same for copying the input as "copy_...". L1 is of the
    range 0 to 1, for expressive faces inside the changed region. Identity is the judge's cosine to the true neutral
    face.
    """
    rest = table.expressions.index("neutral") if "neutral" in table.expressions else -1

    def parts() -> Iterator[Faces]:
        for batch in ordered(table, batch_size):
            made = answer(batch).neutral.float().cpu()[batch.paired]
            pairs = batch[batch.paired]
            yield Faces(pairs.image, pairs.neutral, made, pairs.target.argmax(1) == rest)

    return compare_kinds(parts(), judge.similarity)
