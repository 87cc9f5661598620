"""Reads photographs on a Ray cluster. A task reads one chunk, and each process of the cluster opens the model once.

The tasks are those that threads run on one machine, so the results are the same and in the same order.
"""

from __future__ import annotations

import pickle
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from deadpan.errors import DeadpanError
from deadpan.jobs import WorkerLost, connected
from deadpan.prediction.folders import Input
from deadpan.prediction.results import PhotographResult
from deadpan.version import __version__

if TYPE_CHECKING:
    from deadpan.prediction.predictor import Predictor

Read = Callable[[Sequence[Input], Callable[[], None]], list[PhotographResult]]
"""A function that reads a chunk of photographs, and calls its second argument to learn whether it should stop."""

RETRIES = 3
"""Times that a chunk is read again after its process was killed."""

AHEAD = 2
"""Chunks per core: the cluster then starts the next one without waiting for the machine that collects the results."""

LOST = "the process that read it was killed"


class ClusterError(DeadpanError):
    """A machine of the cluster that lacks a file or has another model or version than the machine that started it."""


@contextmanager
def reading_on(address: str, predictor: Predictor, read: Read) -> Iterator[tuple[Read, int]]:
    """Connect to a Ray cluster and yield the function that reads a chunk there, and how many can be read at once.

    `read` is a picklable method of `predictor`. If the process that reads a chunk is killed, the chunk is read again.
    After several such deaths its photographs are read one by one, and the result of the one that kills its process has
    an `error`.
    """
    with connected(address) as cluster:
        task = cluster.task(_read_here, retries=RETRIES)
        reader = pickle.dumps((predictor, read, (__version__, predictor.model_id)))

        def work(chunk: Sequence[Input], go_on: Callable[[], None]) -> list[PhotographResult]:
            try:
                results: list[PhotographResult] = task(go_on, reader, pickle.dumps([each.absolute() for each in chunk]))
            except WorkerLost:
                if len(chunk) > 1:
                    return [result for each in chunk for result in work([each], go_on)]
                return [PhotographResult(chunk[0].name, error=LOST)]
            for result in results:
                _check_shared(result)
            return results

        yield work, AHEAD * cluster.count("CPU")


def _check_shared(result: PhotographResult) -> None:
    if result.error == "no such file" and Path(result.path).exists():
        raise ClusterError(
            f"{result.path} is a file on this machine, and not on the machine of the cluster that should read it; "
            "with --ray the photographs must be on a shared disk or at an address such as s3://bucket/photos"
        )


def _read_here(reader: bytes, chunk: bytes) -> list[PhotographResult]:
    """Read a chunk in a process of the cluster."""
    try:
        results: list[PhotographResult] = _opened(reader)(pickle.loads(chunk), lambda: None)
    except DeadpanError as error:
        raise ClusterError(f"on {platform.node()}, a machine of the cluster: {error}") from error
    return results


@lru_cache(maxsize=1)
def _opened(reader: bytes) -> Read:
    """Open the model, once in each process; ClusterError if it is not the model of the machine that started this."""
    predictor, read, expected = pickle.loads(reader)
    found: Any = (__version__, predictor.model_id)
    if found != expected:
        raise ClusterError("expected deadpan {} with the model {}, found deadpan {} with {}".format(*expected, *found))
    cv2.setNumThreads(1)  # its own threads would compete with the other processes
    opened: Read = read
    return opened
