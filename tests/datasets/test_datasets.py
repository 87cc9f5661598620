"""Each reader on a generated miniature of its real tree."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deadpan.datasets import DATASETS, read
from deadpan.datasets.ferplus import BALLOT, count_votes
from deadpan.datasets.sample import DatasetError, Sample
from deadpan.expressions import EXPRESSIONS, check_expressions


def vote(**votes: int) -> tuple[int, ...]:
    return tuple(votes.get(word, 0) for word in BALLOT)


def expression_of(sample: Sample) -> str:
    return EXPRESSIONS[int(np.argmax(sample.target))]


@pytest.mark.parametrize("name", DATASETS)
def test_every_reader_names_its_expressions_and_what_is_missing(name: str, tmp_path: Path) -> None:
    assert check_expressions(DATASETS[name].expressions)
    with pytest.raises(DatasetError, match="expected"):
        read(name, tmp_path / "absent")


def test_unknown_data_set_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="'fer'; known are ckplus, oulu, "):
        read("fer", tmp_path)


def test_readers_need_no_torch() -> None:
    code = "import sys, deadpan.datasets; sys.exit('torch' in sys.modules or 'pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- FER+ ------------------------------------------------------------------------------------------------------------

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
    with pytest.raises(DatasetError, match="do not belong together"):
        read("ferplus", tmp_path)
    (tmp_path / "fer2013new.csv").unlink()
    with pytest.raises(DatasetError, match=r"fer2013new.csv does not exist; .*microsoft/FERPlus"):
        read("ferplus", tmp_path)


# --- tables and folders ----------------------------------------------------------------------------------------------


def test_csv_reads_every_column(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(
        "\ufeffpath,subject,expression,sequence,frame,split,neutral,gender\n"
        "a/1.jpg,007,Happy,s1,3,train,a/0.jpg,female\n"
        "a/2.jpg,,surprise,,,,,\n",
        encoding="utf-8",
    )
    first, second = read("csv", tmp_path)
    assert (first.picture, first.twin) == (tmp_path / "a" / "1.jpg", tmp_path / "a" / "0.jpg")
    assert (first.name, first.subject, first.sequence, first.frame, first.split) == ("a/1.jpg", "007", "s1", 3, "train")
    assert expression_of(first) == "happiness"
    assert first.attributes == {"gender": "female"}
    assert (second.subject, second.frame, second.twin, expression_of(second)) == ("", -1, None, "surprise")


def test_csv_takes_parquet_with_pictures_inside(tmp_path: Path) -> None:
    path = tmp_path / "faces.parquet"
    rows = [{"image": b"x", "expression": "fear", "subject": "A", "name": "a", "neutral": b"n", "age": 30}]
    pq.write_table(pa.Table.from_pylist([*rows, {**rows[0], "name": "b", "age": None, "neutral": None}]), path)
    first, second = read("csv", path)
    assert (first.picture, first.twin, first.name, first.attributes) == (b"x", b"n", "a", {"age": 30.0})
    assert (second.twin, second.attributes) == (None, {})


def test_csv_keeps_zeros_of_a_parquet_table(tmp_path: Path) -> None:
    path = tmp_path / "faces.parquet"
    row = {"image": b"x", "expression": "fear", "name": "a", "subject": 0, "sequence": 0, "frame": 0}
    pq.write_table(pa.Table.from_pylist([row]), path)
    (sample,) = read("csv", path)
    assert (sample.subject, sample.sequence, sample.frame) == ("0", "0", 0)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,expression\na,fear\n", "lacks the column path"),
        ("path,label\na,fear\n", "lacks the column expression"),
        ("path,expression\na,bored\n", "row 2: 'bored' is not an expression"),
        ("path,expression\na,fear\na,fear\n", "two pictures are named 'a'"),
        ("path,expression\n,fear\n", "neither path nor image"),
        ("path,expression,frame\na,fear,two\n", "frame must be a whole number, got 'two'"),
        ("path,expression\na\n", "line 2: expected 2 fields"),
        ("path,expression\n", "has no rows"),
    ],
)
def test_csv_says_what_is_wrong(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(DatasetError, match=complaint):
        read("csv", tmp_path / "manifest.csv")


def test_folders(tmp_path: Path) -> None:
    for place in ("happy/b.jpg", "happy/deep/a.PNG", "test/anger/c.jpeg", "train/neutral/c.jpeg", "anger/notes.txt"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    found = {sample.name: (expression_of(sample), sample.split) for sample in read("folders", tmp_path)}
    assert found == {
        "happy/b.jpg": ("happiness", ""),
        "happy/deep/a.PNG": ("happiness", ""),
        "test/anger/c.jpeg": ("anger", "test"),
        "train/neutral/c.jpeg": ("neutral", "train"),
    }
    (tmp_path / "holidays").mkdir()
    with pytest.raises(DatasetError, match="'holidays' is not an expression"):
        read("folders", tmp_path)


# --- drawn people ----------------------------------------------------------------------------------------------------


def write_synthetic(root: Path, **changes: Any) -> None:
    points = np.random.default_rng(0).uniform(20, 100, (68, 2)).tolist()
    row = {
        "picture": "00012/happiness-0.png",
        "twin": "00012/happiness-0.twin.png",
        "person": "00012",
        "expression": "happiness",
        "intensity": 0.83,
        "sequence": "",
        "frame": -1,
        "landmarks": points,
        "twin_landmarks": points,
        "weights": {"smile": 0.7},
        "action_units": {"AU12": 0.8},
        "attributes": {"age": 34, "sex": "female", "yaw": -3.5},
    }
    (root / "synthetic.json").write_text(json.dumps({"format": 1, "people": 1, "head": "makehuman", "seed": 4}))
    (root / "samples.jsonl").write_text(json.dumps(row | changes) + "\n")


def test_synthetic(tmp_path: Path) -> None:
    write_synthetic(tmp_path)
    (sample,) = read("synthetic", tmp_path)
    assert (sample.name, sample.subject, expression_of(sample)) == (
        "00012/happiness-0.png",
        "makehuman-4-00012",
        "happiness",
    )
    assert sample.picture == tmp_path / "00012" / "happiness-0.png"
    assert sample.landmarks is not None and sample.landmarks.shape == (68, 2)
    assert sample.attributes == {"intensity": 0.83, "age": 34, "sex": "female", "yaw": -3.5, "AU12": 0.8}
    assert not sample.cropped


@pytest.mark.parametrize("changes", [{"expression": "bored"}, {"landmarks": [[1, 2]]}, {"twin": None}])
def test_synthetic_damage_is_named_by_line(changes: dict[str, Any], tmp_path: Path) -> None:
    write_synthetic(tmp_path, **changes)
    with pytest.raises(DatasetError, match="line 1 is damaged"):
        read("synthetic", tmp_path)


def test_synthetic_of_another_format(tmp_path: Path) -> None:
    write_synthetic(tmp_path)
    (tmp_path / "synthetic.json").write_text('{"format": 2, "head": "makehuman", "seed": 4}')
    with pytest.raises(DatasetError, match="has format 2, this deadpan reads 1"):
        read("synthetic", tmp_path)
