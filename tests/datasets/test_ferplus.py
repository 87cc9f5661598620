"""The reader of FER+ on a generated miniature of its documented tree."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deadpan.datasets import read
from deadpan.datasets.ferplus import BALLOT, count_votes
from deadpan.datasets.sample import DatasetError
from deadpan.expressions import EXPRESSIONS


def vote(**votes: int) -> tuple[int, ...]:
    return tuple(votes.get(word, 0) for word in BALLOT)


BALLOTS = [  # votes, kept (plurality), majority, share of happiness
    (vote(happiness=10), True, True, 1.0),
    (vote(happiness=6, neutral=4), True, True, 0.6),
    (vote(happiness=5, neutral=5), True, False, 0.5),
    (vote(happiness=4, neutral=3, unknown=3), True, False, 4 / 7),
    (vote(happiness=4, unknown=4, neutral=2), False, False, 0.0),  # does not beat unknown
    (vote(happiness=4, nf=5, neutral=1), False, False, 0.0),
    (vote(happiness=8, sadness=1, fear=1), True, True, 1.0),  # two stray votes dropped
    (vote(happiness=1), True, True, 1.0),  # nothing but single votes: they are all there is
    (vote(unknown=10), False, False, 0.0),
]


@pytest.mark.parametrize(("votes", "kept", "majority", "happiness"), BALLOTS)
def test_votes_are_counted_by_hand(votes: tuple[int, ...], kept: bool, majority: bool, happiness: float) -> None:
    counted = count_votes(votes)
    assert (counted is not None) == kept
    if counted is not None:
        assert counted[0][EXPRESSIONS.index("happiness")] == pytest.approx(happiness)
        assert sum(counted[0]) == pytest.approx(1)
        assert counted[1] == majority


def test_stray_votes_can_be_kept() -> None:
    counted = count_votes(vote(happiness=8, sadness=1, fear=1), keep_stray_votes=True)
    assert counted is not None
    assert counted[0] == pytest.approx([0, 0, 0, 0, 0.1, 0.8, 0.1, 0])


def write_ferplus_parquet(path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for number, (votes, *_) in enumerate(BALLOTS):
        picture = cv2.imencode(".png", np.full((48, 48), number, np.uint8))[1].tobytes()
        ballot = {f"votes_{word}": count for word, count in zip(BALLOT, votes, strict=True)}
        rows.append({"name": f"fer{number}", "split": "train", "image": picture, **ballot})
    pq.write_table(pa.Table.from_pylist(rows), path)


def test_ferplus_from_parquet(tmp_path: Path) -> None:
    path = tmp_path / "ferplus.parquet"
    write_ferplus_parquet(path)
    samples = read("ferplus", path)
    assert [sample.name for sample in samples] == [f"fer{i}" for i, ballot in enumerate(BALLOTS) if ballot[1]]
    assert [sample.attributes["majority"] for sample in samples] == [float(b[2]) for b in BALLOTS if b[1]]
    assert all(sample.cropped and sample.split == "train" and sample.twin is None for sample in samples)


def test_ferplus_parquet_without_votes_names_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"name": ["a"], "split": ["train"], "image": [b""]}), path)
    with pytest.raises(DatasetError, match=r"lacks the columns votes_neutral, .*votes_nf"):
        read("ferplus", path)
    path.write_bytes(b"no Parquet at all")
    with pytest.raises(DatasetError, match="not a readable Parquet file"):
        read("ferplus", path)


def write_distribution(root: Path, usages: tuple[str, str] = ("Training", "PrivateTest")) -> None:
    with (root / "fer2013.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["emotion", "pixels", "Usage"])
        for number, usage in enumerate(("Training", "Training", usages[1])):
            writer.writerow([3, " ".join([str(10 * number)] * (48 * 48)), usage])
    with (root / "fer2013new.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        words = ["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF"]
        writer.writerow(["Usage", "Image name", *words])
        writer.writerow([usages[0], "fer0000000.png", 2, 8, 0, 0, 0, 0, 0, 0, 0, 0])
        writer.writerow(["Training", "", 0, 0, 0, 0, 0, 0, 0, 0, 0, 10])
        writer.writerow(["PrivateTest", "fer0000002.png", 0, 0, 0, 5, 3, 0, 2, 0, 0, 0])


def test_ferplus_from_the_public_distribution(tmp_path: Path) -> None:
    write_distribution(tmp_path)
    first, last = read("ferplus", tmp_path)
    assert (first.name, first.split, last.name, last.split) == ("fer0000000", "train", "fer0000002", "private_test")
    assert first.target == pytest.approx([0.2, 0, 0, 0, 0, 0.8, 0, 0])
    assert last.target == pytest.approx([0, 0.3, 0, 0, 0.2, 0, 0.5, 0])
    assert (first.attributes["majority"], last.attributes["majority"]) == (1.0, 0.0)
    assert isinstance(last.picture, bytes)
    pixels = cv2.imdecode(np.frombuffer(last.picture, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None and pixels.shape == (48, 48) and (pixels == 20).all()


def test_ferplus_files_that_do_not_belong_together(tmp_path: Path) -> None:
    write_distribution(tmp_path, usages=("PublicTest", "PrivateTest"))
    with pytest.raises(DatasetError, match="do not match"):
        read("ferplus", tmp_path)
    (tmp_path / "fer2013new.csv").unlink()
    with pytest.raises(DatasetError, match=r"fer2013new.csv does not exist; .*microsoft/FERPlus"):
        read("ferplus", tmp_path)


@pytest.mark.parametrize("value", [-1, None, float("nan"), 2.5, "many"])
def test_ferplus_votes_that_are_none_name_the_row(value: Any, tmp_path: Path) -> None:
    path = tmp_path / "ferplus.parquet"
    write_ferplus_parquet(path)
    table = pq.read_table(path)
    votes = [2, value, *[0] * (len(table) - 2)]
    column = pa.array(list(map(str, votes)) if value == "many" else votes)
    pq.write_table(table.set_column(table.schema.get_field_index("votes_fear"), "votes_fear", column), path)
    with pytest.raises(
        DatasetError, match=r"ferplus.parquet, row 2: votes must be whole numbers of at least 0, got 4, 0, "
    ):
        read("ferplus", path)
