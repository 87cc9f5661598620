"""The Face Research Lab London Set (DeBruine, Jones 2017): 102 adults, neutral and smiling, in a studio.

Owner: Lisa DeBruine and Benedict Jones, CC BY 4.0, figshare.com/articles/dataset/5047666. Used: the frontal
photographs, neutral_front/001_03.jpg and smiling_front/001_08.jpg (1350 x 1350 pixels), and gender, age and ethnic
group from london_faces_info.csv if it exists. Not used: profiles and three-quarter views, .tem templates (189 points,
not those of iBUG-68) and the ratings.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from deadpan.datasets.listing import files_below, summary
from deadpan.datasets.sample import DatasetError, Facts, Sample, one_hot

EXPRESSIONS = ("neutral", "happiness")
FACTS = Facts(
    title="Face Research Lab London Set (DeBruine, Jones 2017)",
    owner="Face Research Lab: Lisa DeBruine, Benedict Jones",
    request="figshare.com/articles/dataset/Face_Research_Lab_London_Set/5047666",
    terms="CC BY 4.0",
    tree="neutral_front/001_03.jpg\nsmiling_front/001_08.jpg\nlondon_faces_info.csv (optional)",
    neutral="the same person's neutral photograph",
    counts={"subjects": 102, "pictures": 204, "neutral": 102, "happiness": 102},
    on_purpose={"profiles and three-quarter views": r"profile|quarter|(^|/)\d{3}_(0[124-79]|10)\.\w+$"},
)
PICTURES = {"03": "neutral", "08": "happiness"}
NAME = re.compile(r"(?P<person>\d{3})_(?P<number>03|08)")
UNKNOWN = frozenset({"", "na", "nan"})
Attributes = dict[str, "str | float"]


def read(root: Path) -> list[Sample]:
    """Read the frontal photographs below `root`; DatasetError if there is none or the table of people is damaged."""
    people: dict[str, Attributes] = {}
    for table in sorted(root.rglob("london_faces_info.csv"))[:1]:
        people = _people(table)
    samples = []
    for path in files_below(root):
        if match := NAME.fullmatch(path.stem):
            target = one_hot(PICTURES[match["number"]], EXPRESSIONS)
            person = match["person"]
            name = path.relative_to(root).as_posix()
            samples.append(Sample(path, name, target, subject=person, attributes=people.get(person, {})))
    if not samples:
        raise FACTS.absent(root, summary(root))
    return samples


def _people(table: Path) -> dict[str, Attributes]:
    people: dict[str, Attributes] = {}
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.DictReader(file)
        if "face_id" not in (reader.fieldnames or ()):
            raise DatasetError(f"{table} lacks the column face_id; it has {', '.join(reader.fieldnames or ())}")
        for row in reader:
            known = {key: value.strip() for key, value in row.items() if isinstance(value, str)}
            known = {key: value for key, value in known.items() if value.lower() not in UNKNOWN}
            attributes: Attributes = {}
            gender = known.get("face_gender") or known.get("face_sex")
            if gender:
                attributes["gender"] = gender
            if "face_eth" in known:
                attributes["ethnicity"] = known["face_eth"]
            if "face_age" in known:
                try:
                    attributes["age"] = float(known["face_age"])
                except ValueError:
                    where = f"{table}, line {reader.line_num}"
                    raise DatasetError(f"{where}: face_age must be a number, got {known['face_age']!r}") from None
            people[known.get("face_id", "").upper().removeprefix("X").zfill(3)] = attributes  # R writes X001
    return people
