"""What a reader sees of a folder, and which frames lie in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.datasets.listing import frames, middle, visible
from tests.support.data_trees import touch


def test_listing_skips_what_systems_leave_and_sorts_by_number(tmp_path: Path) -> None:
    touch(tmp_path, "10.jpg", "9.JPG", "0011.png", "._9.JPG", ".DS_Store", "Thumbs.db", "notes.txt", "cover.jpg")
    assert [path.name for path in frames(tmp_path)] == ["9.JPG", "10.jpg", "0011.png"]
    assert [path.name for path in visible(tmp_path)] == ["0011.png", "10.jpg", "9.JPG", "cover.jpg", "notes.txt"]


@pytest.mark.parametrize(
    ("count", "wanted", "expected"),
    [(100, 3, [49, 50, 51]), (9, 3, [3, 4, 5]), (9, 1, [4]), (3, 3, [1, 2]), (2, 3, [1]), (1, 3, [])],
)
def test_middle_frames_never_hold_the_first(count: int, wanted: int, expected: list[int]) -> None:
    assert list(middle(count, wanted)) == expected
