"""Handles interruptions (Ctrl-C, SIGTERM) and a full disk: work stops, and a message says which results are kept."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from types import FrameType

from deadpan.printable import printable


class Terminated(KeyboardInterrupt):
    """The process received a signal to terminate; `code` is its exit code, 128 plus the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Raise Terminated inside the block on SIGTERM and when the terminal is closed.

    Signals that the process was started to ignore (nohup) are still ignored.
    """

    def end(number: int, _: FrameType | None) -> None:
        raise Terminated(number)

    names = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        taken = []  # only the main thread may set handlers
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def worker_pool(workers: int, begin: Callable[[], object] | None = None) -> ProcessPoolExecutor:
    """Return a pool of processes that Ctrl-C does not reach; each calls `begin` first.

    A terminal sends Ctrl-C to every process, but only the parent should act on it: it ends its workers. They are
    spawned, not forked: that works the same on Linux, macOS and Windows, and is safe in a process that runs threads.
    """
    return ProcessPoolExecutor(workers, _Workers(), initializer=begin)


class _Worker(SpawnProcess):
    """A spawned process that ignores Ctrl-C, on Linux and macOS from its start, so that it can import in peace."""

    def start(self) -> None:
        if not hasattr(signal, "pthread_sigmask"):  # Windows
            super().start()
            return
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # the new process inherits it
        try:
            super().start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def run(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        super().run()


class _Workers(SpawnContext):
    Process = _Worker


@contextmanager
def telling_what_is_kept(text: Callable[[], str]) -> Iterator[None]:
    """Print `text()` on standard error if the block ends by an interruption or because a file cannot be written.

    An empty text is not printed.
    """
    try:
        yield
    except BrokenPipeError:  # the program that reads the output has ended
        raise
    except (KeyboardInterrupt, OSError):
        if told := text():
            print(printable(told), file=sys.stderr)
        raise
