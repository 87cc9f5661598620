"""`deadpan synthesize`: writes a folder of synthetic people, each picture with its neutral twin and exact ground truth.

The twin shows the same person, pose, light and background without the expression: what a perfect generator of neutral
faces would return. The settings and the seed determine every picture.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deadpan.expressions import EXPRESSIONS
from deadpan.interruption import worker_pool
from deadpan.jobs import cores
from deadpan.settings import COUNT, NOT_NEGATIVE, Range, SettingError, check_ranges
from deadpan.synthetic.expression import (
    Weights,
    action_units,
    add,
    expression_weights,
    for_head,
    onset,
    small_variation,
)
from deadpan.synthetic.figure import Figure, make_figure
from deadpan.synthetic.heads import HEADS, load_head
from deadpan.synthetic.render import Scene, Studio, sample_scene
from deadpan.synthetic.rig import Array

FORMAT = 1

Row = dict[str, Any]


@dataclass(frozen=True)
class SynthesisConfig:
    """What to render; the defaults are our choice. The pictures depend on every setting except `workers`."""

    people: int = 100
    "Number of people."
    pictures: int = 16
    "Pictures per person, or sequences where `sequences` is set. The eight expressions alternate."
    size: int = 96
    "Side of the square pictures in pixels."
    seed: int = 0
    "Random seed; another seed gives other people."
    head: str = "makehuman"
    "Head family: makehuman (in the package) or ict (needs `assets`)."
    assets: Path | None = None
    "File written by deadpan.synthetic.ict.convert, for the head ict."
    sequences: int = 0
    "Frames of each sequence, from onset to apex; 0 renders single pictures."
    first_person: int = 0
    "Number of the first person, so that several runs can divide one series of people."
    workers: int | None = None
    "Number of processes; one per core by default."

    def __post_init__(self) -> None:
        check_ranges(self, people=COUNT, pictures=COUNT, size=Range(32), seed=NOT_NEGATIVE, first_person=NOT_NEGATIVE)
        if self.sequences != 0 and self.sequences not in Range(2):
            raise SettingError(f"sequences must be 0 (single pictures) or at least 2 frames; got {self.sequences}")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be at least 1; got {self.workers}")
        if self.head not in HEADS:
            raise ValueError(f"unknown head {self.head!r}; known are {', '.join(HEADS)}")
        if self.head == "ict" and self.assets is None:
            raise ValueError("head 'ict' needs assets: the file that deadpan.synthetic.ict.convert writes")
        if self.head != "ict" and self.assets is not None:
            raise ValueError(f"assets are for head 'ict' only; got them with head {self.head!r}: leave them out")
        if self.assets is not None and not Path(self.assets).is_file():
            raise ValueError(f"assets must be an existing file; got {self.assets}")


def synthesize(out: str | Path, config: SynthesisConfig) -> None:
    """Write the folder `out`: synthetic.json, samples.jsonl and one folder of PNG pictures per person.

    An interrupted run continues: finished people are kept. ValueError where `out` holds pictures with other settings.
    """
    out = Path(out)
    load_head(config.head, config.assets)  # raises for a wrong asset before anything is written
    _claim(out, config)
    people = range(config.first_person, config.first_person + config.people)
    missing = [person for person in people if not (out / f"{person:05d}").is_dir()]
    for unfinished in out.glob(".[0-9]*"):  # of an interrupted run
        shutil.rmtree(unfinished, ignore_errors=True)
    columns = (TextColumn("rendering people"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("people", total=config.people, completed=config.people - len(missing))
        for _ in _draw_all(missing, out, config):
            progress.advance(task)
    if not (out / "samples.jsonl").is_file() or missing:
        lines = [(out / f"{person:05d}" / "rows.jsonl").read_text("utf-8") for person in people]
        _write(out / "samples.jsonl", "".join(lines))


def finished(out: Path, config: SynthesisConfig) -> int:
    """How many of the people of an interrupted run are in the folder `out`."""
    people = range(config.first_person, config.first_person + config.people)
    return sum((out / f"{person:05d}").is_dir() for person in people)


def _claim(out: Path, config: SynthesisConfig) -> None:
    """Write synthetic.json into `out`, or check that the file there names the same settings (ValueError)."""
    from deadpan.version import __version__

    settings = {key: value for key, value in asdict(config).items() if key not in ("workers", "assets")}
    card = {"format": FORMAT, **settings, "deadpan": __version__, "expressions": list(EXPRESSIONS)}
    path = out / "synthetic.json"
    if out.exists() and not out.is_dir():
        raise ValueError(f"the output must be a folder; {out} is a file")
    if not path.is_file():
        if out.is_dir() and any(out.iterdir()):
            raise ValueError(f"{out} holds other files already; give an empty or a new folder")
        out.mkdir(parents=True, exist_ok=True)
        _write(path, json.dumps(card, indent=2) + "\n")
        return
    old = json.loads(path.read_text("utf-8"))
    changed = [key for key in card if key not in ("deadpan",) and old.get(key) != card[key]]
    if changed:
        differences = ", ".join(f"{key} {old.get(key)!r} instead of {card[key]!r}" for key in changed)
        raise ValueError(f"{out} was rendered with {differences}; give another folder or the same settings")


def _draw_all(people: list[int], out: Path, config: SynthesisConfig) -> Iterator[None]:
    """Render people in one or several processes; yields once for each finished person."""
    workers = min(config.workers or cores(), len(people))
    draw = partial(_draw_person, out=out, config=config)
    if workers <= 1:
        yield from map(draw, people)
        return
    draw(people[0])  # compiles the loops once, for all workers
    yield None
    with worker_pool(workers, partial(cv2.setNumThreads, 1)) as pool:
        yield from pool.map(draw, people[1:])


def _draw_person(number: int, out: Path, config: SynthesisConfig) -> None:
    """Render one person into a hidden folder, then rename it: an interrupted run leaves no half-finished person."""
    name = f"{number:05d}"
    unfinished = out / f".{name}.{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    rows = list(draw_person(number, unfinished, config))
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (unfinished / "rows.jsonl").write_text(text, "utf-8")
    unfinished.replace(out / name)


def draw_person(number: int, folder: Path, config: SynthesisConfig) -> Iterator[Row]:
    """Write the pictures of person `number` into `folder` and yield one row of samples.jsonl per picture."""
    seed = int(np.random.SeedSequence([config.seed, number]).generate_state(1)[0])
    figure = make_figure(config.head, seed, config.assets)
    first = seed % len(EXPRESSIONS)
    for index in range(config.pictures):
        expression = EXPRESSIONS[(first + index) % len(EXPRESSIONS)]
        label = f"{expression}-{index // len(EXPRESSIONS)}"
        rng = np.random.default_rng([seed, 9, index])
        scene = sample_scene(int(rng.integers(2**31)))
        studio = Studio(figure, scene, config.size)
        twin, twin_landmarks = studio.picture({})
        apex = 0.0 if expression == "neutral" else float(np.clip(rng.beta(1.7, 1.3) * 0.85 + 0.25, 0.25, 1.1))
        small = small_variation(rng, 0.6 if config.sequences else 1.0)
        way = rng.integers(2**31)  # one seed for all frames: the same variant of the expression at every intensity
        _save(folder / f"{label}.twin.png", twin)
        frames = onset(config.sequences) if config.sequences else [1.0]
        for frame, share in enumerate(frames):
            weights = expression_weights(expression, apex * share, np.random.default_rng(way))
            weights = _possible(add(weights, small))
            picture, landmarks = studio.picture(for_head(config.head, weights))
            file = f"{label}.{frame:03d}.png" if config.sequences else f"{label}.png"
            _save(folder / file, picture)
            yield {
                "picture": f"{number:05d}/{file}",
                "twin": f"{number:05d}/{label}.twin.png",
                "person": f"{number:05d}",
                "expression": expression,
                "intensity": round(apex * share, 4),
                "sequence": label if config.sequences else "",
                "frame": frame if config.sequences else -1,
                "landmarks": _pairs(landmarks),
                "twin_landmarks": _pairs(twin_landmarks),
                "weights": {shape: round(weight, 4) for shape, weight in weights.items()},
                "action_units": action_units(weights),
                "attributes": _attributes(figure, scene),
            }


def _possible(weights: Weights) -> Weights:
    """Return `weights` without contradictions: the small variation must not narrow eyes that the expression widens."""
    for side in ("Left", "Right"):
        wide = weights.get("eyeWide" + side, 0.0)
        if wide > 0.3:
            weights["eyeBlink" + side] = max(0.0, weights.get("eyeBlink" + side, 0.0) - wide)
    return {shape: weight for shape, weight in weights.items() if weight > 0}


def _attributes(figure: Figure, scene: Scene) -> dict[str, str | float]:
    """Return what samples.jsonl says of the person and the scene."""
    person = figure.person
    return {
        "age": round(person.age, 1),
        "sex": person.sex,
        "skin": round(person.melanin, 2),
        "hair": person.hair_style,
        "fringe": person.fringe,
        "beard": person.beard,
        "glasses": person.glasses,
        "yaw": round(scene.yaw, 2),
        "pitch": round(scene.pitch, 2),
        "roll": round(scene.roll, 2),
        "light": scene.light.kind,
        "occluder": scene.occluder,
    }


def _pairs(landmarks: Array) -> list[list[float]]:
    """Return landmarks (68, 2) as lists, rounded to hundredths of a pixel."""
    return [[round(float(x), 2), round(float(y), 2)] for x, y in landmarks]


def _save(path: Path, picture: npt.NDArray[np.uint8]) -> None:
    """Write a picture as PNG."""
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 4])
    if not done:
        raise ValueError(f"could not encode the picture for {path}")
    path.write_bytes(data.tobytes())


def _write(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(text, "utf-8")
    unfinished.replace(path)
