"""Groups of pictures that a data set's attributes define, such as women and men, or ages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
"""Indices of pictures."""

LEAST = 10  # groups with fewer pictures are left out: their accuracy is mostly chance and would widen the gap

MOST = 12  # an attribute with more words holds names, not groups

FEW = 4  # up to this many different numbers each form a group, such as intensities 1 to 4

BOOKKEEPING = re.compile(
    r"AU\d+.*|majority|part|phase|elicited|take|session|sentence|film|valence|arousal", re.IGNORECASE
)
"""Attributes about labels and recording sessions, not about the person or the view."""


def groups_in(attributes: Sequence[dict[str, Any]]) -> dict[str, dict[str, Rows]]:
    """The rows of each group of each attribute: {"gender": {"female": rows}}, from the attributes of N pictures.

    Groups of fewer than LEAST pictures and attributes with fewer than two larger groups are left out.
    """
    out = {}
    for name in sorted({key for each in attributes for key in each}):
        if BOOKKEEPING.fullmatch(name):
            continue
        groups = grouped([each.get(name) for each in attributes], decades=name.lower() == "age")
        kept = {group: rows for group, rows in groups.items() if len(rows) >= LEAST}
        if len(kept) > 1:
            out[name] = kept
    return out


def grouped(values: Sequence[Any], *, decades: bool = False) -> dict[str, Rows]:
    """The rows of each group that an attribute's values define, in order; None and "" are unknown.

    Up to 12 words, or 4 different numbers, are groups themselves. More numbers are divided into thirds, or into decades
    with `decades`. The result is empty where all values are equal, or for more words.
    """
    rows = np.array([row for row, value in enumerate(values) if value is not None and value != ""], np.int64)
    known = [values[row] for row in rows]
    if all(isinstance(value, int | float) for value in known):
        numbers = np.array(known, np.float64)
        kinds = np.unique(numbers)
        if len(kinds) > FEW:
            return _decades(rows, numbers) if decades else _thirds(rows, numbers)
        groups = {f"{kind:g}": rows[numbers == kind] for kind in kinds}
    else:
        words = np.array([str(value) for value in known])
        groups = {str(kind): rows[words == kind] for kind in np.unique(words)}
    return groups if 2 <= len(groups) <= MOST else {}


def _decades(rows: Rows, ages: NDArray[np.float64]) -> dict[str, Rows]:
    decade = (ages // 10 * 10).astype(int)
    return {f"{start} to {start + 9}": rows[decade == start] for start in np.unique(decade)}


def _thirds(rows: Rows, numbers: NDArray[np.float64]) -> dict[str, Rows]:
    low, high = np.quantile(numbers, (1 / 3, 2 / 3))
    masks = {
        f"up to {low:.3g}": numbers <= low,
        f"{low:.3g} to {high:.3g}": (numbers > low) & (numbers <= high),
        f"over {high:.3g}": numbers > high,
    }
    return {name: rows[mask] for name, mask in masks.items() if mask.any()}
