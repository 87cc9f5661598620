"""JAFFE, the Japanese Female Facial Expression data set (Lyons, Kamachi, Gyoba 1998).

Owner: Michael Lyons; on request from zenodo.org/records/3451524. One folder holds 213 grey TIFF files of 256 x 256
pixels, named PERSON.CODE+TAKE.NUMBER, such as `KA.AN1.39.tiff`: ten women, seven expressions, two to four takes of
each. All pictures are used. Not used: the semantic ratings of README_FIRST.txt.
"""

from __future__ import annotations

import re
from pathlib import Path

from deadpan.datasets.listing import files_below, summary
from deadpan.datasets.sample import DatasetError, Facts, Sample, one_hot

EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
FACTS = Facts(
    title="JAFFE, Japanese Female Facial Expression data set (Lyons, Kamachi, Gyoba 1998)",
    owner="Michael Lyons, Miyuki Kamachi, Jiro Gyoba",
    request="zenodo.org/records/3451524",
    terms="non-commercial research only, by request",
    tree="KA.AN1.39.tiff (PERSON.CODE+TAKE.NUMBER; codes AN DI FE HA NE SA SU)",
    neutral="the same person's neutral photographs",
    counts={"subjects": 10, "pictures": 213},
)
CODES = {
    "NE": "neutral",
    "AN": "anger",
    "DI": "disgust",
    "FE": "fear",
    "HA": "happiness",
    "SA": "sadness",
    "SU": "surprise",
}
NAME = re.compile(r"(?P<person>[A-Z]{2})\.(?P<code>[A-Z]{2})(?P<take>\d*)\.\d+", re.IGNORECASE)


def read(root: Path) -> list[Sample]:
    """Read every picture below `root` named as in JAFFE; DatasetError if there is none or a code is unknown."""
    samples = []
    for path in files_below(root):
        if match := NAME.fullmatch(path.stem):
            code = match["code"].upper()
            if code not in CODES:
                raise DatasetError(f"{path}: unknown expression {code}; expected one of {', '.join(CODES)}")
            target = one_hot(CODES[code], EXPRESSIONS)
            attributes: dict[str, str | float] = {"gender": "female"}
            if match["take"]:
                attributes["take"] = float(match["take"])
            name = path.relative_to(root).as_posix()
            samples.append(Sample(path, name, target, subject=match["person"].upper(), attributes=attributes))
    if not samples:
        raise FACTS.absent(root, summary(root))
    return samples
