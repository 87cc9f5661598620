"""Samples -> their pixels: files, encoded bytes, and frames of videos, each video decoded once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from deadpan.datasets.sample import Sample, VideoFrame
from deadpan.faces.photographs import PhotographError, read_photograph
from deadpan.faces.video import read_frames
from deadpan.pixels import RGB

Read = tuple[Sample, "RGB | PhotographError"]


def read_pictures(samples: Iterable[Sample]) -> Iterator[Read]:
    """Yield each sample with its pixels, (H, W, 3) uint8 RGB, or with the error if they cannot be read.

    Consecutive frames of one video are decoded in one pass, and yielded in the order of decoding.
    """
    for _, group in runs(samples):
        if isinstance(group[0].picture, VideoFrame):
            yield from _frames(group)
            continue
        for sample in group:
            yield sample, _photograph(sample)


def runs(samples: Iterable[Sample]) -> Iterator[tuple[Path | None, list[Sample]]]:
    """Group consecutive frames of one video, each group with the path of the video; other samples have None."""
    for video, group in groupby(samples, lambda sample: getattr(sample.picture, "path", None)):
        yield video, list(group)


def _photograph(sample: Sample) -> RGB | PhotographError:
    assert not isinstance(sample.picture, VideoFrame)
    try:
        return read_photograph(sample.picture)
    except PhotographError as error:
        return error


def _frames(samples: Sequence[Sample]) -> Iterator[Read]:
    wanted: dict[int, list[tuple[Sample, int]]] = {}
    for sample in samples:
        assert isinstance(sample.picture, VideoFrame)
        wanted.setdefault(sample.picture.index, []).append((sample, sample.picture.turn))
        video = sample.picture.path
    try:
        for frame in read_frames(video, set(wanted)):
            for sample, turn in wanted.pop(frame.index):
                yield sample, np.ascontiguousarray(np.rot90(frame.pixels, -turn // 90))
    except PhotographError as error:
        yield from ((sample, error) for waiting in wanted.values() for sample, _ in waiting)
