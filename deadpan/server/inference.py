"""A queue, and a thread that decodes photographs, detects faces and runs the models, in small batches.

A waiting photograph is kept as the bytes of its file. It is decoded only when the thread works on it, so that memory
does not grow much with the number of clients. ONNX Runtime, OpenCV and Pillow release Python's lock while they work.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from fastapi import HTTPException, Request
from PIL import Image

from deadpan.errors import DeadpanError
from deadpan.faces.face import Face
from deadpan.faces.photographs import read_photograph
from deadpan.pixels import RGB
from deadpan.prediction.predictor import Predictor
from deadpan.prediction.results import FaceResult
from deadpan.server.metrics import Metrics

BATCH = 8
"""Most photographs in a batch. With `derl` on one thread, a face takes 13.8 ms alone and 11.2 ms in a batch of 8."""

BATCH_PIXELS = 8_000_000
"""A batch with at least this many pixels takes no further photograph."""

LOG = logging.getLogger("uvicorn.error")


@dataclass(eq=False)
class Job:
    """One photograph, and the function that makes the answer from its results."""

    content: bytes  # of the file
    finish: Callable[[RGB, list[Face], list[FaceResult]], Any]  # called in the inference thread with the results
    predictor: Predictor | None = None  # None: no face detection, and `finish` gets two empty lists
    future: Future[Any] = field(default_factory=Future)


@dataclass(eq=False)
class Task:
    """Other work for the inference thread, such as one run of a network for a video."""

    work: Callable[[], Any]
    future: Future[Any] = field(default_factory=Future)


class Inference:
    """The queue of jobs and the inference thread."""

    def __init__(self, max_pixels: int, metrics: Metrics) -> None:
        """Create the queue; `max_pixels` is the number of pixels of the largest photograph that is decoded."""
        # Only Pillow can check the size of a picture inside another one (ICO). Its limit is twice this number.
        Image.MAX_IMAGE_PIXELS = max_pixels // 2
        self.max_pixels = max_pixels
        self.seconds = 0.1
        """Running mean of the seconds that one photograph takes."""
        self._metrics = metrics
        self._jobs: queue.SimpleQueue[Job | Task | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        metrics.watch_queue(self._jobs.qsize)

    def start(self) -> None:
        """Start the thread; RuntimeError if it is already running."""
        if self.works():
            raise RuntimeError("the inference thread is already running")
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    def submit(self, job: Job | Task) -> Future[Any]:
        """Add a job or a task to the queue and return its future; RuntimeError if the thread is not running.

        The future of a job holds the answer of `finish`, or PhotographError if the content is not a readable
        photograph. The future of a task holds what its work returns.
        """
        if not self.works():
            raise RuntimeError("the inference thread is not running")
        self._jobs.put(job)
        return job.future

    @property
    def waiting(self) -> int:
        """Number of photographs in the queue."""
        return self._jobs.qsize()

    def works(self) -> bool:
        """Whether the thread is running."""
        return self._thread is not None and self._thread.is_alive()

    def close(self) -> None:
        """Finish the jobs in the queue, then stop the thread."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            taken_jobs, ended = self._take()
            jobs = [job for job in taken_jobs if isinstance(job, Job)]
            for task in taken_jobs:
                if isinstance(task, Task):
                    _do(task)
            started = time.perf_counter()
            try:
                done = self._work(jobs)
            except Exception as error:  # only this batch fails; the thread continues with the next one
                LOG.exception("a batch failed")
                done = [job for job in jobs if not job.future.done()]
                for job in done:
                    job.future.set_exception(error)
            taken = time.perf_counter() - started
            self._metrics.batch(len(done), taken)
            if done:
                self.seconds += (taken / len(done) - self.seconds) / 10

    def _take(self) -> tuple[list[Job | Task], bool]:
        """Wait for a job and take it with the waiting ones, at most BATCH; also return whether the queue was closed."""
        jobs: list[Job | Task] = []
        job = self._jobs.get()
        while job is not None:
            jobs.append(job)
            if len(jobs) == BATCH:
                return jobs, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return jobs, False
        return jobs, True

    def _work(self, jobs: Sequence[Job]) -> list[Job]:
        """Answer the jobs; skip those whose client has disconnected, and return the others."""
        opened: list[tuple[Job, RGB]] = []
        worked: list[Job] = []
        pixels_taken = 0
        for job in jobs:
            if not job.future.set_running_or_notify_cancel():
                self._metrics.left.inc()
                continue
            worked.append(job)
            try:
                pixels = read_photograph(job.content, max_pixels=self.max_pixels)
            except Exception as error:
                job.future.set_exception(error)
                continue
            opened.append((job, pixels))
            pixels_taken += pixels.shape[0] * pixels.shape[1]
            if pixels_taken >= BATCH_PIXELS:
                self._predict(opened)
                opened, pixels_taken = [], 0
        self._predict(opened)
        return worked

    def _predict(self, opened: Sequence[tuple[Job, RGB]]) -> None:
        """Read the faces in decoded photographs, those for the same model together, and finish the jobs."""
        for predictor in dict.fromkeys(job.predictor for job, _ in opened):
            mine = [(job, pixels) for job, pixels in opened if job.predictor is predictor]
            try:
                found = [(pixels, predictor.detector(pixels) if predictor else []) for _, pixels in mine]
                read: list[list[FaceResult]] = predictor.read(found) if predictor else [[] for _ in mine]
            except Exception as error:
                if len(mine) > 1:  # an error in one photograph must not affect the others
                    for each in mine:
                        self._predict([each])
                else:
                    mine[0][0].future.set_exception(error)
                continue
            for (job, _), (pixels, faces), results in zip(mine, found, read, strict=True):
                self._metrics.faces.inc(len(faces))
                try:
                    job.future.set_result(job.finish(pixels, faces, results))
                except Exception as error:
                    job.future.set_exception(error)


def _do(task: Task) -> None:
    if task.future.set_running_or_notify_cancel():
        try:
            task.future.set_result(task.work())
        except Exception as error:
            task.future.set_exception(error)


async def results_of(request: Request, inference: Inference, jobs: Sequence[Job]) -> list[Any]:
    """Submit the jobs and return their results, a DeadpanError for each job whose input was wrong.

    If the client disconnects, the jobs that have not begun are cancelled.
    """
    submitted = [asyncio.wrap_future(inference.submit(job)) for job in jobs]
    answered = asyncio.gather(*submitted, return_exceptions=True)
    left = asyncio.ensure_future(request.receive())  # the body is read, so only a disconnect can come
    waited: set[asyncio.Future[Any]] = {answered, left}
    try:
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not answered.done():
            raise HTTPException(499, "the client disconnected")
        return [_or_raise(answer) for answer in answered.result()]
    finally:
        left.cancel()
        answered.cancel()  # cancels the jobs that the inference thread has not begun


def _or_raise(answer: Any) -> Any:
    """Return an answer or an error about the input; raise any other error, which is the server's own."""
    if isinstance(answer, BaseException) and not isinstance(answer, DeadpanError):
        raise answer
    return answer
