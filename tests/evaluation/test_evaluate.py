"""Evaluations: nobody is on both sides, a stopped one goes on, a failed fold is reported, and order does not matter."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deadpan.cli.main import main
from deadpan.evaluation import evaluate as cross_validation
from deadpan.evaluation.answers import Answers, joined, read_answers
from deadpan.evaluation.evaluate import evaluate
from deadpan.evaluation.folds import FoldError
from deadpan.evaluation.protocols import ProtocolError
from deadpan.evaluation.record import Evaluation, readings
from deadpan.expressions import EXPRESSIONS
from deadpan.methods import METHODS
from deadpan.release.export import export
from deadpan.training import loop
from deadpan.training.checkpoint import build, load_method, save_method
from deadpan.training.config import TrainingConfig
from deadpan.training.train import train
from tests.support.prepared_files import row, write

TINY = TrainingConfig(batch_size=4, threads=1, precision="32-true")
CNN = METHODS["cnn"].Config(image_size=64, width=0.125, epochs=2)
WORDS = ("neutral", "happiness", "sadness")


def rows(people: str, **more: Any) -> list[dict[str, Any]]:
    """Six pictures of each person, two of each expression, of which happiness is bright."""
    return [
        row(20 + 40 * word + 2 * ord(person) % 7 + take, WORDS[word], name=f"{person}{word}{take}", subject=person)
        | {"sequence": f"{person}{word}", "frame": take, **more}
        for person in people
        for word in range(3)
        for take in range(2)
    ]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "csv.parquet", rows("ABCDEF"), dataset="csv")


def of(data: Path, out: str = "out", **settings: Any) -> Evaluation:
    standard = {"protocol": "subjects", "method": "cnn", "config": CNN, "training": TINY, "folds": 3}
    return Evaluation(data.parent / out, str(data), **{**standard, **settings})


def answers_of(evaluation: Evaluation) -> Answers:
    return joined([read_answers(path) for path in sorted(Path(evaluation.out).glob("folds/*/answers.parquet"))])


def facts_of(evaluation: Evaluation) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((Path(evaluation.out) / "evaluation.json").read_text())
    return facts


def test_every_person_is_tested_once_by_a_run_that_has_not_seen_them(data: Path) -> None:
    evaluation = of(data, robustness=5)
    ended = evaluate(evaluation)
    assert [(fold["status"], fold["train_people"], fold["test_pictures"]) for fold in ended] == [("done", 4, 12)] * 3
    answers = answers_of(evaluation)
    assert sorted(answers.names) == sorted(each["name"] for each in rows("ABCDEF"))
    assert answers.expressions == WORDS and answers.neutral is None
    np.testing.assert_allclose(answers.probabilities.sum(1), 1, rtol=1e-5)
    for index in range(3):
        folder = evaluation.folder(index)
        _, facts = load_method(folder / "run")
        own = read_answers(folder / "answers.parquet")
        assert not set(facts["subjects"]) & set(own.subjects.tolist()) and len(facts["subjects"]) == 4
        assert facts["command"].startswith("deadpan evaluate cnn csv.parquet --protocol subjects --folds 3")
        assert set(own.folds) == {f"{index + 1} of 3"}
        assert json.loads((folder / "robustness.json").read_text())["pictures"] == 5
    assert {name: len(found) for name, found in readings(evaluation).items()} == {
        "single pictures": 36,
        "sequences, majority": 18,
        "sequences, mean log-probability": 18,
    }
    facts = facts_of(evaluation)
    assert (facts["dataset"], facts["data"], facts["name"]) == ("csv", ["csv.parquet"], "out")
    assert facts["selection"] == "last epoch" and facts["training"]["batch_size"] == 4


def test_neither_order_nor_processes_matter(data: Path) -> None:
    straight = of(data, folds=2)
    evaluate(straight)
    shuffled = rows("ABCDEF")
    np.random.default_rng(0).shuffle(shuffled)
    other = of(write(data.parent / "other" / "csv.parquet", shuffled, dataset="csv"), folds=2)
    evaluate(other, jobs=2)
    for field in dataclasses.fields(Answers):
        one, two = (getattr(answers_of(each), field.name) for each in (straight, other))
        np.testing.assert_array_equal(one, two, err_msg=field.name)
    assert (other.folder(0) / "output.txt").read_text().startswith("network 1: loss")


def test_a_stopped_evaluation_goes_on(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    straight, stopped = of(data), of(data, "stopped")
    evaluate(straight)
    epochs, calls = loop.run_epoch, []

    def stopping(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:  # in the second epoch of the second fold
            raise KeyboardInterrupt
        return epochs(*arguments)

    monkeypatch.setattr(loop, "run_epoch", stopping)
    with pytest.raises(KeyboardInterrupt):
        evaluate(stopped)
    assert [fold["name"] for fold in facts_of(stopped)["folds"]] == ["1 of 3"]
    written = (stopped.folder(0) / "answers.parquet").stat().st_mtime_ns
    evaluate(stopped)
    assert len(calls) == 4 + 1 + 2  # the interrupted epoch and the third fold
    assert (stopped.folder(0) / "answers.parquet").stat().st_mtime_ns == written
    np.testing.assert_array_equal(answers_of(stopped).probabilities, answers_of(straight).probabilities)
    with pytest.raises(ValueError, match=r"was started with --selection last epoch \(now"):
        evaluate(dataclasses.replace(stopped, selection="inner"))


def test_a_failing_fold_is_tried_twice_and_reported(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, tried = data.parent / "out", []

    def failing(name: str, config: Any, tables: Any, run: Path, *rest: Any, **more: Any) -> Path:
        tried.append(run.parent.name)
        if run.parent.name in broken:
            raise FloatingPointError("loss became nan")
        return train(name, config, tables, run, *rest, **more)

    monkeypatch.setattr(cross_validation, "train", failing)
    command = ["evaluate", "cnn", str(data), "--protocol", "subjects", "--folds", "3", "--out", str(out)]
    command += ["--width", "0.125", "--epochs", "1", "--threads", "1", "--batch-size", "4"]
    broken = ["01", "02", "03"]
    assert main(command) == 2
    broken = ["02"]
    tried.clear()
    assert main(command) == 1
    assert tried == ["01", "02", "02", "03"]
    assert "error: fold 2 of 3: FloatingPointError: loss became nan" in capsys.readouterr().err
    folds = json.loads((out / "evaluation.json").read_text())["folds"]
    assert [fold["status"] for fold in folds] == ["done", "failed", "done"] and "nan" in folds[1]["error"]
    broken = []
    tried.clear()
    assert main(command) == 0
    assert tried == ["02"]
    assert "36" in capsys.readouterr().out


def test_evaluate_works_where_pydantic_is_imported(data: Path) -> None:
    """cyclopts then validates every dataclass of a command by pydantic."""
    pytest.importorskip("pydantic")
    command = ["evaluate", "cnn", str(data), "--protocol", "subjects", "--folds", "2", "--width", "0.125"]
    command += ["--epochs", "1", "--batch-size", "4", "--out", str(data.parent / "out")]
    assert main(command) == 0


def test_an_inner_fold_chooses_the_epoch(data: Path) -> None:
    evaluation = of(data, selection="inner")
    ended = evaluate(evaluation)
    assert [(fold["train_people"], fold["test_people"]) for fold in ended] == [(2, 2)] * 3
    assert facts_of(evaluation)["selection"] == "inner validation fold"
    for index in range(3):
        run = evaluation.folder(index) / "run"
        logged = [json.loads(line)["validation"] for line in (run / "log.jsonl").read_text().splitlines()]
        accuracies = [next(iter(figures.values()))["accuracy"] for figures in logged]
        _, facts = load_method(run)
        assert facts["kept"]["accuracy"] == max(accuracies)
        assert not set(facts["subjects"]) & set(read_answers(run.parent / "answers.parquet").subjects.tolist())


def trained_on(people: str, folder: Path) -> Path:
    """A run that was trained on the given people of the data set csv."""
    file = write(folder / f"{people}.parquet", rows(people), dataset="csv")
    train("cnn", dataclasses.replace(CNN, epochs=1), [str(file)], folder / people, TINY, expressions=WORDS)
    return folder / people


def test_a_run_to_start_from_must_not_know_the_tested(data: Path, tmp_path: Path) -> None:
    evaluate(of(data, start=trained_on("XY", tmp_path)))
    second = trained_on("FZ", tmp_path)
    with pytest.raises(FoldError, match="1 people are in training and in test: csv/F"):
        evaluate(of(data, "other", start=second))
    heir = tmp_path / "heir"  # knows F only by the run that it began from
    file = str(tmp_path / "XY.parquet")
    train("cnn", dataclasses.replace(CNN, epochs=1), [file], heir, TINY, expressions=WORDS, start=second)
    with pytest.raises(FoldError, match="csv/F"):
        evaluate(of(data, "other", start=heir))
    assert not (tmp_path / "other").exists()


def test_extra_data_must_not_show_the_tested(data: Path, tmp_path: Path) -> None:
    extra = write(tmp_path / "extra.parquet", rows("XY"), dataset="csv")
    evaluation = of(data, extra=(str(extra),))
    assert [fold["train_people"] for fold in evaluate(evaluation)] == [6] * 3
    _, facts = load_method(evaluation.folder(0) / "run")
    assert {"csv/X", "csv/Y"} < set(facts["subjects"])
    mixed = write(tmp_path / "mixed.parquet", rows("XB"), dataset="csv")
    with pytest.raises(FoldError, match="csv/B"):
        evaluate(of(data, "other", extra=(str(mixed),)))
    strangers = [{**each, "subject": ""} for each in rows("AX")]
    same = write(tmp_path / "same.parquet", strangers, dataset="csv")
    with pytest.raises(FoldError, match="6 pictures are in training and in test, A00 of csv among them"):
        evaluate(of(data, "other", extra=(str(same),)))


def composites(path: Path, *people: tuple[str, str], **more: Any) -> Path:
    """Composites of csv's people, each beside the donor, as "dataset/subject"; `more` are other columns."""
    made = [
        row(10 + 20 * (n % 3), WORDS[n % 3], name=f"composite_{n}", subject=own, donor=donor, twin=True, **more)
        | {"attributes": json.dumps({"neutral": f"{own}00", "donor": f"{donor.partition('/')[2] or 'A'}10"})}
        for n, (own, donor) in enumerate(people)
    ]
    return write(path, made, dataset="csv", composed={"of": ["csv/faces.parquet", "kdef/donors.parquet"]})


def test_composites_must_not_show_the_tested_as_person_or_as_donor(data: Path, tmp_path: Path) -> None:
    namesakes = composites(tmp_path / "a.parquet", ("X", "kdef/A"), ("Y", "kdef/B"), ("X", "csv/Y"))
    evaluation = of(data, extra=(str(namesakes),))
    evaluate(evaluation)
    _, facts = load_method(evaluation.folder(0) / "run")
    assert {"csv/X", "csv/Y", "kdef/A", "kdef/B"} < set(facts["subjects"])
    donors = composites(tmp_path / "b.parquet", ("X", "csv/Y"), ("Y", "csv/B"))
    with pytest.raises(FoldError, match="1 people are in training and in test: csv/B"):
        evaluate(of(data, "other", extra=(str(donors),)))
    people = composites(tmp_path / "c.parquet", ("X", "kdef/A"), ("B", "kdef/A"))
    with pytest.raises(FoldError, match="1 people are in training and in test: csv/B"):
        evaluate(of(data, "other", extra=(str(people),)))
    with pytest.raises(FoldError, match="csv/B"):
        evaluate(of(data, "other", protocol="cross", test=(str(donors),)))
    chosen = composites(tmp_path / "d.parquet", ("X", "csv/B"), split="train")
    with pytest.raises(FoldError, match="csv/B"):
        evaluate(of(data, "other", extra=(f"{chosen}@train",)))
    strangers = composites(tmp_path / "e.parquet", ("", "csv/"), ("", "kdef/"))
    nobody = write(tmp_path / "nobody.parquet", [{**each, "subject": ""} for each in rows("A")], dataset="csv")
    leak = pytest.raises(FoldError, match="1 pictures are in training and in test, A10 of csv")
    with leak, pytest.warns(UserWarning, match="flatter"):
        evaluate(of(nobody, "other", protocol="images", folds=2, extra=(str(strangers),)))
    assert not (tmp_path / "other").exists()


def test_a_run_knows_the_donors_that_it_learnt_from(data: Path, tmp_path: Path) -> None:
    file = composites(tmp_path / "pairs.parquet", ("X", "csv/F"), ("Y", "kdef/A"), ("X", "kdef/A"))
    run = tmp_path / "run"
    train("cnn", dataclasses.replace(CNN, epochs=1), [str(file)], run, TINY, expressions=WORDS)
    with pytest.raises(FoldError, match="1 people are in training and in test: csv/F"):
        evaluate(of(data, start=run))
    onnx, card = export(run, flip=False)
    for model in (run, onnx):
        with pytest.raises(FoldError, match="1 people are in training and in test: csv/F"):
            evaluate(of(data, method="", config=None, model=model))
    tested = composites(tmp_path / "tested.parquet", ("C", "csv/F"), ("D", "csv/C"), ("D", ""), ("C", ""), ("C", ""))
    with pytest.raises(FoldError, match="csv/F"):
        evaluate(of(tested, method="", config=None, model=run, folds=2))
    nameless = {key: value for key, value in json.loads(card.read_text()).items() if key != "subjects"}
    card.write_text(json.dumps(nameless))
    there = write(tmp_path / "kdef.parquet", rows("CD"), dataset="kdef")
    with pytest.raises(FoldError, match="was trained on unnamed people of kdef"):
        evaluate(of(there, method="", config=None, model=onnx, folds=2))
    nameless["data"] = [each for each in nameless["data"] if each["dataset"] == "kdef"]
    card.write_text(json.dumps(nameless))
    with pytest.raises(FoldError, match="was trained on unnamed people of kdef"):
        evaluate(of(tested, method="", config=None, model=onnx, folds=2))


def test_composites_as_the_data_are_tested_only_with_both_people_held_out(tmp_path: Path) -> None:
    pairs = [(own, f"csv/{donor}" if donor else "") for own in "ABCDEF" for donor in (*"ABCDEF", "", "")]
    data = composites(tmp_path / "pairs.parquet", *pairs)
    evaluation = of(data, folds=3)
    evaluate(evaluation)
    for index in range(3):
        _, facts = load_method(evaluation.folder(index) / "run")
        answers = read_answers(evaluation.folder(index) / "answers.parquet")
        people = {*"AD"} if index == 0 else {*"BE"} if index == 1 else {*"CF"}
        assert set(facts["subjects"]) == {f"csv/{person}" for person in "ABCDEF" if person not in people}
        shown = [pairs[int(name.partition("_")[2])] for name in answers.names.tolist()]
        assert len(shown) == 8 and all({own, donor[4:] or own} <= people for own, donor in shown)


def test_a_finished_model_answers_strangers_only(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained_on("XY", tmp_path)
    assert main(["evaluate", str(run), str(data), "--protocol", "loso", "--out", str(tmp_path / "run")]) == 0
    assert "csv.parquet, loso" in capsys.readouterr().out
    facts = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert (facts["selection"], facts["method"], len(facts["folds"])) == ("as it came", "cnn", 6)
    assert facts["folds"][0]["train_people"] == 0 and facts["model"] == str(run)
    assert facts["command"].startswith(f"deadpan evaluate {run.name} {data.name} --protocol loso")
    onnx, card = export(run, flip=False)
    exported = of(data, "onnx", method="", config=None, model=onnx)
    evaluate(exported)
    of_run = joined([read_answers(path) for path in sorted((tmp_path / "run").glob("folds/*/answers.parquet"))])
    np.testing.assert_allclose(
        answers_of(exported).probabilities[np.argsort(answers_of(exported).names)],
        of_run.probabilities[np.argsort(of_run.names)],
        atol=0.02,
    )
    for model in (trained_on("XF", tmp_path), export(tmp_path / "XF", tmp_path / "leaking", flip=False)[0]):
        with pytest.raises(FoldError, match="csv/F"):
            evaluate(of(data, "leak", method="", config=None, model=model))
    nameless = {key: value for key, value in json.loads(card.read_text()).items() if key != "subjects"}
    card.write_text(json.dumps(nameless))
    with pytest.raises(FoldError, match="was trained on unnamed people of csv"):
        evaluate(of(data, "leak", method="", config=None, model=onnx))


def test_a_model_of_more_expressions_answers_among_those_of_the_protocol(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    method = build("cnn", {"width": 0.125}, EXPRESSIONS)
    save_method(tmp_path / "run" / "model.safetensors", "cnn", method, {"subjects": [], "alignment": "mesh"})
    evaluation = of(data, method="", config=None, model=tmp_path / "run", folds=2)
    evaluate(evaluation)
    answers = answers_of(evaluation)
    assert answers.expressions == WORDS
    np.testing.assert_allclose(answers.probabilities.sum(1), 1, rtol=1e-5)


def test_trained_here_tested_there(data: Path, tmp_path: Path) -> None:
    there = [write(tmp_path / f"{name}.parquet", rows("AB")[:-2], dataset=name) for name in ("kdef", "jaffe")]
    for each in there:
        assert each.is_file()
    evaluation = of(data, protocol="cross", test=tuple(map(str, there)))
    ended = evaluate(evaluation)
    assert [(fold["train_people"], fold["test_people"], fold["test_pictures"]) for fold in ended] == [(6, 4, 20)]
    answers = answers_of(evaluation)
    assert len(set(answers.names)) == 20 and {name.split("/")[0] for name in answers.names} == {"kdef", "jaffe"}
    assert facts_of(evaluation)["dataset"] == "kdef, jaffe"
    known = write(tmp_path / "known.parquet", rows("AZ"), dataset="csv")
    with pytest.raises(FoldError, match="csv/A"):
        evaluate(of(data, "other", protocol="cross", test=(str(known),)))
    with pytest.raises(ProtocolError, match="cross tests on other data: name it with --test"):
        evaluate(of(data, "other", protocol="cross"))
    with pytest.raises(ProtocolError, match="subjects divides DATA itself"):
        evaluate(of(data, "other", test=(str(known),)))


def test_wrong_settings_write_nothing(data: Path) -> None:
    with pytest.raises(ProtocolError, match="ckplus-7 is for ckplus"):
        evaluate(of(data, protocol="ckplus-7"))
    with pytest.raises(FoldError, match="9 folds of 6 people"):
        evaluate(of(data, folds=9))
    with pytest.raises(ValueError, match="branches must be among"):
        evaluate(of(data, method="derl", config=METHODS["derl"].Config(branches=(9,))))
    with pytest.raises(ValueError, match="keep belongs to `deadpan train`"):
        of(data, training=dataclasses.replace(TINY, keep="best"))
    with pytest.raises(ValueError, match="selection must be last or inner"):
        of(data, selection="test")
    assert not (data.parent / "out").exists()
