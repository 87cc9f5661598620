"""Folds are person-independent whatever the table of subjects, and a leak is an error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deadpan.evaluation.folds import (
    Fold,
    FoldError,
    check_unseen,
    fixed_split,
    image_level,
    leave_one_subject_out,
    person_independent,
)

PEOPLE = st.lists(st.sampled_from([f"ckplus/S{n:03}" for n in range(40)]), min_size=1, max_size=120)


def check_folds(subjects: list[str], folds: list[Fold]) -> None:
    """Every picture is tested once, the parts of a fold are disjoint in pictures and people and together complete."""
    tested = np.concatenate([fold.test for fold in folds])
    assert sorted(tested) == list(range(len(subjects)))
    for fold in folds:
        parts = (fold.train, fold.validation, fold.test)
        assert sorted(np.concatenate(parts)) == list(range(len(subjects)))
        people = [{subjects[row] for row in part} for part in parts]
        assert not people[0] & people[1] and not people[0] & people[2] and not people[1] & people[2]
        assert len(fold.train) and len(fold.test)


@settings(max_examples=150, deadline=None)
@given(PEOPLE, st.integers(1, 12), st.booleans())
def test_folds_are_person_independent_or_refused(subjects: list[str], count: int, inner: bool) -> None:
    if (3 if inner else 2) <= count <= len(set(subjects)):
        folds = person_independent(subjects, count, inner=inner)
        check_folds(subjects, folds)
        assert len(folds) == count
        assert all(bool(len(fold.validation)) == inner for fold in folds)
        sizes = [len({subjects[row] for row in fold.test}) for fold in folds]
        assert max(sizes) - min(sizes) <= 1
    else:
        with pytest.raises(FoldError, match=f"{count} folds of {len(set(subjects))} people"):
            person_independent(subjects, count, inner=inner)


@settings(max_examples=60, deadline=None)
@given(PEOPLE)
def test_leaving_one_person_out(subjects: list[str]) -> None:
    if len(set(subjects)) < 2:
        with pytest.raises(FoldError, match="at least two"):
            leave_one_subject_out(subjects)
        return
    folds = leave_one_subject_out(subjects)
    check_folds(subjects, folds)
    assert [fold.name for fold in folds] == sorted(set(subjects))
    assert all({subjects[row] for row in fold.test} == {fold.name} for fold in folds)


def test_folds_do_not_depend_on_the_order_of_pictures() -> None:
    subjects = [f"S{n % 23:03}" for n in range(80)]
    shuffled = np.random.default_rng(0).permutation(80)
    for one, other in zip(
        person_independent(subjects, 5), person_independent([subjects[row] for row in shuffled], 5), strict=True
    ):
        assert {subjects[row] for row in one.test} == {subjects[shuffled[row]] for row in other.test}


def test_every_tenth_person_shares_a_fold() -> None:
    folds = person_independent([f"S{n:03}" for n in range(25)], 10)
    assert folds[3].test.tolist() == [3, 13, 23]
    assert folds[3].name == "4 of 10"


@pytest.mark.parametrize("subjects", [[], ["A", "", "B"]])
def test_unknown_people_have_no_folds(subjects: list[str]) -> None:
    for make in (person_independent, leave_one_subject_out):
        with pytest.raises(FoldError, match="the person is unknown for"):
            make(subjects)


def test_folds_of_pictures_only_where_nobody_is_known() -> None:
    with pytest.raises(FoldError, match="use folds by subject"):
        image_level(["A", "B", ""], 2)
    with pytest.warns(UserWarning, match="flatter"):
        folds = image_level([""] * 11, 3)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(11))
    with pytest.raises(FoldError, match="3 folds of 2 pictures"):
        image_level(["", ""], 3)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ABCDEF"), st.sampled_from(["train", "test", "val"])), max_size=30))
def test_a_fixed_split_leaks_nobody(rows: list[tuple[str, str]]) -> None:
    subjects, splits = [row[0] for row in rows], [row[1] for row in rows]
    people = {name: {s for s, split in rows if split == name} for name in ("train", "test", "val")}
    leaks = people["train"] & people["test"] or people["train"] & people["val"] or people["val"] & people["test"]
    if leaks or not all(people.values()):
        with pytest.raises(FoldError, match=r"no picture is in the split|people are in training and in test"):
            fixed_split(splits, subjects, "train", "test", "val")
        return
    fold = fixed_split(splits, subjects, "train", "test", "val")
    assert len(fold.train) + len(fold.validation) + len(fold.test) == len(rows)


def test_people_who_were_trained_on_cannot_be_tested() -> None:
    check_unseen(["A", ""], ["B", ""])  # nobody is known to be the same
    with pytest.raises(FoldError, match=r"7 people are in training and in test: 0, 1, 2, 3, 4, \.\.\."):
        check_unseen("0123456", "6543210")
