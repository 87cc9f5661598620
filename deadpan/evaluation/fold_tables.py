"""The tables of each fold: the pictures that train, validate and test, checked for leaks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deadpan.evaluation.folds import Fold, FoldError, check_unseen
from deadpan.evaluation.frames import every
from deadpan.evaluation.protocols import Protocol, ProtocolError, divide, occurring, select
from deadpan.evaluation.trained_model import TrainedModel
from deadpan.expressions import EXPRESSIONS
from deadpan.loading.pairing import with_neutral_faces
from deadpan.preparation.table import FaceTable, alone, by_name, open_data, photographs_in
from deadpan.training.provenance import read_provenance
from deadpan.training.start import place_of


@dataclass(frozen=True, eq=False)
class FoldTables:
    """The pictures of a protocol with its folds; `tests` are the other data sets of a cross-data-set protocol."""

    protocol: Protocol
    table: FaceTable
    folds: tuple[Fold, ...]
    tests: tuple[FaceTable, ...] = ()
    extra: dict[str, FaceTable] = field(default_factory=dict)
    model: TrainedModel | None = None

    def training(self, index: int) -> FaceTable:
        """The pictures of the main data that fold `index` trains on."""
        return alone(self.table, self.folds[index].train)

    def validation(self, index: int) -> FaceTable:
        """The pictures on which fold `index` chooses the epoch."""
        return alone(self.table, self.folds[index].validation)

    def tested(self, index: int) -> tuple[FaceTable, ...]:
        """The pictures on which fold `index` is tested."""
        return self.tests or (alone(self.table, self.folds[index].test),)

    def counts(self, index: int) -> dict[str, int]:
        """The numbers of people and pictures in training and test of a fold, for fold.json."""
        sides = {"train": (self.training(index), *self.extra.values()), "test": self.tested(index)}
        if self.model is not None:
            sides["train"] = ()
        people = {f"{side}_people": len(named(tables)) for side, tables in sides.items()}
        return people | {f"{side}_pictures": sum(map(len, tables)) for side, tables in sides.items()}


def gather(
    protocol: Protocol,
    data: str | Path,
    image_size: int,
    count: int,
    *,
    inner: bool,
    test: Sequence[str | Path],
    extra: Sequence[str | Path],
    start: str | Path | None,
    model: TrainedModel | None,
) -> FoldTables:
    """Open all data and divide it into folds; FoldError where a person or picture is in training and in test."""
    elsewhere = protocol.division == "other data"
    if elsewhere != bool(test):
        wanted = "tests on other data: name it with --test" if elsewhere else "divides DATA itself: --test is for cross"
        raise ProtocolError(f"{protocol.name} {wanted}")
    opened = [open_data(spec, None, image_size) for spec in (data, *test)]
    classes = common(protocol, opened, model)
    table, *tests = [select(protocol, each, classes) for each in opened]
    beside = {Path(spec).name: open_extra(spec, table.expressions, image_size) for spec in extra}
    if len(beside) < len(extra):
        raise ValueError(f"two of the extra files have the same name: {', '.join(map(str, extra))}; rename one")
    folds = tuple(divide(protocol, table, count, inner=inner))
    tables = FoldTables(protocol, table, folds, tuple(tests), beside, model)
    before: list[str] = [] if start is None else read_provenance(place_of(start), image_size)["subjects"]
    for index in range(len(folds)):
        check_fold(tables, index, before)
    return tables


def common(protocol: Protocol, tables: Sequence[FaceTable], model: TrainedModel | None) -> tuple[str, ...]:
    """The expressions of an evaluation: the protocol's, or those that all data and the model share.

    ProtocolError where fewer than two remain, or where the model lacks one that the protocol names.
    """
    fixed = protocol.classes
    known = set(model.expressions) if model else set(EXPRESSIONS)
    if fixed:
        missing = [name for name in fixed if name not in known]
        if missing and model:
            raise ProtocolError(f"{protocol.name} needs {', '.join(missing)}, which {model.path} does not know")
        return fixed
    for table in tables:
        known &= set(occurring(table))
    if len(known) < 2:
        raise ProtocolError(f"{', '.join(str(table.path) for table in tables)} share {len(known)} expressions, not two")
    return tuple(name for name in EXPRESSIONS if name in known)


def open_extra(spec: str | Path, expressions: Sequence[str], image_size: int) -> FaceTable:
    """Additional training data, restricted to the given expressions."""
    table = with_neutral_faces(by_name(open_data(spec, None, image_size))).restricted(expressions)
    return alone(table, every(table))


def check_fold(tables: FoldTables, index: int, before: Iterable[str]) -> None:
    """FoldError where people or pictures are in training and in test; `before` are the people of the start run."""
    held = [tables.validation(index)] if len(tables.folds[index].validation) else []
    tested = [*tables.tested(index), *held]
    if tables.model is not None:
        for table in tested:
            tables.model.check_alignment(table)
            tables.model.check_unseen(table)
        return
    learnt = [tables.training(index), *tables.extra.values()]
    check_unseen({*named(learnt), *before}, named(tested))
    both = pictures(learnt) & pictures(tested)
    if both:
        raise FoldError(
            f"{len(both)} pictures are in training and in test, {min(both)[1]} of {min(both)[0]} among them"
        )


def named(tables: Iterable[FaceTable]) -> set[str]:
    """Every known person in the tables, donors of composites included."""
    return {person for table in tables for person in table.people}


def pictures(tables: Iterable[FaceTable]) -> set[tuple[str, str]]:
    """Every photograph in the tables, as (data set, name); of a composite, those that it was made of."""
    return {each for table in tables for shown in photographs_in(table) for each in shown}
