"""The one place that imports ONNX Runtime, and how deadpan opens a network on it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

# Left alone, the runtime writes a device id and a queue of events below the home folder and looks up the host that it
# reports to; `disable_telemetry_events()` stops neither. It reads the variable when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

Session: TypeAlias = onnxruntime.InferenceSession


def open_session(network: Path | bytes, threads: int = 1, *, rearrange: bool) -> Session:
    """Open a network, a file or its content, on the CPU.

    `rearrange` lets the runtime fuse and reorder the graph at load. Damage raises one of many private classes.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if rearrange else levels.ORT_DISABLE_ALL
    options.log_severity_level = 4  # what is wrong with a model is said once, by the error
    return Session(network if isinstance(network, bytes) else str(network), options, providers=["CPUExecutionProvider"])


def only_what_is_asked() -> onnxruntime.RunOptions:
    """Options of a run that computes no more of the graph than the outputs asked for."""
    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return options
