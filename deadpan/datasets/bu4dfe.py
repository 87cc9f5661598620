"""BU-4DFE: Binghamton University 3D dynamic facial expression database, posed sequences with a neutral start.

L. Yin, X. Chen, Y. Sun, T. Worm, M. Reale, "A high-resolution 3D dynamic facial expression database", FG 2008. Owner:
Binghamton University; request at www.cs.binghamton.edu/~lijun/Research/3DFE. There is one folder for each person (F001
to F058, M001 to M043) with one folder for each expression. It holds the frames 000.jpg, 001.jpg ... beside the models
000.wrl: about 100 frames at 25 per second, from neutral to the apex and back to neutral.

Used: the first frame as neutral and the middle frames as the expression. The apex is not annotated; we assume that it
is in the middle. Not used: the models.
"""

from __future__ import annotations

from pathlib import Path

from deadpan.datasets.listing import folders, frames, holding, middle, number, summary
from deadpan.datasets.sample import Facts, Sample, check_names, expression_named, one_hot

EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")

FACTS = Facts(
    title="BU-4DFE, Binghamton University 3D dynamic facial expression database (Yin, Chen, Sun, Worm, Reale 2008)",
    owner="Binghamton University, State University of New York",
    request="www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html",
    terms="signed agreement; research only",
    tree="F001/Angry/000.jpg (F001 to F058, M001 to M043; Angry Disgust Fear Happy Sad Surprise)",
    neutral="the first frame of every sequence",
    counts={
        "subjects": 101,
        "sequences": 606,
        "pictures": 2424,  # four for each sequence: a neutral frame and three of the expression
        "neutral": 606,
        **dict.fromkeys(EXPRESSIONS[1:], 303),
    },
    on_purpose={"other frames": r"(^|/)[FM]\d{3}/[^/]+/\d+\.\w+$"},
)
GENDERS = {"F": "female", "M": "male"}


def read(root: Path, wanted: int = 3, all_frames: bool = False) -> list[Sample]:
    """Read the first frame (neutral) and the `wanted` middle frames (the expression) of every sequence.

    `all_frames` also reads the other frames as the expression; their attribute "part" is "onset" before the middle and
    "offset" after it. Raises DatasetError if the expected folders are missing or a folder does not name an expression.
    """
    if wanted < 1:
        raise ValueError(f"wanted must be at least 1, got {wanted}")
    base = holding(root, r"[FM]\d{3}")
    samples: list[Sample] = []
    for person in folders(base) if base else []:
        if person.name[0].upper() in GENDERS and person.name[1:].isdigit():
            for folder in folders(person):
                samples += _sequence(folder, wanted, all_frames)
    if not samples:
        raise FACTS.absent(root, summary(root))
    check_names(samples, root)
    return samples


def _sequence(folder: Path, wanted: int, all_frames: bool) -> list[Sample]:
    expression = expression_named(folder.name, f"folder {folder}")
    subject = folder.parent.name.upper()
    pictures = frames(folder)
    apex = middle(len(pictures), wanted)
    samples = []
    for index, path in enumerate(pictures):
        part = "neutral" if index == 0 else "peak" if index in apex else "onset" if index < apex.start else "offset"
        if part in ("neutral", "peak") or all_frames:
            samples.append(
                Sample(
                    picture=path,
                    name=f"{folder.parent.name}/{folder.name}/{path.name}",
                    target=one_hot("neutral" if part == "neutral" else expression, EXPRESSIONS),
                    subject=subject,
                    sequence=f"{folder.parent.name}/{folder.name}",
                    frame=number(path),
                    attributes={
                        "part": part,
                        "phase": index / max(1, len(pictures) - 1),
                        "gender": GENDERS[subject[0]],
                    },
                )
            )
    return samples
