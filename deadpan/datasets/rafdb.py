"""RAF-DB, the Real-world Affective Faces Database (Li, Deng, Du 2017): web photographs with about 40 votes each.

Owner: Pattern Recognition and Intelligent System Laboratory, Beijing University of Posts and Telecommunications; on
request from whdeng.cn/RAF/model1.html. Used is the single-label subset `basic`: EmoLabel/list_patition_label.txt
(spelt so; one line `train_00001.jpg 5` per picture), the 100 x 100 crops of Image/aligned or the photographs of
Image/original, and gender, race and age range of Annotation/manual. Not used: the compound subset, the five manual
and 37 automatic landmarks (deadpan takes 68), boxes and features. The people are not known.
"""

from __future__ import annotations

from pathlib import Path

from deadpan.datasets.listing import files_below, summary
from deadpan.datasets.sample import DatasetError, Facts, Sample, one_hot

EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
FACTS = Facts(
    title="RAF-DB, Real-world Affective Faces Database (Li, Deng, Du 2017), basic expressions",
    owner="PRIS, Beijing University of Posts and Telecommunications",
    request="whdeng.cn/RAF/model1.html",
    terms="non-commercial research only, by request; the photographs come from the Internet",
    tree=(
        "basic/EmoLabel/list_patition_label.txt\n"
        "basic/Image/aligned/train_00001_aligned.jpg (or basic/Image/original/train_00001.jpg)\n"
        "basic/Annotation/manual/train_00001_manu_attri.txt (optional)"
    ),
    neutral="none: people are not known",
    counts={
        "pictures": 15339,
        "neutral": 3204,
        "anger": 867,
        "disgust": 877,
        "fear": 355,
        "happiness": 5957,
        "sadness": 2460,
        "surprise": 1619,
    },
)
CODES = {
    "1": "surprise",
    "2": "fear",
    "3": "disgust",
    "4": "happiness",
    "5": "sadness",
    "6": "anger",
    "7": "neutral",
}
ATTRIBUTES = {  # the last three lines of an annotation, in this order; gender 2 is "unsure"
    "gender": {"0": "male", "1": "female", "2": ""},
    "ethnicity": {"0": "caucasian", "1": "african-american", "2": "asian"},
    "age": {"0": "0-3", "1": "4-19", "2": "20-39", "3": "40-69", "4": "70+"},
}


def read(root: Path, aligned: bool = True) -> list[Sample]:
    """The pictures of the label list that are there; `aligned` takes the crops, else (or without them) the photographs.

    DatasetError if the label list is absent or damaged or none of its pictures is there.
    """
    basic = root / "basic" if (root / "basic").is_dir() else root
    # the README writes list_partition_label.txt, the file itself is named list_patition_label.txt
    lists = [basic / "EmoLabel" / name for name in ("list_patition_label.txt", "list_partition_label.txt")]
    labels = next((path for path in lists if path.is_file()), None)
    if labels is None:
        raise FACTS.absent(root, summary(root))
    crops, photographs = (
        {path.stem.removesuffix("_aligned"): path for path in files_below(basic / "Image" / folder)}
        for folder in ("aligned", "original")
    )
    pictures = crops if crops and (aligned or not photographs) else photographs
    samples = []
    for number, line in enumerate(labels.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 2 or fields[1] not in CODES:
            raise DatasetError(f"{labels}, line {number}: expected 'train_00001.jpg CODE', CODE 1 to 7, got {line!r}")
        stem = Path(fields[0]).stem
        if stem in pictures:
            target = one_hot(CODES[fields[1]], EXPRESSIONS)
            path = pictures[stem]
            name = path.relative_to(basic).as_posix()
            attributes = _attributes(basic / "Annotation" / "manual" / f"{stem}_manu_attri.txt")
            split = stem.split("_")[0]
            cropped = pictures is crops
            samples.append(Sample(path, name, target, split=split, cropped=cropped, attributes=attributes))
    if not samples:
        raise FACTS.absent(root, f"holds none of the pictures that {labels.name} lists")
    return samples


def _attributes(annotation: Path) -> dict[str, str | float]:
    """Gender, ethnicity and age range after the five landmarks; nothing where the file is absent."""
    if not annotation.is_file():
        return {}
    codes = annotation.read_text(encoding="utf-8-sig", errors="replace").split()[-3:]
    try:
        words = {key: ATTRIBUTES[key][code] for key, code in zip(ATTRIBUTES, codes, strict=True)}
    except (KeyError, ValueError) as error:
        raise DatasetError(
            f"{annotation}: expected gender (0-2), race (0-2) and age (0-4) in the last three lines, got {codes}"
        ) from error
    return {key: word for key, word in words.items() if word}
