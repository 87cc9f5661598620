"""The ranges of numeric settings, which are checked when a dataclass of settings is created."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from deadpan.errors import DeadpanError


class SettingError(DeadpanError):
    """A setting out of its range; the text gives the range and the value."""


@dataclass(frozen=True)
class Range:
    """Finite numbers from `least` to `most`; `above` excludes `least` itself, and `below` excludes `most`."""

    least: float = -math.inf
    most: float = math.inf
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        end = value in (self.least if self.above else None, self.most if self.below else None)
        return math.isfinite(value) and self.least <= value <= self.most and not end

    def __str__(self) -> str:
        least = f"{'above' if self.above else 'at least'} {self.least:g}"
        return least if math.isinf(self.most) else f"{least} and {'below' if self.below else 'at most'} {self.most:g}"


POSITIVE = Range(0, above=True)

NOT_NEGATIVE = Range(0)

COUNT = Range(1)

SHARE = Range(0, 1)

METHOD_RANGES = {"image_size": COUNT, "width": POSITIVE, "code": COUNT, "dropout": Range(0, 1, below=True)}
"""Ranges of the methods' settings by name. All other learning rates are positive, all other numbers at least 0."""


def check_ranges(settings: Any, **ranges: Range) -> None:
    """Raise SettingError if a named setting is out of its range; every number of a tuple is checked."""
    for name, allowed in ranges.items():
        value = getattr(settings, name)
        for number in value if isinstance(value, tuple) else (value,):
            if number not in allowed:
                raise SettingError(f"{name} must be {allowed}; got {number}")


def check_epochs(settings: Any, *names: str) -> None:
    """Raise SettingError if a number of epochs is negative, or if all of them are 0."""
    check_ranges(settings, **dict.fromkeys(names, NOT_NEGATIVE))
    if not any(getattr(settings, name) for name in names):
        raise SettingError(f"{' or '.join(names)} must be at least 1: if all are 0, nothing is trained")


def check_method_settings(config: Any) -> None:
    """Raise SettingError if a setting of a method is out of its range; every Config calls it in __post_init__."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    numbers = [name for name, value in values.items() if isinstance(value, int | float) and not isinstance(value, bool)]
    check_epochs(config, *(name for name in numbers if name.endswith("epochs")))
    ranges = {name: POSITIVE if name.endswith("rate") else NOT_NEGATIVE for name in numbers} | METHOD_RANGES
    check_ranges(config, **{name: ranges[name] for name in numbers})
