"""Draws a panel: the photograph and, for each face, its crop, neutral face, residue and probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from deadpan.faces.photographs import Photograph, read_photograph
from deadpan.pixels import RGB
from deadpan.prediction.results import FaceResult

PHOTOGRAPH_WIDTH = 640  # at most

PHOTOGRAPH_HEIGHT = 400  # at most, unless the rows of faces are taller

TILE = 160  # side of a face in pixels, as all sizes here

GAP = 12

CAPTION = 22

BARS = 250  # width of the bar chart

NOTES = 210  # width of the column of votes, amounts and levels

ROWS = 5  # faces in a column before a second column begins; more for crowds, so that the panel is about 3:2

PAPER, INK, FAINT, TRACK = (255, 255, 255), (32, 36, 44), (120, 126, 138), (234, 237, 242)

ACCENT, QUIET = (214, 84, 46), (120, 144, 176)

FULL_RESIDUE = 0.5
"""Residue shown in the brightest colour of the heat map; a constant, so that heat maps can be compared."""


def draw_panel(photograph: Photograph, faces: Sequence[FaceResult], *, mesh: bool = False) -> RGB:
    """Draw the photograph with its faces numbered, and a row for each face: (H, W, 3) uint8.

    `mesh` also draws the points of the face meshes. `photograph` is anything that `Predictor.predict` accepts;
    PhotographError if it cannot be read.
    """
    photograph = read_photograph(photograph)
    rows = min(len(faces), max(ROWS, math.ceil(math.sqrt(2.5 * len(faces)))))
    columns = math.ceil(len(faces) / rows) if faces else 0
    rows = math.ceil(len(faces) / columns) if faces else 0  # fill the columns evenly
    row_width, row_height = _row_size(faces)
    block = rows * (row_height + GAP)
    picture = _boxes(photograph, faces, max(PHOTOGRAPH_HEIGHT, block - GAP), mesh)
    width = picture.width + columns * (row_width + 2 * GAP) + 2 * GAP
    canvas = Image.new("RGB", (width, max(picture.height, block - GAP) + 2 * GAP), PAPER)
    canvas.paste(picture, (GAP, (canvas.height - picture.height) // 2))
    draw = ImageDraw.Draw(canvas)
    start = (canvas.height - block + GAP) // 2
    for index, face in enumerate(faces):
        column, line = divmod(index, rows)
        left = picture.width + 3 * GAP + column * (row_width + 2 * GAP)
        _row(canvas, draw, (left, start + line * (row_height + GAP)), index, face)
    if not faces:
        label = "no face found"
        draw.rectangle((GAP, GAP, GAP + draw.textlength(label, _font(16)) + 16, GAP + 30), PAPER)
        draw.text((GAP + 8, GAP + 15), label, INK, _font(16), anchor="lm")
    return np.asarray(canvas, dtype=np.uint8)


def heat_map(residue_map: NDArray[np.float32], side: int) -> RGB:
    """Colour a residue map, (S, S) in 0..1: (side, side, 3) uint8 from black (0) to yellow (FULL_RESIDUE and more)."""
    levels = np.clip(residue_map / FULL_RESIDUE * 255, 0, 255).astype(np.uint8)
    smooth = cv2.resize(levels, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.applyColorMap(smooth, cv2.COLORMAP_INFERNO)[..., ::-1], dtype=np.uint8)


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _boxes(photograph: RGB, faces: Sequence[FaceResult], most: int, mesh: bool) -> Image.Image:
    """The photograph, at most `most` pixels high, with a frame around each face and the face's number above it."""
    height, width = photograph.shape[:2]
    factor = min(PHOTOGRAPH_WIDTH / width, most / height)
    shown = (max(1, round(width * factor)), max(1, round(height * factor)))
    method = Image.Resampling.LANCZOS if factor < 1 else Image.Resampling.BICUBIC
    picture = Image.fromarray(photograph).resize(shown, method)
    draw = ImageDraw.Draw(picture)
    for index, face in enumerate(faces):
        left, top, right, bottom = (value * factor for value in face.box)
        right, bottom = max(right, left + 4), max(bottom, top + 4)  # Pillow raises for a frame of negative size
        draw.rectangle((left, top, right, bottom), outline=PAPER, width=4)
        draw.rectangle((left + 1, top + 1, right - 1, bottom - 1), outline=ACCENT, width=2)
        size = 15 if right - left > 60 else 10
        tag = draw.textlength(str(index), _font(size)) + 8
        base = max(top, size + 5)
        draw.rectangle((left, base - size - 5, left + tag, base), ACCENT)
        draw.text((left + tag / 2, base - size / 2 - 2), str(index), PAPER, _font(size), anchor="mm")
        if mesh and face.mesh is not None:
            radius = max(0.6, (right - left) / 250)
            for x, y in (face.mesh[:, :2] + 0.5) * factor:
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), ACCENT, PAPER if radius > 2 else None)
    return picture


def _tiles(face: FaceResult) -> list[tuple[str, RGB]]:
    tiles = [("face", _enlarged(face.aligned))]
    if face.neutral is not None and face.residue_map is not None:
        tiles.append(("neutral", _enlarged(face.neutral)))
        tiles.append((f"residue {face.residue:.3f}", heat_map(face.residue_map, TILE)))
    for caption, (kind, value) in face.shown.items():
        if kind == "picture":
            tiles.append((caption, _enlarged(value.astype(np.uint8))))
        elif kind == "shifts":
            tiles.append((caption, _arrows(value, face.aligned.shape[0])))
    return tiles


def _arrows(shifts: NDArray[np.float32], size: int) -> RGB:
    """Draw the motion of P points as lines; `shifts` (P, 2, 2) holds start and end in a picture of `size` pixels."""
    tile = Image.new("RGB", (TILE, TILE), TRACK)
    draw = ImageDraw.Draw(tile)
    for (x, y), (to_x, to_y) in (shifts * (TILE / size)).tolist():
        draw.line((x, y, to_x, to_y), ACCENT, 2)
        draw.ellipse((x - 1.5, y - 1.5, x + 1.5, y + 1.5), QUIET)
    return np.asarray(tile, dtype=np.uint8)


def _notes(face: FaceResult) -> list[str]:
    """The explanations that are numbers, as lines of text: the largest vote or amount, and levels."""
    notes = []
    for caption, (kind, value) in face.shown.items():
        if kind == "level":
            notes.append(f"{caption}  {float(value):.2f}")
        elif kind in ("votes", "amounts"):
            first = int(value.argmax())
            number = f"{value[first]:.0%}" if kind == "votes" else f"{value[first]:.2f}"
            notes.append(f"{caption}  {list(face.probabilities)[first]} {number}")
    return notes


def _enlarged(face: RGB) -> RGB:
    flags = cv2.INTER_CUBIC if face.shape[0] < TILE else cv2.INTER_AREA
    return np.asarray(cv2.resize(face, (TILE, TILE), interpolation=flags), dtype=np.uint8)


def _row_size(faces: Sequence[FaceResult]) -> tuple[int, int]:
    """Width and height of one face's row in pixels; all faces have the same tiles, because one model read them."""
    tiles = len(_tiles(faces[0])) if faces else 0
    notes = NOTES + GAP if faces and _notes(faces[0]) else 0
    return tiles * (TILE + GAP) + BARS + notes, TILE + CAPTION


def _row(canvas: Image.Image, draw: ImageDraw.ImageDraw, corner: tuple[int, int], index: int, face: FaceResult) -> None:
    left, top = corner
    for caption, pixels in _tiles(face):
        title = f"{index}  {caption}" if caption == "face" else caption
        draw.text((left, top + CAPTION / 2 - 2), title, FAINT, _font(13), anchor="lm")
        canvas.paste(Image.fromarray(pixels), (left, top + CAPTION))
        left += TILE + GAP
    _bars(draw, (left, top + CAPTION), face)
    for line, note in enumerate(_notes(face)):
        draw.text((left + BARS + GAP, top + CAPTION + 10 + 19 * line), note, INK, _font(12), anchor="lm")


def _bars(draw: ImageDraw.ImageDraw, corner: tuple[int, int], face: FaceResult) -> None:
    """Draw the probability of every expression as a bar; the most probable one is in the accent colour."""
    left, top = corner
    step = TILE / len(face.probabilities)
    size = min(14, max(9, round(step * 0.75)))
    start, end = left + 78, left + BARS - 44
    for position, (name, probability) in enumerate(face.probabilities.items()):
        chosen = name == face.expression
        middle = top + (position + 0.5) * step
        thickness = min(step * 0.62, 16) / 2
        draw.text((start - 8, middle), name, INK if chosen else FAINT, _font(size), anchor="rm")
        draw.rectangle((start, middle - thickness, end, middle + thickness), TRACK)
        length = (end - start) * probability
        if length >= 1:
            draw.rectangle((start, middle - thickness, start + length, middle + thickness), ACCENT if chosen else QUIET)
        draw.text((end + 6, middle), f"{probability:.1%}", INK if chosen else FAINT, _font(size), anchor="lm")
