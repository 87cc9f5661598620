"""The Yale Face Database (Belhumeur, Hespanha, Kriegman 1997): 15 people, eleven pictures each.

Owner: Yale University, Center for Computational Vision and Control; vision.ucsd.edu/content/yale-face-database. 165
grey GIF files named `subject01.happy`, without a suffix (some copies add `.gif`). Used: the four expressions happy,
normal, sad and surprised. Not used: light, glasses, sleepy and wink, and `subject04.sad`, which according to the
database's Readme was corrupted and is a copy of `subject04.normal`.
"""

from __future__ import annotations

import re
from pathlib import Path

from deadpan.datasets.listing import summary
from deadpan.datasets.sample import Facts, Sample, one_hot

EXPRESSIONS = ("neutral", "happiness", "sadness", "surprise")
FACTS = Facts(
    title="Yale Face Database (Belhumeur, Hespanha, Kriegman 1997)",
    owner="Yale University, Center for Computational Vision and Control",
    request="vision.ucsd.edu/content/yale-face-database",
    terms="research only, with acknowledgement",
    tree="subject01.happy (or subject01.happy.gif; happy, normal, sad, surprised of subject01 to subject15)",
    neutral="the same person's picture `normal`",
    counts={"subjects": 15, "pictures": 59, "neutral": 15, "happiness": 15, "sadness": 14, "surprise": 15},
    on_purpose={
        "light, glasses, sleepy and wink": r"\.(\w+light|(no)?glasses|sleepy|wink)(\.\w+)?$",
        "a copy of subject04.normal": r"subject04\.sad",
    },
)
CODES = {"normal": "neutral", "happy": "happiness", "sad": "sadness", "surprised": "surprise"}
NAME = re.compile(r"subject(?P<person>\d\d)\.(?P<word>[a-z]+)(\.(gif|pgm|png|jpe?g|bmp|tiff?))?", re.IGNORECASE)


def read(root: Path) -> list[Sample]:
    """Read the pictures of the four expressions below `root`; DatasetError if there is none."""
    samples = []
    for path in sorted(root.rglob("*")):
        match = NAME.fullmatch(path.name)
        word = match["word"].lower() if match else ""
        if match is None or word not in CODES or (match["person"], word) == ("04", "sad") or not path.is_file():
            continue
        target = one_hot(CODES[word], EXPRESSIONS)
        samples.append(Sample(path, path.relative_to(root).as_posix(), target, subject=match["person"]))
    if not samples:
        raise FACTS.absent(root, summary(root))
    return samples
