"""The committed recipes call deadpan with flags that exist, and spend the budget that they promise."""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
from pathlib import Path

import pytest

from deadpan.loading.augmentation import Augmentation
from deadpan.methods import METHODS
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
