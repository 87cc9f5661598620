"""The degradations do what their table says, more so with each severity, and hits are counted as documented."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deadpan.evaluation.robustness import COVER, DEGRADATIONS, SEVERITIES, STRENGTHS, measure_robustness
from deadpan.faces.photographs import read_photograph
from tests.support.photos import PHOTOS

Pixels = NDArray[np.uint8]


def grey(value: int, count: int = 4, side: int = 64) -> Pixels:
    return np.full((count, side, side, 3), value, np.uint8)


def degraded(name: str, images: Pixels, severity: int, seed: int = 0) -> NDArray[np.float64]:
    return DEGRADATIONS[name](images, severity, np.random.default_rng(seed)).astype(np.float64)


@pytest.fixture(scope="module")
def photograph() -> Pixels:
    path = sorted(PHOTOS.glob("*.jp*g"))[0]
    picture = cv2.resize(read_photograph(path), (64, 64), interpolation=cv2.INTER_AREA)
    return np.repeat(np.asarray(picture, np.uint8)[None], 6, 0)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_each_severity_is_further_from_the_picture(name: str, photograph: Pixels) -> None:
    kept = photograph.copy()
    distance = [np.abs(degraded(name, photograph, each) - photograph).mean() for each in SEVERITIES]
    assert distance[0] > 0
    assert distance == sorted(set(distance))
    assert np.array_equal(photograph, kept)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_the_seed_fixes_the_result_and_the_shape_stays(name: str, photograph: Pixels) -> None:
    one = DEGRADATIONS[name](photograph, 3, np.random.default_rng(1))
    assert np.array_equal(one, DEGRADATIONS[name](photograph, 3, np.random.default_rng(1)))
    assert one.dtype == np.uint8
    assert one.shape == photograph.shape


def test_every_degradation_has_five_strengths() -> None:
    assert list(STRENGTHS) == list(DEGRADATIONS)
    assert {len(strengths) for strengths in STRENGTHS.values()} == {len(SEVERITIES)}


def test_noise_and_light_have_the_stated_strength() -> None:
    assert degraded("noise", grey(128), 2).std() == pytest.approx(0.06 * 255, rel=0.03)
    light = (degraded("low light", grey(255), 2) / 255) ** 2.2  # a quarter is left: 250 photons of 1000
    assert light.mean() == pytest.approx(0.25, rel=0.01)
    assert light.std() == pytest.approx(np.sqrt(250) / 1000, rel=0.05)


def test_blur_spreads_an_edge_as_wide_as_stated() -> None:
    edge = grey(0, 1, 128)
    edge[:, :, 64:] = 255
    slope = np.diff(degraded("blur", edge, 2)[0, 64, :, 0])  # deviation 1 at 64 pixels: 2 at 128
    places = np.arange(127) - 63
    assert np.sqrt((slope * places**2).sum() / slope.sum()) == pytest.approx(2, rel=0.05)


def test_occlusion_covers_the_stated_share_and_the_eyes_the_mouth_and_other_places() -> None:
    covered = degraded("occlusion", grey(200, 60), 1)[..., 0] == COVER
    assert covered.mean((1, 2)) == pytest.approx(np.full(60, 0.05), rel=0.1)
    eyes, mouth = covered[:, round(0.367 * 64), 32], covered[:, round(0.768 * 64), 32]
    assert eyes.sum() >= 15
    assert mouth.sum() >= 15
    assert (~eyes & ~mouth).sum() >= 5


def test_rotation_turns_by_the_stated_angle_to_both_sides() -> None:
    images = grey(0, 20)
    images[:, 10:13, 31:33] = 255  # a spot above the centre
    down, across = np.mgrid[:64, :64] - 31.5
    angles = set()
    for turned in degraded("rotation", images, 3)[..., 0]:
        x, y = (turned * across).sum() / turned.sum(), (turned * down).sum() / turned.sum()
        angles.add(round(float(np.degrees(np.arctan2(x, -y)))))
    assert angles == {-20, 20}


def test_low_resolution_leaves_no_fine_stripes() -> None:
    stripes = grey(0)
    stripes[:, :, ::2] = 254
    assert np.array_equal(degraded("low resolution", stripes, 2), grey(127))


def test_hits_are_counted_over_a_fixed_choice_of_pictures() -> None:
    images = np.concatenate([grey(200, 30), grey(60, 30)])
    truth = np.repeat([1, 0], 30)
    asked: list[int] = []

    def bright(pictures: Pixels) -> NDArray[np.float32]:
        asked.append(len(pictures))
        light = pictures.mean((1, 2, 3)) / 255
        return np.stack([1 - light, light], 1).astype(np.float32)

    out = measure_robustness(bright, images, truth, limit=40)
    assert (out["pictures"], out["clean"]) == (40, 40)
    assert out["degradations"]["rotation"] == [40] * 5
    dark = int((truth[np.sort(np.random.default_rng(0).permutation(60)[:40])] == 0).sum())
    assert out["degradations"]["low light"] == [40, dark, dark, dark, dark]  # half the light leaves 200 at 146
    assert set(asked) == {40}
    assert out == measure_robustness(bright, images, truth, limit=40)


def test_pictures_without_truth_are_refused() -> None:
    with pytest.raises(ValueError, match="one each; got 4 and 3"):
        measure_robustness(lambda pictures: np.zeros((len(pictures), 2), np.float32), grey(1), np.zeros(3, np.int64))
