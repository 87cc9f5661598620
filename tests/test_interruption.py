"""Tests of the processes that an interruption does not reach."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys

import pytest

from deadpan.interruption import worker_pool


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals to single processes")
def test_ctrl_c_does_not_reach_a_worker_that_is_still_starting() -> None:
    with worker_pool(1) as pool:
        parent = pool.submit(os.getppid)  # starts the process, which then needs a while to import
        (worker,) = multiprocessing.active_children()
        assert worker.pid
        os.kill(worker.pid, signal.SIGINT)
        assert parent.result(timeout=60) == os.getpid()
        os.kill(worker.pid, signal.SIGINT)  # nor one that works
        assert pool.submit(os.getpid).result(timeout=60) == worker.pid
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
