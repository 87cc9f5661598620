"""The explaining picture: its parts stand where they should, for no face, one, many and without a neutral face."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from deadpan.faces.photographs import read_photograph
from deadpan.prediction.panel import ACCENT, FULL_RESIDUE, GAP, NOTES, PAPER, TILE, draw_panel, heat_map
from deadpan.prediction.predictor import Predictor


def count(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((picture == colour).all(axis=2).sum())


def holds(picture: np.ndarray, part: np.ndarray) -> bool:
    """Whether `part` stands in `picture` unchanged."""
    height, width = part.shape[:2]
    starts = np.argwhere((picture[: 1 - height or None, : 1 - width or None] == part[0, 0]).all(axis=2))
    return any(np.array_equal(picture[y : y + height, x : x + width], part) for y, x in starts)


def test_one_face(model_file: Path, portrait: Path) -> None:
    faces = Predictor(model_file).predict(portrait)
    drawn = draw_panel(read_photograph(portrait), faces)
    assert drawn.dtype == np.uint8 and drawn.shape[1] > 2 * drawn.shape[0]
    residue_map = faces[0].residue_map
    assert residue_map is not None and holds(drawn, heat_map(residue_map, TILE))
    assert count(drawn, ACCENT) > 500


def test_no_neutral_face_is_narrower(model_file: Path, plain_model_file: Path, portrait: Path) -> None:
    pixels = read_photograph(portrait)
    full, plain = (draw_panel(pixels, Predictor(model).predict(pixels)) for model in (model_file, plain_model_file))
    assert full.shape[1] - plain.shape[1] > 2 * TILE and full.shape[0] == plain.shape[0]


def test_no_face() -> None:
    drawn = draw_panel(np.zeros((300, 500, 3), np.uint8), [])
    assert count(drawn, ACCENT) == 0 and count(drawn, (32, 36, 44)) > 20  # the words


@pytest.mark.parametrize("number", [2, 5, 6, 30])
def test_many_faces_stay_within_a_screenlike_shape(model_file: Path, portrait: Path, number: int) -> None:
    pixels = read_photograph(portrait)
    drawn = draw_panel(pixels, Predictor(model_file).predict(pixels) * number)
    assert 1.2 < drawn.shape[1] / drawn.shape[0] < 4


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (2000, 3000)])
def test_odd_photographs(model_file: Path, size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), 80, np.uint8)
    drawn = draw_panel(pixels, [Predictor(model_file).predict_crop(pixels)])
    assert drawn.shape[1] < 1600 and tuple(drawn[0, 0]) == PAPER


def test_heat_map_is_fixed_and_rising() -> None:
    levels = np.repeat(np.linspace(0, FULL_RESIDUE, 32, dtype=np.float32)[:, None], 32, axis=1)
    brightness = heat_map(levels, 32).astype(int).sum(axis=2)[:, 0]
    assert brightness[0] < 20 and brightness[-1] > 500 and (np.diff(brightness) >= -3).all()
    assert np.array_equal(heat_map(levels + 1, 8), heat_map(np.ones_like(levels), 8))


def test_saves_as_a_picture(tmp_path: Path, model_file: Path, girl: Path) -> None:
    pixels = read_photograph(girl)
    Image.fromarray(draw_panel(pixels, Predictor(model_file).predict(pixels))).save(tmp_path / "panel.png")
    assert (tmp_path / "panel.png").stat().st_size < 600_000


def test_what_the_model_can_show_stands_beside_the_bars(comparing_model_file: Path, portrait: Path) -> None:
    pixels = read_photograph(portrait)
    plain = Predictor(comparing_model_file, rest_face=portrait).predict(pixels)
    full = Predictor(comparing_model_file, rest_face=portrait, show=True).predict(pixels)
    drawn, without = draw_panel(pixels, full), draw_panel(pixels, plain)
    assert drawn.shape[1] - without.shape[1] == 2 * (TILE + GAP) + NOTES + GAP  # a picture, the shifts, the words
    other = np.asarray(full[0].shown["someone else"].value, np.uint8)
    assert holds(drawn, cv2.resize(other, (TILE, TILE), interpolation=cv2.INTER_CUBIC))
    words = drawn[:, -NOTES:]
    assert count(words, PAPER) < words.shape[0] * words.shape[1]


def test_the_mesh_is_drawn_on_request(model_file: Path, portrait: Path) -> None:
    faces = Predictor(model_file).predict(portrait)
    plain, drawn = draw_panel(portrait, faces), draw_panel(portrait, faces, mesh=True)
    assert plain.shape == drawn.shape
    changed = (plain != drawn).any(2)
    assert 468 < changed.sum() < 0.1 * changed.size
    without = [dataclasses.replace(face, mesh=None) for face in faces]
    assert np.array_equal(draw_panel(portrait, without, mesh=True), plain)
