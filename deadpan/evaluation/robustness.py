"""Robustness: how many predictions stay correct under seven degradations at five severities, fixed by a seed.

Lengths in pixels refer to a face of 64 pixels a side and scale with the side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""(N, S, S, 3) aligned faces, RGB."""

SEVERITIES = (1, 2, 3, 4, 5)

STRENGTHS: dict[str, tuple[float, ...]] = {
    "blur": (0.5, 1.0, 1.5, 2.0, 3.0),  # pixels of 64, standard deviation of the Gaussian
    "noise": (0.03, 0.06, 0.10, 0.15, 0.20),  # share of white, standard deviation in each channel
    "jpeg": (50, 30, 15, 10, 5),  # quality, with the colour at half the resolution
    "low light": (0.5, 0.25, 0.12, 0.06, 0.03),  # share of the light that is left
    "occlusion": (0.05, 0.10, 0.15, 0.20, 0.25),  # share of the picture that is covered
    "rotation": (5, 10, 20, 30, 45),  # degrees in the plane
    "low resolution": (0.75, 0.5, 0.375, 0.25, 0.1875),  # share of the pixels a side: 48, 32, 24, 16, 12 of 64
}
"""The strength of each degradation at severity 1 to 5: our choice, from hardly visible to hardly recognisable."""

PHOTONS = 1000
"""Photons of a white pixel in full light: shot noise of 3 %, and of 18 % in the darkest severity."""

GAMMA = 2.2  # between pixel values and light

PLACES = ((0.5, 0.367), (0.5, 0.768))
"""Centres of the eyes and of the mouth in an aligned face, as shares of the side (docs/glossary.md, Alignment)."""

ASPECT = 2.0  # width to height of the occluding rectangle, similar to sunglasses or a mask

COVER = 40  # grey value of the rectangle


def blur(images: Pixels, severity: int, draw: np.random.Generator) -> Pixels:
    """A Gaussian blur."""
    deviation = STRENGTHS["blur"][severity - 1] * images.shape[1] / 64
    return _each(images, lambda image: cv2.GaussianBlur(image, (0, 0), deviation))


def noise(images: Pixels, severity: int, draw: np.random.Generator) -> Pixels:
    """Normal noise, independent in every pixel and channel."""
    deviation = np.float32(STRENGTHS["noise"][severity - 1] * 255)
    return _rounded(images + deviation * draw.standard_normal(images.shape, np.float32))


def jpeg(images: Pixels, severity: int, draw: np.random.Generator) -> Pixels:
    """JPEG compression."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(STRENGTHS["jpeg"][severity - 1])]

    def through_file(image: NDArray[Any]) -> NDArray[Any]:
        encoded = cv2.imencode(".jpg", image[..., ::-1], quality)[1]
        decoded: Any = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        return np.asarray(decoded[..., ::-1])

    return _each(images, through_file)


def low_light(images: Pixels, severity: int, draw: np.random.Generator) -> Pixels:
    """Less light on the same camera: a darker picture with more photon noise."""
    photons = PHOTONS * STRENGTHS["low light"][severity - 1] * (images / 255) ** GAMMA
    return _rounded(255 * (draw.poisson(photons) / PHOTONS) ** (1 / GAMMA))


def occlusion(images: Pixels, severity: int, draw: np.random.Generator) -> Pixels:
    """A dark rectangle over the eyes, the mouth or anywhere, each for a third of the pictures on average."""
    count, side = images.shape[:2]
    height = np.sqrt(STRENGTHS["occlusion"][severity - 1] / ASPECT)
    sides = np.array([ASPECT * height, height])  # shares of the picture's side, across and down
    choice, anywhere = draw.integers(0, 3, count), draw.random((count, 2))
    centres = sides / 2 + anywhere * (1 - sides)  # (N, 2)
    for number, place in enumerate(PLACES):
        centres[choice == number] = place
    out = images.copy()
    for image, centre in zip(out, centres, strict=True):
        start = np.rint((centre - sides / 2) * side).astype(int)
        left, top = np.clip(start, 0, side)
        right, bottom = np.clip(start + np.rint(sides * side).astype(int), 0, side)
        image[top:bottom, left:right] = COVER
    return out


def rotation(images: Pixels, severity: int, draw: np.random.Generator) -> Pixels:
    """A rotation in the plane about the centre, to a random side; the edge is repeated into the corners."""
    side = images.shape[1]
    angles = STRENGTHS["rotation"][severity - 1] * draw.choice([-1, 1], len(images))
    out = np.empty_like(images)
    for index, angle in enumerate(angles):
        turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), float(angle), 1)
        out[index] = cv2.warpAffine(images[index], turn, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return out


def low_resolution(images: Pixels, severity: int, draw: np.random.Generator) -> Pixels:
    """A lower resolution, enlarged to the old size."""
    side = images.shape[1]
    small = max(1, round(side * STRENGTHS["low resolution"][severity - 1]))

    def there_and_back(image: NDArray[Any]) -> NDArray[Any]:
        less = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        return cv2.resize(less, (side, side), interpolation=cv2.INTER_LINEAR)

    return _each(images, there_and_back)


DEGRADATIONS: dict[str, Callable[[Pixels, int, np.random.Generator], Pixels]] = {
    "blur": blur,
    "noise": noise,
    "jpeg": jpeg,
    "low light": low_light,
    "occlusion": occlusion,
    "rotation": rotation,
    "low resolution": low_resolution,
}
"""By name: (N, S, S, 3) uint8 RGB, a severity of 1 to 5 and a random generator -> the degraded pictures."""


def measure_robustness(
    answer_pixels: Callable[[Pixels], NDArray[np.float32]],
    images: Pixels,
    truth: NDArray[np.int64],
    limit: int = 500,
    seed: int = 0,
) -> dict[str, Any]:
    """Count the correct predictions on at most `limit` pictures, clean and degraded; ready for JSON.

    `answer_pixels` returns probabilities (N, K) for pictures; `truth` holds indices (N,). A degradation uses the same
    random numbers at each severity, so the severities differ in strength only.
    """
    if not len(images) or len(images) != len(truth):
        raise ValueError(f"pictures and their truth are needed, one each; got {len(images)} and {len(truth)}")
    rows = np.sort(np.random.default_rng(seed).permutation(len(images))[:limit])
    images, truth = images[rows], truth[rows]

    def hits(pictures: Pixels) -> int:
        return int((answer_pixels(pictures).argmax(1) == truth).sum())

    degradations = {}
    for number, (name, degrade) in enumerate(DEGRADATIONS.items()):
        worse = (degrade(images, severity, np.random.default_rng([seed, number])) for severity in SEVERITIES)
        degradations[name] = [hits(pictures) for pictures in worse]
    return {"pictures": len(images), "clean": hits(images), "degradations": degradations}


def _each(images: Pixels, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Pixels:
    out = np.empty_like(images)
    for index, image in enumerate(images):
        out[index] = change(image)
    return out


def _rounded(values: NDArray[Any]) -> Pixels:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)
