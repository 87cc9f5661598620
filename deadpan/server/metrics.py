"""The metrics for Prometheus (/metrics): only counts and times, nothing about the content of photographs."""

from __future__ import annotations

import os
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable with the folder in which worker processes share their counters, so that each can report sums."""


class Metrics:
    """The metrics of one process, or of all workers if they share a folder."""

    def __init__(self) -> None:
        own = self._own = CollectorRegistry()
        self.requests = Counter("deadpan_requests", "Requests answered.", ["path", "method", "status"], registry=own)
        self.request_seconds = Histogram(
            "deadpan_request_seconds",
            "Seconds from the headers to the end of the answer.",
            ["path"],
            buckets=SECONDS,
            registry=own,
        )
        self.photographs = Counter("deadpan_photographs", "Photographs processed.", registry=own)
        self.faces = Counter("deadpan_faces", "Faces read, in photographs and videos.", registry=own)
        self.frames = Counter("deadpan_frames", "Frames of videos read.", registry=own)
        self.left = Counter("deadpan_left", "Photographs skipped after the client disconnected.", registry=own)
        self.batch_seconds = Histogram("deadpan_batch_seconds", "Seconds per batch.", buckets=SECONDS, registry=own)
        self.running = Gauge(
            "deadpan_requests_running", "Requests in progress.", multiprocess_mode="livesum", registry=own
        )
        self.live = Gauge("deadpan_live", "Live connections.", multiprocess_mode="livesum", registry=own)
        self.queue = Gauge("deadpan_queue", "Photographs in the queue.", multiprocess_mode="livesum", registry=own)
        self._waiting: Callable[[], int] = int

    def watch_queue(self, waiting: Callable[[], int]) -> None:
        """Set the function that returns the length of the queue."""
        self._waiting = waiting

    def batch(self, photographs: int, seconds: float) -> None:
        """Count a batch; a batch without photographs, because all clients disconnected, is not counted."""
        if photographs:
            self.photographs.inc(photographs)
            self.batch_seconds.observe(seconds)

    def text(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        self.queue.set(self._waiting())
        if SHARED not in os.environ:
            return generate_latest(self._own)
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

    def close(self) -> None:
        """Remove the gauges of this process from the shared folder, if there is one."""
        if SHARED in os.environ:
            multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]
