"""Runs work on chunks of pictures in several processes, and shows the progress."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import chain, islice
from typing import TypeVar

import cv2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deadpan.interruption import worker_pool

Chunk = TypeVar("Chunk")

Result = TypeVar("Result")


def in_turn(work: Callable[[Chunk], Result], chunks: Iterable[Chunk], workers: int) -> Iterator[Result]:
    """Yield the result of `work` for each chunk, in order, with at most four chunks per worker in memory."""
    rest = iter(chunks)
    first = list(islice(rest, 2))  # one chunk needs no pool
    rest = chain(first, rest)
    if workers == 1 or len(first) <= 1:
        threads = cv2.getNumThreads()
        try:
            yield from map(work, rest)
        finally:
            cv2.setNumThreads(threads)
        return
    pool = worker_pool(workers, _begin_worker)
    pending: deque[Future[Result]] = deque()
    try:
        for chunk in rest:
            pending.append(pool.submit(work, chunk))
            if len(pending) >= 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    cv2.setNumThreads(1)  # the processes share the cores; threads inside them would only compete
    warnings.filterwarnings("ignore", module=r"PIL\.")  # about odd metadata and very large pictures


def progress_bar(console: Console) -> Progress:
    """A progress bar with the finished share, the rate and the remaining time."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
