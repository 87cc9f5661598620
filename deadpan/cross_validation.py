"""`deadpan evaluate`: a protocol's folds trained, answered and written down, so that a stopped evaluation goes on."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shlex
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from deadpan import checkpoint
from deadpan.answers import joined, read_answers, write_answers
from deadpan.atomic import replacing
from deadpan.augment import Augmentation
from deadpan.fold_data import Material, gather
from deadpan.fold_jobs import run_folds
from deadpan.metrics import Classification
from deadpan.protocols import find
from deadpan.robustness import measure_robustness
from deadpan.run_folder import TrainingConfig, claim, setting_flags
from deadpan.sequences import RULES as RULES_OF_SEQUENCES
from deadpan.sequences import decide
from deadpan.trained_model import collect_answers, open_model
from deadpan.training import train

FORMAT = 1
RULES = {"last": "last epoch", "inner": "inner validation fold"}
"""How the weights that are tested were chosen, as it is written beside every figure; never by the test fold."""


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated: a method that is trained in every fold, or a finished `model` that answers as it came."""

    out: Path
    data: str
    protocol: str
    method: str = ""
    config: Any = None  # the method's
    model: Path | None = None
    training: TrainingConfig = field(default_factory=TrainingConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    folds: int = 10
    selection: Literal["last", "inner"] = "last"
    extra: tuple[str, ...] = ()
    start: Path | None = None
    test: tuple[str, ...] = ()
    robustness: int = 0

    def __post_init__(self) -> None:
        if self.selection not in RULES:
            raise ValueError(f"selection must be {' or '.join(RULES)}; got {self.selection!r}")
        if self.robustness < 0:
            raise ValueError(f"robustness is a number of pictures, 0 or more; got {self.robustness}")
        if self.training.keep != "last":
            raise ValueError("keep belongs to `deadpan train`; `--selection inner` keeps the best epoch of each fold")

    @property
    def rule(self) -> str:
        """How the tested weights were chosen."""
        return "as it came" if self.model else RULES[self.selection]

    @property
    def inner(self) -> bool:
        """Whether a part of each fold's training people validates."""
        return self.model is None and self.selection == "inner"

    def folder(self, index: int) -> Path:
        """Where fold `index`, counted from 0, is written."""
        return self.out / "folds" / f"{index + 1:02d}"


def evaluate(evaluation: Evaluation, jobs: int = 1, ray: str | None = None) -> list[dict[str, Any]]:
    """Run every fold that is not done yet and return what fold.json says of each, in order.

    The same evaluation in the same folder goes on where it stopped; another one there is refused. ValueError for data,
    settings or people that do not fit, before anything is written.
    """
    material = prepare(evaluation)
    if evaluation.model is None:
        checkpoint.build(evaluation.method, dataclasses.asdict(evaluation.config), material.table.expressions)
    claim(evaluation.out, recipe(evaluation, material), resume=True)
    indices = [index for index in range(len(material.folds)) if fold_facts(evaluation, index).get("status") != "done"]
    if jobs == 1 and ray is None:
        work = partial(run_fold, absolute(evaluation), material=material)
    else:
        work = partial(run_fold_apart, absolute(evaluation))
    gpu = evaluation.training.accelerator not in ("cpu", "mps")
    summarise(evaluation, material)
    for index, error in run_folds(work, indices, jobs, ray, gpu=gpu):
        if error is not None:
            write_fold(evaluation, material, index, "failed", error, 0.0)
        summarise(evaluation, material)
    return [fold_facts(evaluation, index) for index in range(len(material.folds))]


def prepare(evaluation: Evaluation) -> Material:
    """Open the data of an evaluation, with every check that nobody is on both sides."""
    model = None if evaluation.model is None else open_model(evaluation.model)
    return gather(
        evaluation.protocol,
        evaluation.data,
        model.image_size if model else evaluation.config.image_size,
        evaluation.folds,
        inner=evaluation.inner,
        test=evaluation.test,
        extra=evaluation.extra,
        start=evaluation.start,
        model=model,
    )


def absolute(evaluation: Evaluation) -> Evaluation:
    """The same with paths that hold in another process; the fold's run is then the same wherever it goes on."""
    return dataclasses.replace(
        evaluation,
        out=evaluation.out.resolve(),
        data=str(Path(evaluation.data).resolve()),
        model=evaluation.model and evaluation.model.resolve(),
        extra=tuple(str(Path(spec).resolve()) for spec in evaluation.extra),
        start=evaluation.start and evaluation.start.resolve(),
        test=tuple(str(Path(spec).resolve()) for spec in evaluation.test),
    )


def run_fold_apart(evaluation: Evaluation, index: int) -> None:
    """`run_fold` in a process of its own; what training says goes to output.txt in the fold's folder."""
    path = evaluation.folder(index) / "output.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file, contextlib.redirect_stderr(file):
        run_fold(evaluation, index)


def run_fold(evaluation: Evaluation, index: int, material: Material | None = None) -> None:
    """Train one fold, or go on with it, and write its answers; fold.json comes last."""
    begun = time.perf_counter()
    material = material or prepare(evaluation)
    folder = evaluation.folder(index)
    (folder / "fold.json").unlink(missing_ok=True)
    model = material.model or open_model(train_fold(evaluation, material, index).parent)
    name = material.folds[index].name
    parts = [collect_answers(model, table, name) for table in material.tested(index)]
    if len(parts) > 1:  # two data sets may have pictures of one name
        tables = material.tested(index)
        named = [np.char.add(f"{table.dataset}/", part.names) for table, part in zip(tables, parts, strict=True)]
        parts = [dataclasses.replace(part, names=names) for part, names in zip(parts, named, strict=True)]
    answers = joined(parts)
    write_answers(folder / "answers.parquet", answers)
    if evaluation.robustness:
        truth = answers.classification.truth
        answer = partial(model.answer_pixels, answers.expressions)
        found = measure_robustness(answer, answers.images, truth, evaluation.robustness)
        write_json(folder / "robustness.json", found)
    write_fold(evaluation, material, index, "done", None, time.perf_counter() - begun)


def train_fold(evaluation: Evaluation, material: Material, index: int) -> Path:
    """Train on the fold's people and the extra data, from where it stopped; returns the path of the weights."""
    name = Path(evaluation.data).name
    keep: Literal["last", "best"] = "best" if evaluation.inner else "last"
    return train(
        evaluation.method,
        evaluation.config,
        {f"{name}@training": material.training(index), **material.extra},
        evaluation.folder(index) / "run",
        dataclasses.replace(evaluation.training, keep=keep),
        augmentation=evaluation.augmentation,
        expressions=material.table.expressions,
        validation={f"{name}@validation": material.validation(index)} if evaluation.inner else (),
        start=evaluation.start,
        resume=True,
        command=f"{command_line(evaluation)}  # fold {material.folds[index].name}",
    )


def command_line(evaluation: Evaluation) -> str:
    """The command that repeats the evaluation, without the folders of its files."""
    judged = evaluation.model.name if evaluation.model else evaluation.method
    words = ["deadpan", "evaluate", judged, Path(evaluation.data).name, "--protocol", evaluation.protocol]
    words += ["--folds", str(evaluation.folds)]
    words += [] if evaluation.model else ["--selection", evaluation.selection]
    words += ["--robustness", str(evaluation.robustness)] if evaluation.robustness else []
    for flag, files in (("--extra", evaluation.extra), ("--test", evaluation.test)):
        words += [flag, *(Path(spec).name for spec in files)] if files else []
    words += ["--start", evaluation.start.name] if evaluation.start else []
    return shlex.join(words if evaluation.model else [*words, *setting_flags(settings(evaluation))])


def settings(evaluation: Evaluation) -> dict[str, Any]:
    """Method, config, training and augmentation as JSON; of a finished model nothing of training."""
    if evaluation.model is not None:
        return {"method": None, "config": {}, "training": {}, "augmentation": {}}
    own = {"config": evaluation.config, "training": evaluation.training, "augmentation": evaluation.augmentation}
    return {"method": evaluation.method, **{key: dataclasses.asdict(value) for key, value in own.items()}}


def recipe(evaluation: Evaluation, material: Material) -> dict[str, Any]:
    """What decides the figures; OUT/config.json, by which a folder is known to be the same evaluation."""
    return {
        **settings(evaluation),
        "model": str(evaluation.model) if evaluation.model else None,
        "protocol": evaluation.protocol,
        "folds": [fold.name for fold in material.folds],
        "selection": evaluation.rule,
        "data": Path(evaluation.data).name,
        "pictures": len(material.table),
        "people": len(material.table.people),
        "expressions": list(material.table.expressions),
        "extra": [Path(spec).name for spec in evaluation.extra],
        "start": str(evaluation.start) if evaluation.start else None,
        "test": [Path(spec).name for spec in evaluation.test],
        "robustness": evaluation.robustness,
    }


def readings(evaluation: Evaluation) -> dict[str, Classification]:
    """The answers of the folds that are done: on single pictures and, where known, on sequences by each rule."""
    ended = sorted((evaluation.out / "folds").glob("*/fold.json"))
    done = [path.parent for path in ended if json.loads(path.read_text())["status"] == "done"]
    if not done:
        return {}
    answers = joined([read_answers(folder / "answers.parquet") for folder in done])
    rules = RULES_OF_SEQUENCES if any(answers.sequences) else ()
    by_rule = {f"sequences, {rule}": decide(answers, rule).classification for rule in rules}
    return {"single pictures": answers.classification, **by_rule}


def fold_facts(evaluation: Evaluation, index: int) -> dict[str, Any]:
    """What fold.json says; nothing of a fold that has not ended."""
    path = evaluation.folder(index) / "fold.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write_fold(
    evaluation: Evaluation, material: Material, index: int, status: str, error: str | None, seconds: float
) -> None:
    """Write how a fold ended."""
    ended = {"name": material.folds[index].name, "status": status, "error": error, "seconds": round(seconds, 1)}
    write_json(evaluation.folder(index) / "fold.json", {**ended, **material.counts(index)})


def summarise(evaluation: Evaluation, material: Material) -> None:
    """Write OUT/evaluation.json anew: what was evaluated how, and the folds that have ended."""
    protocol, model = find(evaluation.protocol), material.model
    ended = [fold_facts(evaluation, index) for index in range(len(material.folds))]
    tables = material.tests or (material.table,)
    facts = {
        "format": FORMAT,
        "name": evaluation.out.resolve().name,
        **settings(evaluation),
        "model": str(evaluation.model) if evaluation.model else None,
        "command": command_line(evaluation),
        "protocol": {
            "name": evaluation.protocol,
            "title": protocol.title,
            "decision": protocol.decision,
            "classes": list(material.table.expressions),
            "source": protocol.source,
            "paper": [dataclasses.asdict(figure) for figure in protocol.paper],
        },
        "selection": evaluation.rule,
        "dataset": ", ".join(dict.fromkeys(table.dataset for table in tables)),
        "data": [Path(spec).name for spec in (evaluation.data, *evaluation.test)],
        "extra": [Path(spec).name for spec in evaluation.extra],
        "start": evaluation.start.name if evaluation.start else None,
        "expressions": list(material.table.expressions),
        "folds": [each for each in ended if each],
    }
    if model is not None:
        facts |= {"method": model.method, "config": model.facts.get("config", {})}
    write_json(evaluation.out / "evaluation.json", facts)


def write_json(path: Path, facts: Any) -> None:
    """Write JSON, atomically."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(facts, indent=1) + "\n")
