"""Chooses the photographs that are neutral enough for composites, and a suitable donor for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan.errors import DeadpanError
from deadpan.faces.landmarks import OUTER_EYES
from deadpan.faces.relaxing import LOWER_LIP, UPPER_LIP, expression_of, shape_error, upright, with_depth
from deadpan.pixels import RGB
from deadpan.preparation.table import FaceTable, Rows, subjects_of

CORNERS = (61, 291)

BESIDE_MOUTH, MOUSTACHE, CHIN = (205, 425), (164,), (199, 200)

TURNED = 0.5
"""Yaw in radians beyond which a face is left out, because half of it is hidden."""

AT_REST = {"corner": 0.017, "error": 0.018, "shown": 0.025}
"""Greatest measures of a neutral face; 78, 93 and 85 % of the news pictures labelled neutral are below them."""

SHUT, WIDEST = 1.27, 0.08
"""The gap of a closed mouth is at most SHUT times the 20 % quantile of the gaps of neutral faces, and at most WIDEST.

The mesh has a gap of 0.045 mouth widths in small news pictures and of 0.07 in studio photographs of closed mouths."""

CANDIDATES, CHOSEN = 40, 2
"""Number of random donors that are compared, and number of the most similar ones from which one is chosen."""


class ComposeError(DeadpanError):
    """Prepared faces from which no composite can be made; the text says what was expected."""


class Measures(NamedTuple):
    """The measures by which donors are matched, each (N,), (N, 2) or (N, 3); NaN if a face has no mesh."""

    turn: NDArray[np.float64]  # (N, 3) yaw, pitch, roll in radians
    error: NDArray[np.float64]  # distance of the rigid points from those of the mean face
    opened: NDArray[np.float64]  # gap between the lips, in widths of the mouth
    corner: NDArray[np.float64]  # height of the mouth's corners, in eye distances
    shown: NDArray[np.float64]  # displacement of the points by the expression, in eye distances
    bright: NDArray[np.float64]  # 0..255
    rough: NDArray[np.float64]  # standard deviation of the Laplacian: sharpness
    beard: NDArray[np.float64]  # (N, 2) upper lip and chin, relative to the cheeks


def measure_face(image: RGB, points: NDArray[np.float16]) -> NDArray[np.float64]:
    """Measure one face with margin (M, M, C) with its mesh (468, 2): the Measures as (11,)."""
    if not np.isfinite(points).all():
        return np.full(11, np.nan)
    face = upright(with_depth(points.astype(np.float64)))
    moved, shape = expression_of(face), face.points
    eyes = np.linalg.norm(np.subtract(*shape[list(OUTER_EYES)]))
    mouth = np.linalg.norm(np.subtract(*shape[list(CORNERS)]))
    gap = np.linalg.norm(shape[UPPER_LIP[3:6]] - shape[LOWER_LIP[3:6]], axis=1).mean()
    grey = image.mean(axis=2, dtype=np.float32)
    start, end = round(0.12 * len(grey)), round(0.88 * len(grey))
    middle = grey[start:end, start:end]
    cheeks = _light(grey, points, BESIDE_MOUTH) + 5
    turn = face.turn
    return np.array(
        [
            np.arctan2(turn[0, 2], turn[2, 2]),
            np.arctan2(-turn[1, 2], np.hypot(turn[0, 2], turn[2, 2])),
            np.arctan2(turn[1, 0], turn[0, 0]),
            shape_error(face) / eyes,
            gap / mouth,
            -moved[list(CORNERS), 1].mean() / eyes,
            np.linalg.norm(moved, axis=1).mean() / eyes,
            middle.mean(),
            cv2.Laplacian(middle, cv2.CV_32F).std(),
            _light(grey, points, MOUSTACHE) / cheeks,
            _light(grey, points, CHIN) / cheeks,
        ]
    )


def _light(grey: NDArray[np.float32], points: NDArray[np.float16], which: Sequence[int]) -> float:
    """Mean brightness around the given points."""
    reach = max(1, len(grey) // 35)
    values = []
    for x, y in np.rint(points[list(which)].astype(float)).astype(int).clip(reach, len(grey) - 1 - reach):
        values.append(grey[y - reach : y + reach + 1, x - reach : x + reach + 1].mean())
    return float(np.mean(values))


def measures(rows: NDArray[np.float64]) -> Measures:
    """The columns (N, 11) of `measure_face` by name."""
    error, opened, corner, shown, bright, rough = rows[:, 3:9].T
    return Measures(rows[:, :3], error, opened, corner, shown, bright, rough, rows[:, 9:])


class Pools(NamedTuple):
    """Usable rows of the neutral table and of all donor tables together."""

    neutral: Rows
    donors: dict[str, Rows]  # by expression


def pools(neutral: FaceTable, own: Measures, donors: Sequence[FaceTable], given: Measures) -> Pools:
    """Select faces whose shape is neutral too, and donors whose expression is visible.

    This is needed because labels are noisy: many faces labelled neutral smile or speak. Raises ComposeError if no face
    or no donor is left.
    """
    labelled = _share(neutral, "neutral") > 0.5
    labelled &= np.isfinite(own.error) & (np.abs(own.turn[:, 0]) < TURNED)
    if not labelled.any():
        raise ComposeError(
            f"{neutral.path} has no face that is labelled neutral, turned less than {TURNED} radians and has a mesh: "
            "use another file"
        )
    plain = labelled & np.all([getattr(own, name) <= most for name, most in AT_REST.items()], axis=0)
    if plain.any():
        plain &= own.opened <= min(WIDEST, SHUT * np.quantile(own.opened[plain], 0.2))
    if not plain.any():
        raise ComposeError(
            f"{neutral.path}: none of its {labelled.sum()} neutral faces has a closed mouth and no smile"
        )
    usable = np.isfinite(given.error) & (np.abs(given.turn[:, 0]) < TURNED)
    if usable.any():
        usable &= given.error <= np.quantile(given.error[usable], 0.95)
    seen = given.shown > np.quantile(own.shown[labelled], 0.5)
    smiling = given.corner > np.quantile(own.corner[labelled], 0.6)
    named = np.concatenate([np.array(table.expressions)[table.classes] for table in donors])
    certain = np.concatenate([table.target.max(axis=1) > 0.5 for table in donors])
    found = {}
    for expression in dict.fromkeys(named.tolist()):
        rows = usable & certain & (named == expression) & (smiling if expression == "happiness" else seen)
        if expression != "neutral" and rows.any():
            found[expression] = rows.nonzero()[0]
    if not found:
        paths = ", ".join(str(table.path) for table in donors)
        raise ComposeError(f"{paths}: no face shows an expression other than neutral; use other files")
    return Pools(plain.nonzero()[0], found)


def _share(table: FaceTable, expression: str) -> NDArray[np.float32]:
    """(N,): the share of one expression in each row's label distribution."""
    if expression not in table.expressions:
        return np.zeros(len(table), np.float32)
    return np.asarray(table.target[:, table.expressions.index(expression)])


def best_donor(
    one: int, own: Measures, who: str, pool: Rows, given: Measures, people: NDArray[Any], draw: np.random.Generator
) -> int:
    """Choose a donor, another person if possible, that is similar in pose, light, beard and sharpness."""
    rows = draw.choice(pool, min(CANDIDATES, len(pool)), replace=False)
    others = rows[people[rows] != who] if who else rows
    rows = others if len(others) else rows
    cost = np.abs(given.turn[rows] - own.turn[one]) @ [3, 2, 1]
    cost += np.abs(given.bright[rows] - own.bright[one]) / 60
    cost += 3 * np.abs(given.beard[rows] - own.beard[one]).sum(axis=1)
    cost += 0.6 * np.abs(np.log((given.rough[rows] + 2) / (own.rough[one] + 2)))
    return int(rows[np.argsort(cost, kind="stable")[draw.integers(min(CHOSEN, len(rows)))]])


def people_of(tables: Sequence[FaceTable]) -> NDArray[Any]:
    """The person of each row of all tables together; empty if unknown."""
    return np.concatenate([np.array(subjects_of(table), dtype=np.str_) for table in tables])
