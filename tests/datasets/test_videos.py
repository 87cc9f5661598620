"""The reader of folders of videos on generated ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.datasets import videos
from deadpan.datasets.sample import DatasetError
from tests.support.data_trees import expression_of, frame_shown, write_video


def test_videos(tmp_path: Path) -> None:
    for place in ("happy/anna.avi", "neutral/anna.AVI", "happy/ben.avi", "sad/Carl/clip 1.avi", "test/fear/dora.avi"):
        write_video(tmp_path / place, 12)
    (tmp_path / "happy" / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "happy" / ".hidden.mp4").write_bytes(b"litter")
    samples = videos.read(tmp_path, step=5)
    found = {
        (sample.sequence, sample.subject, sample.split, expression_of(sample, videos.EXPRESSIONS)) for sample in samples
    }
    assert found == {
        ("happy/anna.avi", "anna", "", "happiness"),
        ("neutral/anna.AVI", "anna", "", "neutral"),
        ("happy/ben.avi", "", "", "happiness"),  # under one expression only: a person or a number of a clip
        ("happy/broken.mp4", "", "", "happiness"),
        ("sad/Carl/clip 1.avi", "Carl", "", "sadness"),
        ("test/fear/dora.avi", "", "test", "fear"),
    }
    names = [sample.name for sample in samples]
    assert names[:3] == ["happy/anna.avi#0", "happy/anna.avi#5", "happy/anna.avi#10"]
    assert names.count("happy/broken.mp4#0") == 1 and len(names) == 5 * 3 + 1
    assert [(sample.frame, frame_shown(sample)) for sample in samples[:3]] == [(0, 0), (5, 5), (10, 10)]
    assert [sample.frame for sample in videos.read(tmp_path)][:2] == [0, 10]


def test_videos_in_wrong_places(tmp_path: Path) -> None:
    write_video(tmp_path / "bored" / "anna.avi", 1)
    with pytest.raises(DatasetError, match="'bored' is not an expression"):
        videos.read(tmp_path)
    with pytest.raises(DatasetError, match=r"anna.avi is not in the folder of an expression; expected\nhappiness"):
        videos.read(tmp_path / "bored")
    with pytest.raises(ValueError, match="step must be at least 1 frame, got 0"):
        videos.read(tmp_path, step=0)
