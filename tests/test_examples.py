"""Every script in examples/ runs as its docstring says."""

from __future__ import annotations

import csv
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from deadpan.expressions import EXPRESSIONS
from deadpan.models import released
from tests.support.methods import make_batch

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.mark.skipif("derl" not in released(), reason="no released model yet")
def test_reading_a_photograph(girl: Path) -> None:
    script = EXAMPLES / "read_a_photograph.py"
    done = subprocess.run([sys.executable, str(script), str(girl), "none.jpg"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert "residue" in first
    assert second.startswith("none.jpg: ")


def test_the_demo_says_which_answers_are_right(photos: list[Path], tmp_path: Path) -> None:
    with (EXAMPLES / "photos" / "truth.csv").open(encoding="utf-8") as file:
        truth = {row["photograph"]: row for row in csv.DictReader(file)}
    assert sorted(truth) == [path.name for path in sorted(photos)]
    command = [sys.executable, str(EXAMPLES / "demo.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    answers = {line[0]: line[1:] for line in lines if line and line[0] in truth}
    assert set(answers) == set(truth)
    for name, (shows, answer, _, *verdict) in answers.items():
        assert shows == truth[name]["shows"] and shows in name
        assert verdict == ([] if answer == shows else ["<-", "wrong"])
    right = sum(shows == answer for shows, answer, *_ in answers.values())
    assert f"{right} of 13 answers are right" in done.stdout
    for row in truth.values():
        assert not row["hard"] or f"{row['photograph']}: {row['hard']}" in done.stdout
    assert len(list(tmp_path.glob("*.panel.png"))) == 13


@pytest.mark.skipif("derl" not in released(), reason="needs the released model")
def test_the_notebook_about_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))  # the kernel starts in another folder
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    client = pytest.importorskip("nbclient", reason="the package nbclient is not installed")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(EXAMPLES / "folder.ipynb", as_version=4)
    assert all(cell.get("outputs", []) == [] for cell in notebook.cells), "clear the outputs before you commit"
    client.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    table, counts, plot, uncertain, face = (
        cell.outputs[-1].data for cell in notebook.cells if cell.cell_type == "code"
    )
    assert "<table>" in table["text/html"] and "girl_happiness.png" in table["text/html"] and "image/png" in table
    assert "happiness" in counts["text/html"] and "confidence" in uncertain["text/html"]
    assert "image/png" in face and "Figure" in plot["text/plain"]


def test_adding_a_method(drawn: Path, tmp_path: Path) -> None:
    script = EXAMPLES / "add_a_method.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "out"), str(drawn)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == f"{tmp_path / 'out' / 'run' / 'beside.onnx'} and beside.json"
    assert second.startswith("girl_happiness.png: ") and float(second.split()[-1]) > 0


def test_the_added_method_keeps_the_contract() -> None:
    spec = importlib.util.spec_from_file_location("add_a_method", EXAMPLES / "add_a_method.py")
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = example
    spec.loader.exec_module(example)
    method = example.Beside(example.BesideConfig(width=0.25), EXPRESSIONS)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    (stage,) = method.stages()
    for _ in range(2):
        assert all(torch.isfinite(value) for value in stage.step(make_batch(64)).values())
    assert all(not torch.equal(before[name], value) for name, value in method.named_parameters())
