"""Measure speed and memory of reading photographs and face crops, one after the other and with `predict_many`.

    python benchmarks/speed.py [--photographs 1000] [--model derl] [--rounds 3]
    python benchmarks/speed.py --flat 1000 10000 [--model cnn]
    python benchmarks/speed.py --peers [NAME=COMMAND...] [--photographs 200]

The photographs have 640 x 480 pixels and are composed of those in examples/photos: one to three people ("several"), or
one large face ("portrait"). Each round measures the loop and then predict_many; the medians over the rounds are
printed. With `--flat`, a separate process reads each number of photographs (links to 200 files), and its peak memory is
printed. With `--peers`, a table compares deadpan with other programs (benchmarks/peers.py).

`limit_per_second` is an upper bound of the rate on this machine: multiply-adds per second of matrix multiplications on
all cores, divided by the multiply-adds that the networks need for a photograph.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
from peers import ONE, RATES, Pictures, table
from PIL import Image
from video import moving_face

from deadpan.faces import cascade
from deadpan.faces.mesh import read_mesh
from deadpan.faces.networks import ASSETS
from deadpan.jobs import cores
from deadpan.prediction.predictor import BATCH, Predictor

PHOTOS = Path(__file__).parent.parent / "examples" / "photos"

PHOTOGRAPH = PHOTOS / "london_107_happiness.jpg"

SIZE = (640, 480)


def make_photographs(folder: Path, count: int, kind: str) -> list[str]:
    """Make photographs of 640 x 480 pixels: people of examples/photos on a blurred background; return their paths."""
    rng = np.random.default_rng(0)
    people = [Image.open(path).convert("RGB") for path in sorted([*PHOTOS.glob("*.jpg"), *PHOTOS.glob("*.png")])]
    folder.mkdir()
    for index in range(count):
        spots = rng.integers(0, 256, (12, 16, 3)).astype(np.uint8)
        scene = Image.fromarray(spots).resize(SIZE, Image.Resampling.BICUBIC)
        several = 1 if kind == "portrait" else (1, 1, 2, 3)[rng.integers(4)]
        width = SIZE[0] // several
        for place in range(several):
            person = people[rng.integers(len(people))]
            height = SIZE[1] if kind == "portrait" else int(rng.integers(160, SIZE[1]))
            scale = min(height / person.height, width / person.width)
            small = person.resize((int(person.width * scale), int(person.height * scale)), Image.Resampling.LANCZOS)
            x = place * width + int(rng.integers(0, width - small.width + 1))
            scene.paste(small, (x, int(rng.integers(0, SIZE[1] - small.height + 1))))
        scene.save(folder / f"{index:05d}.jpg", quality=90)
    return sorted(map(str, folder.iterdir()))


def make_crops(folder: Path, count: int) -> list[str]:
    """Make face crops of 112 x 112 pixels from examples/photos, like those of data sets; return their paths."""
    finder = Predictor("cnn")
    crops = []
    for path in sorted([*PHOTOS.glob("*.jpg"), *PHOTOS.glob("*.png")]):
        for face in finder.predict(path):
            crops.append(Image.open(path).convert("RGB").crop(face.box).resize((112, 112), Image.Resampling.LANCZOS))
    folder.mkdir()
    for index in range(count):
        crops[index % len(crops)].save(folder / f"{index:05d}.jpg", quality=95)
    return sorted(map(str, folder.iterdir()))


def rate(task: Callable[[], Iterable[Any]]) -> tuple[float, float]:
    """Measure the results per second, and the milliseconds of processor time (all cores) per result."""
    start, used = time.perf_counter(), time.process_time()
    count = sum(1 for _ in task())
    return count / (time.perf_counter() - start), (time.process_time() - used) / count * 1000


def alternate(tasks: dict[str, Callable[[], Iterable[Any]]], rounds: int) -> dict[str, dict[str, float]]:
    """Run all tasks in each round, and return the median rate of each."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            found[name].append(rate(task))
    return {
        name: {
            "per_second": round(median(each for each, _ in rates), 1),
            "cpu_ms": round(median(each for _, each in rates), 1),
        }
        for name, rates in found.items()
    }


def on_all_cores(task: Callable[[], object], times: int) -> float:
    """Measure the seconds until every core has done the task `times` times."""
    start = time.perf_counter()
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda _: [task() for _ in range(times)], range(cores())))
    return time.perf_counter() - start


def matrix_rate() -> float:
    """Measure multiply-adds per second of float32 matrix products on all cores at once; needs OMP_NUM_THREADS=1."""
    matrix = np.random.default_rng(0).random((512, 512), np.float32)
    return max(cores() * 40 * 512**3 / on_all_cores(lambda: matrix @ matrix, 40) for _ in range(3))


def multiply_adds(path: Path, *shape: int) -> float:
    """Count the multiply-adds in the convolutions of a network for one input of this shape."""
    model = onnx.load(str(path))
    for value in model.graph.input:
        for dimension, size in zip(value.type.tensor_type.shape.dim, shape, strict=False):
            dimension.dim_value = size
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in [*graph.value_info, *graph.output, *graph.input]
    } | {each.name: list(each.dims) for each in graph.initializer}
    total = 0.0
    for node in graph.node:
        if node.op_type in ("Conv", "ConvTranspose"):
            counted = shapes[node.output[0] if node.op_type == "Conv" else node.input[0]]
            total += float(np.prod(counted)) * float(np.prod(shapes[node.input[1]][1:]))
    return total


def work_of(predictor: Predictor, files: list[str]) -> dict[str, float]:
    """Count the mean work of the networks per photograph: searches by side, meshes, faces and multiply-adds."""
    counts: Counter[str] = Counter()
    look = cascade._look

    def counted_look(search: Any, photograph: Any, side: int, confidence: float) -> Any:
        counts[f"{search.__name__} {side}"] += 1
        return look(search, photograph, side, confidence)

    def counted_read(*arguments: Any) -> Any:
        counts["mesh"] += 1
        return read_mesh(*arguments)

    with patch.object(cascade, "_look", counted_look), patch.object(cascade, "read_mesh", counted_read):
        for file in files:
            counts["face"] += len(predictor.predict(file))
    size = predictor.image_size
    costs = {"face": multiply_adds(predictor.path, 1, 3, size, size)}
    costs |= {"mesh": multiply_adds(ASSETS / "face_mesh.onnx", 1, 3, 192, 192)}
    costs |= {
        f"find_centerface {side}": multiply_adds(ASSETS / "centerface.onnx", 1, 3, -(-side * 3 // 4 // 32) * 32, side)
        for side in cascade.SIDES
    }
    millions = sum(number * costs.get(name, 0) for name, number in counts.items()) / len(files) / 1e6
    shares = {name: round(number / len(files), 2) for name, number in counts.most_common()}
    return {**shares, "million multiply-adds": round(millions)}


def beside_peers(model: str, peers: list[str], count: int, folder: Path) -> str:
    """Make the pictures, measure deadpan and its peers with them, and return the table."""
    kinds = {kind: make_photographs(folder / kind, count, kind) for kind in ("portrait", "several")}
    pictures = Pictures(str(PHOTOGRAPH), kinds | {"crops": make_crops(folder / "crops", count)}, folder / "face.mp4")
    moving_face(pictures.video)
    fastest, predictor = matrix_rate() / 1e6, Predictor(model)
    limits = {ONE: 1000 * work_of(predictor, [str(PHOTOGRAPH)])["million multiply-adds"] / (fastest / cores())}
    for kind, files in kinds.items():
        limits[RATES[kind]] = fastest / work_of(predictor, files[:100])["million multiply-adds"]
    return table(model, peers, pictures, limits)


def photographs(model: str, count: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Compare a loop over `predict` with `predict_many`, for several people and for portraits."""
    fastest = matrix_rate()
    figures: dict[str, Any] = {"GMAC_per_second_on_all_cores": round(fastest / 1e9, 1)}
    for kind in ("several", "portrait"):
        files = make_photographs(folder / kind, count, kind)
        predictor, bulk = Predictor(model), Predictor(model)
        list(bulk.predict_many(files[:48]))
        tasks: dict[str, Callable[[], Iterable[Any]]] = {
            "loop": lambda predictor=predictor, files=files: map(predictor.predict, files),  # type: ignore[misc]
            "predict_many": lambda bulk=bulk, files=files: bulk.predict_many(files),  # type: ignore[misc]
        }
        work = work_of(predictor, files[:100])
        limit = {"limit_per_second": round(fastest / work["million multiply-adds"] / 1e6, 1)}
        figures[kind] = {**alternate(tasks, rounds), "per photograph": work, **limit}
    return figures


def crops(model: str, count: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Compare `--crop` and `predict_faces` with the network alone, with the same batch size and number of threads."""
    files = make_crops(folder / "crops", count)
    predictor = Predictor(model, "none")
    aligned = np.stack([result.faces[0].aligned for result in predictor.predict_many(files)])
    session = predictor._here().session
    names = ["logits", "neutral"] if predictor.generates else ["logits"]
    size = predictor.image_size
    image = np.zeros((BATCH, 3, size, size), np.float32)
    inputs: dict[str, Any] = {"image": image}
    if predictor.compares:
        inputs |= {"rest": image, "given": np.zeros(BATCH, np.float32)}
    parts = [aligned[start : start + BATCH] for start in range(0, count, BATCH)]

    def alone() -> Iterable[Any]:
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(lambda _: session.run(names, inputs), parts))
        return range(len(parts) * BATCH)

    def faces() -> Iterable[Any]:
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(predictor.predict_faces, parts))
        return range(count)

    tasks: dict[str, Callable[[], Iterable[Any]]] = {
        "network alone": alone,
        "predict_faces": faces,
        "files, as --crop": lambda: predictor.predict_many(files),
    }
    figures = alternate(tasks, rounds)
    own = figures["network alone"]["per_second"]
    return {**figures, "share": {name: round(each["per_second"] / own, 2) for name, each in figures.items()}}


def memory(model: str, count: int, folder: Path) -> dict[str, float]:
    """Measure rate and peak memory of a process that reads `count` photographs and writes a CSV table."""
    links = folder / f"links{count}"
    links.mkdir()
    files = sorted((folder / "few").iterdir())
    for index in range(count):
        (links / f"{index:06d}.jpg").symlink_to(files[index % len(files)])
    code = "import resource, sys; from deadpan.cli.main import main; code = main(sys.argv[1:]); "
    code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
    start = time.perf_counter()
    words = ["predict", str(links), "-o", str(folder / f"{count}.csv"), "--model", model]
    done = subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    return {"per_second": round(count / seconds, 1), "peak_mb": round(int(done.stdout) / 1024, 1)}


def main() -> None:
    """Print the figures as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--photographs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--flat", type=int, nargs="*", help="numbers of photographs, each read in a new process")
    parser.add_argument("--peers", nargs="*", metavar="NAME=COMMAND", help="other programs to compare deadpan with")
    options = parser.parse_args()
    figures: dict[str, Any] = {"model": options.model, "cores": cores()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.peers is not None:
            print(beside_peers(options.model, options.peers, options.photographs, folder))
            return
        if options.flat:
            make_photographs(folder / "few", 200, "portrait")
            figures |= {str(count): memory(options.model, count, folder) for count in options.flat}
        else:
            figures |= photographs(options.model, options.photographs, options.rounds, folder)
            figures["crops"] = crops(options.model, options.photographs, options.rounds, folder)
            figures["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
