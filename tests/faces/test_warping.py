"""Pixels follow the mesh, nothing else moves, and a mouth that shuts shows nothing of its inside."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deadpan.faces.detection import make_detector
from deadpan.faces.networks import Floats
from deadpan.faces.photographs import read_photograph
from deadpan.faces.relaxing import LOWER_EDGE, UPPER_EDGE, relax_face, relax_mesh, triangles, without_teeth
from deadpan.faces.warping import INNER_LIPS, OVAL, RING, motion, moved, with_ring
from deadpan.pixels import RGB
from tests.support.photos import PHOTOS


@pytest.fixture(scope="module")
def smile() -> RGB:
    return read_photograph(PHOTOS / "london_107_happiness.jpg")


@pytest.fixture(scope="module")
def mesh(smile: RGB) -> Floats:
    found = make_detector()(smile)[0].mesh
    assert found is not None
    return found.astype(np.float64)


def test_no_motion_returns_the_photograph_itself(smile: RGB, mesh: Floats) -> None:
    still = motion(mesh, mesh, triangles(), *smile.shape[:2])
    assert np.abs(still.flow).max() < 1e-3
    assert np.array_equal(moved(smile, still), smile)


def test_the_flow_leads_from_each_point_to_where_it_was(smile: RGB, mesh: Floats) -> None:
    target = mesh + np.array([3.0, -2.0, 0.0])
    found = motion(mesh, target, triangles(), *smile.shape[:2])
    inside = [4, 50, 280, 152, 9, 61, 291]  # nose tip, cheeks, chin, forehead, corners of the mouth
    x, y = np.round(target[inside, :2]).astype(int).T
    np.testing.assert_allclose(found.flow[y - found.corner[1], x - found.corner[0]], [[-3.0, 2.0]] * 7, atol=0.05)


def test_pixels_move_with_the_points(smile: RGB, mesh: Floats) -> None:
    result = moved(smile, motion(mesh, mesh + np.array([5.0, 0.0, 0.0]), triangles(), *smile.shape[:2]))
    x, y = np.round(mesh[4, :2]).astype(int)
    np.testing.assert_array_equal(result[y - 5 : y + 6, x : x + 11], smile[y - 5 : y + 6, x - 5 : x + 6])


def test_nothing_moves_outside_the_ring(smile: RGB, mesh: Floats) -> None:
    result = moved(smile, motion(mesh, mesh + np.array([5.0, 0.0, 0.0]), triangles(), *smile.shape[:2]))
    changed = np.argwhere((result != smile).any(axis=2))[:, ::-1]
    middle = mesh[list(OVAL), :2].mean(axis=0)
    furthest = np.linalg.norm(with_ring(mesh) - middle, axis=1).max()
    assert len(changed) > 1000
    assert np.linalg.norm(changed - middle, axis=1).max() <= furthest + 1
    assert furthest < 2 * RING * np.ptp(mesh[:, 1])


def mouth_mask(mesh: Floats, size: tuple[int, ...], points: Sequence[int]) -> NDArray[np.bool_]:
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.round(mesh[list(points), :2]).astype(np.int32)], 1)
    return mask > 0


def test_the_motion_is_continuous_outside_the_mouth(smile: RGB, mesh: Floats) -> None:
    relaxed = relax_mesh(mesh)
    found = motion(mesh, relaxed, triangles(), *smile.shape[:2])
    outer = [61, *UPPER_EDGE, 291, *LOWER_EDGE[::-1]]
    mouth = cv2.dilate(mouth_mask(relaxed, smile.shape[:2], outer).astype(np.uint8), np.ones((7, 7))) > 0
    x, y = found.corner
    height, width = found.flow.shape[:2]
    flow = np.where(mouth[y : y + height, x : x + width, None], np.nan, found.flow)
    assert np.nanmax(np.abs(flow)) > 3
    steps = [np.abs(np.diff(flow, axis=axis)).ravel() for axis in (0, 1)]
    # the wings of the nose overlap the cheeks behind them
    assert np.nanquantile(np.concatenate(steps), 0.999) < 1


def test_a_shut_mouth_shows_nothing_of_its_inside(smile: RGB, mesh: Floats) -> None:
    painted = smile.copy()
    painted[mouth_mask(mesh, smile.shape[:2], INNER_LIPS)] = (0, 255, 0)
    relaxed = relax_mesh(mesh)
    result = moved(painted, motion(without_teeth(mesh, relaxed), relaxed, triangles(), *smile.shape[:2]))

    def green(picture: RGB) -> int:
        values = picture.astype(int)
        return int((values[..., 1] - np.maximum(values[..., 0], values[..., 2]) > 60).sum())

    assert green(painted) > 500
    assert green(result) < 0.05 * green(painted)


def test_a_face_that_the_border_cuts_is_moved_in_what_there_is(smile: RGB, mesh: Floats) -> None:
    left, top = np.round(mesh[4, :2]).astype(int)
    cut = np.ascontiguousarray(smile[top - 60 :, left - 40 :])
    shifted = mesh - [left - 40, top - 60, 0]
    result = moved(cut, motion(shifted, shifted + np.array([0.0, 4.0, 0.0]), triangles(), *cut.shape[:2]))
    assert result.shape == cut.shape
    assert (result != cut).any()


def test_a_large_photograph_is_moved_as_a_small_one(smile: RGB, mesh: Floats) -> None:
    small, _ = relax_face(smile, mesh)
    twice = np.asarray(cv2.resize(smile, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)
    large, _ = relax_face(twice, np.column_stack([(mesh[:, :2] + 0.5) * 2 - 0.5, mesh[:, 2] * 2]))
    again = cv2.resize(large, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert np.abs(again.astype(float) - small).mean() < 0.25 * np.abs(small.astype(float) - smile).mean()
