"""Folds by subject: nobody is in both training and test. A leak is an error, never a result.

Subjects are names, "" where a picture's person is unknown. Rows are indices into them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deadpan.errors import DeadpanError
from deadpan.preparation.table import Rows


class FoldError(DeadpanError):
    """Folds that cannot be formed, or that would put a person on both sides."""


@dataclass(frozen=True, eq=False)
class Fold:
    """One division of N pictures; no person is in more than one of the three parts."""

    name: str  # "3 of 10", or the person who is left out
    train: Rows
    validation: Rows  # empty without an inner fold
    test: Rows


def person_independent(subjects: Sequence[str], count: int = 10, *, inner: bool = False) -> list[Fold]:
    """`count` person-independent folds: every `count`-th of the sorted subjects is in the same fold.

    This is the custom for CK+, Oulu-CASIA and MMI. With `inner`, the fold after the tested one validates and does not
    train. FoldError where people are unknown or fewer than the folds.
    """
    people = known_people(subjects)
    least = 3 if inner else 2
    if count < least or count > len(people):
        raise FoldError(
            f"{count} folds of {len(people)} people: give from {least} folds to as many as there are people"
        )
    place = {person: index % count for index, person in enumerate(people)}
    fold_of = np.array([place[subject] for subject in subjects])
    return [_fold(f"{k + 1} of {count}", fold_of, k, (k + 1) % count if inner else None) for k in range(count)]


def leave_one_subject_out(subjects: Sequence[str], *, inner: bool = False) -> list[Fold]:
    """One fold per subject, in sorted order; with `inner` the next person validates and does not train.

    FoldError where people are unknown or too few.
    """
    people = known_people(subjects)
    if len(people) < (3 if inner else 2):
        raise FoldError(f"leaving one person out needs at least {'three' if inner else 'two'}; got {len(people)}")
    index = {person: k for k, person in enumerate(people)}
    fold_of = np.array([index[subject] for subject in subjects])
    return [_fold(person, fold_of, k, (k + 1) % len(people) if inner else None) for k, person in enumerate(people)]


def fixed_split(
    splits: Sequence[str], subjects: Sequence[str], train: str, test: str, validation: str | None = None
) -> Fold:
    """The data set's own split, by name; FoldError for a part without pictures or a person in two parts."""
    named = np.array(splits)
    parts = {}
    for name in (train, test, *([validation] if validation else [])):
        parts[name] = np.flatnonzero(named == name)
        if not len(parts[name]):
            raise FoldError(f"no picture is in the split {name!r}; there are {', '.join(sorted(set(splits)))}")
    of = {name: [subjects[int(row)] for row in rows] for name, rows in parts.items()}
    check_unseen(of[train], of[test])
    empty = np.zeros(0, np.int64)
    if validation:
        check_unseen(of[train], of[validation])
        check_unseen(of[validation], of[test])
    return Fold(f"{train} / {test}", parts[train], parts[validation] if validation else empty, parts[test])


def hold_out(fold: Fold, subjects: Sequence[str], names: Sequence[str]) -> Fold:
    """Move every tenth training person (in sorted order) to validation.

    Of pictures of unknown people, every tenth by name moves. FoldError where no training picture would remain.
    """
    train = [int(row) for row in fold.train]
    people = sorted({subjects[row] for row in train} - {""})
    pictures = sorted({names[row] for row in train if not subjects[row]})
    chosen_people, chosen_pictures = set(people[::10]), set(pictures[::10])
    held = np.array([subjects[row] in chosen_people or names[row] in chosen_pictures for row in train], bool)
    if held.all():
        raise FoldError(f"{len(people)} people and {len(pictures)} other pictures are too few to hold some out")
    return Fold(fold.name, fold.train[~held], fold.train[held], fold.test)


def image_level(subjects: Sequence[str], count: int = 10, seed: int = 0, *, inner: bool = False) -> list[Fold]:
    """Random folds of pictures, for data whose people are unknown; the same person may be in training and in test.

    With `inner` the fold after the tested one validates. It warns, since such figures are too optimistic. FoldError
    where any subject is known.
    """
    if any(subjects):
        raise FoldError(
            "folds of pictures would put the same person on both sides, and near-duplicate frames too; the people are "
            "known here: use folds by subject"
        )
    if not (3 if inner else 2) <= count <= len(subjects):
        raise FoldError(f"{count} folds of {len(subjects)} pictures cannot be made")
    warnings.warn(
        "the people are unknown: folds of pictures flatter, since a person may be on both sides", stacklevel=2
    )
    fold_of = np.random.default_rng(seed).permutation(len(subjects)) % count
    return [_fold(f"{k + 1} of {count}", fold_of, k, (k + 1) % count if inner else None) for k in range(count)]


def check_unseen(trained: Iterable[str], tested: Iterable[str]) -> None:
    """FoldError, with some of the names, where a tested person was trained on; "" is nobody."""
    both = sorted((set(trained) & set(tested)) - {""})
    if both:
        some = ", ".join(both[:5]) + (", ..." if len(both) > 5 else "")
        raise FoldError(f"{len(both)} people are in training and in test: {some}")


def known_people(subjects: Sequence[str]) -> list[str]:
    """The subjects in sorted order; FoldError where a picture's person is unknown."""
    unknown = sum(not subject for subject in subjects)
    if unknown or not len(subjects):
        raise FoldError(
            f"the person is unknown for {unknown} of {len(subjects)} pictures: folds by subject need a subject for each"
        )
    return sorted(set(subjects))


def _fold(name: str, fold_of: NDArray[np.int64], test: int, validation: int | None) -> Fold:
    held = fold_of == (-1 if validation is None else validation)
    tested = fold_of == test
    return Fold(name, np.flatnonzero(~tested & ~held), np.flatnonzero(held), np.flatnonzero(tested))
