"""The settings of an evaluation, and the files that it writes: config.json, evaluation.json, fold.json."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from deadpan.evaluation.answers import joined, read_answers
from deadpan.evaluation.fold_tables import FoldTables
from deadpan.evaluation.sequences import RULES as RULES_OF_SEQUENCES
from deadpan.evaluation.sequences import decide
from deadpan.files import paths_of, write_json
from deadpan.loading.augmentation import Augmentation
from deadpan.metrics.classification import Classification
from deadpan.settings import COUNT, NOT_NEGATIVE, check_ranges
from deadpan.training.config import TrainingConfig
from deadpan.training.provenance import setting_flags
from deadpan.training.run_folder import TRAINED

FORMAT = 1

RULES = {"last": "last epoch", "inner": "inner validation fold"}
"""How the tested weights were selected, as written beside every figure; the test fold never takes part."""


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated: a method, trained in every fold, or a finished `model`, tested without training."""

    out: str | Path
    data: str | Path
    protocol: str
    method: str = ""
    config: Any = None  # the method's
    model: str | Path | None = None
    training: TrainingConfig = field(default_factory=TrainingConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    folds: int = 10
    selection: Literal["last", "inner"] = "last"
    extra: Sequence[str | Path] = ()
    start: str | Path | None = None
    test: Sequence[str | Path] = ()
    robustness: int = 0

    def __post_init__(self) -> None:
        for name in ("extra", "test"):
            object.__setattr__(self, name, tuple(paths_of(getattr(self, name))))
        if self.selection not in RULES:
            raise ValueError(f"selection must be {' or '.join(RULES)}; got {self.selection!r}")
        check_ranges(self, folds=COUNT, robustness=NOT_NEGATIVE)
        if self.training.keep != "last":
            raise ValueError("keep belongs to `deadpan train`; `--selection inner` keeps the best epoch of each fold")

    @property
    def rule(self) -> str:
        """How the tested weights were selected."""
        return "as it came" if self.model else RULES[self.selection]

    @property
    def inner(self) -> bool:
        """Whether a part of each fold's training people is held out for validation."""
        return self.model is None and self.selection == "inner"

    def folder(self, index: int) -> Path:
        """The folder of fold `index`, counted from 0."""
        return Path(self.out) / "folds" / f"{index + 1:02d}"


def command_line(evaluation: Evaluation) -> str:
    """The command that repeats the evaluation, with file names only."""
    judged = Path(evaluation.model).name if evaluation.model else evaluation.method
    words = ["deadpan", "evaluate", judged, Path(evaluation.data).name, "--protocol", evaluation.protocol]
    words += ["--folds", str(evaluation.folds)]
    words += [] if evaluation.model else ["--selection", evaluation.selection]
    words += ["--robustness", str(evaluation.robustness)] if evaluation.robustness else []
    for flag, files in (("--extra", evaluation.extra), ("--test", evaluation.test)):
        words += [flag, *(Path(spec).name for spec in files)] if files else []
    words += ["--start", Path(evaluation.start).name] if evaluation.start else []
    return shlex.join(words if evaluation.model else [*words, *setting_flags(settings(evaluation))])


def settings(evaluation: Evaluation) -> dict[str, Any]:
    """Method, config, training and augmentation as JSON; empty for a finished model."""
    if evaluation.model is not None:
        return {"method": None, "config": {}, "training": {}, "augmentation": {}}
    own = {"config": evaluation.config, "training": evaluation.training, "augmentation": evaluation.augmentation}
    return {"method": evaluation.method, **{key: dataclasses.asdict(value) for key, value in own.items()}}


def described(evaluation: Evaluation, tables: FoldTables) -> dict[str, Any]:
    """The entries that config.json and evaluation.json share."""
    return {
        **settings(evaluation),
        "model": str(evaluation.model) if evaluation.model else None,
        "selection": evaluation.rule,
        "expressions": list(tables.table.expressions),
        "extra": [Path(spec).name for spec in evaluation.extra],
    }


def recipe(evaluation: Evaluation, tables: FoldTables) -> dict[str, Any]:
    """Everything that determines the figures: OUT/config.json, which identifies the evaluation of a folder."""
    return {
        **described(evaluation, tables),
        "protocol": evaluation.protocol,
        "folds": [fold.name for fold in tables.folds],
        "data": Path(evaluation.data).name,
        "pictures": len(tables.table),
        "people": len(tables.table.people),
        "start": str(evaluation.start) if evaluation.start else None,
        "test": [Path(spec).name for spec in evaluation.test],
        "robustness": evaluation.robustness,
    }


def folds_done(evaluation: Evaluation) -> list[Path]:
    """The folders of the folds that are done."""
    ended = sorted((Path(evaluation.out) / "folds").glob("*/fold.json"))
    return [path.parent for path in ended if json.loads(path.read_text())["status"] == "done"]


def has_begun(evaluation: Evaluation) -> bool:
    """Whether the folder holds a fold that is done, or one of which an epoch is."""
    runs = [(Path(evaluation.out) / "folds").glob(f"*/run/{name}") for name in TRAINED]
    return bool(folds_done(evaluation) or any(map(list, runs)))


def readings(evaluation: Evaluation) -> dict[str, Classification]:
    """The answers of the finished folds: on single pictures and, where known, on sequences by each rule."""
    done = folds_done(evaluation)
    if not done:
        return {}
    answers = joined([read_answers(folder / "answers.parquet") for folder in done])
    rules = RULES_OF_SEQUENCES if any(answers.sequences) else ()
    by_rule = {f"sequences, {rule}": decide(answers, rule).classification for rule in rules}
    return {"single pictures": answers.classification, **by_rule}


def fold_facts(evaluation: Evaluation, index: int) -> dict[str, Any]:
    """The content of fold.json; empty for an unfinished fold."""
    path = evaluation.folder(index) / "fold.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write_fold(
    evaluation: Evaluation, tables: FoldTables, index: int, status: str, error: str | None, seconds: float
) -> None:
    """Write fold.json: how a fold ended."""
    ended = {"name": tables.folds[index].name, "status": status, "error": error, "seconds": round(seconds, 1)}
    write_json(evaluation.folder(index) / "fold.json", {**ended, **tables.counts(index)})


def summarise(evaluation: Evaluation, tables: FoldTables) -> None:
    """Write OUT/evaluation.json: the settings, and the folds that have ended."""
    protocol, model = tables.protocol, tables.model
    ended = [fold_facts(evaluation, index) for index in range(len(tables.folds))]
    tested = tables.tests or (tables.table,)
    facts = {
        "format": FORMAT,
        "name": Path(evaluation.out).resolve().name,
        "command": command_line(evaluation),
        **described(evaluation, tables),
        "protocol": {
            "name": protocol.name,
            "title": protocol.title,
            "decision": protocol.decision,
            "classes": list(tables.table.expressions),
            "source": protocol.source,
            "paper": [dataclasses.asdict(figure) for figure in protocol.paper],
        },
        "dataset": ", ".join(dict.fromkeys(table.dataset for table in tested)),
        "data": [Path(spec).name for spec in (evaluation.data, *evaluation.test)],
        "start": Path(evaluation.start).name if evaluation.start else None,
        "folds": [each for each in ended if each],
    }
    if model is not None:
        facts |= {"method": model.method, "config": model.facts.get("config", {})}
    write_json(Path(evaluation.out) / "evaluation.json", facts)
