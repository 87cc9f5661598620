"""Measures time and memory of reading one photograph: a cold start, then each stage after warming up.

    python benchmarks/predict.py MODEL [PHOTOGRAPH]

MODEL is a released model's name or a file. All figures are medians over the repetitions, on one thread.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

PHOTOGRAPH = Path(__file__).parent.parent / "examples" / "photos" / "london_107_happiness.jpg"

COLD = """
import sys
from deadpan.cli.main import main
code = main(["predict", sys.argv[2], "--model", sys.argv[1], "--json", "-"])
status = open("/proc/self/status").read() if sys.platform == "linux" else ""
peak = [int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")]
print(peak[0] if peak else "nan", file=sys.stderr)
sys.exit(code)
"""


def cold(model: str, photograph: str, repetitions: int) -> tuple[float, float]:
    """Median seconds and peak resident MB of one `deadpan predict` in a fresh interpreter."""
    seconds, peak = [], 0.0
    for _ in range(repetitions):
        start = time.perf_counter()
        command = [sys.executable, "-c", COLD, model, photograph]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds.append(time.perf_counter() - start)
        peak = max(peak, float(done.stderr.split()[-1]))
    return median(seconds), peak


def help_seconds(repetitions: int) -> float:
    """Median seconds of `deadpan --help` in a fresh interpreter."""
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "deadpan", "--help"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def milliseconds(task: Callable[[], object], repetitions: int) -> float:
    """Median milliseconds of `task` after two warm-up runs."""
    times = []
    for turn in range(repetitions + 2):
        start = time.perf_counter()
        task()
        if turn >= 2:
            times.append((time.perf_counter() - start) * 1000)
    return median(times)


def warm(model: str, photograph: str, repetitions: int) -> dict[str, float]:
    """Median milliseconds of each stage for one photograph."""
    from deadpan.faces.alignment import align, centre
    from deadpan.faces.photographs import read_photograph
    from deadpan.prediction.predictor import Predictor

    predictor = Predictor(model)
    pixels = read_photograph(photograph)
    faces = predictor.detector(pixels)
    if not faces:
        raise SystemExit(f"no face found in {photograph}")
    size = predictor.image_size
    aligned = centre(align(pixels, faces[0].landmarks, size), size)[None]
    many = np.repeat(aligned, 32, axis=0)
    return {
        "read": milliseconds(lambda: read_photograph(photograph), repetitions),
        "detect": milliseconds(lambda: predictor.detector(pixels), repetitions),
        "align": milliseconds(lambda: align(pixels, faces[0].landmarks, size), repetitions),
        "model": milliseconds(lambda: predictor.predict_faces(aligned), repetitions),
        "model, a face in a batch of 32": milliseconds(lambda: predictor.predict_faces(many), repetitions) / 32,
        "all": milliseconds(lambda: predictor.predict(photograph), repetitions),
    }


def main() -> None:
    """Print the figures as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photograph", nargs="?", default=str(PHOTOGRAPH))
    parser.add_argument("--repetitions", type=int, default=15)
    options = parser.parse_args()
    seconds, peak = cold(options.model, options.photograph, max(3, options.repetitions // 3))
    stages = warm(options.model, options.photograph, options.repetitions)
    figures = {
        "help_seconds": round(help_seconds(max(3, options.repetitions // 3)), 2),
        "cold_seconds": round(seconds, 2),
        "peak_mb": round(peak),
        "milliseconds": {name: round(value, 2) for name, value in stages.items()},
        "share_of_all": {name: round(stages[name] / stages["all"], 2) for name in ("read", "detect", "align", "model")},
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
