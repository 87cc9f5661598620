"""`deadpan compare`: compares evaluated runs by their stored answers; docs/compare.md defines each figure."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deadpan.comparison.identity import Judge, judge_from
from deadpan.comparison.neutral_faces import compare_answers, expression_left
from deadpan.comparison.significance import bootstrap, mcnemar, people, per_unit, sign_flips, units
from deadpan.comparison.subgroups import subgroups
from deadpan.evaluation import record
from deadpan.evaluation.answers import Answers, joined, read_answers
from deadpan.evaluation.sequences import RULES, decide
from deadpan.files import paths_of
from deadpan.metrics.reliability import reliability
from deadpan.version import __version__

FORMAT = 1

MAPPED = 1000  # at most this many pictures on the map

CROWD = 30  # t-SNE needs at least this many pictures; fewer are placed by their principal components

PASSED_ON = ("method", "model", "config", "protocol", "selection", "dataset", "data", "expressions")
"""Entries of evaluation.json that the facts of a run repeat."""


@dataclass(frozen=True)
class Evaluated:
    """What `deadpan evaluate` wrote about one run: all finished folds, joined."""

    facts: dict[str, Any]  # evaluation.json, with each fold's fold.json
    answers: Answers
    robustness: dict[str, Any] | None  # counts, summed over the folds that measured robustness
    curves: list[dict[str, Any]]  # one entry per epoch of every fold: fold, stage, epoch and the logged numbers
    folder: Path = Path()


@dataclass(frozen=True)
class Comparison:
    """Runs and all figures measured on them, ready for JSON."""

    runs: tuple[Evaluated, ...]
    facts: dict[str, Any]


def load_run(folder: Path) -> Evaluated:
    """Read an evaluated run; ValueError where the folder holds none or none of its folds is finished."""
    path = folder / "evaluation.json"
    if not path.is_file():
        raise ValueError(f"{folder} holds no evaluation.json; `deadpan evaluate ... --out {folder}` writes one")
    facts = _json(path)
    if facts.get("format") != record.FORMAT:
        raise ValueError(f"{path} has format {facts.get('format')}, this deadpan reads {record.FORMAT}: evaluate again")
    folds = {each.parent: _json(each) for each in sorted(folder.glob("folds/*/fold.json"), key=_fold_number)}
    done = {each: fold["name"] for each, fold in folds.items() if fold["status"] == "done"}
    if not done:
        raise ValueError(f"{folder} has no finished fold; repeat the same `deadpan evaluate` command to continue it")
    stored = [_json(each / "robustness.json") for each in done if (each / "robustness.json").is_file()]
    return Evaluated(
        facts={**facts, "folds": list(folds.values())},
        answers=joined([read_answers(each / "answers.parquet") for each in done]),
        robustness=summed(stored) if stored else None,
        curves=[entry for each, name in done.items() for entry in _curves(each / "run" / "log.jsonl", name)],
        folder=folder,
    )


def compare(folders: str | Path | Sequence[str | Path], judge: str | Path | None = None) -> Comparison:
    """Measure evaluated runs and compare every two of them.

    `judge` is a trained identity.safetensors; without it a judge is trained on the runs' own pictures. ValueError where
    a folder holds no finished fold, or where two runs share no picture.
    """
    places = paths_of(folders)
    if not places:
        raise ValueError("no runs given; usage: deadpan compare RUN RUN ... [--out DIR]")
    runs = [load_run(Path(place)) for place in places]
    often = Counter(run.facts["name"] for run in runs)
    names = [str(run.folder) if often[run.facts["name"]] > 1 else run.facts["name"] for run in runs]
    if len(set(names)) < len(names):
        raise ValueError(f"a run is given twice: {', '.join(names)}")
    runs = [replace(run, facts={**run.facts, "name": name}) for run, name in zip(runs, names, strict=True)]
    pairs = [compare_pair(one, other) for one, other in combinations(runs, 2)]
    generating = [run.answers for run in runs if run.answers.neutral is not None]
    arbiter = judge_from(max(generating, key=lambda each: int(each.paired.sum())), judge) if generating else None
    made = {"format": FORMAT, "created": date.today().isoformat(), "deadpan": __version__}
    described = [describe(run, arbiter) for run in runs]
    return Comparison(tuple(runs), {**made, "runs": described, "pairs": pairs})


def describe(run: Evaluated, judge: Judge | None) -> dict[str, Any]:
    """All figures of one run."""
    answers = run.answers
    by_fold = {name: answers.folds == name for name in np.unique(answers.folds).tolist()}
    right = answers.classification.right
    accuracies = {name: round(float(right[rows].mean()), 4) for name, rows in by_fold.items()}
    known = any(answers.sequences)
    return {
        "name": run.facts["name"],
        "folder": str(run.folder),
        **{key: run.facts.get(key) for key in PASSED_ON},
        "pictures": len(answers),
        "people": people(answers.subjects),
        "folds": [
            {key: fold.get(key) for key in ("name", "status", "error")} | {"accuracy": accuracies.get(fold["name"])}
            for fold in run.facts["folds"]
        ],
        "fold_accuracy": spread(list(accuracies.values())),
        "frame": figures(answers),
        "sequence": {rule: figures(decide(answers, rule)) for rule in RULES} if known else None,
        "calibration": reliability(answers.classification),
        "neutral": neutral(answers, judge),
        "robustness": shares(run.robustness) if run.robustness else None,
        "subgroups": subgroups(answers),
        "curves": run.curves,
        "map": arranged(answers),
    }


def figures(answers: Answers) -> dict[str, Any]:
    """Accuracy, balanced accuracy and macro F1 with 95 % intervals, recall per expression and the confusion matrix."""
    found = answers.classification
    unit, over = units(answers.subjects)
    ends = bootstrap(unit, found.truth, found.answer, len(answers.expressions))
    intervals = {f"{name}_interval": [round(end, 4) for end in pair] for name, pair in ends.items()}
    summary = {name: value for name, value in found.summary().items() if name != "pictures"}
    return {
        "n": len(answers),
        **summary,
        **intervals,
        "interval_over": over,
        "confusion": found.confusion.tolist(),
    }


def neutral(answers: Answers, judge: Judge | None) -> dict[str, Any] | None:
    """The quality of the generated neutral faces; None for a method that generates none."""
    if answers.neutral is None:
        return None
    unjudged = {"identity": None, "copy_identity": None}
    found = compare_answers(answers, judge.similarity if judge else None)
    return {
        **{kind: {**unjudged, **found[kind]} if kind in found else None for kind in ("expressive", "neutral")},
        "judge_separation": round(judge.separation, 4) if judge and judge.separation is not None else None,
        "expression_left": expression_left(answers),
    }


def compare_pair(one: Evaluated, other: Evaluated) -> dict[str, Any]:
    """Test whether two runs differ, on the pictures that both answered; ValueError where there are none.

    `permutation` is None where the people are unknown. `expressions` lists those that both models know: a model that
    knows more expressions has more ways to be wrong.
    """
    a, b = one.answers, other.answers
    keys_a, keys_b = (np.char.add(np.char.add(each.subjects, "\n"), each.names) for each in (a, b))
    _, rows_a, rows_b = np.intersect1d(keys_a, keys_b, return_indices=True)
    names = one.facts["name"], other.facts["name"]
    if not len(rows_a):
        raise ValueError(
            f"{names[0]} and {names[1]} have no picture in common, of {len(a)} and {len(b)}; compare runs over "
            "the same prepared data"
        )
    right_a, right_b = a.classification.right[rows_a], b.classification.right[rows_b]
    only_a, only_b, p = mcnemar(right_a, right_b)
    unit, over = units(a.subjects[rows_a])
    difference = right_a.astype(np.int64) - right_b.astype(np.int64)
    permutation = {
        "difference": round(float(difference.mean()), 4),
        "p": _significant(sign_flips(per_unit(unit, difference))),
    }
    return {
        "a": names[0],
        "b": names[1],
        "pictures": len(rows_a),
        "people": people(a.subjects[rows_a]),
        "left_out": [len(a) - len(rows_a), len(b) - len(rows_b)],
        "expressions": [name for name in a.expressions if name in b.expressions],
        "same_expressions": a.expressions == b.expressions,
        "accuracy_a": round(float(right_a.mean()), 4),
        "accuracy_b": round(float(right_b.mean()), 4),
        "mcnemar": {"only_a": only_a, "only_b": only_b, "p": _significant(p)},
        "permutation": permutation if over == "people" else None,
    }


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and sample standard deviation; the deviation of a single value is None."""
    deviation = round(statistics.stdev(values), 4) if len(values) > 1 else None
    return {"mean": round(statistics.fmean(values), 4), "std": deviation}


def summed(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The counts of several robustness.json, added."""
    names = parts[0]["degradations"]
    return {
        "pictures": sum(part["pictures"] for part in parts),
        "clean": sum(part["clean"] for part in parts),
        "degradations": {
            name: np.sum([part["degradations"][name] for part in parts], axis=0).tolist() for name in names
        },
    }


def shares(counts: dict[str, Any]) -> dict[str, Any]:
    """Counts of correct answers, as accuracies."""
    total = counts["pictures"]
    return {
        "pictures": total,
        "clean": round(counts["clean"] / total, 4),
        "degradations": {
            name: [round(hits / total, 4) for hits in levels] for name, levels in counts["degradations"].items()
        },
    }


def arranged(answers: Answers) -> list[list[float]]:
    """Place at most 1,000 pictures on a plane, similar predictions close to each other: [x, y, truth, answer] each.

    The method is t-SNE (van der Maaten and Hinton 2008) of the log-probabilities, or their principal components for
    fewer than 30 pictures.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    rows = np.sort(np.random.default_rng(0).permutation(len(answers))[:MAPPED])
    if len(rows) < 2:
        return []
    logs = np.log(np.maximum(answers.probabilities[rows].astype(np.float64), 1e-6))
    places: NDArray[np.float64] = np.zeros((len(rows), 2))
    if len(np.unique(logs, axis=0)) > 1:  # identical predictions all stay at one point
        crowd = len(rows) >= CROWD
        way = TSNE(perplexity=min(30, len(rows) / 4), init="pca", random_state=0) if crowd else PCA(2, random_state=0)
        places = way.fit_transform(logs).round(3)
    found = answers.classification
    ends = zip(places.tolist(), found.truth[rows].tolist(), found.answer[rows].tolist(), strict=True)
    return [[x, y, truth, answer] for (x, y), truth, answer in ends]


def _significant(p: float) -> float:
    return float(f"{p:.4g}")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged: {error}; delete it and repeat `deadpan evaluate`") from None


def _fold_number(path: Path) -> tuple[int, str]:
    return len(path.parent.name), path.parent.name  # sorts 100 after 99


def _curves(path: Path, fold: str) -> list[dict[str, Any]]:
    """The epochs of a fold's log; the figures of its only validation file are named "validation ..."."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    curves = []
    for entry in map(json.loads, lines):
        validation = list(entry.get("validation", {}).values())
        measured = validation[0] if len(validation) == 1 else {}
        entry |= {f"validation {key}": value for key, value in measured.items()}
        numbers = {key: value for key, value in entry.items() if isinstance(value, int | float) and np.isfinite(value)}
        curves.append({"fold": fold, "stage": entry["stage"], **numbers})
    return curves
