"""The papers' protocols by name: data, pictures, expressions, and the division into training and test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from deadpan.errors import DeadpanError
from deadpan.evaluation.folds import (
    Fold,
    FoldError,
    fixed_split,
    hold_out,
    image_level,
    leave_one_subject_out,
    person_independent,
)
from deadpan.evaluation.frames import every, frontal, majority, peak, peak_and_neutral, strongest, whole_sequences
from deadpan.expressions import EXPRESSIONS
from deadpan.loading.pairing import with_neutral_faces
from deadpan.preparation.table import FaceTable, Mask, by_name, people_in, photographs_in

Division = Literal["people", "one person", "split", "pictures", "other data"]

ALL = EXPRESSIONS

SEVEN = tuple(name for name in ALL if name != "contempt")

SIX = tuple(name for name in SEVEN if name != "neutral")

WITH_CONTEMPT = tuple(name for name in ALL if name != "neutral")

DERL = "DeRL (Yang, Ciftci, Yin, CVPR 2018)"

DGCN = "DGCN (Kim, Yoo, Kwak, Choi, Kim, arXiv 1703.07140)"

CUSTOM = "the field's custom; details ours"

SINGLE = "single pictures"

FRAMES = "single frames; sequences by majority and by mean log-probability beside them"


class ProtocolError(DeadpanError):
    """A protocol that does not exist, or data that it is not meant for."""


@dataclass(frozen=True)
class Figure:
    """A figure that a paper reports, in per cent, as read in the paper."""

    figure: Literal["accuracy", "balanced_accuracy"]
    value: float
    source: str


@dataclass(frozen=True)
class Protocol:
    """How a data set is evaluated; `source` says what comes from a paper and what is our choice."""

    title: str
    source: str
    datasets: tuple[str, ...] = ()  # empty: any
    classes: tuple[str, ...] = ()  # empty: those that occur in the data
    frames: Callable[[FaceTable], Mask] = every  # the pictures that are used
    tested: Callable[[FaceTable], Mask] = every  # the pictures of a test fold that are evaluated
    division: Division = "people"
    splits: tuple[str, str] = ("", "")  # for the division "split": the training part and the test part
    decision: str = SINGLE
    paper: tuple[Figure, ...] = ()
    name: str = ""  # the word that users type; `find` fills it in


PROTOCOLS: dict[str, Protocol] = {
    "ckplus-7": Protocol(
        "CK+, last three frames, seven expressions with contempt, without neutral",
        f"{DERL}: frames, classes, ten person-independent folds [paper]; the order of people ours",
        ("ckplus",),
        WITH_CONTEMPT,
        peak,
        decision=FRAMES,
        paper=(Figure("accuracy", 97.30, DERL), Figure("balanced_accuracy", 96.57, DERL)),
    ),
    "ckplus-6": Protocol("CK+, last three frames, six expressions", CUSTOM, ("ckplus",), SIX, peak, decision=FRAMES),
    "ckplus-6+neutral": Protocol(
        "CK+, last three frames, six expressions, and the first frame as neutral",
        CUSTOM,
        ("ckplus",),
        SEVEN,
        peak_and_neutral,
        decision=FRAMES,
    ),
    "ckplus-7-all-frames": Protocol(
        "CK+, all frames but the first, seven expressions with contempt, without neutral",
        f"{DGCN}: all frames, ten folds, seven classes [paper]; that the first frame is only the neutral face, ours. "
        "Not comparable one to one with the last three frames",
        ("ckplus",),
        WITH_CONTEMPT,
        whole_sequences,
        decision=FRAMES,
        paper=(Figure("accuracy", 97.93, f"{DGCN}, all frames"),),
    ),
    "oulu-6": Protocol(
        "Oulu-CASIA, one camera and light, last three frames, six expressions",
        f"{CUSTOM}; {DERL} gives the figure [paper]",
        ("oulu",),
        SIX,
        peak,
        decision=FRAMES,
        paper=(Figure("accuracy", 88.0, DERL),),
    ),
    "mmi-6": Protocol(
        "MMI, middle three frames, six expressions",
        f"{DERL}: frames, classes, ten folds [paper]; the order of people ours",
        ("mmi",),
        SIX,
        peak,
        decision=FRAMES,
        paper=(Figure("accuracy", 73.23, DERL), Figure("balanced_accuracy", 72.67, DERL)),
    ),
    "mmi-6-all-frames": Protocol(
        "MMI, all frames but the first, six expressions",
        f"{DGCN}: all frames, ten folds, six classes [paper]; that the first frame is only the neutral face, ours. "
        "Not comparable one to one with the middle three frames",
        ("mmi",),
        SIX,
        whole_sequences,
        decision=FRAMES,
        paper=(Figure("accuracy", 81.53, f"{DGCN}, all frames"),),
    ),
    "bu3dfe-6": Protocol("BU-3DFE, the two higher intensities, six expressions", CUSTOM, ("bu3dfe",), SIX, strongest),
    "jaffe-7": Protocol("JAFFE, all pictures, seven expressions", CUSTOM, ("jaffe",), SEVEN),
    "kdef-7": Protocol("KDEF, frontal pictures, seven expressions", CUSTOM, ("kdef",), SEVEN, frontal),
    "rafd-8": Protocol("RaFD, frontal pictures of every gaze, eight expressions", CUSTOM, ("rafd",), ALL, frontal),
    "cremad-6": Protocol(
        "CREMA-D, the middle frame of every clip, six expressions", CUSTOM, ("cremad",), SEVEN[:-1], decision=FRAMES
    ),
    "london-2": Protocol("London Set, neutral and smiling", "ours", ("london",), ("neutral", "happiness")),
    "ferplus-8": Protocol(
        "FER+, majority reading: tested where one expression has more than half of the votes",
        "the data set's split; reading after Barsoum, Zhang, Canton Ferrer, Zhang 2016",
        ("ferplus",),
        ALL,
        tested=majority,
        division="split",
        splits=("train", "public_test"),
    ),
    "ferplus-8-plurality": Protocol(
        "FER+, plurality reading: tested wherever an expression wins",
        "the data set's split; reading after Barsoum, Zhang, Canton Ferrer, Zhang 2016",
        ("ferplus",),
        ALL,
        division="split",
        splits=("train", "public_test"),
    ),
    "rafdb-7": Protocol(
        "RAF-DB, basic expressions",
        "the data set's split",
        ("rafdb",),
        SEVEN,
        division="split",
        splits=("train", "test"),
    ),
    "affectnet-7": Protocol(
        "AffectNet without contempt",
        "the data set's split; its validation part is what the field tests on",
        ("affectnet",),
        SEVEN,
        division="split",
        splits=("train", "validation"),
    ),
    "affectnet-8": Protocol(
        "AffectNet, eight expressions",
        "the data set's split; its validation part is what the field tests on",
        ("affectnet",),
        ALL,
        division="split",
        splits=("train", "validation"),
    ),
    "sfew-7": Protocol(
        "SFEW 2.0",
        "the data set's split; its validation part is what the field tests on, the test part has no labels",
        ("sfew",),
        SEVEN,
        division="split",
        splits=("train", "validation"),
    ),
    "loso": Protocol("each person tested once, alone", "leave one subject out", division="one person", decision=FRAMES),
    "subjects": Protocol("person-independent folds of all pictures", "ours", decision=FRAMES),
    "images": Protocol("random folds of pictures, people unknown", "ours; flatters", division="pictures"),
    "cross": Protocol("trained on one data set, tested on others", "ours", division="other data", decision=FRAMES),
}
"""Every protocol by the word that users type."""


def find(name: str) -> Protocol:
    """The protocol of this name; ProtocolError with the list of names for an unknown one."""
    if name not in PROTOCOLS:
        raise ProtocolError(f"unknown protocol {name!r}; known are {', '.join(PROTOCOLS)}")
    return replace(PROTOCOLS[name], name=name)


def select(protocol: Protocol, table: FaceTable, classes: Sequence[str] = ()) -> FaceTable:
    """The pictures of a table that the protocol uses, restricted to its expressions.

    Without expressions of its own, the protocol takes `classes`, or those that occur. Each picture comes with the
    person's neutral face where the data set has it. ProtocolError for a data set that the protocol is not meant for.
    """
    name = protocol.name
    if protocol.datasets and table.dataset not in protocol.datasets:
        fitting = [each for each, known in PROTOCOLS.items() if not known.datasets or table.dataset in known.datasets]
        raise ProtocolError(
            f"{name} is for {', '.join(protocol.datasets)}; {table.path} holds {table.dataset}, for which there are "
            f"{', '.join(fitting)}"
        )
    table = with_neutral_faces(by_name(table))
    table = table.restricted(protocol.classes or classes or occurring(table))
    used = protocol.frames(table)
    if not used.any():
        raise ProtocolError(f"{table.path} has none of the pictures of {name} ({protocol.title})")
    return table.take(used)


def occurring(table: FaceTable) -> tuple[str, ...]:
    """The expressions that at least one picture of the table shows."""
    shown = set(table.classes.tolist())
    return tuple(name for index, name in enumerate(table.expressions) if index in shown)


def divide(protocol: Protocol, table: FaceTable, count: int = 10, *, inner: bool = False) -> list[Fold]:
    """Divide the selected pictures into the protocol's folds; `inner` holds out a part of the training for validation.

    A composite belongs to a part only if its person and its donor both do; otherwise the fold leaves it out. The single
    fold of "other data" tests no row of this table. FoldError where people are unknown, too few, or on both sides, and
    where a part is empty.
    """
    people = people_in(table)
    if protocol.division == "people":
        folds = person_independent(people, count, inner=inner)
    elif protocol.division == "one person":
        folds = leave_one_subject_out(people, inner=inner)
    elif protocol.division == "pictures":
        folds = image_level(people, count, inner=inner)
    elif protocol.division == "split":
        folds = [fixed_split([str(each) for each in table.split], people, *protocol.splits)]
    else:
        nothing = np.zeros(0, np.int64)
        folds = [Fold("other data", np.arange(len(table)), nothing, nothing)]
    if inner and protocol.division in ("split", "other data"):
        folds = [hold_out(fold, people, photographs_in(table)) for fold in folds]
    counted = protocol.tested(table)
    folds = [replace(fold, test=fold.test[counted[fold.test]]) for fold in folds]
    parts = ["train", *(["validation"] if inner else []), *(["test"] if protocol.division != "other data" else [])]
    empty = [part for part in parts if not all(len(getattr(fold, part)) for fold in folds)]
    if empty:
        raise FoldError(f"{table.path}: a fold of {protocol.name} has no {empty[0]} pictures")
    return folds
