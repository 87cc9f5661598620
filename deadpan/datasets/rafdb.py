"""RAF-DB, the Real-world Affective Faces Database (Li, Deng, Du 2017): web photographs with about 40 votes each.

Owner: Pattern Recognition and Intelligent System Laboratory, Beijing University of Posts and Telecommunications; on
request from whdeng.cn/RAF/model1.html. Used is the single-label subset `basic`: EmoLabel/list_patition_label.txt
(spelt so; one line `train_00001.jpg 5` per picture), the 100 x 100 crops of Image/aligned or the photographs of
Image/original, and gender, race and age range of Annotation/manual. Copies without the list are read too: class
folders 1 to 7 below train and test, with or without tables of columns image and label. Not used: the compound subset,
the five manual and 37 automatic landmarks (deadpan takes 68), boxes and features. The people are not known.
"""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from pathlib import Path

from PIL import Image

from deadpan.datasets.listing import files_below, split_named, split_of, summary, tables_below
from deadpan.datasets.sample import DatasetError, Facts, Sample, class_above, expression_in, one_hot

EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
FACTS = Facts(
    title="RAF-DB, Real-world Affective Faces Database (Li, Deng, Du 2017), basic expressions",
    owner="PRIS, Beijing University of Posts and Telecommunications",
    request="whdeng.cn/RAF/model1.html",
    terms="non-commercial research only, by request; the photographs come from the Internet",
    tree=(
        "basic/EmoLabel/list_patition_label.txt\n"
        "basic/Image/aligned/train_00001_aligned.jpg (or basic/Image/original/train_00001.jpg)\n"
        "basic/Annotation/manual/train_00001_manu_attri.txt (optional), or\n"
        "train/5/train_00001_aligned.jpg and test/5/test_0001_aligned.jpg (folders 1 to 7, tables optional)"
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
    on_purpose={"the compound subset": r"compound", "photographs beside their crops": r"(^|/)original/"},
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
COMPOUND_CODES = frozenset({"8", "9", "10", "11"})
COMPOUND = "eleven compound expressions such as happily surprised; deadpan reads the basic subset"
ATTRIBUTES = {  # the last three lines of an annotation, in this order; gender 2 is "unsure"
    "gender": {"0": "male", "1": "female", "2": ""},
    "ethnicity": {"0": "caucasian", "1": "african-american", "2": "asian"},
    "age": {"0": "0-3", "1": "4-19", "2": "20-39", "3": "40-69", "4": "70+"},
}


def read(root: Path, aligned: bool = True) -> list[Sample]:
    """Read the labelled pictures that exist: the crops if `aligned` and if there are crops, else the photographs.

    The labels are those of the owner's list or, if a copy has none, of its tables and class folders 1 to 7. Raises
    DatasetError if there are no labels, if they are damaged or contradict each other, and for the compound subset.
    """
    # the README writes list_partition_label.txt, the file itself is named list_patition_label.txt
    lists = tables_below(root, r"list_par?tition_label\.txt")
    basic = [path for path in lists if not _is_compound(path, root)]
    if basic:
        return _listed(root, basic[0], aligned)
    if lists:
        raise FACTS.absent(root, f"{lists[0].name} is that of the compound subset, {COMPOUND}")
    samples = _sorted(root)
    if not samples:
        raise FACTS.absent(root, summary(root))
    return samples


def _is_compound(path: Path, root: Path) -> bool:
    """Whether a label list belongs to the compound subset: by its folder, or because it has codes above 7."""
    folders = path.relative_to(root).parts if root in path.parents else ()
    if any("compound" in name.lower() for name in folders) or re.fullmatch(r"(raf.*)?compound", root.name.lower()):
        return True
    codes = {line.split()[-1] for line in path.read_text("utf-8-sig", errors="replace").splitlines() if line.split()}
    return bool({"9", "10", "11"} & codes) and codes <= COMPOUND_CODES | CODES.keys()


def _listed(root: Path, labels: Path, aligned: bool) -> list[Sample]:
    basic = labels.parent.parent if labels.parent.name.lower() == "emolabel" else labels.parent
    found = [path for path in files_below(basic) if "compound" not in path.relative_to(basic).as_posix().lower()]
    crops = {path.stem.removesuffix("_aligned"): path for path in found if _is_crop(path)}
    photographs = {path.stem: path for path in found if not _is_crop(path)}
    pictures = crops if crops and (aligned or not photographs) else photographs
    samples = []
    for number, line in enumerate(labels.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 2 or fields[1] not in CODES:
            raise DatasetError(f"{labels}, line {number}: expected 'train_00001.jpg CODE', CODE 1 to 7, got {line!r}")
        stem = Path(fields[0]).stem.removesuffix("_aligned")
        if stem in pictures:
            path = pictures[stem]
            name, target = path.relative_to(basic).as_posix(), one_hot(CODES[fields[1]], EXPRESSIONS)
            attributes = _attributes(basic / "Annotation" / "manual" / f"{stem}_manu_attri.txt")
            split, cropped = stem.split("_")[0], pictures is crops
            samples.append(Sample(path, name, target, split=split, cropped=cropped, attributes=attributes))
    if not samples:
        raise FACTS.absent(root, f"holds none of the pictures that {labels.name} lists")
    return samples


def _is_crop(path: Path) -> bool:
    return path.stem.lower().endswith("_aligned") or path.parent.name.lower() == "aligned"


def _sorted(root: Path) -> list[Sample]:
    """Read a copy without the owner's list: class folders (1 to 7, or names), and tables (columns image, label)."""
    pictures = files_below(root)
    folders = {path.parent.name for path in pictures}
    if folders & COMPOUND_CODES:
        raise FACTS.absent(root, f"holds class folders up to {max(map(int, folders & COMPOUND_CODES))}: {COMPOUND}")
    tables = {key: value for table in tables_below(root, r".*\.csv") for key, value in _table(table).items()}
    cropped = all(map(_is_crop, pictures)) or _is_small(pictures[:1])
    samples = []
    for path in pictures:
        said, lies = tables.get(path.name), class_above(path, root, CODES)
        if said and lies and said != lies:
            raise DatasetError(f"{path}: the table says {said}, but the folder says {lies}; correct one of them")
        expression = said or lies
        if expression in EXPRESSIONS:
            split = split_of(path, root) or split_named(path.stem)
            name = path.relative_to(root).as_posix()
            samples.append(Sample(path, name, one_hot(expression, EXPRESSIONS), split=split, cropped=cropped))
    return samples


def _is_small(pictures: list[Path]) -> bool:
    """Whether the first picture is one of the owner's crops, which have 100 x 100 pixels."""
    with suppress(OSError, ValueError):
        return any(Image.open(path).size == (100, 100) for path in pictures)
    return False


def _table(table: Path) -> dict[str, str]:
    """The expression of each picture by file name; empty if the table has no columns image and label."""
    with table.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        rows = csv.DictReader(file)
        columns = {name.strip().lower(): name for name in rows.fieldnames or ()}
        image = next((columns[name] for name in ("image", "name", "filename", "file", "path") if name in columns), None)
        label = columns.get("label")
        found: dict[str, str] = {}
        for row in rows if image and label else ():
            code = (row[label] or "").strip()
            expression = CODES.get(code) or expression_in(code)
            if expression is None:
                raise DatasetError(f"{table}, line {rows.line_num}: expected a label of 1 to 7, got {code!r}")
            found[Path(row[image] or "").name] = expression
        return found


def _attributes(annotation: Path) -> dict[str, str | float]:
    """Gender, ethnicity and age range, which follow the five landmarks; empty if the file does not exist."""
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
