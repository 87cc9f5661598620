"""`deadpan evaluate`: trains and tests every fold of a protocol and stores the answers; a stopped run can continue."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from deadpan.evaluation.answers import joined, write_answers
from deadpan.evaluation.fold_tables import FoldTables, gather
from deadpan.evaluation.protocols import find
from deadpan.evaluation.record import Evaluation, command_line, fold_facts, has_begun, recipe, summarise, write_fold
from deadpan.evaluation.robustness import measure_robustness
from deadpan.evaluation.trained_model import collect_answers, open_model
from deadpan.files import write_json
from deadpan.jobs import run_folds
from deadpan.models import released
from deadpan.training import checkpoint
from deadpan.training.run_folder import write_recipe
from deadpan.training.train import check_accelerator, train


def evaluate(evaluation: Evaluation, jobs: int = 1, ray: str | None = None) -> list[dict[str, Any]]:
    """Run every unfinished fold and return the content of each fold.json, in order.

    The same evaluation in the same folder continues where it stopped. ValueError for another evaluation in that folder,
    and for data, settings or people that do not fit, before anything is written.
    """
    tables = open_tables(evaluation)
    if evaluation.model is None:
        checkpoint.build(evaluation.method, dataclasses.asdict(evaluation.config), tables.table.expressions)
    if evaluation.model is None and ray is None:
        check_accelerator(evaluation.training.accelerator)
    write_recipe(Path(evaluation.out), recipe(evaluation, tables), begun=has_begun(evaluation))
    indices = [index for index in range(len(tables.folds)) if fold_facts(evaluation, index).get("status") != "done"]
    if jobs == 1 and ray is None:
        work = partial(run_fold, absolute(evaluation), tables=tables)
    else:
        work = partial(run_fold_apart, absolute(evaluation))
    gpu = evaluation.training.accelerator not in ("cpu", "mps")
    summarise(evaluation, tables)
    for index, error in run_folds(work, indices, jobs, ray, gpu=gpu):
        if error is not None:
            write_fold(evaluation, tables, index, "failed", error, 0.0)
        summarise(evaluation, tables)
    return [fold_facts(evaluation, index) for index in range(len(tables.folds))]


def open_tables(evaluation: Evaluation) -> FoldTables:
    """Open the data of an evaluation, and check that no person is on both sides of a fold."""
    model = None if evaluation.model is None else open_model(evaluation.model)
    return gather(
        find(evaluation.protocol),
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
    """The evaluation with absolute paths, which are valid in every process."""
    model, start = evaluation.model, evaluation.start
    return dataclasses.replace(
        evaluation,
        out=Path(evaluation.out).resolve(),
        data=str(Path(evaluation.data).resolve()),
        model=model if model is None or str(model) in released() else Path(model).resolve(),
        extra=tuple(str(Path(spec).resolve()) for spec in evaluation.extra),
        start=start if start is None or str(start) in released() else Path(start).resolve(),
        test=tuple(str(Path(spec).resolve()) for spec in evaluation.test),
    )


def run_fold_apart(evaluation: Evaluation, index: int) -> None:
    """`run_fold` in its own process, with the training's messages in output.txt of the fold's folder.

    It uses one thread, since the machine also runs the processes of other folds.
    """
    torch.set_num_threads(1)
    path = evaluation.folder(index) / "output.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file, contextlib.redirect_stderr(file):
        run_fold(evaluation, index)


def run_fold(evaluation: Evaluation, index: int, tables: FoldTables | None = None) -> None:
    """Train one fold, or continue it, and write its answers; fold.json is written last."""
    begun = time.perf_counter()
    tables = tables or open_tables(evaluation)
    folder = evaluation.folder(index)
    (folder / "fold.json").unlink(missing_ok=True)
    model = tables.model or open_model(train_fold(evaluation, tables, index).parent)
    name = tables.folds[index].name
    tested = tables.tested(index)
    parts = [collect_answers(model, table, name) for table in tested]
    if len(parts) > 1:  # two data sets may have pictures of the same name
        named = [np.char.add(f"{table.dataset}/", part.names) for table, part in zip(tested, parts, strict=True)]
        parts = [dataclasses.replace(part, names=names) for part, names in zip(parts, named, strict=True)]
    answers = joined(parts)
    write_answers(folder / "answers.parquet", answers)
    if evaluation.robustness:
        truth = answers.classification.truth
        answer = partial(model.answer_pixels, answers.expressions)
        found = measure_robustness(answer, answers.images, truth, evaluation.robustness)
        write_json(folder / "robustness.json", found)
    write_fold(evaluation, tables, index, "done", None, time.perf_counter() - begun)


def train_fold(evaluation: Evaluation, tables: FoldTables, index: int) -> Path:
    """Train on the fold's people and the extra data, or continue; returns the path of the weights."""
    name = Path(evaluation.data).name
    keep: Literal["last", "best"] = "best" if evaluation.inner else "last"
    return train(
        evaluation.method,
        evaluation.config,
        {f"{name}@training": tables.training(index), **tables.extra},
        evaluation.folder(index) / "run",
        dataclasses.replace(evaluation.training, keep=keep),
        augmentation=evaluation.augmentation,
        expressions=tables.table.expressions,
        validation={f"{name}@validation": tables.validation(index)} if evaluation.inner else (),
        start=evaluation.start,
        resume=(evaluation.folder(index) / "run" / "config.json").exists(),
        command=f"{command_line(evaluation)}  # fold {tables.folds[index].name}",
    )
