"""The committed recipes call deadpan with flags that exist, and spend the budget that they promise."""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import deadpan
from deadpan.expressions import EXPRESSIONS
from deadpan.loading.augmentation import Augmentation
from deadpan.methods import METHODS
from deadpan.methods.deadpan import Network
from deadpan.onnx_runtime import open_session
from deadpan.training.checkpoint import build, load_method, save_method
from deadpan.training.config import TrainingConfig

RECIPES = Path(__file__).parent.parent / "recipes"
NAMES = [name for name in METHODS if name != "oracle"]


def called_with(tmp_path: Path, *arguments: str) -> list[str]:
    """What the recipe hands to `deadpan`."""
    stub = tmp_path / "deadpan"
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stub.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(RECIPES / "methods.sh"), *arguments], capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("size", ["small", "paper"])
@pytest.mark.parametrize("name", NAMES)
def test_every_flag_exists_and_the_budget_is_spent(name: str, size: str, tmp_path: Path) -> None:
    tokens = called_with(tmp_path, name, size, "run", "people.parquet", "faces.parquet@train")
    assert tokens[:2] == ["train", name]
    settings = {field.name for field in dataclasses.fields(METHODS[name].Config)}
    known = {"data", "out", "resume"} | settings | {field.name for field in dataclasses.fields(TrainingConfig)}
    known |= {f"augment.{field.name}" for field in dataclasses.fields(Augmentation)}
    flags = [token[2:].replace("-", "_") for token in tokens if token.startswith("--")]
    assert set(flags) <= known
    given = dict(itertools.pairwise(tokens))
    epochs = {name for name in settings if name == "epochs" or name.endswith("_epochs")}
    spent = sum(int(given.get("--" + name.replace("_", "-"), 0)) for name in epochs)
    assert spent == (30 if size == "small" else 200)
    assert given["--data"] == "people.parquet"


def test_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert "--resume" in called_with(tmp_path, "cnn", "small", str(tmp_path / "run"), "people.parquet")


def test_wrong_use_prints_how_it_is_used(tmp_path: Path) -> None:
    for arguments in ([], ["cnn", "huge", "run", "people.parquet"], ["cmm", "small", "run", "people.parquet"]):
        done = subprocess.run([str(RECIPES / "methods.sh"), *arguments], capture_output=True, text=True)
        assert done.returncode == 2 and "recipes/methods.sh METHOD small|paper" in done.stdout


@pytest.mark.parametrize("name", ["derl", "dgcn", "degan", "errnet"])
def test_the_papers_methods_are_trained_with_flags_that_exist(name: str, tmp_path: Path) -> None:
    for stub in (tmp_path / "deadpan", tmp_path / "python"):
        stub.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n')
        stub.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    words = [str(RECIPES / "papers.sh"), name, str(tmp_path), str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.returncode == 0, done.stderr
    called = [line.split() for line in (tmp_path / "called").read_text().splitlines()]
    measured = str(RECIPES / ".." / "benchmarks" / "relaxed.py")
    assert [tokens[0] for tokens in called] == ["train", "export", "score", measured, "export"]
    assert called[0][1] == name
    flags = {token[2:].replace("-", "_") for token in called[0] if token.startswith("--")}
    settings = {*dataclasses.fields(METHODS[name].Config), *dataclasses.fields(TrainingConfig)}
    known = {field.name for field in settings} | {"data", "out", "validation"}
    assert flags <= known | {f"augment.{field.name}" for field in dataclasses.fields(Augmentation)}


@pytest.mark.parametrize("stopped", [False, True])
def test_default_and_small_are_trained_with_flags_that_exist(stopped: bool, tmp_path: Path) -> None:
    (tmp_path / "london").mkdir()
    for person in ("006", "007", "010"):
        (tmp_path / "london" / f"{person}_neutral.jpg").touch()
    for stub in (tmp_path / "deadpan", tmp_path / "python"):
        stub.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n')
        stub.chmod(0o755)
    out = tmp_path / "out"
    (out / "warm").mkdir(parents=True)
    (out / "warm" / "model.safetensors").touch()
    if stopped:
        (out / "soft").mkdir()
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    london = str(tmp_path / "london")
    words = [str(RECIPES / "default.sh"), "ferplus.parquet", "news.parquet", "ict.npz", london, str(out)]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.returncode == 0, done.stderr
    called = [line.split() for line in (tmp_path / "called").read_text().splitlines()]
    made = ["prepare"] * 4 + ["synthesize"] * 2 + ["prepare"] * 2 + ["synthesize", "prepare", "compose"]
    measured = str(RECIPES / ".." / "benchmarks" / "relaxed.py")
    averaged, narrowed = str(RECIPES / "average.py"), str(RECIPES / "narrow.py")
    studio = 4 * ["prepare", "train", averaged, "export"]  # of `default`, and of those without a third of the people
    small = [narrowed, "train", "export"]
    released = 2 * ["score", measured, "export"]
    assert [words[0] for words in called] == [*made, *["train"] * 5, averaged, *studio, *small, *released]
    people = [
        sorted(path.name for path in (out / name).iterdir()) for name in ("studio", "third-0", "third-1", "third-2")
    ]
    assert people == [
        ["007_03.jpg", "007_08.jpg", "010_03.jpg", "010_08.jpg"],
        ["006_03.jpg", "006_08.jpg", "007_03.jpg", "007_08.jpg"],
        ["007_03.jpg", "007_08.jpg", "010_03.jpg", "010_08.jpg"],
        ["006_03.jpg", "006_08.jpg", "010_03.jpg", "010_08.jpg"],
    ]
    trainings = [tokens for tokens in called if tokens[0] == "train"]
    assert ["--resume" in tokens for tokens in trainings] == [stopped, *[False] * 9]
    settings = {*dataclasses.fields(METHODS["deadpan"].Config), *dataclasses.fields(TrainingConfig)}
    known = {field.name for field in settings} | {"data", "out", "start", "validation", "resume"}
    known |= {f"augment.{field.name}" for field in dataclasses.fields(Augmentation)}
    for tokens in trainings:
        flags = [token[2:].replace("-", "_") for token in tokens if token.startswith("--")]
        assert set(flags) <= known and len(set(flags)) == len(flags)


def test_the_plain_network_reads_the_same_as_the_trunk_that_starts_from_it(tmp_path: Path) -> None:
    cnn = Path(deadpan.__file__).parent / "models" / "cnn.onnx"
    words = [sys.executable, str(RECIPES / "warm_start.py"), str(cnn), str(tmp_path)]
    subprocess.run(words, check=True, env={**os.environ, "PYTHONPATH": str(RECIPES.parent)})
    method, facts = load_method(tmp_path)
    assert "warm_start.py cnn.onnx" in facts["command"]
    network = method.network
    assert isinstance(network, Network)
    image = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1
    shares = torch.zeros(2, len(EXPRESSIONS))
    for pixels in (image, image.flip(3)):
        with torch.no_grad():
            features = network.norm(network.trunk(pixels)[-1]).mean((2, 3))  # (2, C)
            *_, last = network.classify.children()
            assert isinstance(last, nn.Linear)
            logits = features @ last.weight[:, : features.shape[1]].T + last.bias
        shares += logits.softmax(1) / 2
    answer = open_session(cnn, rearrange=True).run(["logits"], {"image": image.numpy()})[0]
    assert torch.allclose(torch.from_numpy(answer).softmax(1), shares, atol=1e-4)


def test_a_narrow_network_keeps_channels_of_the_wide_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    wide = build("deadpan", {"width": 0.4}, EXPRESSIONS)
    for name, value in wide.state_dict().items():
        if name.endswith(".weight") and value.dim() == 1:
            value.uniform_(0.5, 1.5)
    facts = {"command": "deadpan train deadpan", "data": [], "subjects": ["csv/A"]}
    save_method(tmp_path / "wide" / "model.safetensors", "deadpan", wide, facts)
    for width in ("0.4", "0.2"):
        words = [sys.executable, str(RECIPES / "narrow.py"), str(tmp_path / "wide"), str(tmp_path / width), width]
        subprocess.run(words, check=True, env={**os.environ, "PYTHONPATH": str(RECIPES.parent)})
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    same, _ = load_method(tmp_path / "0.4")
    assert torch.equal(same(image).logits, wide.eval()(image).logits)
    narrow, facts = load_method(tmp_path / "0.2")
    assert facts["command"] == "deadpan train deadpan; python recipes/narrow.py wide 0.2 0.2"
    assert facts["subjects"] == ["csv/A"]
    before, after = wide.state_dict(), narrow.state_dict()
    wide_rows, rows = ({*map(tuple, each["network.trunk.stem.weight"].flatten(1).tolist())} for each in (before, after))
    assert len(rows) == 8 and rows < wide_rows
    factors = before["network.norm.0.weight"].tolist()
    kept = [factors.index(value) for value in after["network.norm.0.weight"].tolist()]
    assert len(kept) == 64 and kept == sorted(kept)
    columns = before["network.classify.1.weight"][:, kept]
    assert torch.equal(after["network.classify.1.weight"][:, :64], columns)


@pytest.mark.parametrize("share", [0.5, 0.75])
def test_the_average_of_two_runs(share: float, tmp_path: Path) -> None:
    facts = {"command": "deadpan train deadpan", "data": [], "subjects": ["csv/A"], "prior": {"neutral": 1.0}}
    runs = []
    for seed, name in enumerate(("before", "after")):
        torch.manual_seed(seed)
        runs.append(build("deadpan", {"width": 0.2}, EXPRESSIONS))
        save_method(tmp_path / name / "model.safetensors", "deadpan", runs[-1], facts)
    words = [
        sys.executable,
        str(RECIPES / "average.py"),
        *(str(tmp_path / name) for name in ("before", "after", "out")),
        f"--share={share}",
    ]
    subprocess.run(words, check=True, env={**os.environ, "PYTHONPATH": str(RECIPES.parent)})
    method, found = load_method(tmp_path / "out")
    name = "network.trunk.stem.weight"
    mean = (1 - share) * runs[0].state_dict()[name] + share * runs[1].state_dict()[name]
    assert torch.allclose(method.state_dict()[name], mean)
    assert found["command"] == f"deadpan train deadpan; python recipes/average.py before after out --share {share}"
    assert found["prior"] == {"neutral": 1.0} and found["subjects"] == ["csv/A"]
