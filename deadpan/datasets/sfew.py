"""SFEW 2.0, Static Facial Expressions in the Wild (Dhall, Goecke, Lucey, Gedeon 2011): single frames of films.

Owner: Abhinav Dhall and the organisers of the EmotiW challenges; on request from cs.anu.edu.au/few. Train, Val and Test
hold one folder per expression. Train_Aligned_Faces and Val_Aligned_Faces(_new) have the same folders with faces that
the organisers cropped. If a frame has a cropped face, that face is read (a film frame often shows several people), else
the frame. The labels of Test are not public: its pictures are read only if they are in class folders. Film, clip and
frame number come from names such as `Airheads_000519240_00000005.png`; the people are not known. The owner publishes no
description of the folders: the position of those with whole frames is assumed, and the names of archives, classes and
files are those of public loaders.
"""

from __future__ import annotations

import re
from pathlib import Path

from deadpan.datasets.listing import files_below, summary
from deadpan.datasets.sample import Facts, Sample, expression_named, one_hot

EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
FACTS = Facts(
    title="SFEW 2.0, Static Facial Expressions in the Wild (Dhall et al. 2011, 2015)",
    owner="Abhinav Dhall, EmotiW challenge",
    request="cs.anu.edu.au/few",
    terms="academic research only, by a licence agreement; the frames come from films",
    tree=(
        "Train/Angry/FILM_TIME_FRAME.png and Train/Train_Aligned_Faces/Angry/FILM_TIME_FRAME.png\n"
        "Val/Angry/FILM_TIME_FRAME.png and Val/Val_Aligned_Faces/Angry/FILM_TIME_FRAME.png\n"
        "(classes Angry Disgust Fear Happy Neutral Sad Surprise)"
    ),
    neutral="none: people are not known",
    counts={"pictures": 1394},  # 958 train and 436 validation; test is not labelled
    confirmed=False,
    on_purpose={
        "test pictures without a label": r"(^|/)test",
        "frames beside their cut-out faces": r"(^|/)(angry|disgust|fear|happy|neutral|sad|surprise)/[^/]+$",
    },
)
CLASSES = frozenset({"angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"})
SPLITS = {"train": "train", "val": "validation", "test": "test"}  # by the start of the folder's name
NAME = re.compile(r"(?P<film>.+)_(?P<time>\d{9})_(?P<frame>\d{8})")


def read(root: Path, aligned: bool = True) -> list[Sample]:
    """Read every picture in a class folder once: its cropped face if it has one and if `aligned`, else the frame.

    Raises DatasetError if there is no picture.
    """
    chosen: dict[tuple[str, str, str], Path] = {}
    for path in files_below(root):
        folders = path.relative_to(root).parts[:-1]
        if not folders or folders[-1].lower() not in CLASSES:
            continue
        split = next((word for start, word in SPLITS.items() for name in folders if name.lower().startswith(start)), "")
        key = (split, folders[-1].lower(), path.stem)
        if key not in chosen or _cut_out(path, root) == aligned:
            chosen[key] = path
    if not chosen:
        raise FACTS.absent(root, summary(root))
    return [_sample(path, root, split, word) for (split, word, _), path in sorted(chosen.items())]


def _cut_out(path: Path, root: Path) -> bool:
    return any("aligned" in name.lower() for name in path.relative_to(root).parts[:-1])


def _sample(path: Path, root: Path, split: str, word: str) -> Sample:
    match = NAME.fullmatch(path.stem)
    return Sample(
        path,
        path.relative_to(root).as_posix(),
        one_hot(expression_named(word, str(path)), EXPRESSIONS),
        sequence=f"{match['film']}_{match['time']}" if match else "",
        frame=int(match["frame"]) if match else -1,
        split=split,
        cropped=_cut_out(path, root),
        attributes={"film": match["film"]} if match else {},
    )
