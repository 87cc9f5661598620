"""The progress bar of long commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class Rate(ProgressColumn):
    """Photographs per second, measured over the last half minute."""

    def render(self, task: Task) -> Text:
        """The rate as text; empty until it is known."""
        return Text("" if task.speed is None else f"{task.speed:,.1f}/s", style="cyan")


@contextmanager
def progress_bar(total: int | None, done: int) -> Iterator[Callable[[], None]]:
    """Show a bar with rate and time left on standard error; yield a function to call after each photograph.

    `done` photographs count as finished from the start. If `total` is None, the bar only counts. Messages on standard
    error appear above the bar.
    """
    columns = (BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn(), TimeElapsedColumn())
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("", total=total, completed=done)
        yield lambda: bar.advance(task)
