"""Distances between generated and true neutral faces."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

CHANGED = 0.06
"""A pixel counts as changed by the expression above this local difference (of the range 0 to 1). It is larger than the
sensor noise of synthetic people (0.006) and smaller than the shading of a mild smile."""


def changed_region(image: Tensor, neutral: Tensor) -> Tensor:
    """Where the expression changed the face: (N, 3, S, S) in [-1, 1] twice -> (N, 1, S, S) of 0 and 1."""
    difference = F.avg_pool2d((image - neutral).abs().mean(1, keepdim=True), 5, stride=1, padding=2) / 2
    return (difference > CHANGED).float()


def region_l1(a: Tensor, b: Tensor, region: Tensor) -> Tensor:
    """Mean absolute difference inside the region, of the range 0 to 1: (N,); NaN where the region is empty."""
    difference = (a - b).abs().mean(1, keepdim=True) / 2  # (N, 1, S, S)
    total: Tensor = (difference * region).sum((1, 2, 3)) / region.sum((1, 2, 3))
    return total


Similarity = Callable[[Tensor, Tensor], Tensor]
"""Similarity of the identities of two sets of faces: (N, 3, S, S) twice -> (N,), as `Identity.similarity`."""


class Faces(NamedTuple):
    """Images with true and generated neutral faces, (N, 3, S, S) in [-1, 1]; `at_rest` (N,) marks neutral images."""

    image: Tensor
    neutral: Tensor
    made: Tensor
    at_rest: Tensor


def compare_faces(
    image: Tensor, neutral: Tensor, made: Tensor, similarity: Similarity | None, *, whole: bool
) -> dict[str, Tensor]:
    """L1, SSIM and identity between generated and true neutral faces, (N,) each; "copy_..." for copying the image.

    Faces are (N, 3, S, S) in [-1, 1]. L1 is of the range 0 to 1, over the `whole` face or the changed region (NaN where
    nothing changed). Identity needs a `similarity`.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure  # half a second to import

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
    """Means of `compare_faces`: expressive faces inside the changed region, neutral faces over the whole face.

    {"expressive" or "neutral": {"pictures", "l1", ..., "copy_l1", ...}}. Kinds without pictures are left out; a mean
    that no picture has is None.
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


def _mean(values: Tensor) -> float | None:
    """The mean of the finite values, rounded to four places; None without any."""
    finite = values[values.isfinite()]
    return round(float(finite.mean()), 4) if len(finite) else None
