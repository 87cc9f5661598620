"""Converts the settings of readers from text: whole numbers, yes and no, and class names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deadpan.datasets.sample import Classes, DatasetError, expression_named

YES, NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


def converted(name: str, value: Any, kind: str) -> Any:
    """Convert text to the type `kind` of a reader's parameter; values that are not text are returned unchanged."""
    if kind.startswith("Classes") and not (value is None or isinstance(value, dict)):
        return read_classes(value if isinstance(value, str) else " ".join(value))
    if not isinstance(value, str):
        return value
    if kind == "int":
        if not value.lstrip("-").isdigit():
            raise DatasetError(f"{name} must be a whole number, got {value!r}")
        return int(value)
    if kind == "bool":
        if value.lower() not in YES + NO:
            raise DatasetError(f"{name} must be yes or no, got {value!r}")
        return value.lower() in YES
    return Path(value) if kind.startswith("Path") else value


def read_classes(text: str) -> Classes:
    """Parse `1=surprise 2=fear 8=none`, separated by blanks or commas; none leaves a class out."""
    classes: dict[str, str | None] = {}
    for part in text.replace(",", " ").split():
        name, found, meaning = part.partition("=")
        if not name or not found:
            raise DatasetError(f"classes must be NAME=EXPRESSION, such as 1=surprise 2=fear; got {part!r}")
        classes[name] = None if meaning.lower() == "none" else expression_named(meaning, f"classes, {part}")
    return classes
