"""FER+ (Barsoum et al. 2016): the photographs of FER2013, each with the votes of ten annotators.

Reads the public distribution, a folder with `fer2013.csv` (Kaggle, "Challenges in Representation Learning") and
`fer2013new.csv` (github.com/microsoft/FERPlus), or one Parquet file with columns `name`, `split`, `image` and
`votes_neutral` ... `votes_contempt`, `votes_unknown`, `votes_nf`.

A picture is kept if its top expression beats both `unknown` and `nf` (not a face): the *plurality* reading. The
attribute `majority` is 1.0 if the top expression has more than half of all votes: the *majority* reading.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from deadpan.datasets.pixel_table import USAGES, encoded
from deadpan.datasets.sample import DatasetError, Facts, Sample
from deadpan.expressions import EXPRESSIONS as EXPRESSIONS

TREE = (
    "expected a folder with fer2013.csv (kaggle.com, 'Challenges in Representation Learning: Facial Expression "
    "Recognition') and fer2013new.csv (github.com/microsoft/FERPlus), or a Parquet file with images and votes"
)
FACTS = Facts(
    title="FER+ (Barsoum, Zhang, Canton Ferrer, Zhang 2016): votes on the photographs of FER2013",
    owner="Microsoft (votes); Kaggle (photographs)",
    request="github.com/microsoft/FERPlus and kaggle.com, 'Challenges in Representation Learning'",
    terms="votes MIT (Microsoft FER+); the FER2013 photographs come from web searches and have no licence",
    tree="fer2013.csv, fer2013new.csv",
    neutral="none",
)
BALLOT = (*EXPRESSIONS, "unknown", "nf")


class Ballot(NamedTuple):
    """One photograph and its votes in the order of BALLOT."""

    name: str
    split: str
    picture: bytes
    votes: tuple[int, ...]


def read(root: Path, keep_stray_votes: bool = False) -> list[Sample]:
    """Read every picture whose top expression wins, with the shares of its votes as target.

    An expression with a single vote is dropped as a mistake of the annotator, as FER+'s authors do, unless
    `keep_stray_votes`. Raises DatasetError if files are missing or damaged, or if no expression wins in any picture.
    """
    ballots = _distribution(root) if root.is_dir() else _parquet(root)
    samples = [sample for ballot in ballots if (sample := _sample(ballot, keep_stray_votes)) is not None]
    if not samples:
        raise DatasetError(f"{root} holds no picture with a winning expression; {TREE}")
    return samples


def count_votes(votes: tuple[int, ...], keep_stray_votes: bool = False) -> tuple[tuple[float, ...], bool] | None:
    """Turn votes (order BALLOT) into (distribution over EXPRESSIONS, majority), or None if no expression wins."""
    expressions, others = votes[: len(EXPRESSIONS)], votes[len(EXPRESSIONS) :]
    top = max(expressions)
    if top <= max(others):
        return None
    kept = [vote if keep_stray_votes or vote > 1 or top == 1 else 0 for vote in expressions]
    return tuple(vote / sum(kept) for vote in kept), 2 * top > sum(votes)


def _sample(ballot: Ballot, keep_stray_votes: bool) -> Sample | None:
    counted = count_votes(ballot.votes, keep_stray_votes)
    if counted is None:
        return None
    target, majority = counted
    attributes = {"majority": float(majority)}
    return Sample(ballot.picture, ballot.name, target, split=ballot.split, cropped=True, attributes=attributes)


def _parquet(path: Path) -> Iterator[Ballot]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DatasetError(f"{path} does not exist; {TREE}")
    try:
        file = pq.ParquetFile(path)
        columns = ["name", "split", "image", *(f"votes_{word}" for word in BALLOT)]
        missing = [column for column in columns if column not in file.schema_arrow.names]
        if missing:
            raise DatasetError(f"{path} lacks the columns {', '.join(missing)}; {TREE}")
        row = 0
        for batch in file.iter_batches(batch_size=1024, columns=columns):
            lists = [batch.column(column).to_pylist() for column in columns]
            for name, split, picture, *votes in zip(*lists, strict=True):
                row += 1
                yield Ballot(name, split, picture, _votes(votes, f"{path}, row {row}"))
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(f"{path} is not a readable Parquet file: {error}; {TREE}") from error


def _distribution(root: Path) -> Iterator[Ballot]:
    pictures, ballots = root / "fer2013.csv", root / "fer2013new.csv"
    for path in (pictures, ballots):
        if not path.is_file():
            raise DatasetError(f"{path} does not exist; {TREE}")
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # 2,304 pixels as text have up to 9 kB; the default is 131 kB
    with pictures.open(newline="") as left, ballots.open(newline="") as right:
        rows = zip(csv.DictReader(left), csv.DictReader(right), strict=True)
        try:
            # the two files have the same 35,887 rows in the same order; a row without a name was rejected as no face
            for number, (picture, ballot) in enumerate(rows, start=2):
                if ballot["Image name"]:
                    yield _row(picture, ballot, f"{root}, line {number}")
        except KeyError as error:
            raise DatasetError(f"{root}: column {error} is missing; {TREE}") from error
        except DatasetError:
            raise
        except ValueError as error:
            raise DatasetError(f"{root}: fer2013.csv and fer2013new.csv do not match: {error}") from error


def _row(picture: dict[str, str], ballot: dict[str, str], where: str) -> Ballot:
    if picture["Usage"] != ballot["Usage"] or ballot["Usage"] not in USAGES:
        raise ValueError(f"{where}: Usage is {picture['Usage']!r} in one and {ballot['Usage']!r} in the other")
    votes = _votes([ballot["NF" if word == "nf" else word] for word in BALLOT], where)
    return Ballot(
        Path(ballot["Image name"]).stem, USAGES[ballot["Usage"]], encoded(picture["pixels"] or "", where), votes
    )


def _votes(values: Sequence[Any], where: str) -> tuple[int, ...]:
    """Votes as whole numbers; DatasetError naming the row if one is negative or not a whole number, such as NaN."""
    try:
        votes = tuple(int(value) for value in values)
        if min(votes) >= 0 and all(float(value) == vote for value, vote in zip(values, votes, strict=True)):
            return votes
    except (TypeError, ValueError, OverflowError):
        pass
    raise DatasetError(f"{where}: votes must be whole numbers of at least 0, got {', '.join(map(str, values))}")
