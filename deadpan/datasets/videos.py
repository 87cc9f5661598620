"""Videos of your own, sorted into one folder per expression: ROOT/happiness/ANNA.mp4, or with a folder per person.

Every tenth frame of each video is read. The person is known from the folder in ROOT/happiness/ANNA/CLIP.mp4, or from
the name of the file if it occurs under two expressions or more (ROOT/happiness/ANNA.mp4 and ROOT/neutral/ANNA.mp4); the
people in other files are unknown. The folders of expressions may be in folders train, validation and test.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from deadpan.datasets.listing import VIDEOS, files_below, split_named, summary
from deadpan.datasets.sample import Classes, Facts, Sample, VideoFrame, expression_named, one_hot
from deadpan.expressions import EXPRESSIONS as EXPRESSIONS
from deadpan.faces.video import measure_videos

FACTS = Facts(
    title="videos of your own in class folders",
    owner="you, or whoever made the videos",
    request="nowhere: it is yours",
    terms="the user's own; see the owner of the videos",
    tree="happiness/PERSON.mp4 or happiness/PERSON/CLIP.mp4 (SPLIT/happiness/... with splits)",
    neutral="videos in the folder neutral, of people whose names stand under other expressions too",
)
STEP = 10  # frames: a third of a second at 30 per second


def read(root: Path, step: int = STEP, classes: Classes | None = None) -> list[Sample]:
    """Read every `step`-th frame of every video below `root`; `classes` maps other folder names to expressions.

    Raises DatasetError for a folder that names no expression, or if there is no video.
    """
    if step < 1:
        raise ValueError(f"step must be at least 1 frame, got {step}")
    every = [_Clip(path, root, classes or {}) for path in files_below(root, VIDEOS)]
    clips = [clip for clip in every if clip.expression]
    if not clips:
        raise FACTS.absent(root, summary(root))
    shown = defaultdict(set)
    for clip in clips:
        shown[clip.stem].add(clip.expression)
    counts = [facts.frames for facts in measure_videos([clip.path for clip in clips])]
    return [
        sample
        for clip, count in zip(clips, counts, strict=True)
        for sample in clip.samples(range(0, max(count, 1), step), named=len(shown[clip.stem]) > 1)
    ]


class _Clip:
    """One video, with the expression, split and person that its path gives."""

    def __init__(self, path: Path, root: Path, classes: Classes) -> None:
        self.path, self.name = path, path.relative_to(root).as_posix()
        folders = list(path.relative_to(root).parts[:-1])
        self.split = folders.pop(0) if folders and split_named(folders[0]) else ""
        if not folders:
            raise FACTS.absent(root, f"{self.name} is not in the folder of an expression")
        word = folders[0]
        self.expression = classes[word] if word in classes else expression_named(word, f"folder of {path}")
        self.person = folders[1] if len(folders) > 1 else ""
        self.stem = path.stem

    def samples(self, indices: range, named: bool) -> list[Sample]:
        """The frames of these indices; of a video that cannot be opened only frame 0, so that `prepare` reports it."""
        return [
            Sample(
                VideoFrame(self.path, index),
                f"{self.name}#{index}",
                one_hot(self.expression or "", EXPRESSIONS),
                subject=self.person or (self.stem if named else ""),
                sequence=self.name,
                frame=index,
                split=self.split,
            )
            for index in indices
        ]
