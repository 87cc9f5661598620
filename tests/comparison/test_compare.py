"""Runs are read from what `deadpan evaluate` leaves, and every figure of a comparison by hand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deadpan.cli.main import main
from deadpan.comparison.compare import (
    Evaluated,
    arranged,
    compare,
    compare_pair,
    figures,
    load_run,
    shares,
    spread,
    summed,
)
from deadpan.comparison.identity import Identity
from deadpan.comparison.neutral_faces import resized
from deadpan.evaluation.answers import Answers, write_answers
from deadpan.evaluation.robustness import DEGRADATIONS
from deadpan.training.checkpoint import write_tensors
from tests.support.answers import some_answers


def robustness(pictures: int, hits: int) -> dict[str, Any]:
    return {"pictures": pictures, "clean": pictures, "degradations": {name: [hits] * 5 for name in DEGRADATIONS}}


def write_run(folder: Path, folds: list[Answers | str], name: str = "") -> Path:
    """An evaluated run by hand: a fold for each of `folds`, failed where it is an error's text."""
    ended = []
    for index, fold in enumerate(folds):
        path = folder / "folds" / f"{index + 1:02d}"
        (path / "run").mkdir(parents=True)
        failed = isinstance(fold, str)
        facts = {"name": f"{index + 1} of {len(folds)}", "status": "failed" if failed else "done"}
        ended.append({**facts, "error": fold if failed else None, "seconds": 1.0})
        (path / "fold.json").write_text(json.dumps(ended[-1]))
        if isinstance(fold, Answers):
            named = dataclasses.replace(fold, folds=np.full(len(fold), facts["name"]))
            write_answers(path / "answers.parquet", named)
            (path / "robustness.json").write_text(json.dumps(robustness(len(fold), index + 1)))
            entry = {"stage": "all", "epoch": 1, "loss": 0.5, "validation": {"a.parquet": {"accuracy": 0.7}}}
            (path / "run" / "log.jsonl").write_text(json.dumps(entry) + "\n")
    about = {
        "format": 1,
        "name": name or folder.name,
        "method": "derl",
        "model": None,
        "config": {"width": 1},
        "training": {},
        "protocol": {"name": "ckplus-7", "title": "t", "decision": "d", "classes": [], "source": "s", "paper": []},
        "selection": "last epoch",
        "dataset": "set",
        "data": ["a.parquet"],
        "expressions": ["neutral", "fear", "happiness"],
        "folds": [],
    }
    (folder / "evaluation.json").write_text(json.dumps(about))
    return folder


def told(right: list[bool], **changes: Any) -> Answers:
    """Answers that are right or wrong as told, each certain."""
    answers = some_answers(len(right), generates=False)
    truth = answers.target.argmax(1)
    answer = np.where(right, truth, (truth + 1) % 3)
    return dataclasses.replace(answers, probabilities=np.eye(3, dtype=np.float32)[answer], **changes)


def evaluated(answers: Answers, name: str) -> Evaluated:
    return Evaluated({"name": name}, answers, None, [])


def test_a_run_is_its_finished_folds(tmp_path: Path) -> None:
    one, other = some_answers(6), some_answers(4, seed=1)
    run = load_run(write_run(tmp_path / "run", [one, "ValueError: out of memory", other]))
    assert run.answers.names.tolist() == [*one.names, *other.names]
    assert [fold["status"] for fold in run.facts["folds"]] == ["done", "failed", "done"]
    assert run.robustness is not None
    assert (run.robustness["pictures"], run.robustness["degradations"]["blur"]) == (10, [4] * 5)
    epoch = {"stage": "all", "epoch": 1, "loss": 0.5, "validation accuracy": 0.7}
    assert run.curves == [{"fold": "1 of 3", **epoch}, {"fold": "3 of 3", **epoch}]


def test_folds_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    write_run(tmp_path, [some_answers(2, seed=0), some_answers(2, seed=1)])
    (tmp_path / "folds" / "02").rename(tmp_path / "folds" / "10")
    (tmp_path / "folds" / "01").rename(tmp_path / "folds" / "100")
    assert load_run(tmp_path).answers.names.tolist() == ["1-0", "1-1", "0-0", "0-1"]


def test_what_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, text in (
        (tmp_path / "nothing", "holds no evaluation.json"),
        (write_run(tmp_path / "failed", ["ValueError: no"]), "no finished fold"),
    ):
        assert main(["compare", str(folder), "--out", str(tmp_path / "out")]) == 2
        assert text in capsys.readouterr().err
    assert main(["compare"]) == 2
    run = write_run(tmp_path / "run", [some_answers()])
    (run / "evaluation.json").write_text('{"format": 2}')
    with pytest.raises(ValueError, match="has format 2"):
        load_run(run)
    (run / "evaluation.json").write_text('{"form')
    with pytest.raises(ValueError, match="damaged"):
        load_run(run)
    assert not (tmp_path / "out").exists()


def test_figures_by_hand() -> None:
    answers = told([True, True, False, True])  # truths 0 1 2 0, people 0 1 2 0
    out = figures(answers)
    assert (out["n"], out["accuracy"], out["interval_over"]) == (4, 0.75, "people")
    assert out["confusion"] == [[2, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert out["recall"] == {"neutral": 1.0, "fear": 1.0, "happiness": 0.0}
    assert out["balanced_accuracy"] == pytest.approx(2 / 3, abs=1e-4)
    assert out["macro_f1"] == pytest.approx((2 * 2 / 5 + 1 + 0) / 3, abs=1e-4)
    assert out["accuracy_interval"] == [0.0, 1.0]  # three people: the same one thrice in 1 of 9 resamples
    unknown = dataclasses.replace(answers, subjects=np.full(4, ""))
    assert figures(unknown)["interval_over"] == "pictures"


def test_two_runs_on_the_pictures_that_both_answered() -> None:
    right_a = [True] * 6 + [False] * 3
    right_b = [False, True, True, False, True, True, True, False, False]
    a, b = told(right_a), told(right_b)
    out = compare_pair(evaluated(a, "a"), evaluated(b.take(np.arange(8)[::-1]), "b"))  # in another order, without one
    assert (out["pictures"], out["people"], out["left_out"]) == (8, 3, [1, 0])
    assert (out["accuracy_a"], out["accuracy_b"]) == (6 / 8, 5 / 8)
    assert out["mcnemar"] == {"only_a": 2, "only_b": 1, "p": 1.0}
    # pictures 0 and 3 (both of person 0) only a, picture 6 (person 0 too) only b: one person differs, by one
    assert out["permutation"] == {"difference": 1 / 8, "p": 1.0}


def test_the_permutation_exchanges_people() -> None:
    a, b = told([True] * 12), told([False] * 12)
    out = compare_pair(evaluated(a, "a"), evaluated(b, "b"))
    assert out["mcnemar"]["p"] == pytest.approx(2 / 2**12, rel=1e-3)
    assert out["permutation"] == {"difference": 1.0, "p": 2 / 2**3}  # of three people
    nobody = np.full(12, "")
    unknown = (evaluated(dataclasses.replace(each, subjects=nobody), name) for each, name in ((a, "a"), (b, "b")))
    assert compare_pair(*unknown)["permutation"] is None


def test_runs_with_other_expressions_are_compared_where_both_answered() -> None:
    a = told([True] * 6)
    kept = a.take(a.target.argmax(1) > 0)
    b = dataclasses.replace(
        kept, expressions=a.expressions[1:], target=kept.target[:, 1:], probabilities=kept.probabilities[:, 1:]
    )
    out = compare_pair(evaluated(a, "a"), evaluated(b, "b"))
    assert (out["pictures"], out["left_out"], out["same_expressions"]) == (4, [2, 0], False)
    assert out["expressions"] == ["fear", "happiness"]


def test_runs_without_a_common_picture_are_refused() -> None:
    a = told([True] * 3)
    for other in (
        dataclasses.replace(a, names=np.array(["x", "y", "z"])),
        dataclasses.replace(a, subjects=np.array(["other/0", "other/1", "other/2"])),  # a name of another data set
    ):
        with pytest.raises(ValueError, match="a and b have no picture in common"):
            compare_pair(evaluated(a, "a"), evaluated(other, "b"))


def test_spread_and_robustness_by_hand() -> None:
    assert spread([0.7, 0.9]) == {"mean": 0.8, "std": pytest.approx(np.sqrt(0.02), abs=1e-4)}
    assert spread([0.7]) == {"mean": 0.7, "std": None}
    total = summed([robustness(10, 5), robustness(30, 7)])
    assert shares(total)["degradations"]["noise"] == [12 / 40] * 5
    assert (shares(total)["clean"], shares(total)["pictures"]) == (1, 40)


@pytest.mark.parametrize("count", [1, 2, 29, 60])
def test_the_map_keeps_truth_and_answer(count: int) -> None:
    answers = some_answers(count)
    found = answers.classification
    out = arranged(answers)
    assert [each[2:] for each in out] == (np.stack([found.truth, found.answer], 1).tolist() if count > 1 else [])
    assert out == arranged(answers)
    alike = dataclasses.replace(answers, probabilities=np.full((count, 3), 1 / 3, np.float32))
    assert all(np.isfinite(each[:2]).all() for each in arranged(alike))


def test_alike_answers_are_near_on_the_map() -> None:
    answers = some_answers(60)
    sure = np.repeat(np.eye(3), 20, 0) + 0.05 * answers.probabilities
    places = np.array(arranged(dataclasses.replace(answers, probabilities=sure.astype(np.float32))))[:, :2]
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e9 * np.eye(60)
    assert (distances.argmin(1) // 20 == np.arange(60) // 20).mean() > 0.9


def test_a_comparison_is_whole_and_fit_for_json(tmp_path: Path) -> None:
    folds: list[Answers | str] = [some_answers(12), "ValueError: it broke", some_answers(12, seed=1)]
    one = write_run(tmp_path / "one", folds)
    plain = [dataclasses.replace(fold, neutral=None) for fold in folds if isinstance(fold, Answers)]
    other = write_run(tmp_path / "other", list(plain))
    compared = compare([one, other])
    facts = compared.facts
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    first, second = facts["runs"]
    assert (first["pictures"], first["people"], first["method"]) == (24, 3, "derl")
    accuracy = compared.runs[0].answers.classification.accuracy
    assert first["frame"]["accuracy"] == pytest.approx(accuracy, abs=1e-4)
    assert [fold["accuracy"] for fold in first["folds"]][1] is None
    assert first["fold_accuracy"]["mean"] == pytest.approx(accuracy, abs=1e-4)  # of equally large folds
    assert (
        first["sequence"]["majority"]["n"] == 12
    )  # of 24 pictures; in both folds person and sequence are called alike
    assert first["robustness"]["degradations"]["blur"] == [round(4 / 24, 4)] * 5
    assert first["neutral"]["expressive"]["pictures"] == 8
    assert first["neutral"]["expressive"]["identity"] is None  # three people are too few for a judge
    assert first["neutral"]["expression_left"]["pictures"] == 16
    assert second["neutral"] is None
    assert set(first["subgroups"]) == {"gender"}
    assert facts["pairs"][0]["mcnemar"] == {"only_a": 0, "only_b": 0, "p": 1.0}


def test_one_judge_is_trained_or_read_for_all_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = some_answers(30, people=15)
    images, truth = (resized(each, 16) for each in (answers.images, answers.true_neutral))
    larger = dataclasses.replace(answers, images=images, true_neutral=truth, neutral=255 - images)
    write_run(tmp_path / "run", [larger])
    trained = compare([tmp_path / "run"]).facts["runs"][0]["neutral"]
    assert -1 <= trained["expressive"]["identity"] <= 1
    assert 0 <= trained["judge_separation"] <= 1
    path = tmp_path / "identity.safetensors"
    write_tensors(path, Identity().state_dict(), {})
    read = compare([tmp_path / "run"], path).facts["runs"][0]["neutral"]
    assert read["expressive"]["identity"] != trained["expressive"]["identity"]
    assert main(["compare", str(tmp_path / "run"), "--judge", str(tmp_path / "none")]) == 2
    assert "none cannot be read" in capsys.readouterr().err


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / each, [some_answers(generates=False)], name="run") for each in ("a", "b")]
    assert [run["name"] for run in compare(runs).facts["runs"]] == [str(run) for run in runs]
    with pytest.raises(ValueError, match="given twice"):
        compare([runs[0], runs[0]])


def test_the_command_prints_the_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [write_run(tmp_path / each, [some_answers(24, generates=False)]) for each in ("one", "other")]
    assert main(["compare", *map(str, runs), "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "last epoch" in out and "one - other: +0.0 on 24 pictures, McNemar p 1" in out
    facts = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert f"{100 * facts['runs'][0]['frame']['accuracy']:.1f}" in out
