"""BP4D+ (MMSE): ten tasks, each of which elicits an emotion, filmed in 3D, 2D and infrared with physiological signals.

Z. Zhang, J. M. Girard, Y. Wu, X. Zhang, P. Liu, U. Ciftci, S. Canavan, M. Reale, A. Horowitz, H. Yang, J. F. Cohn,
Q. Ji, L. Yin, "Multimodal spontaneous emotion corpus for human behavior analysis", CVPR 2016. Owner: Binghamton
University; request at www.cs.binghamton.edu/~lijun/Research/3DFE. The folders are those of BP4D with 140 people and
tasks T1 to T10 in 2D+3D: 2D+3D/F001/T1/0000.jpg; AUCoding/AU_OCC/F001_T1.csv exists for some of the tasks.

Public code of several groups reads these folders. That code confirms only the emotion of T8, physical pain. The
emotions of the other tasks are taken from the paper's list as it is usually cited. See bp4d.py for all else.
"""

from __future__ import annotations

from pathlib import Path

from deadpan.datasets import bp4d
from deadpan.datasets.sample import Facts, Sample

EXPRESSIONS = bp4d.EXPRESSIONS

FACTS = Facts(
    title="BP4D+ / MMSE, Multimodal Spontaneous Emotion database (Zhang, Girard, Wu, Zhang, Liu, Ciftci et al. 2016)",
    owner=bp4d.FACTS.owner,
    request=bp4d.FACTS.request,
    terms=bp4d.FACTS.terms,
    tree=(
        "2D+3D/F001/T1/0000.jpg (140 people F001 ... M001 ...; T1 to T10)\n"
        "AUCoding/AU_OCC/F001_T1.csv (optional)\n"
        "neutral.txt (optional, yours: one neutral frame a line, such as F001/T1/0000.jpg)"
    ),
    neutral=bp4d.FACTS.neutral,
    counts={"subjects": 140},
    confirmed=False,
    on_purpose=bp4d.FACTS.on_purpose,
)
TASKS = {
    1: "happiness",
    2: "surprise",
    3: "sadness",
    4: "surprise",  # startle
    5: "skepticism",
    6: "embarrassment",
    7: "fear",
    8: "physical pain",
    9: "anger",
    10: "disgust",
}


def read(root: Path, step: int = 10, neutral: Path | None = None) -> list[Sample]:
    """Read the neutral frames, and every `step`-th frame of each task that elicits an expression; see bp4d.read."""
    return bp4d.read_tasks(root, TASKS, FACTS, step, neutral)
