"""RaFD, the Radboud Faces Database (Langner, Dotsch, Bijlstra, Wigboldus, Hawk, van Knippenberg 2010).

Owner: Radboud University Nijmegen; on request from rafd.socsci.ru.nl. 67 people (adults and children), eight
expressions coached by FACS coders, three gaze directions, five cameras at the same time: 8,040 pictures named
`Rafd090_01_Caucasian_female_angry_frontal.jpg` (camera angle, person, group, sex, expression, gaze). All are read, with
the attributes `view` and `gaze`. Not used: the ratings of the validation study.
"""

from __future__ import annotations

import re
from pathlib import Path

from deadpan.datasets.listing import files_below, summary
from deadpan.datasets.sample import DatasetError, Facts, Sample, expression_named, one_hot
from deadpan.expressions import EXPRESSIONS as EXPRESSIONS

FACTS = Facts(
    title="RaFD, Radboud Faces Database (Langner et al. 2010)",
    owner="Behavioural Science Institute, Radboud University Nijmegen",
    request="rafd.socsci.ru.nl",
    terms="non-commercial research only, by request",
    tree="Rafd090_01_Caucasian_female_angry_frontal.jpg (camera 000 045 090 135 180, 90 is frontal)",
    neutral="the same person's neutral photographs from the same camera",
    counts={"subjects": 67, "pictures": 8040} | dict.fromkeys(EXPRESSIONS, 1005),  # 67 people x 3 gazes x 5 cameras
)
VIEWS = {"000": "profile", "045": "half", "090": "frontal", "135": "half", "180": "profile"}
NAME = re.compile(
    r"rafd(?P<camera>\d{3})_(?P<person>\d+)_(?P<group>[a-z]+)_(?P<gender>female|male)_(?P<word>[a-z]+)_(?P<gaze>[a-z]+)"
)


def read(root: Path) -> list[Sample]:
    """Read every picture below `root` named as in RaFD; DatasetError if there is none or a word is unknown."""
    samples = []
    for path in files_below(root):
        match = NAME.fullmatch(path.stem.lower())
        if match is None:
            continue
        if match["camera"] not in VIEWS:
            raise DatasetError(f"{path}: unknown camera {match['camera']}; expected one of {', '.join(VIEWS)}")
        samples.append(
            Sample(
                path,
                path.relative_to(root).as_posix(),
                one_hot(expression_named(match["word"], str(path)), EXPRESSIONS),
                subject=match["person"],
                attributes={
                    "camera": float(match["camera"]),
                    "view": VIEWS[match["camera"]],
                    "group": match["group"],
                    "gender": match["gender"],
                    "gaze": match["gaze"],
                },
            )
        )
    if not samples:
        raise FACTS.absent(root, summary(root))
    return samples
