"""Work in threads: in order, bounded, with errors in their turn, stopped at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import cv2
import pytest

from deadpan.prediction.bulk import WAITING, in_order

GoOn = Callable[[], None]


def doubled(chunk: Sequence[int], go_on: GoOn) -> list[int]:
    time.sleep(0.002 * (chunk[0] % 3))  # later chunks are done before earlier ones
    return [2 * each for each in chunk]


@pytest.mark.parametrize(("workers", "size"), [(1, 1), (3, 1), (3, 4), (8, 100)])
def test_results_come_in_the_order_of_the_items(workers: int, size: int) -> None:
    assert list(in_order(doubled, range(50), workers, size)) == [2 * each for each in range(50)]
    assert list(in_order(doubled, [], workers, size)) == []


def test_several_threads_work_at_once() -> None:
    together = threading.Barrier(3, timeout=20)

    def work(chunk: Sequence[int], go_on: GoOn) -> Sequence[int]:
        together.wait()  # no call returns before three have begun
        return chunk

    assert list(in_order(work, range(6), 3, 1)) == list(range(6))


def test_items_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for each in range(10_000):
            taken.append(each)
            yield each

    results = in_order(doubled, items(), 2, 5)
    assert next(results) == 0
    assert len(taken) <= (WAITING * 2 + 1) * 5
    results.close()  # type: ignore[attr-defined]
    assert len(taken) <= (WAITING * 2 + 1) * 5


def test_an_error_is_raised_in_its_turn() -> None:
    def work(chunk: Sequence[int], go_on: GoOn) -> Sequence[int]:
        if chunk[0] == 3:
            raise FloatingPointError("three")
        return chunk

    results = in_order(work, range(100), 2, 1)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(FloatingPointError, match="three"):
        next(results)


def test_a_closed_iterator_stops_its_workers() -> None:
    done: list[int] = []

    def work(chunk: Sequence[int], go_on: GoOn) -> Sequence[int]:
        for each in chunk:
            go_on()
            time.sleep(0.01)
            done.append(each)
        return chunk

    results = in_order(work, range(10_000), 2, 1000)
    reader = threading.Thread(target=lambda: next(results))
    reader.start()
    reader.join(0.1)
    assert reader.is_alive()
    stopped = in_order(work, range(5000), 1, 1)
    next(stopped)
    began = time.monotonic()
    stopped.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 5
    reader.join(30)
    count = len(done)
    results.close()  # type: ignore[attr-defined]
    time.sleep(0.1)
    assert len(done) <= count + 4  # what was in work when it was closed


def test_opencv_uses_one_thread_meanwhile() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        inside = list(in_order(lambda chunk, _: [cv2.getNumThreads()], range(3), 2, 1))
        assert inside == [1, 1, 1] and cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)
