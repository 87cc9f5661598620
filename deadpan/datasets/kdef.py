"""KDEF, the Karolinska Directed Emotional Faces (Lundqvist, Flykt, Öhman 1998).

Owner: Karolinska Institutet; on request from kdef.se. 70 people, seven expressions, two sessions, five camera angles:
4,900 pictures of 562 x 762 pixels in one folder per person and session. Names are SESSION SEX PERSON EXPRESSION ANGLE,
such as `AF01/AF01ANS.JPG`; AF01 and BF01 are the same woman. All angles are read, with the attribute `view`. The names
of two files contain no expression; it is the only one missing for that person and session. Not used: the averaged faces
(AKDEF). A few pictures of the original distribution are black, or larger than the others.
"""

from __future__ import annotations

import re
from pathlib import Path

from deadpan.datasets.listing import files_below, summary
from deadpan.datasets.sample import DatasetError, Facts, Sample, one_hot

EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
FACTS = Facts(
    title="KDEF, Karolinska Directed Emotional Faces (Lundqvist, Flykt, Öhman 1998)",
    owner="Karolinska Institutet, Department of Clinical Neuroscience",
    request="kdef.se",
    terms="non-commercial research, with the terms of kdef.se",
    tree="AF01/AF01ANS.JPG (session A B, sex F M, person 01-35, AF AN DI HA NE SA SU, angle FL HL S HR FR)",
    neutral="the same person's neutral photographs from the same angle",
    counts={"subjects": 70, "pictures": 4900} | dict.fromkeys(EXPRESSIONS, 700),
    on_purpose={"averaged faces": r"(^|/)AKDEF/"},
)
CODES = {
    "NE": "neutral",
    "AN": "anger",
    "DI": "disgust",
    "AF": "fear",
    "HA": "happiness",
    "SA": "sadness",
    "SU": "surprise",
}
VIEWS = {
    "S": {"view": "frontal"},
    "HL": {"view": "half", "side": "left"},
    "HR": {"view": "half", "side": "right"},
    "FL": {"view": "profile", "side": "left"},
    "FR": {"view": "profile", "side": "right"},
}
MISNAMED = {"AF31V": "AF31SAHL", "AM31H": "AM31SUHR"}
NAME = re.compile(r"(?P<session>[AB])(?P<sex>[FM])(?P<person>\d\d)(?P<code>[A-Z]{2})(?P<angle>S|HL|HR|FL|FR)")


def read(root: Path) -> list[Sample]:
    """Read every picture below `root` named as in KDEF; DatasetError if there is none or a code is unknown."""
    samples = []
    for path in files_below(root):
        stem = path.stem.upper()
        match = NAME.fullmatch(MISNAMED.get(stem, stem))
        if match is None:
            continue
        if match["code"] not in CODES:
            raise DatasetError(f"{path}: unknown expression {match['code']}; expected one of {', '.join(CODES)}")
        gender = "female" if match["sex"] == "F" else "male"
        samples.append(
            Sample(
                path,
                path.relative_to(root).as_posix(),
                one_hot(CODES[match["code"]], EXPRESSIONS),
                subject=match["sex"] + match["person"],
                attributes={"session": match["session"], "gender": gender, **VIEWS[match["angle"]]},
            )
        )
    if not samples:
        raise FACTS.absent(root, summary(root))
    return samples
