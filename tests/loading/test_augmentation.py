"""The augmentation: geometry that landmarks follow, the same light for both faces, damage to the picture only."""

from __future__ import annotations

from dataclasses import fields, replace

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from deadpan.faces.landmarks import IBUG_68, POINTS, mirrored
from deadpan.loading.augmentation import Augmentation, augment, centre_crop, no_augmentation
from tests.support.photos import PHOTOS

GEOMETRY = ("flip", "rotation", "scale", "stretch", "shift")
LIGHT = ("brightness", "contrast", "gamma", "shade", "blur", "resolution", "sharpen")
DAMAGE = ("noise", "blocks", "erase")


def only(*names: str) -> Augmentation:
    """The default strengths of the named changes, certain where they are chances, and nothing else."""
    chances = {"flip": 0.5, "grey": 1.0, "blur": 0.5, "resolution": 0.5, "sharpen": 1.0, "blocks": 1.0, "erase": 1.0}
    return replace(no_augmentation(), **{name: chances.get(name, getattr(Augmentation(), name)) for name in names})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photograph(count: int = 8, channels: int = 3, margin: int = 70) -> Tensor:
    """(N, M, M, C) uint8: one real face, N times."""
    picture = cv2.imread(str(PHOTOS / "london_006_neutral.jpg"))
    assert picture is not None
    small = cv2.resize(picture[..., ::-1], (margin, margin), interpolation=cv2.INTER_AREA)
    small = small if channels == 3 else small[..., 1:2]
    return torch.from_numpy(np.repeat(small[None], count, 0))


def no_landmarks(count: int) -> Tensor:
    return torch.full((count, POINTS, 2), float("nan"))


def changed(image: Tensor, neutral: Tensor | None, settings: Augmentation, size: int = 64) -> tuple[Tensor, Tensor]:
    unknown = no_landmarks(len(image))
    field, _, face, *_ = augment(image, neutral, unknown, unknown, size, generator(), settings)
    return field, face


@pytest.mark.parametrize(("size", "margin"), [(64, 70), (48, 52), (96, 105), (63, 69), (50, 55)])
@pytest.mark.parametrize("channels", [1, 3])
def test_without_changes_it_is_the_centre_crop(size: int, margin: int, channels: int) -> None:
    image = photograph(2, channels, margin)
    field, face = changed(image, image, no_augmentation(), size)
    assert field.shape == face.shape == (2, 3, size, size) and field.dtype == torch.float32
    torch.testing.assert_close(field, centre_crop(image, size).expand(-1, 3, -1, -1), atol=2e-3, rtol=0)
    torch.testing.assert_close(field, face)


@pytest.mark.parametrize("size", [64, 63])
def test_landmarks_follow_the_pixels(size: int) -> None:
    """A dot painted at a landmark is found where the transformed landmark says, through every geometric change."""
    count, margin = 32, 70
    rng = np.random.default_rng(0)
    points = torch.from_numpy(rng.uniform(28, 42, (count, POINTS, 2)).round().astype(np.float32))
    painted = rng.integers(0, POINTS, count)
    pictures = torch.zeros(count, margin, margin, 1, dtype=torch.uint8)
    for index, landmark in enumerate(painted):
        x, y = points[index, landmark].int().tolist()
        pictures[index, y, x] = 255
    other = torch.full_like(points, 5.0)
    field, _, face, moved, moved_other = augment(pictures, pictures, points, other, size, generator(), only(*GEOMETRY))
    exchanged = 0  # a mirror image exchanges left and right: the dot is then at the landmark of the other side
    for index, landmark in enumerate(painted):
        weight = (field[index, 0] + 1).double()
        ys, xs = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        found = torch.stack([(weight * xs).sum(), (weight * ys).sum()]) / weight.sum()
        straight = (moved[index, landmark] - found).abs().max()
        swapped = (moved[index, mirrored()[landmark]] - found).abs().max()
        assert min(straight, swapped) < 0.25
        exchanged += int(swapped < straight)
    assert face is not None and torch.equal(field, face)
    assert 4 < exchanged < 28
    assert not torch.allclose(moved, moved_other)


def test_mirrored_landmarks_are_symmetric_pairs() -> None:
    order = mirrored()
    assert sorted(order) == list(range(POINTS)) and (order[order] == np.arange(POINTS)).all()
    place = {point: index for index, point in enumerate(IBUG_68)}
    across = {index: place.get(int(order[point])) for index, point in enumerate(IBUG_68)}
    pairs = {0: 16, 7: 9, 17: 26, 31: 35, 32: 34, 36: 45, 37: 44, 38: 43, 39: 42, 40: 47, 41: 46, 48: 54, 49: 53}
    pairs |= {50: 52, 58: 56, 59: 55, 60: 64, 61: 63, 67: 65}
    assert {left: across[left] for left in pairs} == pairs
    assert [index for index in range(68) if across[index] == index] == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]


def test_flip_is_an_exact_mirror_image() -> None:
    image = photograph(1)
    points = torch.rand(1, POINTS, 2) * 70
    settings = replace(no_augmentation(), flip=1.0)
    field, _, _, moved, _ = augment(image, None, points, points, 64, generator(), settings)
    torch.testing.assert_close(field, centre_crop(image, 64).flip(3), atol=2e-3, rtol=0)
    other = points[0, mirrored()[0]] - 3
    torch.testing.assert_close(moved[0, 0], torch.stack([63 - other[0], other[1]]))


def test_unknown_landmarks_stay_unknown() -> None:
    image = photograph(4)
    assert (
        augment(image, None, no_landmarks(4), no_landmarks(4), 64, generator(), Augmentation()).landmarks.isnan().all()
    )


def test_light_changes_both_faces_alike_and_damage_only_the_picture() -> None:
    image = photograph(32)
    plain = centre_crop(image, 64)
    for name in (*LIGHT, "grey", *GEOMETRY):
        field, face = changed(image, image, only(name))
        assert torch.equal(field, face), name
        assert (field - plain).abs().amax((1, 2, 3)).gt(0.02).float().mean() > 0.3, name
    for name in DAMAGE:
        field, face = changed(image, image, only(name))
        torch.testing.assert_close(face, plain, atol=2e-3, rtol=0)
        assert (field - plain).abs().amax((1, 2, 3)).gt(0.02).float().mean() > 0.3, name


def test_strengths_are_kept_to() -> None:
    image = photograph(256, 1)
    plain = centre_crop(image, 64)
    brightness = (changed(image, None, only("brightness"))[0] - plain).mean((1, 2, 3))
    assert brightness.abs().max() <= 0.2 and brightness.std() > 0.08
    grain = (changed(image, None, only("noise"))[0] - plain).std((1, 2, 3))
    assert grain.max() < 0.065 and 0.3 < (grain > 0.001).float().mean() < 0.7
    flat = torch.full_like(image, 128)
    erased = (changed(flat, None, only("erase"))[0] - 1 / 255).abs().gt(1e-3)[:, 0].float().mean((1, 2))
    assert erased.max() < 0.17 and 0.05 < erased.mean() < 0.11
    colour = photograph(200)
    grey = changed(colour, None, replace(no_augmentation(), grey=0.3))[0]
    assert 0.2 < (grey[:, 0] - grey[:, 2]).abs().amax((1, 2)).lt(1e-6).float().mean() < 0.4


def test_low_resolution_keeps_the_mean_and_loses_detail() -> None:
    image = photograph(64, 1)
    plain, coarse = centre_crop(image, 64), changed(image, None, only("resolution", "blur"))[0]

    def detail(field: Tensor) -> Tensor:
        return field.diff(dim=3).abs().mean((1, 2, 3))

    assert (detail(coarse) < detail(plain)).all() and detail(coarse).min() < 0.75 * detail(plain).min()
    assert (coarse.mean((1, 2, 3)) - plain.mean((1, 2, 3))).abs().max() < 0.02


def test_sharpening_keeps_the_mean_and_adds_detail_to_picture_and_neutral_face_alike() -> None:
    image = photograph(16)
    plain = centre_crop(image, 64)
    sharp, neutral = changed(image, image, only("sharpen"))
    assert torch.equal(sharp, neutral)
    detail = sharp.diff(dim=3).abs().mean((1, 2, 3)) / plain.diff(dim=3).abs().mean((1, 2, 3))
    assert detail.min() > 1 and detail.max() > 1.3 * detail.min()
    assert (sharp.mean((1, 2, 3)) - plain.mean((1, 2, 3))).abs().max() < 0.01


def test_blocks_leave_the_mean_of_each_block() -> None:
    field = changed(photograph(16, 1), None, only("blocks"))[0]
    plain = centre_crop(photograph(16, 1), 64)
    means = [picture[:, 0].unflatten(2, (8, 8)).unflatten(1, (8, 8)).mean((2, 4)) for picture in (field, plain)]  # type: ignore[no-untyped-call]
    assert (means[0] - means[1]).abs().max() < 0.02
    assert (changed(photograph(4, 1, 55), None, only("blocks"), size=50)[0]).shape == (4, 3, 50, 50)


def test_all_changes_stay_in_range_and_repeat() -> None:
    image = photograph(64)
    first, face = changed(image, image, Augmentation())
    again, _ = changed(image, image, Augmentation())
    assert torch.equal(first, again) and first.abs().max() <= 1 and face.abs().max() <= 1
    assert not torch.equal(
        first, augment(image, None, no_landmarks(64), no_landmarks(64), 64, generator(1), Augmentation())[0]
    )


def test_switching_one_change_off_leaves_the_others() -> None:
    image = photograph(16)
    quiet = replace(no_augmentation(), rotation=10.0)
    with_noise, face = changed(image, image, replace(quiet, noise=0.06))
    assert torch.equal(face, changed(image, image, quiet)[0])
    assert not torch.equal(with_noise, face)


def test_marked_grey_pictures_give_the_same_result() -> None:
    image = photograph(8, 1)
    coloured = image.expand(-1, -1, -1, 3).contiguous()
    unknown = no_landmarks(8)
    marked = augment(coloured, None, unknown, unknown, 64, generator(), Augmentation(), torch.ones(8, dtype=torch.bool))
    torch.testing.assert_close(marked[0], changed(image, None, Augmentation())[0], atol=2e-2, rtol=0)


@pytest.mark.parametrize("name", [field.name for field in fields(Augmentation)])
def test_settings_out_of_range(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 0 and at most"):
        replace(Augmentation(), **{name: -0.1})


def test_blur_and_resolution_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        Augmentation(blur=0.6, resolution=0.6)


def test_what_losses_weigh_is_the_picture_without_noise_blocks_and_erasing() -> None:
    faces = torch.randint(60, 190, (16, 70, 70, 3), generator=generator(), dtype=torch.uint8)
    unknown = no_landmarks(16)
    spoiled = augment(faces, faces, unknown, unknown, 64, generator(3), Augmentation(noise=1, blocks=1, erase=1))
    kept = augment(faces, faces, unknown, unknown, 64, generator(3), Augmentation(noise=0, blocks=0, erase=0))
    assert torch.equal(spoiled.clean, kept.image) and torch.equal(spoiled.clean, spoiled.neutral)
    assert (spoiled.image - spoiled.clean).abs().mean((1, 2, 3)).min() > 0.02
