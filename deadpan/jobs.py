"""Counts the usable cores, and runs folds in turn, in processes or on a Ray cluster; a failed fold is tried twice."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

Work = Callable[[int], None]

ATTEMPTS = 2

IGNORE_CTRL_C = (signal.SIGINT, signal.SIG_IGN)
"""A terminal sends Ctrl-C to every process; the one that started the others ends them."""


def cores(root: Path = Path("/")) -> int:
    """How many processes can compute at once: the cores of this process, or the container's CPU quota if it is less.

    A container with a quota of 1.5 cores sees all cores of its host; it counts as 2. `root` holds Linux's proc and sys.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([usable, *(math.ceil(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """The CPU quotas in cores that control groups set for this process, of its own group and of those above it."""
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, place = line.split(":", 2)
            if controllers == "":
                tree = root / "sys/fs/cgroup"
            elif "cpu" in controllers.split(","):
                tree = next(path for name in (controllers, "cpu") if (path := root / "sys/fs/cgroup" / name).is_dir())
            else:
                continue
            own = tree / place.lstrip("/")
            # inside a container the path is often the host's, and the container's own group is mounted as the tree
            for group in {tree, *(path for path in (own, *own.parents) if tree in path.parents)}:
                if (quota := _quota(group)) is not None:
                    yield quota


def _quota(group: Path) -> float | None:
    """The quota of one control group, as version 2 (cpu.max) or version 1 (cpu.cfs_quota_us) writes it."""
    with suppress(OSError, ValueError, ZeroDivisionError):
        if (group / "cpu.max").is_file():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return float(quota) / float(period) if quota.strip() not in ("max", "-1") else None
    return None


def run_folds(
    work: Work, indices: Sequence[int], jobs: int = 1, ray: str | None = None, *, gpu: bool = False
) -> Iterator[tuple[int, str | None]]:
    """Run `work` for every index; yields (index, None) after success and (index, error) after failure.

    `jobs` processes share this machine. `ray` is the address of a cluster, or "local"; `work` must then be picklable,
    and with `gpu` each fold gets a whole GPU if the cluster has any. Work that raises or is killed is tried again.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1; got {jobs}")
    if ray is not None and jobs > 1:
        raise ValueError(f"folds run in local processes or on Ray: give --jobs or --ray; got --jobs {jobs} --ray {ray}")
    if ray is None and jobs == 1:
        yield from ((index, attempt(work, index)) for index in indices)
    elif ray is None:
        yield from _threads(lambda index: _in_process(work, index), indices, jobs)
    else:
        with _cluster(ray, gpu) as call:
            yield from _threads(lambda index: call(work, index), indices, len(indices))


def attempt(work: Work, index: int) -> str | None:
    """Call `work` up to twice; None after success, else the last error on one line."""
    text = ""
    for _ in range(ATTEMPTS):
        try:
            work(index)
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
        else:
            return None
    return text


def _threads(work: Work, indices: Sequence[int], width: int) -> Iterator[tuple[int, str | None]]:
    """Run folds concurrently; one thread waits for each running fold, and an interruption ends all their processes."""
    pool = ThreadPoolExecutor(max(1, width))
    stopped = Event()

    def unless_stopped(index: int) -> None:
        if not stopped.is_set():
            work(index)

    waiting = {pool.submit(attempt, unless_stopped, index): index for index in indices}
    try:
        for done in as_completed(waiting):
            yield waiting[done], done.result()
    except (KeyboardInterrupt, GeneratorExit):
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)
        while not all(future.done() for future in waiting):
            for process in multiprocessing.active_children():
                process.terminate()
            time.sleep(0.05)
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _in_process(work: Work, index: int) -> None:
    """Run one fold in its own spawned process, so that a killed fold does not stop the others."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=signal.signal, initargs=IGNORE_CTRL_C) as pool:
        pool.submit(work, index).result()


def _call(work: Work, index: int) -> None:
    work(index)


@contextmanager
def _cluster(address: str, gpu: bool) -> Iterator[Callable[[Work, int], Any]]:
    """Connect to a Ray cluster or start one on this machine, and yield the function that runs work there."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports its use over the network unless told not to
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ValueError("--ray needs the package ray: pip install 'deadpan[ray]'") from error
    own = not ray.is_initialized()
    check_reachable(address)
    if own:
        ray.init(address=address, include_dashboard=False if address == "local" else None, log_to_driver=False)
    gpus = 1 if gpu and ray.cluster_resources().get("GPU") else 0  # type: ignore[no-untyped-call]
    task = ray.remote(_call).options(num_cpus=1, num_gpus=gpus, max_retries=0)
    try:
        yield lambda work, index: ray.get(task.remote(work, index))
    finally:
        if own:
            ray.shutdown()


def check_reachable(address: str) -> None:
    """ValueError for an address without a server; Ray itself would retry for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address in ("local", "auto"):
        return
    if not host or not port.isdigit():
        raise ValueError(f"--ray takes local, auto or HOST:PORT; got {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise ValueError(f"no Ray cluster answers at {address}: {error}; `ray start --head` starts one") from error
