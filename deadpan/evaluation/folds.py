"""Folds by subject: nobody is in both training and test. A leak is an error, never a result.

`people` are the people that each picture shows: its person and, of a composite, the donor of the expression; "" where
unknown. A picture belongs to a part of a fold if all its people do; a composite of two parts is left out of the fold.
Rows are indices into `people`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deadpan.errors import DeadpanError
from deadpan.preparation.table import Rows

People = Sequence[tuple[str, ...]]


class FoldError(DeadpanError):
    """Folds that cannot be formed, or that would put a person on both sides."""


@dataclass(frozen=True, eq=False)
class Fold:
    """A division of N pictures; no person is in more than one of the three parts."""

    name: str  # "3 of 10", or the person who is left out
    train: Rows
    validation: Rows  # empty without an inner fold
    test: Rows


def person_independent(people: People, count: int = 10, *, inner: bool = False) -> list[Fold]:
    """`count` person-independent folds: every `count`-th of the sorted people is in the same fold.

    This is the custom for CK+, Oulu-CASIA and MMI. With `inner`, the fold after the tested one validates and does not
    train. FoldError where people are unknown or fewer than the folds.
    """
    known = known_people(people)
    least = 3 if inner else 2
    if count < least or count > len(known):
        raise FoldError(f"{count} folds of {len(known)} people: give from {least} folds to as many as there are people")
    fold_of = _places(people, {person: index % count for index, person in enumerate(known)})
    return [_fold(f"{k + 1} of {count}", fold_of, k, (k + 1) % count if inner else None) for k in range(count)]


def leave_one_subject_out(people: People, *, inner: bool = False) -> list[Fold]:
    """One fold for each person with pictures that show nobody else, in sorted order.

    With `inner` the next person validates and does not train. FoldError where people are unknown or too few.
    """
    known = known_people(people)
    tested = sorted({shown[0] for shown in people if len(set(shown)) == 1})
    if len(tested) < (3 if inner else 2):
        raise FoldError(f"leaving one person out needs at least {'three' if inner else 'two'}; got {len(tested)}")
    place = {person: index for index, person in enumerate(dict.fromkeys([*tested, *known]))}  # the tested come first
    fold_of = _places(people, place)
    return [_fold(person, fold_of, k, (k + 1) % len(tested) if inner else None) for k, person in enumerate(tested)]


def fixed_split(splits: Sequence[str], people: People, train: str, test: str, validation: str | None = None) -> Fold:
    """The data set's own split, by name; FoldError for a part without pictures or a person in two parts."""
    named = np.array(splits)
    parts = {}
    for name in (train, test, *([validation] if validation else [])):
        parts[name] = np.flatnonzero(named == name)
        if not len(parts[name]):
            raise FoldError(f"no picture is in the split {name!r}; there are {', '.join(sorted(set(splits)))}")
    of = {name: {person for row in rows for person in people[int(row)]} for name, rows in parts.items()}
    check_unseen(of[train], of[test])
    empty = np.zeros(0, np.int64)
    if validation:
        check_unseen(of[train], of[validation])
        check_unseen(of[validation], of[test])
    return Fold(f"{train} / {test}", parts[train], parts[validation] if validation else empty, parts[test])


def hold_out(fold: Fold, people: People, photographs: Sequence[tuple[tuple[str, str], ...]]) -> Fold:
    """Move every tenth training person (in sorted order) to validation.

    Of unknown people every tenth photograph moves; `photographs` names the one that shows each of `people`. FoldError
    where no picture would train or none would validate.
    """
    pairs = [list(zip(people[row], photographs[row], strict=True)) for row in fold.train.tolist()]
    known = sorted({person for shown in pairs for person, _ in shown} - {""})
    others = sorted({photograph for shown in pairs for person, photograph in shown if not person})
    chosen = {*known[::10], *others[::10]}
    moved = [[(person or photograph) in chosen for person, photograph in shown] for shown in pairs]
    held, kept = np.array([all(each) for each in moved], bool), np.array([not any(each) for each in moved], bool)
    if not (held.any() and kept.any()):
        raise FoldError(f"{len(known)} people and {len(others)} other photographs are too few to hold some out")
    return Fold(fold.name, fold.train[kept], fold.train[held], fold.test)


def image_level(people: People, count: int = 10, seed: int = 0, *, inner: bool = False) -> list[Fold]:
    """Random folds of pictures, for data whose people are unknown; the same person may be in training and in test.

    With `inner` the fold after the tested one validates. It warns, since such figures are too optimistic. FoldError
    where anybody is known, and for composites, which share photographs.
    """
    if any(len(shown) > 1 for shown in people):
        raise FoldError("folds of pictures would put composites of one photograph on both sides: use folds by subject")
    if any(any(shown) for shown in people):
        raise FoldError(
            "folds of pictures would put the same person on both sides, and near-duplicate frames too; the people are "
            "known here: use folds by subject"
        )
    if not (3 if inner else 2) <= count <= len(people):
        raise FoldError(f"{count} folds of {len(people)} pictures cannot be made")
    warnings.warn(
        "the people are unknown: folds of pictures flatter, since a person may be on both sides", stacklevel=2
    )
    fold_of = np.random.default_rng(seed).permutation(len(people)) % count
    return [_fold(f"{k + 1} of {count}", fold_of[:, None], k, (k + 1) % count if inner else None) for k in range(count)]


def check_unseen(trained: Iterable[str], tested: Iterable[str]) -> None:
    """FoldError, with some of the names, where a tested person was trained on; "" is nobody."""
    both = sorted((set(trained) & set(tested)) - {""})
    if both:
        some = ", ".join(both[:5]) + (", ..." if len(both) > 5 else "")
        raise FoldError(f"{len(both)} people are in training and in test: {some}")


def known_people(people: People) -> list[str]:
    """Everybody in sorted order; FoldError where a picture shows somebody unknown."""
    unknown = sum(not all(shown) for shown in people)
    if unknown or not len(people):
        raise FoldError(
            f"the person is unknown for {unknown} of {len(people)} pictures: folds by subject need a subject for each"
        )
    return sorted({person for shown in people for person in shown})


def _places(people: People, place: Mapping[str, int]) -> NDArray[np.int64]:
    """(N, 2) the places of the first and the last of each picture's people, who are one or two."""
    return np.array([(place[shown[0]], place[shown[-1]]) for shown in people], np.int64)


def _fold(name: str, fold_of: NDArray[np.int64], test: int, validation: int | None) -> Fold:
    """The fold in which the places (N, people) of all people of a test picture are `test`."""
    tested, held = fold_of == test, fold_of == (-1 if validation is None else validation)
    train = ~(tested | held)
    return Fold(name, *(np.flatnonzero(part.all(axis=1)) for part in (train, held, tested)))
