"""How good generated neutral faces are: how near the true ones, whose face it still is, and what expression is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deadpan.answers import Answers
from deadpan.metrics import changed_region, region_l1
from deadpan.prediction import Predictor

Similarity = Callable[[Tensor, Tensor], Tensor]
"""How alike the people of two faces are: (N, 3, S, S) twice -> (N,), as `Identity.similarity`."""

LIMIT = 5000  # pictures of a run that are compared with their true neutral faces
READ = 2000  # pictures of a run whose left expression is read
JUDGE = "cnn"  # the released model that reads it
CHUNK = 256


class Faces(NamedTuple):
    """Images with the true and the made neutral face, (N, 3, S, S) in [-1, 1], and which are neutral already (N,)."""

    image: Tensor
    neutral: Tensor
    made: Tensor
    at_rest: Tensor


def compare_faces(
    image: Tensor, neutral: Tensor, made: Tensor, similarity: Similarity | None, *, whole: bool
) -> dict[str, Tensor]:
    """L1, SSIM and identity of made to true neutral faces, (N,) each, and of copying the image as "copy_...".

    Faces are (N, 3, S, S) in [-1, 1]. L1 is of the range 0 to 1, over the whole face or the changed region (NaN where
    nothing changed); identity is absent without a `similarity`.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure  # half a second that few need

    region = changed_region(image, neutral)
    region = torch.ones_like(region) if whole else region
    out: dict[str, Tensor] = {}
    for prefix, faces in (("", made), ("copy_", image)):
        out[f"{prefix}l1"] = region_l1(faces, neutral, region)
        similar = structural_similarity_index_measure(faces, neutral, data_range=2.0, reduction="none")
        out[f"{prefix}ssim"] = torch.as_tensor(similar).reshape(-1)
        if similarity is not None:
            out[f"{prefix}identity"] = similarity(faces, neutral)
    return out


@torch.no_grad()
def compare_kinds(parts: Iterable[Faces], similarity: Similarity | None) -> dict[str, dict[str, Any]]:
    """Means of `compare_faces` over the expressive faces, in the changed region, and over the neutral ones, wholly.

    {"expressive" or "neutral": {"pictures", "l1", ..., "copy_l1", ...}}, of kinds that there are; None for a mean that
    no picture has.
    """
    kinds: dict[str, list[dict[str, Tensor]]] = {"expressive": [], "neutral": []}
    for faces in parts:
        for kind, rows in (("expressive", ~faces.at_rest), ("neutral", faces.at_rest)):
            if rows.any():
                chosen = (faces.image[rows], faces.neutral[rows], faces.made[rows])
                kinds[kind].append(compare_faces(*chosen, similarity, whole=kind == "neutral"))
    out: dict[str, dict[str, Any]] = {}
    for kind, found in kinds.items():
        if found:
            columns = {name: torch.cat([part[name] for part in found]) for name in found[0]}
            out[kind] = {"pictures": len(columns["l1"]), **{name: _mean(values) for name, values in columns.items()}}
    return out


def compare_answers(answers: Answers, similarity: Similarity | None) -> dict[str, dict[str, Any]]:
    """`compare_kinds` of a run's stored neutral faces, at most 5,000 pictures; `answers` must hold generated ones."""
    rows = chosen(answers, answers.paired, LIMIT)
    at_rest = torch.from_numpy(~expressive(answers))
    made = answers.neutral
    if made is None:
        raise ValueError("these answers hold no generated neutral faces; the method makes none")

    def parts() -> Iterator[Faces]:
        for start in range(0, len(rows), CHUNK):
            some = rows[start : start + CHUNK]
            image, neutral = to_network(answers.images[some]), to_network(answers.true_neutral[some])
            yield Faces(image, neutral, to_network(made[some]), at_rest[some])

    return compare_kinds(parts(), similarity)


def expression_left(answers: Answers, predictor: Predictor | None = None) -> dict[str, Any] | None:
    """What a released model reads on the neutral faces of expressive pictures, and on the pictures themselves.

    {"judge", "pictures", "read_as_neutral", "image_read_as_neutral", "recognised", "image_recognised"}: shares of at
    most 2,000 expressive pictures whose expression the model knows; None where there is none.
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
    """(N,) whether the true expression is another than neutral."""
    return np.array([name != "neutral" for name in answers.expressions])[answers.classification.truth]


def chosen(answers: Answers, mask: NDArray[np.bool_], limit: int) -> NDArray[np.int64]:
    """At most `limit` rows of a mask, a fixed random choice by name: runs over the same pictures get the same ones."""
    rows = np.flatnonzero(mask)
    rows = rows[np.argsort(answers.names[rows], kind="stable")]
    return rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:limit])]


def to_network(pixels: NDArray[np.uint8]) -> Tensor:
    """(N, S, S, 3) uint8 -> (N, 3, S, S) in [-1, 1]."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1


def resized(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """(N, S, S, 3) at another size."""
    if pixels.shape[1] == side:
        return pixels
    way = cv2.INTER_AREA if side < pixels.shape[1] else cv2.INTER_LINEAR
    return np.stack([np.asarray(cv2.resize(each, (side, side), interpolation=way), np.uint8) for each in pixels])


def _mean(values: Tensor) -> float | None:
    """The mean of the finite values, to four places."""
    finite = values[values.isfinite()]
    return round(float(finite.mean()), 4) if len(finite) else None
