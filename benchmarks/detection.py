"""Measures face detectors: faces found, false detections, CPU milliseconds, and errors of the eye positions.

    python benchmarks/detection.py REFERENCE.npz --london FOLDER --plates FOLDER --news FILE.parquet

benchmarks/detection_reference.py writes REFERENCE.npz. yuface, deadpan's detector until 0.1, is measured if it is
installed. A face counts as found if both eyes are within half an eye distance of the reference's; all other detections
are false. The error is the mean over both eyes, as a share of the eye distance.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import NamedTuple

import cv2
import numpy as np
from detection_reference import add_sets, read_sets
from numpy.typing import NDArray

from deadpan.faces.cascade import _look
from deadpan.faces.detection import make_detector
from deadpan.faces.face import Detector, Face
from deadpan.faces.networks import Candidates, find_blazeface, find_centerface, scaled_to, session
from deadpan.pixels import RGB

Eyes = NDArray[np.float64]


class Picture(NamedTuple):
    """A photograph and the reference positions of its eyes."""

    pixels: RGB
    eyes: Eyes  # (N, 2, 2)


class YuFace:
    """libfacedetection as deadpan 0.1 used it."""

    def __init__(self, side: int) -> None:
        self.detect, self.side = import_module("yuface").detect, side

    def __call__(self, photograph: RGB) -> list[Face]:
        """Faces with a score of 0.6 or more."""
        factor = min(1.0, self.side / max(photograph.shape[:2]))
        size = (round(photograph.shape[1] * factor), round(photograph.shape[0] * factor))
        picture = photograph if factor == 1 else cv2.resize(photograph, size, interpolation=cv2.INTER_AREA)
        scores, boxes, points = self.detect(np.ascontiguousarray(picture[..., ::-1]), 0.0)
        faces = []
        for score, box, five in zip(scores, boxes.astype(np.int16), points.astype(np.int16), strict=True):
            if score >= 60:
                left, top, width, height = (float(value) / factor for value in box)
                landmarks = (five.reshape(5, 2) + 0.5) / factor - 0.5
                faces.append(Face((left, top, left + width, top + height), score / 100, landmarks.astype(np.float32)))
        return faces


class CenterFaceAlone:
    """CenterFace's best face with its own landmarks, as a comparison for the mesh."""

    def __init__(self, side: int) -> None:
        self.side = side

    def __call__(self, photograph: RGB) -> list[Face]:
        """One face at most."""
        small, factor = scaled_to(photograph, min(self.side, max(photograph.shape[:2])))
        places = find_centerface(small, 0.5)
        if not len(places.scores):
            return []
        height, width = small.shape[:2]
        padded = np.zeros((1, 3, -(-height // 32) * 32, -(-width // 32) * 32), np.float32)
        padded[0, :, :height, :width] = small.transpose(2, 0, 1)
        heat, points = session("centerface").run(["heat", "landmarks"], {"photograph": padded})
        cell = np.unravel_index(heat[0, 0].argmax(), heat[0, 0].shape)
        box = places.boxes[0].reshape(2, 2)
        relative = points[0][:, cell[0], cell[1]].reshape(5, 2)[:, ::-1]
        landmarks = (box[0] + relative * (box[1] - box[0])) / factor - 0.5
        left, top, right, bottom = (box / factor).ravel().tolist()
        return [Face((left, top, right, bottom), float(places.scores[0]), landmarks.astype(np.float32))]


# --- the pictures ----------------------------------------------------------------------------------------------------


def turned(picture: Picture, degrees: int) -> Picture:
    """Rotate a picture clockwise: right angles exactly, other angles with the edge repeated."""
    height, width = picture.pixels.shape[:2]
    matrix = np.zeros((2, 3))
    matrix[:, :2] = cv2.getRotationMatrix2D((0, 0), -degrees, 1)[:, :2]
    if degrees % 90 == 0:
        pixels = np.ascontiguousarray(np.rot90(picture.pixels, -degrees // 90))
        middle = np.array([pixels.shape[1] - 1, pixels.shape[0] - 1]) / 2
    else:
        middle = np.array([width - 1, height - 1]) / 2
    matrix[:, 2] = middle - matrix[:, :2] @ ((np.array([width, height]) - 1) / 2)
    if degrees % 90:
        warped = cv2.warpAffine(picture.pixels, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        pixels = np.asarray(warped, np.uint8)
    return Picture(pixels, picture.eyes @ matrix[:, :2].T + matrix[:, 2])


def darkened(picture: Picture, draw: np.random.Generator) -> Picture:
    """Darken a picture to a tenth of its light, and add sensor noise."""
    dark = picture.pixels * 0.1 + draw.normal(0, 2, picture.pixels.shape)
    return Picture(dark.clip(0, 255).astype(np.uint8), picture.eyes)


def painted(picture: Picture, draw: np.random.Generator) -> Picture:
    """Paint over the head with noise in the picture's median colour, so that no face is visible."""
    middle = picture.eyes[0].mean(axis=0)
    distance = np.linalg.norm(picture.eyes[0, 1] - picture.eyes[0, 0])
    mask = np.zeros(picture.pixels.shape[:2], np.float32)
    centre = (round(float(middle[0])), round(float(middle[1] + distance / 4)))
    axes = (round(float(distance * 1.5)), round(float(distance * 2)))
    cv2.ellipse(mask, centre, axes, 0, 0, 360, (1.0,), -1)
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), max(1.0, float(distance) / 15)))[..., None]
    fill = np.median(picture.pixels.reshape(-1, 3), axis=0) + draw.normal(0, 6, picture.pixels.shape)
    pixels = picture.pixels * (1 - soft) + fill * soft
    return Picture(pixels.clip(0, 255).astype(np.uint8), np.zeros((0, 2, 2)))


def mosaic(pictures: list[Picture], columns: int, tile: int) -> Picture:
    """The pictures side by side, each fitted into a square of `tile` pixels."""
    rows = -(-len(pictures) // columns)
    canvas = np.zeros((rows * tile, columns * tile, 3), np.uint8)
    eyes = []
    for index, picture in enumerate(pictures):
        scale = tile / max(picture.pixels.shape[:2])
        size = (round(picture.pixels.shape[1] * scale), round(picture.pixels.shape[0] * scale))
        small = cv2.resize(picture.pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        top, left = index // columns * tile, index % columns * tile
        canvas[top : top + size[1], left : left + size[0]] = small
        eyes.append((picture.eyes[0] + 0.5) * scale - 0.5 + [left, top])
    return Picture(canvas, np.stack(eyes))


def sets(options: argparse.Namespace) -> Iterator[tuple[str, list[Picture]]]:
    """Each set of pictures with its name."""
    draw = np.random.default_rng(0)
    reference = np.load(options.reference)
    groups: dict[str, list[Picture]] = {"london": [], "plates": [], "news": []}
    for name, pixels in read_sets(options).items():
        if name in reference:
            groups[name.partition("/")[0]].append(Picture(pixels, reference[name][None]))
    studio, plates, news = groups.values()
    yield "London, studio", studio
    yield "Duchenne's plates", plates
    yield "news", news
    yield "200 faces of 50 pixels", [mosaic(news[i : i + 200], 20, 64) for i in (0, 200)]
    yield "200 faces of 25 pixels", [mosaic(news[i : i + 200], 20, 32) for i in (0, 200)]
    some = studio[::4] + plates + news[:100]
    for degrees in (90, 180, 270, 30, 60, 135):
        yield f"turned by {degrees}", [turned(picture, degrees) for picture in some]
    yield "a tenth of the light", [darkened(picture, draw) for picture in studio[::4] + plates + news[:300]]
    yield (
        "no face",
        [painted(picture, draw) for picture in studio[::4] + plates + news[:150]]
        + [Picture(draw.integers(0, 256, (480, 640, 3), np.uint8), np.zeros((0, 2, 2))) for _ in range(5)],
    )


# --- measuring -------------------------------------------------------------------------------------------------------


def compare(faces: list[Face], eyes: Eyes) -> tuple[list[float], int]:
    """The errors of the faces found, and the number of false detections."""
    errors, left = [], list(faces)
    for pair in eyes:
        distance = np.linalg.norm(pair[1] - pair[0])
        apart = [float(np.linalg.norm(face.landmarks[:2] - pair, axis=1).max() / distance) for face in left]
        if apart and min(apart) < 0.5:
            face = left.pop(int(np.argmin(apart)))
            errors.append(float(np.linalg.norm(face.landmarks[:2] - pair, axis=1).mean() / distance))
    return errors, len(left)


def measure(find: Detector, pictures: list[Picture]) -> str:
    """One row of the table: found, false, median milliseconds of processor time, error."""
    errors: list[float] = []
    false, times = 0, []
    for picture in pictures:
        start = time.process_time()
        faces = find(picture.pixels)
        times.append((time.process_time() - start) * 1000)
        hits, others = compare(faces, picture.eyes)
        errors, false = errors + hits, false + others
    total = sum(len(picture.eyes) for picture in pictures)
    middle, high = np.quantile(errors, [0.5, 0.95]) if errors else (np.nan, np.nan)
    found = f"{len(errors)} of {total} ({len(errors) / total:.1%})" if total else "-"
    return f"{found} | {false} | {np.median(times):.1f} | {middle:.3f} | {high:.3f}"


def shake(find: Detector, pictures: list[Picture]) -> float:
    """Measure the landmarks' motion, as a share of the eye distance, when a photograph is slightly moved or scaled."""
    spreads = []
    for picture in pictures:
        places = []
        for index in range(8):
            scale, shift = 1 - 0.03 * index / 7, 2.3 * index
            matrix = np.array([[scale, 0, shift], [0, scale, shift]])
            size = picture.pixels.shape[1::-1]
            moved = cv2.warpAffine(picture.pixels, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            for face in find(np.asarray(moved, np.uint8))[:1]:
                places.append((face.landmarks - shift) / scale)
        distance = np.linalg.norm(picture.eyes[0, 1] - picture.eyes[0, 0])
        spreads.append(np.std(places, axis=0).mean() / distance)
    return float(np.median(spreads))


def by_size(news: list[Picture]) -> None:
    """Print the share of faces that each network finds in pictures of each side, by the size of the faces."""
    searches: dict[str, Callable[[RGB], Candidates]] = {
        "BlazeFace 128": partial(_look, find_blazeface, side=128, confidence=0.5)
    }
    for side in (128, 160, 320, 640, 1280):
        searches[f"CenterFace {side}"] = partial(_look, find_centerface, side=side, confidence=0.5)
    print(f"\n| faces in a row | face's share of the side | {' | '.join(searches)} |")
    print("|--:|--:|" + "--:|" * len(searches))
    for columns in (1, 2, 3, 4, 5, 6, 8, 11, 16, 22):
        count = columns * columns
        pictures = [
            mosaic(news[start : start + count], columns, 1408 // columns) for start in range(0, 4 * count, count)
        ]
        cells, share = [], 0.0
        for search in searches.values():
            found = 0
            for picture in pictures:
                places = search(picture.pixels)
                for pair in picture.eyes:
                    apart = np.linalg.norm(places.squares[:, :2] - pair.mean(axis=0), axis=1)
                    found += bool((apart < np.linalg.norm(pair[1] - pair[0])).any())
                if len(places.sides):
                    share = float(np.median(places.sides)) / max(picture.pixels.shape)
            cells.append(f"{found / (4 * count):.0%}")
        print(f"| {columns} | {share:.3f} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sets(parser)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    detectors: dict[str, Detector] = {
        "centerface": make_detector(),
        "centerface, small faces": make_detector(longest_side=None),
        "blazeface": make_detector("blazeface"),
        "CenterFace 160, own points": CenterFaceAlone(160),
    }
    try:
        detectors["yuface 640"] = YuFace(640)
    except ImportError:
        print("yuface is not installed and is not measured")
    print("| pictures | detector | found | false | CPU ms | eye error, median | 95 % |")
    print("|---|---|--:|--:|--:|--:|--:|")
    groups = dict(sets(options))
    for name, pictures in groups.items():
        for detector, find in detectors.items():
            one_face = name.startswith(("London", "Duchenne", "news"))
            left_out = one_face if "small" in detector else not one_face and "own" in detector
            if pictures and not left_out:
                print(f"| {name} | {detector} | {measure(find, pictures)} |", flush=True)
    del detectors["centerface, small faces"]
    print("\n| detector | shake |\n|---|--:|")
    for detector, find in detectors.items():
        print(f"| {detector} | {shake(find, groups['London, studio'][::5]):.4f} |", flush=True)
    by_size(groups["news"])


if __name__ == "__main__":
    main()
