"""Opens networks on ONNX Runtime; the only module that imports it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

# Without this variable the runtime writes a device id and a queue of events below the home folder and looks up the host
# that it reports to; `disable_telemetry_events()` prevents neither. The runtime reads the variable when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

Session: TypeAlias = onnxruntime.InferenceSession


def open_session(network: Path | bytes, threads: int = 1, *, rearrange: bool) -> Session:
    """Open a network on the CPU, from a file or its content, to run on `threads` threads.

    `rearrange` lets the runtime fuse and reorder the graph when it loads it. For a damaged file the runtime raises one
    of several private classes of errors.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if rearrange else levels.ORT_DISABLE_ALL
    options.log_severity_level = 4  # the error already says what is wrong with a model
    return Session(network if isinstance(network, bytes) else str(network), options, providers=["CPUExecutionProvider"])


def error_line(error: Exception) -> str:
    """The first line of an error of the runtime."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def only_what_is_asked() -> onnxruntime.RunOptions:
    """Options of a run that computes only the requested outputs of the graph."""
    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return options
