"""Ctrl-C, a request to end (SIGTERM) and a full disk: work stops in order and says what is kept."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from deadpan.printable import printable


class Terminated(KeyboardInterrupt):
    """The process was asked to end by a signal other than Ctrl-C's; `code` is the exit code that says by which."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Inside, SIGTERM and a closed terminal raise Terminated, as Ctrl-C raises KeyboardInterrupt.

    A signal that the process was started to ignore (nohup) stays ignored.
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


def ignore_ctrl_c() -> None:
    """Leave Ctrl-C, which a terminal sends to every process, to the process that started this worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def telling_what_is_kept(text: Callable[[], str]) -> Iterator[None]:
    """Print `text()` on standard error where the block ends by an interruption or because a file cannot be written.

    An empty text says that there is nothing to tell.
    """
    try:
        yield
    except BrokenPipeError:  # the reader of the output has seen enough
        raise
    except (KeyboardInterrupt, OSError):
        if told := text():
            print(printable(told), file=sys.stderr)
        raise
