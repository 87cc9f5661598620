"""Wait for a condition, for as long as a machine with other work may take; read a figure of a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import httpx

PATIENCE = 60.0
"""Seconds; a condition that fails only because the machine is slow must not fail a test."""


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends, f"waited for {PATIENCE:g} seconds"
        time.sleep(0.02)


def figure(url: str, line: str, headers: Mapping[str, str] | None = None) -> float:
    """The sum of the lines of /metrics that start with `line`."""
    text = httpx.get(f"{url}metrics", headers=headers, timeout=PATIENCE).text
    return sum(float(each.split()[-1]) for each in text.splitlines() if each.startswith(line))
