"""The eight expressions in their fixed order, and the check of a subset of them."""

from __future__ import annotations

from collections.abc import Sequence

EXPRESSIONS: tuple[str, ...] = (
    "neutral",
    "anger",
    "contempt",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
)
"""Every expression deadpan knows, in the order used in files, tensors and tables."""


def check_expressions(names: Sequence[str]) -> tuple[str, ...]:
    """Return `names` as a tuple; ValueError for unknown, repeated or wrongly ordered expressions, or fewer than two."""
    names = tuple(names)
    unknown = [name for name in names if name not in EXPRESSIONS]
    if unknown:
        raise ValueError(f"unknown expression {unknown[0]!r}; known are {', '.join(EXPRESSIONS)}")
    ordered = tuple(name for name in EXPRESSIONS if name in names)
    if names != ordered:
        raise ValueError(f"expressions must occur once, in the order {', '.join(ordered)}; got {', '.join(names)}")
    if len(names) < 2:
        raise ValueError(f"expected at least two expressions; got {', '.join(names) or 'none'}")
    return names
