"""The charts of a report as inline SVG; the page's style colours them, light or dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

WIDTH, HEIGHT = 330, 220

LEFT, RIGHT, TOP, BOTTOM = 44, 14, 10, 36  # margins around the plot in pixels

MOST = 150  # at most this many points of a line; more could not be distinguished at this width

STYLES = 8  # line styles (colour and dashes) that the page defines

Range = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A line through points; `style` is the number of a line style of the page, `sizes` are radii of dots."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: int = 0
    sizes: Sequence[float] = ()


@dataclass(frozen=True)
class Axes:
    """The labels and ranges of a chart's axes."""

    x: str
    y: str
    x_range: Range
    y_range: Range
    per_cent: bool = False  # ticks of the y axis; and of the x axis where its range is 0 to 1

    def place(self, x: float, y: float) -> tuple[float, float]:
        """The position (x, y) of a value in the chart, in pixels."""
        across = (x - self.x_range[0]) / (self.x_range[1] - self.x_range[0])
        up = (y - self.y_range[0]) / (self.y_range[1] - self.y_range[0])
        right = LEFT + across * (WIDTH - LEFT - RIGHT)
        return round(right, 1), round(HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM), 1)


def chart(lines: Sequence[Line], axes: Axes, *, diagonal: bool = False) -> Markup:
    """Lines over axes; `diagonal` adds a thin line where x equals y."""
    parts = [_frame(axes)]
    if diagonal:
        parts.append(Markup('<path class="diagonal" d="{}"/>').format(_path(axes, axes.x_range, axes.y_range)))
    for line in lines:
        step = max(1, -(-len(line.x) // MOST))
        path = _path(axes, line.x[::step], line.y[::step])
        drawn = Markup('<path class="line s{}" d="{}"><title>{}</title></path>')
        parts.append(drawn.format(line.style % STYLES, path, line.name))
        for x, y, size in zip(line.x, line.y, line.sizes, strict=False):
            dot = Markup('<circle class="dot s{}" cx="{}" cy="{}" r="{}"/>')
            parts.append(dot.format(line.style % STYLES, *axes.place(x, y), round(size, 1)))
    return _svg(parts, f"{axes.y} over {axes.x}: {', '.join(line.name for line in lines)}")


def scatter(points: Sequence[Sequence[float]], classes: Sequence[str], styles: Sequence[int]) -> Markup:
    """Points [x, y, truth, answer], coloured by true expression; errors are crossed, classes named at their median."""
    table = np.asarray(points, float)
    low, high = table[:, :2].min(0), table[:, :2].max(0)
    low, high = low - 0.03 * (high - low) - 1e-9, high + 0.03 * (high - low) + 1e-9
    side = 420.0
    place = np.round((table[:, :2] - low) / (high - low) * side, 1)
    place[:, 1] = side - place[:, 1]
    truth, answer = table[:, 2].astype(int), table[:, 3].astype(int)
    parts = []
    for index, style in enumerate(styles):
        dots = " ".join(f"M{x:g} {y:g}h0" for x, y in place[truth == index])
        parts.append(Markup('<path class="points c{}" d="{}"/>').format(style, dots))
    crosses = " ".join(f"M{x - 3:g} {y - 3:g}l6 6m0-6l-6 6" for x, y in place[truth != answer])
    parts.append(Markup('<path class="crosses" d="{}"/>').format(crosses))
    for index, name in enumerate(classes):
        if (truth == index).any():
            x, y = np.median(place[truth == index], axis=0)
            text = Markup('<text class="name" x="{:.0f}" y="{:.0f}" text-anchor="middle">{}</text>')
            parts.append(text.format(min(max(x, 30), side - 30), y, name))
    return _svg(parts, "map of the answers, coloured by true expression", (side, side))


def span(values: Sequence[float]) -> Range:
    """A range with round ends that contains all values."""
    ticks = MaxNLocator(4).tick_values(min(values), max(values))
    return float(ticks[0]), float(ticks[-1])


def _frame(axes: Axes) -> Markup:
    """The axes with ticks, grid lines and labels."""
    parts = []
    shares = axes.per_cent and axes.x_range == (0, 1)
    for value in _ticks(axes.y_range):
        x, y = axes.place(axes.x_range[0], value)
        parts.append(Markup('<path class="grid" d="M{} {}H{}"/>').format(x, y, WIDTH - RIGHT))
        text = Markup('<text x="{}" y="{}" text-anchor="end">{}</text>')
        parts.append(text.format(x - 5, y + 4, f"{100 * value:.0f}" if axes.per_cent else f"{value:g}"))
    for value in _ticks(axes.x_range):
        x, y = axes.place(value, axes.y_range[0])
        text = Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>')
        parts.append(text.format(x, y + 14, f"{100 * value:.0f}" if shares else f"{value:g}"))
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        Markup('<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>').format(middle, HEIGHT - 5, axes.x)
    )
    across = (TOP + HEIGHT - BOTTOM) / 2
    turned = Markup('<text class="axis" transform="translate(10 {}) rotate(-90)" text-anchor="middle">{}</text>')
    return Markup("").join([*parts, turned.format(across, axes.y)])


def _ticks(ends: Range) -> list[float]:
    """Round values inside a range."""
    ticks = MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=ends[1] - ends[0] > 2).tick_values(*ends)
    margin = 1e-6 * (ends[1] - ends[0])
    return [round(float(tick), 10) for tick in ticks if ends[0] - margin <= tick <= ends[1] + margin]


def _path(axes: Axes, x: Sequence[float], y: Sequence[float]) -> str:
    places = [axes.place(*each) for each in zip(x, y, strict=True)]
    return "M" + "L".join(f"{across:g} {down:g}" for across, down in places)


def _svg(parts: Sequence[Markup], words: str, size: tuple[float, float] = (WIDTH, HEIGHT)) -> Markup:
    opened = Markup('<svg viewBox="0 0 {:g} {:g}" style="max-width:{:g}px" role="img" aria-label="{}">')
    return opened.format(*size, size[0], words) + Markup("").join(parts) + Markup("</svg>")
