"""BU-3DFE: Binghamton University 3D Facial Expression Database, posed expressions in four intensities.

L. Yin, X. Wei, Y. Sun, J. Wang, M. J. Rosato, "A 3D facial expression database for facial behavior research", FG 2006.
Owner: Binghamton University; request at www.cs.binghamton.edu/~lijun/Research/3DFE. There is one folder for each person
(F0001 to F0056, M0001 to M0044). File names contain person, expression, intensity, ethnicity and kind:
F0001_AN01WH_F2D.bmp is the frontal picture; F0001_AN01WH_F3D.bmp is the texture of the model, two half-profile pictures
side by side.

Used: the pictures of one kind, by default F2D. The intensity is 1 to 4, and 0 for neutral. The ethnicity is kept as the
two letters in the name. Not used: the models (.wrl) and their three-dimensional landmarks.
"""

from __future__ import annotations

import re
from pathlib import Path

from deadpan.datasets.listing import PICTURES, nested, summary, visible
from deadpan.datasets.sample import Facts, Sample, check_names, expression_named, one_hot

EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")

FACTS = Facts(
    title="BU-3DFE, Binghamton University 3D Facial Expression Database (Yin, Wei, Sun, Wang, Rosato 2006)",
    owner="Binghamton University, State University of New York",
    request="www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html",
    terms="signed agreement; research only",
    tree="F0001/F0001_AN01WH_F2D.bmp (F0001 to F0056, M0001 to M0044; AN DI FE HA SA SU with 01 to 04, NE with 00)",
    neutral="one picture of every person",
    counts={"subjects": 100, "pictures": 2500, "neutral": 100, **dict.fromkeys(EXPRESSIONS[1:], 400)},
    on_purpose={"pictures of another kind": r"_(F2D|F3D|RAW)\.\w+$"},
)
KINDS = ("F2D", "F3D", "RAW")
NAME = re.compile(r"([FM]\d{4})_([A-Z]{2})(\d{2})([A-Z]{2})_(F2D|F3D|RAW)", re.IGNORECASE)
GENDERS = {"F": "female", "M": "male"}


def read(root: Path, kind: str = "F2D") -> list[Sample]:
    """Read every picture of one `kind` (F2D, F3D or RAW); DatasetError if there is none or a name has an unknown code.

    Raises ValueError for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be {', '.join(KINDS)}, got {kind!r}")
    samples: list[Sample] = []
    for folder in nested(root, depth=3):
        for path in visible(folder):
            match = NAME.fullmatch(path.stem)
            if match is None or match[5].upper() != kind or path.suffix.lower() not in PICTURES:
                continue
            subject, code, intensity, ethnicity = (match[group].upper() for group in range(1, 5))
            samples.append(
                Sample(
                    picture=path,
                    name=f"{subject}/{path.name}",
                    target=one_hot(expression_named(code, str(path)), EXPRESSIONS),
                    subject=subject,
                    attributes={
                        "intensity": float(intensity),
                        "gender": GENDERS[subject[0]],
                        "ethnicity": ethnicity,
                        "kind": kind,
                    },
                )
            )
    if not samples:
        raise FACTS.absent(root, f"{summary(root)}, and there is no {kind} picture below it")
    check_names(samples, root)
    return samples
