"""Folds are person-independent whatever the table of subjects, and a leak is an error."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deadpan.evaluation.folds import (
    Fold,
    FoldError,
    check_unseen,
    fixed_split,
    hold_out,
    image_level,
    leave_one_subject_out,
    person_independent,
)

NAMES = [f"ckplus/S{n:03}" for n in range(12)]

SHOWN = st.lists(
    st.one_of(st.tuples(st.sampled_from(NAMES)), st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES))), max_size=80
)
"""Photographs of one person, and composites of two."""

PEOPLE = st.lists(st.sampled_from([f"ckplus/S{n:03}" for n in range(40)]), min_size=1, max_size=120)


def singly(subjects: Iterable[str]) -> list[tuple[str, ...]]:
    return [(subject,) for subject in subjects]


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
        folds = person_independent(singly(subjects), count, inner=inner)
        check_folds(subjects, folds)
        assert len(folds) == count
        assert all(bool(len(fold.validation)) == inner for fold in folds)
        sizes = [len({subjects[row] for row in fold.test}) for fold in folds]
        assert max(sizes) - min(sizes) <= 1
    else:
        with pytest.raises(FoldError, match=f"{count} folds of {len(set(subjects))} people"):
            person_independent(singly(subjects), count, inner=inner)


@settings(max_examples=60, deadline=None)
@given(PEOPLE)
def test_leaving_one_person_out(subjects: list[str]) -> None:
    if len(set(subjects)) < 2:
        with pytest.raises(FoldError, match="at least two"):
            leave_one_subject_out(singly(subjects))
        return
    folds = leave_one_subject_out(singly(subjects))
    check_folds(subjects, folds)
    assert [fold.name for fold in folds] == sorted(set(subjects))
    assert all({subjects[row] for row in fold.test} == {fold.name} for fold in folds)


def test_folds_do_not_depend_on_the_order_of_pictures() -> None:
    subjects = [f"S{n % 23:03}" for n in range(80)]
    shuffled = np.random.default_rng(0).permutation(80)
    for one, other in zip(
        person_independent(singly(subjects), 5),
        person_independent(singly(subjects[row] for row in shuffled), 5),
        strict=True,
    ):
        assert {subjects[row] for row in one.test} == {subjects[shuffled[row]] for row in other.test}


def test_every_tenth_person_shares_a_fold() -> None:
    folds = person_independent(singly(f"S{n:03}" for n in range(25)), 10)
    assert folds[3].test.tolist() == [3, 13, 23]
    assert folds[3].name == "4 of 10"


@pytest.mark.parametrize("subjects", [[], ["A", "", "B"]])
def test_unknown_people_have_no_folds(subjects: list[str]) -> None:
    for make in (person_independent, leave_one_subject_out):
        with pytest.raises(FoldError, match="the person is unknown for"):
            make(singly(subjects))


def test_folds_of_pictures_only_where_nobody_is_known() -> None:
    with pytest.raises(FoldError, match="use folds by subject"):
        image_level(singly(["A", "B", ""]), 2)
    with pytest.warns(UserWarning, match="flatter"):
        folds = image_level(singly([""] * 11), 3)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(11))
    with pytest.raises(FoldError, match="3 folds of 2 pictures"):
        image_level(singly(["", ""]), 3)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ABCDEF"), st.sampled_from(["train", "test", "val"])), max_size=30))
def test_a_fixed_split_leaks_nobody(rows: list[tuple[str, str]]) -> None:
    subjects, splits = [row[0] for row in rows], [row[1] for row in rows]
    people = {name: {s for s, split in rows if split == name} for name in ("train", "test", "val")}
    leaks = people["train"] & people["test"] or people["train"] & people["val"] or people["val"] & people["test"]
    if leaks or not all(people.values()):
        with pytest.raises(FoldError, match=r"no picture is in the split|people are in training and in test"):
            fixed_split(splits, singly(subjects), "train", "test", "val")
        return
    fold = fixed_split(splits, singly(subjects), "train", "test", "val")
    assert len(fold.train) + len(fold.validation) + len(fold.test) == len(rows)


def test_people_who_were_trained_on_cannot_be_tested() -> None:
    check_unseen(["A", ""], ["B", ""])  # nobody is known to be the same
    with pytest.raises(FoldError, match=r"7 people are in training and in test: 0, 1, 2, 3, 4, \.\.\."):
        check_unseen("0123456", "6543210")


@settings(max_examples=150, deadline=None)
@given(SHOWN, st.integers(2, 4), st.booleans(), st.booleans())
def test_a_composite_is_in_the_part_of_both_its_people_or_in_none(
    people: list[tuple[str, ...]], count: int, inner: bool, one: bool
) -> None:
    known = {person for shown in people for person in shown}
    tested = {shown[0] for shown in people if len(set(shown)) == 1}
    least = 3 if inner else 2
    make = partial(leave_one_subject_out if one else partial(person_independent, count=count), people, inner=inner)
    if len(tested) < least if one else not least <= count <= len(known):
        with pytest.raises(FoldError):
            make()
        return
    folds = make()
    photographs = {row for row, shown in enumerate(people) if len(shown) == 1}
    assert photographs <= {row for fold in folds for row in fold.test.tolist()}
    for fold in folds:
        parts = [part.tolist() for part in (fold.train, fold.validation, fold.test)]
        sides = [{person for row in part for person in people[row]} for part in parts]
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]
        left_out = set(range(len(people))).difference(*parts)
        assert not photographs & left_out
        assert not any(set(people[row]) <= side for row in left_out for side in sides)


def test_a_composite_trains_only_where_neither_of_its_people_is_tested() -> None:
    people = [("a/1",), ("a/2",), ("a/3",), ("a/1", "a/2"), ("a/3", "b/1"), ("a/1", "a/1"), ("a/2", "a/1")]
    folds = {fold.name: fold for fold in leave_one_subject_out(people)}
    assert list(folds) == ["a/1", "a/2", "a/3"]  # b/1 has no picture of their own
    assert [fold.test.tolist() for fold in folds.values()] == [[0, 5], [1], [2]]
    assert [fold.train.tolist() for fold in folds.values()] == [[1, 2, 4], [0, 2, 4, 5], [0, 1, 3, 5, 6]]
    first, second = person_independent(people, 2)  # a/1 and a/3, a/2 and b/1
    assert (first.test.tolist(), first.train.tolist()) == ([0, 2, 5], [1])
    assert (second.test.tolist(), second.train.tolist()) == ([1], [0, 2, 5])


def test_a_donor_of_unknown_name_has_no_folds_by_person() -> None:
    with pytest.raises(FoldError, match="the person is unknown for 1 of 3 pictures"):
        person_independent([("A",), ("B", ""), ("C",)], 2)
    with pytest.raises(FoldError, match="composites of one photograph on both sides"):
        image_level([("",), ("", "")], 2)


def test_a_donor_in_another_part_of_a_fixed_split_is_a_leak() -> None:
    splits = ["train", "train", "test"]
    with pytest.raises(FoldError, match="1 people are in training and in test: C"):
        fixed_split(splits, [("A",), ("B", "C"), ("C",)], "train", "test")
    with pytest.raises(FoldError, match="1 people are in training and in test: A"):
        fixed_split(splits, [("A",), ("B",), ("C", "A")], "train", "test")
    assert fixed_split(splits, [("A",), ("B", "A"), ("C",)], "train", "test").train.tolist() == [0, 1]


def test_people_who_are_held_out_are_no_donors_of_what_trains() -> None:
    people = [*singly(f"{n:02}" for n in range(20)), ("00", "01"), ("02", "10"), ("03", "04"), ("00", "10")]
    strangers: list[tuple[str, ...]] = [("",), ("",), ("", ""), ("11", "")]
    names = [tuple(("faces", f"{row:02}") for _ in shown) for row, shown in enumerate(people)]
    names += [(("x", "a"),), (("x", "b"),), (("x", "b"), ("x", "a")), (("faces", "11"), ("x", "b"))]
    empty = np.zeros(0, np.int64)
    fold = hold_out(Fold("x", np.arange(28), empty, empty), [*people, *strangers], names)
    assert fold.validation.tolist() == [0, 10, 23, 24]  # 00, 10, the two together, and photograph a of strangers
    assert fold.train.tolist() == [*(n for n in range(20) if n not in (0, 10)), 22, 25, 27]
