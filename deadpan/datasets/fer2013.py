"""FER2013 (Goodfellow et al. 2013, "Challenges in Representation Learning"): 48 x 48 grey faces from web searches.

Kaggle distributes it as a table (`fer2013.csv`, or `icml_face_data.csv` with blanks in its column names) with columns
emotion, pixels and Usage. Copies have folders: `train/CLASS/Training_N.jpg` and `test/CLASS/PublicTest_N.jpg`, or
`images/train/CLASS/N.jpg` and `images/validation/CLASS/N.jpg`. Every picture in the folder of a class (its name, or its
code 0 to 6) is read, at any depth. Its split is that of the nearest folder named after a split. The two test sets are
distinguished by file names, if these contain PublicTest or PrivateTest. The people are not known. Pictures of the table
have the names of FER+ (`fer0000000` is the first row), so that both data sets can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deadpan.datasets.listing import files_below, split_of, summary, tables_below
from deadpan.datasets.pixel_table import USAGES, read_pixel_table
from deadpan.datasets.sample import DatasetError, Facts, Sample, class_above, one_hot

EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
FACTS = Facts(
    title="FER2013 (Goodfellow et al. 2013): Challenges in Representation Learning, facial expression recognition",
    owner="Kaggle, for Pierre-Luc Carrier and Aaron Courville",
    request="kaggle.com, 'Challenges in Representation Learning: Facial Expression Recognition Challenge'",
    terms="the photographs come from web searches and have no licence",
    tree=(
        "fer2013.csv (columns emotion, pixels, Usage), or\n"
        "train/CLASS/Training_N.jpg and test/CLASS/PublicTest_N.jpg, or\n"
        "images/train/CLASS/N.jpg and images/validation/CLASS/N.jpg"
    ),
    neutral="none: people are not known",
    counts={
        "pictures": 35887,
        "neutral": 6198,
        "anger": 4953,
        "disgust": 547,
        "fear": 5121,
        "happiness": 8989,
        "sadness": 6077,
        "surprise": 4002,
    },
)
CODES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")  # 0 to 6
TABLES = r"fer2013\.csv|icml_face_data\.csv|train\.csv"


def read(root: Path) -> list[Sample]:
    """Read every picture of the table or the folders at `root`; DatasetError for a damaged row or missing files."""
    tables = sorted(tables_below(root, TABLES), key=lambda path: path.name.lower() == "train.csv")
    samples = list(read_pixel_table(tables[0], CODES, EXPRESSIONS, "fer")) if tables else list(_folders(root))
    if not samples:
        raise FACTS.absent(root, summary(root))
    return samples


def _folders(root: Path) -> Iterator[Sample]:
    codes = {str(code): name for code, name in enumerate(CODES)}
    for path in sorted(files_below(root), key=lambda path: split_of(path, root) != "train"):
        expression = class_above(path, root, codes)
        if expression is None:
            continue
        if expression not in EXPRESSIONS:
            raise DatasetError(f"{path}: {expression} is not a class of FER2013; they are {', '.join(EXPRESSIONS)}")
        split = USAGES.get(path.name.split("_")[0]) or split_of(path, root)
        name = path.relative_to(root).as_posix()
        yield Sample(path, name, one_hot(expression, EXPRESSIONS), split=split, cropped=True)
