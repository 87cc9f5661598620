"""CREMA-D, the Crowd-sourced Emotional Multimodal Actors Dataset (Cao, Cooper, Keutmann, Gur, Nenkova, Verma 2014).

Owner: Cheyney and West Chester Universities; github.com/CheyneyComputerScience/CREMA-D. Download it with git-lfs,
without which the videos are text files that cannot be opened. There are 7,442 clips of 91 actors who speak twelve
sentences, in `VideoFlash/1001_DFA_ANG_XX.flv` (actor, sentence, emotion, intensity); the same names with the suffix of
another format are read too. Used: one or more frames of each clip with the acted emotion, and VideoDemographics.csv if
it exists. Not used: sound, the raters' votes, and `1064_IEO_DIS_MD`, in which the actor shows all emotions.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from deadpan.datasets.listing import VIDEOS, files_below, summary
from deadpan.datasets.sample import DatasetError, Facts, Sample, VideoFrame, one_hot
from deadpan.faces.video import measure_videos

EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness")
FACTS = Facts(
    title="CREMA-D, Crowd-sourced Emotional Multimodal Actors Dataset (Cao et al. 2014)",
    owner="David Cooper, Cheyney University and West Chester University",
    request="github.com/CheyneyComputerScience/CREMA-D (fetch it with git-lfs)",
    terms="Open Database License; contents under the Database Contents License",
    tree="VideoFlash/1001_DFA_ANG_XX.flv\nVideoDemographics.csv (optional)",
    neutral="the same actor's neutral clips",
    counts={"subjects": 91, "sequences": 7441, "pictures": 7441},  # 7,442 clips less the one that is not used
    on_purpose={"the clip with every emotion": r"1064_IEO_DIS_MD"},
)
CODES = {
    "NEU": "neutral",
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "SAD": "sadness",
}
INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}
MIXED = "1064_IEO_DIS_MD"  # a minute with every emotion, by the repository's list of damaged clips
NAME = re.compile(r"(?P<actor>\d{4})_(?P<sentence>[A-Z]{3})_(?P<code>[A-Z]{3})_(?P<level>[A-Z]{1,2})")
COLUMNS = {"Age": "age", "Sex": "gender", "Race": "race", "Ethnicity": "ethnicity"}


def read(root: Path, frames: int = 1) -> list[Sample]:
    """Read `frames` frames of every clip below `root`: the middle one, or several at even distances.

    The middle is counted among the frames that decode. A clip that cannot be decoded is returned with frame 0, so that
    `prepare` reports it. Raises DatasetError if there is no clip.
    """
    tables = sorted(root.rglob("VideoDemographics.csv"))[:1]
    people = _people(tables[0]) if tables else {}
    samples = []
    named = [(path, NAME.fullmatch(path.stem.upper())) for path in files_below(root, VIDEOS)]
    clips = [(path, match) for path, match in named if match and path.stem.upper() != MIXED]
    for (path, match), facts in zip(clips, measure_videos([path for path, _ in clips]), strict=True):
        if match["code"] not in CODES or match["level"] not in INTENSITIES:
            expected = f"{', '.join(CODES)} and {', '.join(INTENSITIES)}"
            raise DatasetError(f"{path}: unknown emotion or intensity; expected one of {expected}")
        name = path.relative_to(root).as_posix()
        for index in sorted({facts.frames * (part + 1) // (frames + 1) for part in range(frames)}):
            samples.append(
                Sample(
                    VideoFrame(path, index),
                    f"{name}#{index}",
                    one_hot(CODES[match["code"]], EXPRESSIONS),
                    subject=match["actor"],
                    sequence=path.stem.upper(),
                    frame=index,
                    attributes={
                        "sentence": match["sentence"],
                        "intensity": INTENSITIES[match["level"]],
                        **people.get(match["actor"], {}),
                    },
                )
            )
    if not samples:
        raise FACTS.absent(root, summary(root))
    return samples


def _people(table: Path) -> dict[str, dict[str, str | float]]:
    people: dict[str, dict[str, str | float]] = {}
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.DictReader(file)
        if "ActorID" not in (reader.fieldnames or ()):
            raise DatasetError(f"{table} lacks the column ActorID; it has {', '.join(reader.fieldnames or ())}")
        for row in reader:
            known: dict[str, str | float] = {word: row[key].lower() for key, word in COLUMNS.items() if row.get(key)}
            if "age" in known:
                try:
                    known["age"] = float(known["age"])
                except ValueError:
                    where = f"{table}, line {reader.line_num}"
                    raise DatasetError(f"{where}: Age must be a number, got {known['age']!r}") from None
            people[row["ActorID"]] = known
    return people
