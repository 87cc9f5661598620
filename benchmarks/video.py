"""Measure how fast videos are read, and how well the distance from rest follows the true intensity of an expression.

    python benchmarks/video.py speed [VIDEO] [--models derl cnn]
    python benchmarks/video.py rest FOLDER [--people 12] [--first 12] [--models derl dgcn cnn] [--calibrate]

`speed` prints frames per second (without writing any file) and the processor time per frame. Without VIDEO it makes a
video of 1280 x 720 pixels in which a photographed face of 500 pixels moves.

`rest` renders a video of each synthetic person into FOLDER, unless it exists: 12 seconds at 25 frames per second. The
head turns, the eyes blink, small movements drift, and expressions appear with intensities of 0.3 to 1 at their apexes.
The face at rest of each person is itself slightly expressive. `rest` prints the correlation with the true intensity
(mean and lowest value over people, and over the frames of all people together) and the mean absolute error.
`--calibrate` prints the values for INTENSITIES in deadpan.video.rest; the current values come from the people 0 to 11.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan import Predictor
from deadpan.faces.photographs import read_photograph
from deadpan.pixels import RGB
from deadpan.video.reading import VideoSettings, open_video
from deadpan.video.rest import AUTO, DISTANCES, SHARE, features, intensity
from deadpan.video.results import VideoResult
from deadpan.video.smoothing import smoothed

Floats = NDArray[np.float64]

PHOTOGRAPH = Path(__file__).parent.parent / "examples" / "photos" / "london_107_happiness.jpg"
FRAMES, RATE, SIZE = 300, 25, 176
RARELY = 4
"""To simulate people who are seldom at rest, only every fourth frame at rest is used for the estimate."""

SHOWN = ("happiness", "surprise", "anger", "sadness", "disgust", "fear")


def slow(rng: np.random.Generator, width: int) -> Floats:
    """Make smooth noise (FRAMES,) of mean 0 and standard deviation 1 that changes over `width` frames."""
    noise = rng.normal(size=FRAMES + 8 * width)
    kernel = np.exp(-0.5 * (np.arange(-4 * width, 4 * width + 1) / width) ** 2)
    values: Floats = np.convolve(noise, kernel, "valid")[:FRAMES]
    values -= values.mean()
    values /= values.std()
    return values


def course(rng: np.random.Generator) -> tuple[Floats, NDArray[np.int64]]:
    """Choose the true intensity of each frame, and its expression as an index of SHOWN, -1 at rest: both (FRAMES,)."""
    truth, which = np.zeros(FRAMES), -np.ones(FRAMES, np.int64)
    at, order, number = int(rng.integers(15, 40)), rng.permutation(len(SHOWN)), 0
    while True:
        onset, hold, offset, pause = (int(rng.integers(*span)) for span in ((6, 16), (5, 25), (8, 20), (15, 45)))
        if at + onset + hold + offset + 5 > FRAMES:
            return truth, which
        rise, fall = (0.5 - 0.5 * np.cos(np.pi * np.arange(count) / count) for count in (onset, offset))
        shape = np.concatenate([rise, np.ones(hold), 1 - fall]) * float(rng.uniform(0.3, 1.0))
        truth[at : at + len(shape)] = shape
        which[at : at + len(shape)] = order[number % len(SHOWN)]
        at, number = at + len(shape) + pause, number + 1


def film(person: int) -> Iterator[tuple[RGB, float]]:
    """Render the frames of one synthetic person; yield each with the true intensity of its expression."""
    from deadpan.synthetic.expression import add, expression_weights, for_head, small_variation
    from deadpan.synthetic.figure import make_figure
    from deadpan.synthetic.render import Studio, sample_scene

    rng = np.random.default_rng([person, 77])
    figure, scene = make_figure("makehuman", 1000 + person), replace(sample_scene(5000 + person), occluder="none")
    yaw, pitch, roll = (slow(rng, 25) * degrees for degrees in (9, 5, 4))
    truth, which = course(rng)
    small = small_variation(rng, 1.0)
    leaning = expression_weights(str(rng.choice(SHOWN)), float(rng.uniform(0, 0.3)), np.random.default_rng(person))
    at_rest = add(small, leaning)
    drifts = [small_variation(rng, 0.5) for _ in range(2)]
    share = 1 / (1 + np.exp(-slow(rng, 20)))
    blinks, at = np.zeros(FRAMES), int(rng.integers(20, 80))
    while at < FRAMES - 5:
        blinks[at : at + 4] = (0.5, 1, 0.8, 0.3)
        at += int(rng.integers(50, 120))
    ways = rng.integers(2**31, size=len(SHOWN))
    gain = None
    for frame in range(FRAMES):
        angles = (scene.yaw / 2 + yaw[frame], scene.pitch / 2 + pitch[frame], scene.roll / 2 + roll[frame])
        turned = replace(scene, yaw=float(angles[0]), pitch=float(angles[1]), roll=float(angles[2]))
        studio = Studio(figure, turned, SIZE)
        if gain is None:
            studio.picture({})
            gain = studio.gain
        studio.gain = gain
        parts = [at_rest]
        for drift, part in zip(drifts, (share[frame], 1 - share[frame]), strict=True):
            parts.append({name: weight * part for name, weight in drift.items()})
        if truth[frame] > 0:
            shown = int(which[frame])
            parts.append(expression_weights(SHOWN[shown], truth[frame], np.random.default_rng(ways[shown])))
        if blinks[frame]:
            parts.append(dict.fromkeys(("eyeBlinkLeft", "eyeBlinkRight"), float(blinks[frame])))
        yield studio.picture(for_head("makehuman", add(*parts)))[0], float(truth[frame])


def render(person: int, folder: Path) -> tuple[Path, Floats]:
    """Return the path of a person's video and the true intensities of its frames; render it unless it exists."""
    path, truth = folder / f"{person:03}.avi", folder / f"{person:03}.json"
    if not truth.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), RATE, (2 * SIZE, 2 * SIZE))
        writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 95)
        values = []
        for picture, value in film(person):
            larger = cv2.resize(picture, (2 * SIZE, 2 * SIZE), interpolation=cv2.INTER_CUBIC)
            writer.write(np.ascontiguousarray(larger[..., ::-1]))
            values.append(value)
        writer.release()
        truth.write_text(json.dumps(values))
    return path, np.array(json.loads(truth.read_text()))


def apart(every: Floats, times: Floats, rest: NDArray[np.intp], width: float) -> Floats:
    """The distances (N,) of the smoothed features (N, F) from the median of those of the rows `rest`."""
    distance: Floats = np.linalg.norm(smoothed(every, times, width) - np.median(every[rest], axis=0), axis=1)
    return distance


def ways(result: VideoResult, truth: Floats, width: float) -> dict[str, Floats]:
    """Compute the intensity (N,) in every compared way, by name, from a video that shows one person."""
    rows = np.array(result.rows)
    neutral = rows["probabilities"][:, result.expressions.index("neutral")].astype(np.float64)
    strength = np.linalg.norm(rows["shape"], axis=1)
    count = round(SHARE * len(rows))
    rare = np.flatnonzero((truth > 0) | (np.arange(len(rows)) % RARELY == 0))
    nearest = rare[np.argsort(strength[rare])[: round(SHARE * len(rare))]]
    rests = {
        f"the {SHARE:.0%} nearest to neutral by shape (auto)": np.argsort(strength)[:count],
        f"the {SHARE:.0%} most probably neutral": np.argsort(-neutral)[:count],
        "all frames": np.arange(len(rows)),
        "true frames at rest": np.flatnonzero(truth == 0),
        f"auto, with every {RARELY}th frame at rest alone": nearest,
        f"all frames, with every {RARELY}th at rest alone": rare,
    }
    every = features(rows["probabilities"], rows["shape"], result.temperature)
    single = {"1 - P(neutral), no rest face": 1 - smoothed(neutral, rows["time_s"], width)}
    return single | {name: apart(every, rows["time_s"], rest, width) for name, rest in rests.items()}


def rest(options: argparse.Namespace) -> None:
    """Print for every model how well each way of measuring the intensity follows the truth."""
    people = [render(person, options.folder) for person in range(options.first, options.first + options.people)]
    pooled: list[tuple[Floats, Floats]] = []
    for model in options.models:
        predictor = Predictor(model)
        found: dict[str, list[Floats]] = {}
        truths = []
        for path, truth in people:
            with open_video(predictor, path, VideoSettings(rest="none", smoothing=0)) as reading:
                result = reading.read()
                seen = (np.bincount(result.rows["frame"], minlength=len(truth)) == 1) & (result.rows["face"] >= 0).all()
                if not seen.all():
                    raise SystemExit(f"{path}: not every frame shows one face")
                for name, values in ways(result, truth, options.smoothing).items():
                    found.setdefault(name, []).append(values)
            truths.append(truth)
        print(f"{model}, {len(people)} people, smoothing {options.smoothing} s")
        for name, each in found.items():
            own = [float(np.corrcoef(one, truth)[0, 1]) for one, truth in zip(each, truths, strict=True)]
            together, values = np.concatenate(truths), np.concatenate(each)
            line = f"  {name}: mean {np.mean(own):.3f}, least {min(own):.3f}"
            line += f", of all together {np.corrcoef(values, together)[0, 1]:.3f}"
            if not name.startswith("1 -"):
                read = intensity(values[:, None], np.zeros(1))
                line += f"; mean error {np.abs(read - together).mean():.3f}, at rest {read[together == 0].mean():.3f}"
            if "(auto)" in name:
                pooled.append((values, together))
            print(line)
    if options.calibrate:
        print(calibrated(*(np.concatenate(part) for part in zip(*pooled, strict=True))))


def calibrated(distances: Floats, truth: Floats) -> list[float]:
    """Fit the non-decreasing intensities at DISTANCES, linear between them, by least squares."""
    from sklearn.isotonic import IsotonicRegression

    rising = IsotonicRegression(y_min=0, y_max=1).fit(distances, truth)
    even = rising.predict(distances)
    basis = np.stack([np.interp(distances, DISTANCES, row) for row in np.eye(len(DISTANCES))], axis=1)
    fitted = np.linalg.lstsq(basis, even, rcond=None)[0]
    return [round(float(value), 2) for value in np.clip(np.maximum.accumulate(fitted), 0, 1)]


def moving_face(path: Path, frames: int = 300) -> None:
    """Write a video of 1280 x 720 pixels in which a photographed face moves slowly."""
    photograph = cv2.resize(read_photograph(PHOTOGRAPH), (720, 720), interpolation=cv2.INTER_CUBIC)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), RATE, (1280, 720))
    for frame in range(frames):
        x, y = 280 + 150 * np.sin(frame / 40), 20 * np.sin(frame / 25)
        matrix = np.array([[1, 0, x], [0, 1, y]])
        moved = cv2.warpAffine(photograph, matrix, (1280, 720), borderMode=cv2.BORDER_REPLICATE)
        writer.write(np.ascontiguousarray(moved[..., ::-1]))
    writer.release()


def speed(options: argparse.Namespace) -> None:
    """Print the frames per second and the processor time per frame of every model."""
    with tempfile.TemporaryDirectory() as folder:
        path = options.video or Path(folder) / "face.mp4"
        if options.video is None:
            moving_face(path)
        for model in options.models:
            predictor = Predictor(model)
            rates, costs = [], []
            for _ in range(options.repetitions):
                began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
                with open_video(predictor, path, VideoSettings(rest=AUTO)) as reading:
                    result = reading.read()
                    frames = len(np.unique(result.rows["frame"]))
                after = resource.getrusage(resource.RUSAGE_SELF)
                rates.append(frames / (time.perf_counter() - began))
                used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                costs.append(1000 * used / frames)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{model}: {max(rates):.1f} frames a second, {min(costs):.1f} ms of processor time a frame, "
                  f"best of {options.repetitions}; peak memory {peak:.0f} MB")  # fmt: skip


def main() -> None:
    """Run `speed` or `rest`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(required=True)
    fast = modes.add_parser("speed")
    fast.add_argument("video", nargs="?", type=Path)
    fast.add_argument("--models", nargs="+", default=["default", "derl", "dgcn", "cnn"])
    fast.add_argument("--repetitions", type=int, default=3)
    fast.set_defaults(run=speed)
    near = modes.add_parser("rest")
    near.add_argument("folder", type=Path)
    near.add_argument("--people", type=int, default=12)
    near.add_argument("--first", type=int, default=12)
    near.add_argument("--models", nargs="+", default=["default", "derl", "dgcn", "cnn"])
    near.add_argument("--smoothing", type=float, default=0.1)
    near.add_argument("--calibrate", action="store_true")
    near.set_defaults(run=rest)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
