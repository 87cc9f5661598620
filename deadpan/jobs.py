"""Counts the usable cores, connects to a Ray cluster, and runs folds: in turn, in processes or on the cluster."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

from deadpan.interruption import worker_pool

Work = Callable[[int], None]

ATTEMPTS = 2

POLL = 0.2
"""Seconds after which a thread that waits for a cluster looks whether it should stop."""


class Stopped(Exception):
    """Raised in a thread whose results are no longer wanted."""


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
        yield from _threads(lambda index, _: _in_process(work, index), indices, jobs)
    else:
        with connected(ray) as cluster:
            call = cluster.task(_call, gpus=1 if gpu and cluster.count("GPU") else 0)
            yield from _threads(lambda index, go_on: call(go_on, work, index), indices, len(indices))


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


def _threads(
    work: Callable[[int, Callable[[], None]], None], indices: Sequence[int], width: int
) -> Iterator[tuple[int, str | None]]:
    """Run folds concurrently; one thread waits for each running fold, and an interruption ends all their processes.

    `work` gets the index and a function that raises Stopped after an interruption.
    """
    pool = ThreadPoolExecutor(max(1, width))
    stopped = Event()

    def go_on() -> None:
        if stopped.is_set():
            raise Stopped

    def unless_stopped(index: int) -> None:
        go_on()
        work(index, go_on)

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
    with worker_pool(1) as pool:
        pool.submit(work, index).result()


def _call(work: Work, index: int) -> None:
    work(index)


class WorkerLost(Exception):
    """A process of a Ray cluster that ended before it had done its work."""


class Cluster:
    """A connection to a Ray cluster."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def count(self, resource: str) -> int:
        """How many "CPU" or "GPU" the cluster has."""
        return int(self._ray.cluster_resources().get(resource, 0))

    def task(self, function: Callable[..., Any], *, gpus: int = 0, retries: int = 0) -> Callable[..., Any]:
        """Return a function that calls `function` in a process of the cluster, with one CPU, and returns its result.

        Its first argument is a function that it calls while it waits; an error of that function stops the process. The
        other arguments go to `function`. A process that ends early is started again up to `retries` times, and then
        WorkerLost is raised. An error of `function` is raised as it is.
        """
        ray = self._ray
        remote = ray.remote(function).options(num_cpus=1, num_gpus=gpus, max_retries=retries)

        def call(go_on: Callable[[], None], *arguments: Any) -> Any:
            reference = remote.remote(*arguments)
            try:
                while not ray.wait([reference], timeout=POLL)[0]:
                    go_on()
                return ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                raise error.cause from error
            except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as error:
                raise WorkerLost(" ".join(str(error).split())) from error
            except BaseException:
                ray.cancel(reference, force=True)
                raise

        return call


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """Connect to a Ray cluster; "local" starts one on this machine, which ends with the block.

    ValueError if Ray is not installed or no cluster answers at `address`.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports its use over the network unless told not to
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ValueError("--ray needs the package ray: pip install 'deadpan[ray]'") from error
    own = not ray.is_initialized()
    check_reachable(address)
    if own:
        here: dict[str, Any] = {"include_dashboard": False, "num_cpus": cores()} if address == "local" else {}
        try:
            with _same_signals():
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **here)
        except ConnectionError as error:
            advice = (
                "if the cluster was started with a token, set RAY_AUTH_MODE=token, or give --ray auto on its machines"
            )
            raise ValueError(f"cannot connect to the Ray cluster at {address}: {error}; {advice}") from error
    try:
        yield Cluster(ray)
    finally:
        if own:
            ray.shutdown()


@contextmanager
def _same_signals() -> Iterator[None]:
    """Restore the handler of SIGTERM: Ray's own ends the process without saying which results are kept."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)


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
