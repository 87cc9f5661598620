"""The training loop: what it writes, what it refuses, and that a stopped run ends like one that was not stopped."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import onnx
import pytest
import torch

from deadpan.cli.main import main
from deadpan.datasets import DATASETS
from deadpan.files import OutputError
from deadpan.loading.augmentation import Augmentation
from deadpan.methods import METHODS
from deadpan.methods.schedules import cosine, one_cycle
from deadpan.models import card
from deadpan.prediction.predictor import Predictor
from deadpan.release.export import export
from deadpan.training import loop
from deadpan.training.checkpoint import CheckpointError, build, load_method, read_tensors
from deadpan.training.config import TrainingConfig
from deadpan.training.loop import stage_weights
from deadpan.training.run_folder import forget_after
from deadpan.training.start import begin_from
from deadpan.training.train import train
from tests.support.prepared_files import row, write

TINY = TrainingConfig(batch_size=8, threads=1, sheet_every=1, precision="32-true", pictures_per_epoch=24)
NAMES = list(METHODS)


def tiny(name: str) -> object:
    """A small config with two epochs in each stage, whatever the method calls them."""
    config = METHODS[name].Config
    epochs = {field.name: 2 for field in dataclasses.fields(config) if field.name.endswith("epochs")}
    return config(image_size=64, width=0.125, **epochs)


def stop_after(monkeypatch: pytest.MonkeyPatch, stop: int) -> None:
    """Interrupt the training that runs next when its `stop`-th epoch is done."""
    epochs, calls = loop.run_epoch, 0

    def stopping(*arguments: object) -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls > stop:
            raise KeyboardInterrupt
        return epochs(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "run_epoch", stopping)


@pytest.mark.parametrize("name", NAMES)
def test_a_stopped_run_ends_like_a_straight_one(
    name: str, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, _ = load_method(train(name, tiny(name), [str(drawn)], tmp_path / "straight", TINY))
    for stop in range(1, sum(stage.epochs for stage in straight.stages())):
        out = tmp_path / f"stopped-{stop}"
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            stop_after(patch, stop)
            train(name, tiny(name), [str(drawn)], out, TINY)
        resumed, _ = load_method(train(name, tiny(name), [str(drawn)], out, TINY, resume=True))
        for key, value in straight.state_dict().items():
            assert torch.equal(resumed.state_dict()[key], value), f"{key} differs after a stop at epoch {stop}"


@pytest.mark.parametrize("best", [1, 2, 3])
def test_the_best_epoch_is_kept_also_by_a_stopped_run(
    best: int, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation accuracies are given: the best of four epochs is `best`, and the later of equals counts."""
    config = dataclasses.replace(tiny("cnn"), epochs=4)  # type: ignore[type-var]
    keeping = dataclasses.replace(TINY, keep="best", averaging=0.5)
    held: list[dict[str, torch.Tensor]] = []

    def validate(run: loop.Run, _stage: object, epoch: int, *_: object) -> dict[str, object]:
        held[epoch:] = [{key: value.clone() for key, value in run.method.network.state_dict().items()}]  # type: ignore[union-attr]
        accuracy = 0.8 if epoch + 1 in (1, best) else 0.5
        return {"validation": {str(drawn): {"accuracy": accuracy}}}

    monkeypatch.setattr(loop, "validate", validate)
    for stop in (0, 1, 2, 3):
        out = tmp_path / f"stopped-{stop}"
        if stop:
            with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
                stop_after(patch, stop)
                train("cnn", config, [str(drawn)], out, keeping, validation=[str(drawn)])
        method, facts = load_method(
            train("cnn", config, [str(drawn)], out, keeping, validation=[str(drawn)], resume=stop > 0)
        )
        assert facts["kept"] == {"stage": "network", "epoch": best, "accuracy": 0.8}
        assert not (out / "best.safetensors").exists()
        for key, value in method.network.state_dict().items():  # type: ignore[union-attr]
            assert torch.equal(value, held[best - 1][key].contiguous()), f"{key} after a stop at epoch {stop}"


def test_the_best_epoch_needs_validation_data(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keeping the best epoch needs a validation file"):
        train("cnn", tiny("cnn"), [str(drawn)], tmp_path / "run", dataclasses.replace(TINY, keep="best"))


def test_a_killed_run_goes_on(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    flags = ["--width", "0.125", "--epochs", "40", "--batch-size", "8", "--pictures-per-epoch", "24", "--threads", "1"]
    command = [sys.executable, "-m", "deadpan", "train", "cnn", "--data", str(drawn), "--out", str(out), *flags]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 300
    while not (out / "state.safetensors").exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    process.wait()
    _, facts = read_tensors(out / "state.safetensors")
    assert 0 < facts["epoch"] < 40
    assert subprocess.run([*command, "--resume"], stderr=subprocess.DEVNULL).returncode == 0
    assert load_method(out)[0].expressions
    logged = [json.loads(line)["epoch"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert logged == list(range(1, 41))


def test_a_run_leaves_log_sheets_config_and_a_model_that_predicts(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train("derl", tiny("derl"), [str(drawn)], out, TINY, validation=[str(drawn)])
    entries = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [(entry["stage"], entry["epoch"]) for entry in entries] == [
        ("generator", 1),
        ("generator", 2),
        ("classifier", 1),
        ("classifier", 2),
        ("joint", 1),
        ("joint", 2),
    ]
    assert {"l1", "copy_l1", "loss_d", "learning_rate"} <= set(entries[0])
    assert entries[0]["pictures"] == 24
    assert entries[-1]["validation"][str(drawn)]["pictures"] == 32
    assert (out / "sheets" / f"generator-002-{drawn.stem}.png").stat().st_size > 1000
    assert not (out / "state.safetensors").exists()
    assert json.loads((out / "config.json").read_text())["training"]["batch_size"] == 8

    path, card_path = export(out, metrics={"note": 1})
    card = json.loads(card_path.read_text())
    assert card["method"] == "derl"
    assert card["data"][0]["dataset"] == "synthetic"
    assert card["recipe"].startswith("deadpan train derl --data")
    assert str(tmp_path) not in card_path.read_text()
    assert Predictor(path).expressions == load_method(out)[0].expressions


def test_a_folder_with_another_run_is_refused(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train("cnn", tiny("cnn"), [str(drawn)], out, TINY)
    with pytest.raises(ValueError, match="holds a run already; continue it with --resume"):
        train("cnn", tiny("cnn"), [str(drawn)], out, TINY)
    with pytest.raises(OutputError, match=r"--seed 0 \(now 1\), --augment.flip 0.5 \(now 0.0\); repeat"):
        other, still = dataclasses.replace(TINY, seed=1), Augmentation(flip=0.0)
        train("cnn", tiny("cnn"), [str(drawn)], out, other, augmentation=still, resume=True)


def test_a_start_that_failed_does_not_block_its_folder(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run whose first epoch came to no end nothing is kept: other settings may take its folder."""
    out, data = tmp_path / "run", [str(drawn)]
    for stop in (FloatingPointError("nan"), KeyboardInterrupt(), OSError(28, "No space left on device")):
        with monkeypatch.context() as patch, pytest.raises(type(stop)):
            patch.setattr(loop, "run_epoch", Mock(side_effect=stop))
            train("cnn", tiny("cnn"), data, out, TINY)
        assert (out / "config.json").exists()
    train("cnn", tiny("cnn"), data, out, dataclasses.replace(TINY, seed=1))
    assert json.loads((out / "config.json").read_text())["training"]["seed"] == 1
    assert load_method(out)[1]["recipe"]["training"]["seed"] == 1


def test_a_run_that_is_not_there_cannot_go_on(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"there is no run in .* to continue"):
        train("cnn", tiny("cnn"), [str(drawn)], tmp_path / "run", TINY, resume=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("config.json", '{"compilerOptions": {}}', "was not written by this command"),
        ("config.json", "[]", "was not written by this command"),
        ("config.json", "no JSON", "was not written by this command"),
        ("log.jsonl", "mine\n", "holds log.jsonl but no config.json"),
        ("model.safetensors", "mine", "holds model.safetensors but no config.json"),
    ],
)
@pytest.mark.parametrize("resume", [False, True])
def test_files_of_the_user_are_no_run(
    name: str, text: str, message: str, resume: bool, drawn: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(OutputError, match="no run in" if resume and name != "config.json" else message):
        train("cnn", tiny("cnn"), [str(drawn)], tmp_path, TINY, resume=resume)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, text)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_an_accelerator_that_is_not_there(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert main(["train", "cnn", "--data", str(drawn), "--out", str(out), "--accelerator", "cuda"]) == 2
    said = capsys.readouterr().err
    assert "finds no accelerator cuda on this machine; use auto or cpu" in said and said.count("\n") == 1
    assert not out.exists()


def test_a_run_begins_from_another_and_leaves_stages_of_no_epochs(drawn: Path, tmp_path: Path) -> None:
    first = METHODS["derl"].Config(width=0.125, generator_epochs=1, classifier_epochs=0)
    train("derl", first, [str(drawn)], tmp_path / "generator", TINY)
    second = METHODS["derl"].Config(width=0.125, generator_epochs=0, classifier_epochs=1)
    train("derl", second, [str(drawn)], tmp_path / "run", TINY, start=tmp_path / "generator")
    (before, _), (after, facts) = load_method(tmp_path / "generator"), load_method(tmp_path / "run")
    for key, value in before.state_dict().items():
        if key.startswith("generator."):
            assert torch.equal(after.state_dict()[key], value)
    assert facts["command"].count("deadpan train derl") == 2
    assert "--start generator" in facts["command"]
    assert facts["subjects"] == ["synthetic/makehuman-0-00000", "synthetic/makehuman-0-00001"]
    other = METHODS["derl"].Config(width=0.25)
    with pytest.raises(ValueError, match="use the same method, width and image size"):
        train("derl", other, [str(drawn)], tmp_path / "other", TINY, start=tmp_path / "generator")


def test_a_run_begins_from_an_exported_model(drawn: Path, tmp_path: Path) -> None:
    config = METHODS["deadpan"].Config(width=0.2, epochs=1)
    train("deadpan", config, [str(drawn)], tmp_path / "run", TINY)
    network, _ = export(tmp_path / "run", tmp_path / "model.onnx")
    before = load_method(tmp_path / "run")[0]
    after = build("deadpan", dataclasses.asdict(config), before.expressions)
    begin_from(after, network)
    for key, value in before.state_dict().items():
        if value.is_floating_point():
            assert torch.allclose(after.state_dict()[key], value, rtol=1e-3, atol=1e-6), key  # 16 bits
    train("deadpan", config, [str(drawn)], tmp_path / "heir", TINY, start=network)
    _, facts = load_method(tmp_path / "heir")
    assert facts["command"].count("deadpan train deadpan") == 2
    assert "--start model.onnx" in facts["command"]
    assert facts["subjects"] == ["synthetic/makehuman-0-00000", "synthetic/makehuman-0-00001"]
    (tmp_path / "foreign.onnx").write_bytes(b"no network")
    with pytest.raises(CheckpointError, match=r"foreign\.onnx cannot be read as a model"):
        begin_from(after, tmp_path / "foreign.onnx")
    model = onnx.load(network)
    kept = [each for each in model.graph.initializer if "network.trunk.stem" not in each.name]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    (tmp_path / "part.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match=r"does not hold network\.trunk\.stem\.weight; export the run again"):
        begin_from(after, tmp_path / "part.onnx")


def test_a_run_begins_from_a_released_model_by_its_name(drawn: Path, tmp_path: Path) -> None:
    config = METHODS["deadpan"].Config(**{**card("default")["config"], "epochs": 1})
    train("deadpan", config, [str(drawn)], tmp_path / "run", TINY, start="default")
    _, facts = load_method(tmp_path / "run")
    assert facts["command"].startswith(card("default")["recipe"])
    assert set(card("default")["subjects"]) < set(facts["subjects"])
    assert facts["recipe"]["start"] == "default" and "--start default " in facts["command"]
    plain = METHODS["cnn"].Config(**{**card("cnn")["config"], "image_size": 64})
    for start, message in (("cnn", "its card has no subjects"), ("defualt", "no run or model defualt.*default")):
        with pytest.raises(CheckpointError, match=message):
            train("cnn", plain, [str(drawn)], tmp_path / "other", TINY, start=start)
    assert not (tmp_path / "other").exists()
    with pytest.raises(CheckpointError, match=r"expressions neutral, anger, .*, this training has neutral, fear"):
        words = ["neutral", "fear"]
        train("deadpan", config, [str(drawn)], tmp_path / "other", TINY, start="default", expressions=words)


def test_the_terms_of_every_file_of_a_composite_reach_run_heir_and_card(tmp_path: Path) -> None:
    made = [row(n, "fear", twin=True, subject="A", donor=donor) for n, donor in enumerate(["kdef/A", "kdef/B", ""])]
    sources = ["csv/own.parquet", "kdef/donors.parquet", "ferplus/more.parquet"]
    pairs = write(tmp_path / "pairs.parquet", made, dataset="csv", composed={"of": sources})
    plain = write(tmp_path / "plain.parquet", [row(n, "fear", subject="Q") for n in range(2)], dataset="csv")
    config = METHODS["cnn"].Config(image_size=64, width=0.125, epochs=1)
    train("cnn", config, [str(pairs), str(plain)], tmp_path / "run", TINY)
    terms = {name: DATASETS[name].facts.terms for name in ("csv", "kdef", "ferplus")}
    expected = [
        {"dataset": "csv", "file": "pairs.parquet", "pictures": 3, "people": 1, "terms": terms["csv"]},
        {"dataset": "kdef", "file": "pairs.parquet", "pictures": 2, "people": 2, "terms": terms["kdef"]},
        {"dataset": "ferplus", "file": "pairs.parquet", "pictures": 0, "people": None, "terms": terms["ferplus"]},
        {"dataset": "csv", "file": "plain.parquet", "pictures": 2, "people": 1, "terms": terms["csv"]},
    ]
    _, facts = load_method(tmp_path / "run")
    assert facts["data"] == expected and facts["subjects"] == ["csv/A", "csv/Q", "kdef/A", "kdef/B"]
    assert json.loads(export(tmp_path / "run", flip=False)[1].read_text())["data"] == expected
    namesake = write(tmp_path / "other" / "pairs.parquet", made[2:], dataset="csv")
    train("cnn", config, [str(namesake)], tmp_path / "heir", TINY, start=tmp_path / "run")
    _, facts = load_method(tmp_path / "heir")
    assert {(each["dataset"], each["terms"]) for each in facts["data"]} == set(terms.items())


def test_a_loss_that_is_no_number_stops_the_run(drawn: Path, tmp_path: Path) -> None:
    config = METHODS["cnn"].Config(width=0.125, epochs=3, rate=1e18)
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        train("cnn", config, [str(drawn)], tmp_path / "run", TINY)


def test_wrong_settings_leave_no_run_behind(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(ValueError, match="branches must be among"):
        train("derl", METHODS["derl"].Config(branches=(9,)), [str(drawn)], out, TINY)
    with pytest.raises(ValueError, match="does not exist"):
        train("cnn", tiny("cnn"), [str(drawn)], out, TINY, validation=["none.parquet"])
    assert not out.exists()
    with pytest.raises(ValueError, match="sheet_every must be at least 1; got 0"):
        TrainingConfig(sheet_every=0)
    with pytest.raises(ValueError, match="averaging must be at least 0 and at most 1; got 7"):
        TrainingConfig(averaging=7)


def test_epochs_logged_after_the_last_checkpoint_are_forgotten(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"epoch": 1}\n{"epoch": 2}\n{"epo')
    forget_after(tmp_path, {"logged": 1})
    assert log.read_text() == '{"epoch": 1}\n'


def test_schedules() -> None:
    assert cosine(0.0) == 1
    assert cosine(1.0) == pytest.approx(0)
    assert one_cycle(0.0) == pytest.approx(0.04)
    assert one_cycle(0.3) == pytest.approx(1)
    assert one_cycle(1.0) == pytest.approx(0)


def test_weights_are_per_stage_and_the_last_group_holds_on() -> None:
    assert stage_weights((), 2, 0) is None
    assert stage_weights((0.5, 0.5), 2, 1) == [0.5, 0.5]
    assert stage_weights((1.0, 0.0, 0.2, 0.8), 2, 1) == [0.2, 0.8]
    with pytest.raises(ValueError, match="one share for each of the 2 data files; got 3"):
        stage_weights((1, 2, 3), 2, 0)
