"""The progress bar of an epoch: finished steps, pictures per second, remaining time of the epoch and of the stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


@contextmanager
def epoch_progress(console: Console, title: str, steps: int, further_epochs: int) -> Iterator[Callable[[int], None]]:
    """Show a bar while an epoch runs; yields a function to call after each step with the number of its pictures."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]:.0f} pictures/s"),
        TimeRemainingColumn(),
        TextColumn("stage {task.fields[stage_left]}"),
    )
    begun, pictures = time.perf_counter(), 0
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=steps, rate=0.0, stage_left="")

        def advance(count: int) -> None:
            nonlocal pictures
            pictures += count
            seconds = time.perf_counter() - begun
            done = int(progress.tasks[0].completed) + 1
            left = seconds / done * (steps - done + steps * further_epochs)
            progress.update(task, advance=1, rate=pictures / seconds, stage_left=f"{left / 60:.0f} min left")

        yield advance
