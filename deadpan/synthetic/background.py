"""The background behind the face, and objects that cover a part of some faces.

Photographs differ in both. Without this variety a network could learn to rely on a clean contour of the face.
"""

from __future__ import annotations

import cv2
import numpy as np

from deadpan.synthetic.noise import cloud, smoothstep
from deadpan.synthetic.rig import Array

OCCLUDERS = ("none", "microphone", "hand", "edge")  # "edge": a flat object that reaches in from outside the picture


def make_background(rng: np.random.Generator, size: int) -> Array:
    """Return a background (size, size, 3) in linear light: a plain studio, two tones, or a blurred room."""
    kind = int(rng.choice(3, p=[0.3, 0.3, 0.4]))
    first, second = (rng.uniform(0.02, 0.7) * (1 + rng.normal(0, 0.15, 3)) for _ in range(2))
    if kind == 0:
        second = first * rng.uniform(0.6, 1.3)
    mix = smoothstep(-0.6, 0.6, cloud(rng, int(rng.integers(2, 5)), int(rng.integers(2, 5)), size, size))[..., None]
    image = np.asarray(first * mix + second * (1 - mix), np.float32)
    if kind == 2:  # a room: out-of-focus rectangles
        for _ in range(int(rng.integers(2, 9))):
            left, top = (int(v) for v in rng.uniform(-0.3, 1.0, 2) * size)
            right, bottom = left + int(rng.uniform(0.05, 0.6) * size), top + int(rng.uniform(0.05, 0.8) * size)
            colour = rng.uniform(0.01, 0.9) * (1 + rng.normal(0, 0.2, 3))
            cv2.rectangle(image, (left, top), (right, bottom), tuple(float(c) for c in colour), -1)
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.01, 0.06)) * size), np.float32)
    return np.clip(image, 0.001, 1.0).astype(np.float32)


def make_occluder(rng: np.random.Generator, kind: str, size: int, skin: tuple[float, float, float]) -> Array:
    """Return a layer (size, size, 4), linear RGB and opacity, of an object in front of the lower or outer face."""
    layer = np.zeros((size, size, 4), np.float32)
    if kind == "none":
        return layer
    # `inside` is a signed distance to the object's outline in shares of the picture, negative inside the object
    columns, rows = np.meshgrid((np.arange(size) + 0.5) / size, (np.arange(size) + 0.5) / size)
    if kind == "microphone":
        x, y, radius = rng.uniform(0.3, 0.7), rng.uniform(0.80, 0.92), rng.uniform(0.05, 0.09)
        ball = np.hypot(columns - x, rows - y)
        stem = np.abs(columns - x - (rows - y) * rng.uniform(-0.4, 0.4)) - radius * 0.55
        inside = np.where(rows > y, np.minimum(ball - radius, stem), ball - radius)
        colour = np.full(3, rng.uniform(0.01, 0.15))
        relief = 1 + 1.5 * np.clip(1 - ball / radius, 0, 1)
    elif kind == "hand":
        x, y, lean = rng.choice([0.22, 0.78]), rng.uniform(0.75, 0.95), rng.uniform(-0.5, 0.5)
        fingers = [_capsule(columns, rows, x + 0.055 * k, y, lean + 0.08 * k, 0.3) - 0.03 for k in range(-2, 2)]
        inside = np.minimum.reduce(fingers)
        colour = np.array(skin) * rng.uniform(0.25, 0.6)
        relief = 0.75 + 12 * np.clip(-inside, 0, 0.03)
    else:
        angle = rng.uniform(0, 2 * np.pi)
        inside = rng.uniform(0.36, 0.44) - (np.cos(angle) * (columns - 0.5) + np.sin(angle) * (rows - 0.5))
        colour, relief = rng.uniform(0.01, 0.5, 3), np.ones_like(inside)
    layer[..., :3] = colour * relief[..., None]
    layer[..., 3] = smoothstep(0.008, -0.008, inside)
    return layer


def _capsule(columns: Array, rows: Array, x: float, y: float, lean: float, length: float) -> Array:
    """Return each pixel's distance to a segment that starts at (x, y) and runs down, `lean` radians to the side."""
    dx, dy = np.sin(lean), np.cos(lean)
    along = np.clip((columns - x) * dx + (rows - y) * dy, 0, length)
    return np.asarray(np.hypot(columns - x - along * dx, rows - y - along * dy), np.float32)
