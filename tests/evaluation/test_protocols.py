"""Protocols: right pictures and expressions, right neutral faces, and nobody on both sides whatever the data."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deadpan.datasets import DATASETS
from deadpan.evaluation.folds import Fold, FoldError, hold_out
from deadpan.evaluation.frames import FramesError
from deadpan.evaluation.protocols import PROTOCOLS, ProtocolError, divide, find, select
from deadpan.expressions import EXPRESSIONS, check_expressions
from deadpan.loading.pairing import with_neutral_faces
from deadpan.preparation.table import FaceTable, alone, people_in, subjects_of
from tests.support.face_tables import face_table, sequence

SPLITS = ("train", "test", "validation", "public_test")


@st.composite
def tables(draw: st.DrawFn, name: str) -> FaceTable:
    """A table for the protocol in any order of its rows: whole sequences, or pictures in splits.

    Sometimes a person is unknown, or in two splits; where folds are of pictures people are mostly unknown.
    """
    protocol = find(name)
    dataset = next(iter(protocol.datasets), "csv")
    people = [f"S{number:02}" for number in range(draw(st.integers(4, 14)))]
    mostly = "all" if protocol.division == "pictures" else "none"
    strangers = draw(st.sampled_from([mostly, mostly, "none", "some", "all"]))
    who = {"none": people, "some": ["", *people], "all": [""]}[strangers]
    leak = draw(st.booleans())
    words = protocol.classes or EXPRESSIONS
    rows: list[dict[str, Any]] = []
    for number in range(draw(st.integers(6, 30))):
        subject, word = draw(st.sampled_from(who)), draw(st.sampled_from(words))
        if dataset in ("ckplus", "oulu", "mmi"):
            rows += sequence(subject, number, word, draw(st.integers(2, 5)))
            continue
        split = SPLITS[draw(st.integers(0, 3)) if leak or not subject else int(subject[1:]) % len(SPLITS)]
        seen = {"view": "frontal", "intensity": 4.0, "majority": float(draw(st.booleans()))}
        rows.append({"name": f"{number}", "subject": subject, "expression": word, "split": split, **seen})
    return face_table(dataset, draw(st.permutations(rows)))


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_nobody_is_on_both_sides_or_it_is_an_error(name: str, inner: bool) -> None:
    made: list[int] = []

    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(tables(name), st.integers(2, 4))
    def check(table: FaceTable, count: int) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # folds of pictures warn
                chosen = select(find(name), table)
                folds = divide(find(name), chosen, count, inner=inner)
        except ValueError as error:
            assert str(error)
            return
        made.append(len(folds))
        subjects = subjects_of(chosen)
        for fold in folds:
            parts = (fold.train, fold.validation, fold.test)
            assert len(fold.train) and bool(len(fold.validation)) == inner
            rows = np.concatenate(parts)
            assert len(set(rows.tolist())) == len(rows)
            people = [{subjects[row] for row in part} - {""} for part in parts]
            assert not people[0] & people[1] and not people[0] & people[2] and not people[1] & people[2]
        if find(name).division in ("people", "one person", "pictures"):
            assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(chosen)))

    check()
    assert len(made) >= 3, f"of 40 tables {len(made)} gave folds: the test saw nothing"


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_protocols_fit_their_data_sets(name: str) -> None:
    protocol = PROTOCOLS[name]
    assert protocol.title and protocol.source
    if protocol.classes:
        assert check_expressions(protocol.classes)
    for dataset in protocol.datasets:
        assert set(protocol.classes) <= set(DATASETS[dataset].expressions)
    assert all(protocol.splits) == (protocol.division == "split")
    for figure in protocol.paper:
        assert figure.source and "[paper]" in protocol.source and 0 < figure.value < 100


def test_every_protocol_has_its_line_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text(encoding="utf-8")
    names = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    listed = [word for name in names for word in name.split("`")[1::2]]
    assert listed == list(PROTOCOLS)


def lab() -> list[dict[str, Any]]:
    """Twelve people with two sequences each, one of them contempt for the even ones."""
    return [
        row
        for number in range(12)
        for take, word in ((1, "anger"), (2, "happiness" if number % 2 else "contempt"))
        for row in sequence(f"S{number:02}", take, word)
    ]


@pytest.mark.parametrize(
    ("name", "pictures", "classes"),
    [
        ("ckplus-7", 12 * 2 * 3, 7),
        ("ckplus-6", 12 * 3 + 6 * 3, 6),
        ("ckplus-6+neutral", 12 * 3 + 6 * 3 + 24, 7),
        ("ckplus-7-all-frames", 12 * 2 * 4, 7),
        ("subjects", 12 * 2 * 5, 4),
    ],
)
def test_frames_and_classes_of_ckplus(name: str, pictures: int, classes: int) -> None:
    chosen = select(find(name), face_table("ckplus", lab()))
    assert len(chosen) == pictures and len(chosen.expressions) == classes
    assert list(chosen.names) == sorted(chosen.names)


def test_each_peak_comes_with_the_first_frame_of_its_sequence() -> None:
    rows = lab()
    chosen = select(find("ckplus-7"), face_table("ckplus", rows[::-1]))
    assert (chosen.twin_index >= 0).all()
    number = {row["name"]: len(rows) - 1 - index for index, row in enumerate(rows)}  # what the pixels hold
    for row in range(len(chosen)):
        first = f"{chosen.sequence[row]}/{0:08}.png"
        assert (chosen.twins[chosen.twin_index[row]] == number[first]).all()


def test_neutral_faces_of_the_same_view_else_of_the_person_else_none() -> None:
    rows = [
        {"name": "a", "subject": "P", "expression": "anger", "view": "half"},
        {"name": "b", "subject": "P", "expression": "neutral", "view": "frontal"},
        {"name": "c", "subject": "P", "expression": "neutral", "view": "half"},
        {"name": "d", "subject": "P", "expression": "fear", "view": "profile"},
        {"name": "e", "subject": "Q", "expression": "fear", "view": "half"},
        {"name": "f", "subject": "", "expression": "neutral", "view": "half"},
    ]
    paired = with_neutral_faces(face_table("kdef", rows))
    assert [int(paired.twins[index, 0, 0, 0]) if index >= 0 else None for index in paired.twin_index] == [
        2,
        1,
        2,
        1,
        None,
        None,
    ]
    composites = face_table("kdef", rows, composed_of=("kdef",))
    assert with_neutral_faces(composites) is composites  # their twins are the photographs that they were made of
    wild = with_neutral_faces(face_table("csv", rows))  # nobody says that these were taken alike
    assert (wild.twin_index < 0).all()


def test_pictures_that_were_not_prepared_are_asked_for() -> None:
    peaks = [row for row in lab() if row["part"] != "onset"]
    with pytest.raises(FramesError, match="prepare it again with --all-frames"):
        select(find("ckplus-7-all-frames"), face_table("ckplus", peaks))
    with pytest.raises(ProtocolError, match=r"mmi-6 is for mmi; ckplus.parquet holds ckplus, .* ckplus-7, .*subjects"):
        select(find("mmi-6"), face_table("ckplus", lab()))
    with pytest.raises(ProtocolError, match="none of the pictures of kdef-7"):
        select(find("kdef-7"), face_table("kdef", [{"subject": "P", "expression": "fear", "view": "half"}]))
    with pytest.raises(ProtocolError, match="unknown protocol 'ckplus'; known are ckplus-7"):
        find("ckplus")


def test_the_two_readings_of_ferplus_train_on_the_same_pictures() -> None:
    rows = [
        {"expression": word, "split": split, "majority": float(index % 2)}
        for split in ("train", "public_test", "private_test")
        for index, word in enumerate(EXPRESSIONS)
    ]
    folds = {
        name: divide(find(name), select(find(name), face_table("ferplus", rows)))[0]
        for name in PROTOCOLS
        if "ferp" in name
    }
    assert folds["ferplus-8"].train.tolist() == folds["ferplus-8-plurality"].train.tolist() == list(range(8))
    assert folds["ferplus-8"].test.tolist() == [9, 11, 13, 15]
    assert len(folds["ferplus-8-plurality"].test) == 8


def test_folds_do_not_depend_on_the_order_of_rows() -> None:
    rows = lab()
    tables = [select(find("ckplus-7"), face_table("ckplus", order)) for order in (rows, rows[::-1])]
    for one, other in zip(*(divide(find("ckplus-7"), table, 5, inner=True) for table in tables), strict=True):
        for part in ("train", "validation", "test"):
            assert getattr(one, part).tolist() == getattr(other, part).tolist()
    assert tables[0].names.tolist() == tables[1].names.tolist()


def test_pictures_of_known_people_have_no_random_folds() -> None:
    with pytest.raises(FoldError, match="use folds by subject"):
        divide(find("images"), select(find("images"), face_table("csv", lab())), 3)


def test_some_training_is_held_out_by_person_and_of_strangers_by_picture() -> None:
    subjects = [f"S{n % 20:02}" for n in range(40)] + [""] * 20
    people, names = [(each,) for each in subjects], [(("csv", f"{n:03}"),) for n in range(60)]
    empty = np.zeros(0, np.int64)
    fold = hold_out(Fold("x", np.arange(58), empty, np.array([58, 59])), people, names)
    assert fold.validation.tolist() == [0, 10, 20, 30, 40, 50]
    assert len(fold.train) == 52 and fold.test.tolist() == [58, 59]
    with pytest.raises(FoldError, match="1 people and 0 other photographs are too few"):
        hold_out(Fold("x", np.array([0, 20]), empty, empty), people, names)


def test_a_part_names_only_its_own_people() -> None:
    table = face_table("ckplus", lab())
    part = alone(table, np.flatnonzero(table.subject >= 9))
    assert part.subjects == ("ckplus/S09", "ckplus/S10", "ckplus/S11")
    assert subjects_of(part) == [each for each in subjects_of(table) if each >= "ckplus/S09"]
    assert part.path == Path("ckplus.parquet")


def composites(*people: tuple[str, str], dataset: str = "csv") -> FaceTable:
    """Composites of a person of the data set and a donor, as "dataset/subject"."""
    rows = [
        {"name": f"c{n}", "subject": own, "donor": donor, "expression": "fear", "neutral": f"{own}.png"}
        for n, (own, donor) in enumerate(people)
    ]
    return face_table(dataset, rows, composed_of=(dataset, "kdef"))


def test_a_part_with_composites_names_its_own_people_as_subjects_and_donors_as_people_too() -> None:
    table = composites(("A", "kdef/A"), ("B", "csv/A"), ("C", ""), ("D", "kdef/"))
    assert table.people == ["csv/A", "csv/B", "csv/C", "csv/D", "kdef/A"]
    part = alone(table, np.array([1, 2]))
    assert part.subjects == ("csv/B", "csv/C") and part.people == ["csv/A", "csv/B", "csv/C"]
    assert people_in(table) == [("csv/A", "kdef/A"), ("csv/B", "csv/A"), ("csv/C",), ("csv/D", "")]


def test_a_fold_without_pictures_of_a_part_is_refused() -> None:
    table = composites(("A", "csv/B"), ("B", "csv/A"), ("C", "csv/D"), ("D", "csv/C"))  # A and C, B and D
    with pytest.raises(FoldError, match="a fold of subjects has no train pictures"):
        divide(find("subjects"), table, 2)
    with pytest.raises(FoldError, match="at least two; got 0"):
        divide(find("loso"), table)
