"""Videos made of the example photographs: a person who smiles for a while, an empty scene, another person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from deadpan.faces.photographs import read_photograph
from deadpan.pixels import RGB
from tests.support.photos import PHOTOS

SIDE, RATE = 240, 25

SMILE = (1.2, 2.0)
"""Seconds in which the person of `smiling` smiles wholly; it takes a fifth of a second to come and to go."""

EMPTY = (3.2, 3.6)

OTHER = (3.6, 4.4)
"""Seconds in which nobody and then another person is in sight."""


def portrait(number: int, expression: str = "neutral") -> RGB:
    photograph = read_photograph(PHOTOS / f"london_{number:03}_{expression}.jpg")
    return np.asarray(cv2.resize(photograph, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def smiling() -> Iterator[RGB]:
    neutral, smile = portrait(107).astype(np.float32), portrait(107, "happiness").astype(np.float32)
    start, end = SMILE
    for frame in range(round(OTHER[1] * RATE)):
        second = frame / RATE
        if EMPTY[0] <= second < EMPTY[1]:
            yield np.full((SIDE, SIDE, 3), 90, np.uint8)
        elif second >= OTHER[0]:
            yield portrait(119)
        else:
            share = float(np.interp(second, [start - 0.2, start, end, end + 0.2], [0, 1, 1, 0]))
            yield np.asarray(neutral + share * (smile - neutral), np.uint8)


def write_film(path: Path, frames: Sequence[RGB] | Iterator[RGB], rate: float = RATE, codec: str = "MJPG") -> Path:
    writer = None
    for pixels in frames:
        if writer is None:
            writer = cv2.VideoWriter(
                str(path), cv2.VideoWriter.fourcc(*codec), rate, (pixels.shape[1], pixels.shape[0])
            )
        writer.write(np.ascontiguousarray(pixels[..., ::-1]))
    assert writer is not None
    writer.release()
    return path
