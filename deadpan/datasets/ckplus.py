"""CK+: The Extended Cohn-Kanade Dataset, posed expressions from neutral to peak.

P. Lucey, J. F. Cohn, T. Kanade, J. Saragih, Z. Ambadar, I. Matthews, CVPR workshops 2010. Owner: University of
Pittsburgh and Carnegie Mellon University; request at jeffcohn.net/Resources. Tree and codes as in the owner's README
("PHASE 1", revised 28 September 2010): cohn-kanade-images, Emotion, Landmarks and FACS hold the same SUBJECT/SEQUENCE
folders; zips that were unpacked into folders of their own are found too. Of the 593 sequences 327 have an emotion
file; it is named after the last frame, the peak. Where there is none, the sequence has no label and is not read.

Used: the first frame as neutral, the last frames as the emotion, 68 landmarks, and the action units of the peak, as
attributes AU12 and so on with the intensity (1 to 5; 0: present, intensity not given). Not used: sequences without an
emotion (but see `unlabelled`), and phase 2, the smiles that are not posed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deadpan.datasets.listing import folders, frames, holding, number, summary, visible
from deadpan.datasets.sample import DatasetError, Facts, Sample, check_names, one_hot
from deadpan.expressions import EXPRESSIONS as EXPRESSIONS

CODES = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")  # 0 to 7, the README's

FACTS = Facts(
    title="CK+, the Extended Cohn-Kanade Dataset (Lucey, Cohn, Kanade, Saragih, Ambadar, Matthews 2010)",
    owner="University of Pittsburgh and Carnegie Mellon University",
    request="jeffcohn.net/Resources",
    terms="signed agreement; non-commercial research",
    tree=(
        "cohn-kanade-images/S005/001/S005_001_00000011.png\n"
        "Emotion/S005/001/S005_001_00000011_emotion.txt\n"
        "Landmarks/S005/001/S005_001_00000011_landmarks.txt (optional)\n"
        "FACS/S005/001/S005_001_00000011_facs.txt (optional)"
    ),
    neutral="the first frame of every sequence",
    counts={
        "subjects": 118,
        "sequences": 327,
        "pictures": 1308,  # 981 = 3 x 327 with an emotion, and 327 neutral ones
        "neutral": 327,
        "anger": 3 * 45,
        "contempt": 3 * 18,
        "disgust": 3 * 59,
        "fear": 3 * 25,
        "happiness": 3 * 69,
        "sadness": 3 * 28,
        "surprise": 3 * 83,
    },
)


def read(root: Path, last: int = 3, all_frames: bool = False, unlabelled: bool = False) -> list[Sample]:
    """The first frame (neutral) and the `last` frames (the emotion) of every labelled sequence.

    `all_frames` adds those between as the emotion, part "onset"; `unlabelled` adds the first frame of the sequences
    without emotion, as neutral. DatasetError if the tree is not there or a label file is damaged.
    """
    if last < 1:
        raise ValueError(f"last must be at least 1, got {last}")
    images, emotions = _branch(root, "cohn-kanade-images"), _branch(root, "Emotion")
    if images is None or emotions is None:
        raise FACTS.absent(root, summary(root))
    landmarks, facs = _branch(root, "Landmarks"), _branch(root, "FACS")
    samples: list[Sample] = []
    for subject in folders(images):
        for folder in folders(subject):
            place = folder.relative_to(images)
            pictures = frames(folder)
            label = _label_file(emotions, place, "_emotion.txt")
            if label is None:
                chosen = [(path, "neutral", "neutral") for path in pictures[:1] if unlabelled]
            else:
                chosen = _chosen(pictures, label, last, all_frames)
            units = _action_units(_label_file(facs, place, "_facs.txt"))
            for path, expression, part in chosen:
                attributes: dict[str, str | float] = {"part": part, "phase": _phase(path, pictures)}
                if label is not None and number(path) == _coded(label):
                    attributes |= units
                samples.append(
                    Sample(
                        picture=path,
                        name=path.relative_to(images).as_posix(),
                        target=one_hot(expression, EXPRESSIONS),
                        subject=subject.name,
                        sequence=place.as_posix(),
                        frame=number(path),
                        landmarks=None if landmarks is None else _points(landmarks / place, path),
                        attributes=attributes,
                    )
                )
    if not samples:
        raise FACTS.absent(root, "no sequence with pictures has an emotion file")
    check_names(samples, root)
    return samples


def _branch(root: Path, name: str) -> Path | None:
    """One of the four trees, also where its zip was unpacked into a folder of its own (Landmarks/Landmarks)."""
    parent = holding(root, name)
    if parent is None:
        return None
    branch = next(inner for inner in folders(parent) if inner.name.lower() == name.lower())
    inside = [inner for inner in folders(branch) if inner.name.lower() == name.lower()]
    return inside[0] if inside else branch


def _label_file(branch: Path | None, place: Path, ending: str) -> Path | None:
    """The one file of a sequence that ends so: the owner's own example misspells the part before (S0005_001)."""
    if branch is None:
        return None
    return next((path for path in visible(branch / place) if path.name.lower().endswith(ending)), None)


def _coded(label: Path) -> int:
    """The number of the peak frame, from the name of its label file."""
    return number(Path(label.stem.rsplit("_", 1)[0]))


def _chosen(pictures: list[Path], label: Path, last: int, all_frames: bool) -> list[tuple[Path, str, str]]:
    """Each frame to read with its expression and the part of the sequence that it belongs to."""
    expression, coded = _emotion(label), _coded(label)
    neutral = [path for path in pictures[:1] if number(path) != coded]
    later = pictures[len(neutral) :]
    # of a sequence that lost its end only frames as near to the peak as the last ones of a whole sequence count
    peak = later[-last:] if later and number(later[-1]) >= coded else [p for p in later if number(p) > coded - last]
    onset = later[: len(later) - len(peak)] if all_frames else []
    return [
        *((path, "neutral", "neutral") for path in neutral),
        *((path, expression, "onset") for path in onset),
        *((path, expression, "peak") for path in peak),
    ]


def _phase(path: Path, pictures: list[Path]) -> float:
    return pictures.index(path) / max(1, len(pictures) - 1)


def _numbers(path: Path, columns: int, expected: str) -> NDArray[np.float64]:
    """The table of numbers in a label file; DatasetError naming the file if it is not one."""
    try:
        words = path.read_text(encoding="ascii").split()
        table = np.array([float(word) for word in words]).reshape(-1, columns)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: expected {expected}, got {error}") from error
    if not np.isfinite(table).all():
        raise DatasetError(f"{path}: expected {expected}, got a number that is not finite")
    return table


def _emotion(label: Path) -> str:
    expected = f"one code from 0 to 7 ({', '.join(CODES)})"
    codes = _numbers(label, 1, expected)[:, 0]
    if len(codes) != 1 or codes[0] not in range(len(CODES)):
        raise DatasetError(f"{label}: expected {expected}, got {' '.join(f'{code:g}' for code in codes) or 'nothing'}")
    return CODES[int(codes[0])]


def _action_units(path: Path | None) -> dict[str, float]:
    if path is None:
        return {}
    rows = _numbers(path, 2, "an action unit and its intensity in every line")
    return {f"AU{int(unit):02d}": float(intensity) for unit, intensity in rows}


def _points(folder: Path, picture: Path) -> NDArray[np.float64] | None:
    path = folder / f"{picture.stem}_landmarks.txt"
    if not path.is_file():
        return None
    points = _numbers(path, 2, "68 lines of x and y")
    if len(points) != 68:
        raise DatasetError(f"{path}: expected 68 lines of x and y, got {len(points)}")
    return points
