"""The two conversions between pictures and what networks see."""

from __future__ import annotations

import numpy as np

from deadpan.pixels import to_network, to_pixels


def test_black_is_minus_one_white_is_one_and_channels_come_first() -> None:
    pixels = np.zeros((1, 2, 2, 3), np.uint8)
    pixels[0, :, 1] = (255, 255, 0)
    image = to_network(pixels)
    assert image.dtype == np.float32 and image.shape == (1, 3, 2, 2)
    assert image[0, 0].tolist() == image[0, 1].tolist() == [[-1, 1], [-1, 1]]
    assert image[0, 2].tolist() == [[-1, -1], [-1, -1]]


def test_every_value_comes_back() -> None:
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    np.testing.assert_array_equal(to_pixels(to_network(pixels)), pixels)


def test_what_is_out_of_range_is_cut_off() -> None:
    image = np.array([-7.0, 0.0, 7.0], np.float32).reshape(1, 3, 1, 1)
    assert to_pixels(image).ravel().tolist() == [0, 128, 255]
