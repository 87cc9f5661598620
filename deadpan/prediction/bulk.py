"""Process many items in threads: results in the order of the items, few items in memory, and a prompt stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from threading import Event
from typing import TypeVar

import cv2

from deadpan.jobs import Stopped

Item = TypeVar("Item")
Result = TypeVar("Result")

WAITING = 2
"""Chunks per worker that are being processed, or finished and not yet taken by the caller.

With two, no worker has to wait for the next chunk, and memory does not grow with the number of items.
"""


def in_order(
    work: Callable[[Sequence[Item], Callable[[], None]], Iterable[Result]],
    items: Iterable[Item],
    workers: int,
    size: int,
) -> Iterator[Result]:
    """Call `work` on chunks of at most `size` items in `workers` threads; yield the results in the order of the items.

    The thread that iterates over the results also iterates over `items`, a few chunks ahead. `work` gets the chunk and
    a function that it must call before each item; this function raises Stopped once the results are no longer wanted.
    An error of `work` or of `items` is raised after the results of the earlier items. Closing the iterator stops all
    workers.
    """
    stopped = Event()

    def go_on() -> None:
        if stopped.is_set():
            raise Stopped

    rest = iter(items)
    waiting: deque[Future[list[Result]]] = deque()
    pool = ThreadPoolExecutor(workers, "deadpan")

    def submit() -> bool:
        chunk = list(islice(rest, size))
        if chunk:
            waiting.append(pool.submit(lambda: list(work(chunk, go_on))))
        return bool(chunk)

    try:
        with one_thread_of_opencv():
            more = True
            while more or waiting:
                while more and len(waiting) < WAITING * workers:
                    more = submit()
                if waiting:
                    yield from waiting.popleft().result()
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)


@contextmanager
def one_thread_of_opencv() -> Iterator[None]:
    """Keep OpenCV to one thread: its own threads, one for each core of the host, would compete with the workers."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
