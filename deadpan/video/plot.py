"""Plot the distance from rest and the expressions of each person in a video over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deadpan.errors import DeadpanError, how_to_install
from deadpan.faces.networks import Floats
from deadpan.files import replacing
from deadpan.video.episodes import NEUTRAL, NOTHING, labels
from deadpan.video.events import Event
from deadpan.video.results import VideoResult

COLOURS = {
    "neutral": "#b8bec9",
    "anger": "#d1495b",
    "contempt": "#8d5a97",
    "disgust": "#5b8c5a",
    "fear": "#3d5a80",
    "happiness": "#f2a541",
    "sadness": "#5fa8d3",
    "surprise": "#e07a5f",
}
"""One colour per expression, in plots and in annotated videos."""

MOST_POINTS = 3000
"""Most points of a curve; a longer curve is reduced to the largest value of each stretch."""

MOST_PEOPLE = 12
"""Most people in the plot; if there are more, those visible longest are shown."""


def plot_video(video: VideoResult, path: Path, events: list[Event] | None = None) -> None:
    """Write a PNG with one panel per person: the distance from rest over time, in the colour of the expression.

    If the person's face at rest is unknown, the curve shows 1 minus the probability of neutral. `episodes.labels`
    decides the expression of each frame. Events are shaded. DeadpanError if matplotlib is not installed.
    """
    plt = _matplotlib()
    people = video.people()
    shown = sorted(sorted(people, key=lambda face: -len(people[face]))[:MOST_PEOPLE])
    figure, axes = plt.subplots(max(1, len(shown)), 1, figsize=(11, 1.4 + 1.7 * max(1, len(shown))), sharex=True,
                                squeeze=False, layout="constrained")  # fmt: skip
    used: set[str] = set()
    for face, axis in zip(shown, axes[:, 0], strict=False):
        used |= _panel(axis, video, face, people[face], events or [])
    if not shown:
        axes[0, 0].text(0.5, 0.5, "no face found", ha="center", va="center", transform=axes[0, 0].transAxes)
    axes[-1, 0].set_xlabel("time in the video (minutes:seconds)")
    axes[-1, 0].xaxis.set_major_formatter(lambda value, _: f"{int(value) // 60}:{value % 60:04.1f}".removesuffix(".0"))
    marks = [plt.Rectangle((0, 0), 1, 1, color=COLOURS[name]) for name in COLOURS if name in used]
    names = [name for name in COLOURS if name in used]
    figure.legend(marks, names, loc="outside upper right", ncols=len(names) or 1, frameon=False, fontsize=9)
    left_out = f", the {len(shown)} of {len(people)} people who are visible longest" if len(people) > len(shown) else ""
    figure.suptitle(f"{video.path.name}{left_out}", x=0.01, ha="left", fontsize=11)
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=120, metadata={"Software": "deadpan"})
    plt.close(figure)


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise DeadpanError(f"a plot needs the package matplotlib: {how_to_install('matplotlib')}") from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _panel(axis: Any, video: VideoResult, face: int, rows: NDArray[np.intp], events: list[Event]) -> set[str]:
    """Draw the panel of one person, and return the expressions in it."""
    times, probabilities, distances = video.series(rows)
    known = not np.isnan(distances).all()
    heights = distances if known else 1 - probabilities[:, _neutral(video.expressions)]
    which = labels(video.expressions, probabilities, distances)
    times, heights, which = _thinned(times, heights, which)
    gaps = np.diff(times) > max(1.0, 5 * float(np.median(np.diff(times)))) if len(times) > 1 else np.zeros(0, bool)
    curve = np.insert(heights, np.flatnonzero(gaps) + 1, np.nan)
    axis.plot(np.insert(times, np.flatnonzero(gaps) + 1, np.nan), curve, color="#20242c", linewidth=1.0)
    names = dict(enumerate(video.expressions)) | {NOTHING: NEUTRAL}
    for index, name in names.items():
        here = which == index
        here[1:] |= here[:-1]  # fill up to the next frame
        here[1:] &= ~gaps
        axis.fill_between(times, 0, heights, where=here, color=COLOURS.get(name, "#888888"), linewidth=0, alpha=0.85)
    for event in events:
        if event.participant in (None, face):
            axis.axvspan(event.start_s, event.end_s, color="#20242c", alpha=0.08, linewidth=0)
            axis.text(event.start_s, 1.0, f" {event.name}", fontsize=8, va="top", color="#5a606c")
    axis.set_ylim(0, 1.02)
    what = "distance\nfrom rest" if known else "1 - neutral"
    axis.set_ylabel(f"face {face}\n{what}", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0)
    return {names[index] for index in np.unique(which)}


def _neutral(expressions: tuple[str, ...]) -> int:
    return expressions.index(NEUTRAL) if NEUTRAL in expressions else 0


def _thinned(times: Floats, heights: Floats, which: Any) -> tuple[Floats, Floats, Any]:
    """Reduce a curve to at most MOST_POINTS points: the highest point of each stretch."""
    if len(times) <= MOST_POINTS:
        return times, heights, which
    parts = np.array_split(np.arange(len(times)), MOST_POINTS)
    chosen = np.array([part[int(np.nan_to_num(heights[part]).argmax())] for part in parts])
    return times[chosen], heights[chosen], which[chosen]
