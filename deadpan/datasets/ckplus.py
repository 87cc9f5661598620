"""CK+: The Extended Cohn-Kanade Dataset, posed expressions from neutral to peak.

P. Lucey, J. F. Cohn, T. Kanade, J. Saragih, Z. Ambadar, I. Matthews, CVPR workshops 2010. Owner: University of
Pittsburgh and Carnegie Mellon University; request at jeffcohn.net/Resources. Folders and codes are those of the owner's
README ("PHASE 1", revised 28 September 2010): cohn-kanade-images, Emotion, Landmarks and FACS hold the same
SUBJECT/SEQUENCE folders. The folders above these may have any name (extended-cohn-kanade-images, Emotion_labels, ...),
because files are found by their own names. Of the 593 sequences 327 have an emotion file, which is named after the last
frame, the peak. Sequences without an emotion file have no label and are not read.

Two common copies without sequences are read too: CK+48, the last three frames of each sequence as 48 x 48 crops in
class folders, whose file names contain person and sequence; and ckextended.csv, 920 crops of unknown people as text.

Used: the first frame as neutral, the last frames as the emotion, 68 landmarks, and the action units of the peak as
attributes AU12 and so on with the intensity (1 to 5; 0: present, intensity not given). Not used: sequences without an
emotion (but see `unlabelled`), and phase 2, the spontaneous smiles.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deadpan.datasets.listing import PICTURES, files_below, number, split_of, summary, tables_below
from deadpan.datasets.pixel_table import read_pixel_table
from deadpan.datasets.sample import DatasetError, Facts, Sample, check_names, class_above, one_hot
from deadpan.expressions import EXPRESSIONS as EXPRESSIONS

CODES = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")  # 0 to 7, the README's

TABLE_CODES = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
    "neutral",
    "contempt",
)  # of ckextended.csv
NAME = re.compile(r"(?P<person>S\d{3,4})_(?P<sequence>\d{3})_(?P<frame>\d{6,8})", re.IGNORECASE)
Place = tuple[str, str]

FACTS = Facts(
    title="CK+, the Extended Cohn-Kanade Dataset (Lucey, Cohn, Kanade, Saragih, Ambadar, Matthews 2010)",
    owner="University of Pittsburgh and Carnegie Mellon University",
    request="jeffcohn.net/Resources",
    terms="signed agreement; non-commercial research",
    tree=(
        "cohn-kanade-images/S005/001/S005_001_00000011.png\n"
        "Emotion/S005/001/S005_001_00000011_emotion.txt\n"
        "Landmarks/S005/001/S005_001_00000011_landmarks.txt (optional)\n"
        "FACS/S005/001/S005_001_00000011_facs.txt (optional), or\n"
        "CK+48/anger/S010_004_00000017.png, or ckextended.csv (columns emotion, pixels, Usage)"
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
    copies={
        "CK+48": {
            "subjects": 118,
            "sequences": 327,
            "pictures": 981,
            "neutral": 0,
            "anger": 135,
            "contempt": 54,
            "disgust": 177,
            "fear": 75,
            "happiness": 207,
            "sadness": 84,
            "surprise": 249,
        },
        "ckextended.csv": {
            "pictures": 920,
            "neutral": 593,
            "anger": 45,
            "contempt": 18,
            "disgust": 59,
            "fear": 25,
            "happiness": 69,
            "sadness": 28,
            "surprise": 83,
        },
    },
    on_purpose={"frames between, sequences without an emotion": r"(^|/)S\d+/\d+/[^/]+$"},
)


def read(root: Path, last: int = 3, all_frames: bool = False, unlabelled: bool = False) -> list[Sample]:
    """Read the first frame (neutral) and the `last` frames (the emotion) of every labelled sequence.

    `all_frames` also reads the frames between them as the emotion, with the attribute "part" set to "onset".
    `unlabelled` also reads the first frame of the sequences without emotion, as neutral. All crops of copies without
    sequences (CK+48, ckextended.csv) are read. Raises DatasetError if none of these files is found, or if a label file
    is damaged.
    """
    if last < 1:
        raise ValueError(f"last must be at least 1, got {last}")
    tree = _find(root)
    if tree.labels and tree.pictures:
        samples = [
            sample for place in sorted(tree.pictures) for sample in _sequence(place, tree, last, all_frames, unlabelled)
        ]
    elif tables := tables_below(root, r"ckextended.*\.csv"):
        samples = list(read_pixel_table(tables[0], TABLE_CODES, EXPRESSIONS, "ck"))
    else:
        samples = list(_crops(root))
    if not samples:
        lacking = "holds pictures of sequences, but no emotion files for them (*_emotion.txt)"
        raise FACTS.absent(root, lacking if tree.pictures else summary(root))
    check_names(samples, root)
    return samples


@dataclass(frozen=True)
class _Tree:
    """The files of each sequence, by person and number (S005, 001); a copy may rename or omit any folder above them."""

    pictures: dict[Place, list[Path]]  # in the order of their numbers
    labels: dict[Place, Path]
    facs: dict[Place, Path]
    landmarks: dict[tuple[str, str, str], Path]  # by place and the name of the picture


def _find(root: Path) -> _Tree:
    """Find pictures and label files by their own names; if there are several sets of pictures, choose one."""
    sets: dict[Path, dict[Place, list[Path]]] = defaultdict(lambda: defaultdict(list))
    tree = _Tree({}, {}, {}, {})
    for path in files_below(root, PICTURES | {".txt"}):
        place, base = _place(path, root)
        name = path.name.lower()
        if place is None:
            continue
        if path.suffix.lower() in PICTURES and number(path) >= 0:
            sets[base][place].append(path)
        elif name.endswith("_emotion.txt"):
            tree.labels[place] = path
        elif name.endswith("_facs.txt"):
            tree.facs[place] = path
        elif name.endswith("_landmarks.txt"):
            tree.landmarks[(*place, name.removesuffix("_landmarks.txt"))] = path
    # the owner's pictures are preferred to crops of them in the same copy, then the larger set
    best = max(sets, key=lambda base: ("cohn" in base.name.lower(), sum(map(len, sets[base].values()))), default=None)
    for place, found in sets[best].items() if best else ():
        tree.pictures[place] = sorted(found, key=lambda path: (number(path), path.name))
    return tree


def _place(path: Path, root: Path) -> tuple[Place | None, Path]:
    """Person and sequence of a file, from its folders S005/001 or else its name, and the folder above these."""
    folders = path.relative_to(root).parts[:-1]
    if len(folders) > 1 and re.fullmatch(r"[Ss]\d+", folders[-2]) and folders[-1].isdigit():
        return (folders[-2].upper(), folders[-1]), path.parents[2]
    match = NAME.match(path.name)
    return ((match["person"].upper(), match["sequence"]) if match else None), path.parent


def _sequence(place: Place, tree: _Tree, last: int, all_frames: bool, unlabelled: bool) -> Iterator[Sample]:
    pictures, label = tree.pictures[place], tree.labels.get(place)
    if label is None:
        chosen = [(path, "neutral", "neutral") for path in pictures[:1] if unlabelled]
    else:
        chosen = _chosen(pictures, label, last, all_frames)
    units = _action_units(tree.facs.get(place))
    for path, expression, part in chosen:
        attributes: dict[str, str | float] = {"part": part, "phase": _phase(path, pictures)}
        if label is not None and number(path) == _coded(label):
            attributes |= units
        yield Sample(
            picture=path,
            name=f"{'/'.join(place)}/{path.name}",
            target=one_hot(expression, EXPRESSIONS),
            subject=place[0],
            sequence="/".join(place),
            frame=number(path),
            landmarks=_points(tree.landmarks.get((*place, path.stem.lower()))),
            attributes=attributes,
        )


def _crops(root: Path) -> Iterator[Sample]:
    """Read a copy such as CK+48: the last frames of every labelled sequence as 48 x 48 crops in class folders."""
    for path in files_below(root):
        match, expression = NAME.match(path.name), class_above(path, root)
        if match and expression:
            person, sequence = match["person"].upper(), match["sequence"]
            yield Sample(
                picture=path,
                name=path.relative_to(root).as_posix(),
                target=one_hot(expression, EXPRESSIONS),
                subject=person,
                sequence=f"{person}/{sequence}",
                frame=int(match["frame"]),
                split=split_of(path, root),
                cropped=True,
                attributes={"part": "neutral" if expression == "neutral" else "peak"},
            )


def _coded(label: Path) -> int:
    """The number of the peak frame, from the name of its label file."""
    return number(Path(label.stem.rsplit("_", 1)[0]))


def _chosen(pictures: list[Path], label: Path, last: int, all_frames: bool) -> list[tuple[Path, str, str]]:
    """Each frame to read with its expression and the part of the sequence that it belongs to."""
    expression, coded = _emotion(label), _coded(label)
    neutral = [path for path in pictures[:1] if number(path) != coded]
    later = pictures[len(neutral) :]
    # if the end of a sequence is missing, only frames as near to the peak as those of a complete sequence are used
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
    """Read a label file as a table of numbers; DatasetError naming the file if it is not one."""
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


def _points(path: Path | None) -> NDArray[np.float64] | None:
    if path is None:
        return None
    points = _numbers(path, 2, "68 lines of x and y")
    if len(points) != 68:
        raise DatasetError(f"{path}: expected 68 lines of x and y, got {len(points)}")
    return points
