"""BP4D-Spontaneous: eight tasks, each of which elicits an emotion, filmed in 3D and 2D.

X. Zhang, L. Yin, J. F. Cohn, S. Canavan, M. Reale, A. Horowitz, P. Liu, J. M. Girard, "BP4D-Spontaneous: a
high-resolution spontaneous 3D dynamic facial expression database", Image and Vision Computing 32, 2014. Owner:
Binghamton University; request at www.cs.binghamton.edu/~lijun/Research/3DFE. There is one folder for each person (F001
to F023, M001 to M018), in the root or in a folder such as 2D+3D. It holds one folder for each task (T1 to T8) with
frames as numbered JPEG files. AUCoding/AU_OCC/F001_T1.csv has one row for each coded frame, with 1 or 0 for each action
unit (9: unknown).

The label is the emotion that the task elicits according to the paper; not every frame shows it. T4 (embarrassment) and
T6 (physical pain) elicit none of deadpan's expressions: only their neutral frames are used.

Used: every tenth of the frames that are coded for action units (of all frames, if a task has no coding), with the units
as attributes AU12 and so on. The neutral frames are the first frame of every task, or those listed in a file. A list is
more reliable, because people talk and smile at the start of some tasks. Not used: models, landmarks, intensities of
action units.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from deadpan.datasets.listing import folders, frames, holding, nested, number, summary
from deadpan.datasets.sample import DatasetError, Facts, Sample, check_names, one_hot

EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")

FACTS = Facts(
    title="BP4D-Spontaneous (Zhang, Yin, Cohn, Canavan, Reale, Horowitz, Liu, Girard 2014)",
    owner="Binghamton University, State University of New York",
    request="www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html",
    terms="signed agreement; research only",
    tree=(
        "F001/T1/0000.jpg (F001 to F023, M001 to M018; T1 to T8, with T9 and T10 it is bp4dplus; also in 2D+3D)\n"
        "AUCoding/AU_OCC/F001_T1.csv (optional)\n"
        "neutral.txt (optional, yours: one neutral frame a line, such as F001/T1/0000.jpg)"
    ),
    neutral="the first frame of every task, or the frames listed in neutral.txt",
    counts={"subjects": 41, "sequences": 328},
    on_purpose={"other frames": r"(^|/)[FM]\d{3}/T\d+/\d+\.\w+$"},
)
TASKS = {
    1: "happiness",
    2: "sadness",
    3: "surprise",
    4: "embarrassment",
    5: "fear",
    6: "physical pain",
    7: "anger",
    8: "disgust",
}
GENDERS = {"F": "female", "M": "male"}
Units = dict[str, float]


def read(root: Path, step: int = 10, neutral: Path | None = None) -> list[Sample]:
    """Read the neutral frames, and every `step`-th frame of each task that elicits an expression.

    `neutral` is a file that lists the neutral frames (None: ROOT/neutral.txt if it exists, else the first frame of
    every task). Raises DatasetError if the expected files are missing, if there are tasks of another data set, or if a
    label file is damaged.
    """
    return read_tasks(root, TASKS, FACTS, step, neutral)


def read_tasks(root: Path, tasks: Mapping[int, str], facts: Facts, step: int, neutral: Path | None) -> list[Sample]:
    """Read a data set that has the same files as BP4D; `tasks` maps the number of a task to the emotion it elicits."""
    if step < 1:
        raise ValueError(f"step must be at least 1, got {step}")
    base = _people(root)
    if base is None:
        raise facts.absent(root, summary(root))
    listed = _listed(neutral or root / "neutral.txt", required=neutral is not None)
    coding = _coding(root, base)
    samples: list[Sample] = []
    for person in folders(base):
        for folder in folders(person) if re.fullmatch(r"[FM]\d{3}", person.name) else []:
            if match := re.fullmatch(r"T(\d+)", folder.name):
                if int(match[1]) not in tasks:
                    raise facts.absent(root, f"{folder} is none of the tasks T1 to T{max(tasks)}")
                units = {} if coding is None else _action_units(coding / f"{person.name}_{folder.name}.csv")
                samples += _task(folder, tasks[int(match[1])], units, listed, step)
    if not samples:
        raise facts.absent(root, f"{base} has people but no frames")
    check_names(samples, root)
    return samples


def _people(root: Path) -> Path | None:
    """The folder that holds the people's folders; those without tasks in them belong to other data of the people."""
    for base in nested(root, depth=2):
        people = (person for person in folders(base) if re.fullmatch(r"[FM]\d{3}", person.name))
        if any(holding(person, r"T\d+", depth=0) for person in people):
            return base
    return None


def _coding(root: Path, base: Path) -> Path | None:
    """The folder of the action-unit files, AU_OCC or AUCoding itself, in the root or beside the people."""
    for name in ("AU_OCC", "AUCoding"):
        for place in (root, base, base.parent):
            parent = holding(place, name, depth=1)  # no deeper: the tasks below hold thousands of files each
            if parent is not None:
                return next(folder for folder in folders(parent) if folder.name.lower() == name.lower())
    return None


def _task(folder: Path, emotion: str, units: Mapping[int, Units], listed: set[str] | None, step: int) -> list[Sample]:
    subject = folder.parent.name
    sequence = f"{subject}/{folder.name}"
    pictures = frames(folder)
    keys = [f"{sequence}/{path.stem}" for path in pictures]
    neutral = {index for index, key in enumerate(keys) if (index == 0 if listed is None else key in listed)}
    shown = [index for index, path in enumerate(pictures) if number(path) in units] if units else range(len(pictures))
    labelled = {index for index in list(shown)[::step] if index not in neutral} if emotion in EXPRESSIONS else set()
    return [
        Sample(
            picture=pictures[index],
            name=f"{sequence}/{pictures[index].name}",
            target=one_hot("neutral" if index in neutral else emotion, EXPRESSIONS),
            subject=subject,
            sequence=sequence,
            frame=number(pictures[index]),
            attributes={
                "part": "neutral" if index in neutral else "task",
                "phase": index / max(1, len(pictures) - 1),
                "elicited": emotion,
                "gender": GENDERS[subject[0]],
                **units.get(number(pictures[index]), {}),
            },
        )
        for index in sorted(neutral | labelled)
    ]


def _listed(path: Path, required: bool) -> set[str] | None:
    """The neutral frames in a list file, as PERSON/TASK/NUMBER without the suffix; None if there is no list."""
    if not path.is_file():
        if required:
            raise DatasetError(f"{path} does not exist; expected a list of neutral frames such as F001/T1/0000.jpg")
        return None
    found = set()
    for line, text in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        entry = text.split("#")[0].strip().replace("\\", "/")
        if entry:
            match = re.search(r"([FM]\d{3}/T\d+/\d+)(\.\w+)?$", entry)
            if match is None:
                raise DatasetError(f"{path}, line {line}: expected a frame such as F001/T1/0000.jpg, got {entry!r}")
            found.add(match[1])
    return found


def _action_units(path: Path) -> dict[int, Units]:
    """The coded frames of a task by number, with their action units; empty if the task has no coding."""
    if not path.is_file():
        return {}
    coded: dict[int, Units] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            names = [f"AU{int(float(cell.upper().removeprefix('AU'))):02d}" for cell in next(rows, [])[1:]]
            for row in filter(None, rows):
                values = zip(names, map(float, row[1:]), strict=True)
                coded[int(float(row[0]))] = {name: value for name, value in values if value != 9}
    except ValueError as error:
        raise DatasetError(
            f"{path}: expected a row of action units, then rows of a frame and its codes; got {error}"
        ) from error
    return coded
