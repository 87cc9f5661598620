"""Scoring: what ships and what was trained are measured on the same pictures in the same way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from deadpan.cli.main import main
from deadpan.comparison.identity import Identity
from deadpan.comparison.neutral_faces import measure_neutral
from deadpan.evaluation.score import score
from deadpan.expressions import EXPRESSIONS
from deadpan.loading.batches import ordered
from deadpan.method import Batch, Prediction
from deadpan.metrics.measurement import measure, measure_method
from deadpan.metrics.neutral_faces import compare_faces
from deadpan.preparation.table import open_data
from deadpan.release.export import export
from deadpan.training.checkpoint import build, save_method


def test_a_perfect_and_a_copying_model(drawn: Path) -> None:
    table = open_data(str(drawn), None, 64)

    def perfect(batch: Batch) -> Prediction:
        return Prediction(batch.target * 20, batch.neutral)

    def copying(batch: Batch) -> Prediction:
        return Prediction(batch.target * 0, batch.image)

    best, copy = measure(perfect, table), measure(copying, table)
    assert best.classification.accuracy == 1
    assert best.generated.max() == 0
    assert 0.02 < best.copied.mean() < 0.5
    assert np.array_equal(copy.generated, copy.copied)
    assert "neutral L1 0.0000" in best.brief()
    neutral = table.classes == table.expressions.index("neutral")
    assert len(best.copied) <= len(table)
    assert copy.classification.accuracy == pytest.approx(neutral.mean())


def test_generated_faces_are_measured_beside_copying(drawn: Path) -> None:
    table = open_data(str(drawn), None, 64)
    torch.manual_seed(0)
    judge = Identity().eval()
    truth = measure_neutral(lambda batch: Prediction(batch.target, batch.neutral), table, judge)
    copy = measure_neutral(lambda batch: Prediction(batch.target, batch.image), table, judge)
    assert truth["expressive"]["pictures"] + truth["neutral"]["pictures"] == len(table)
    for kind in ("expressive", "neutral"):
        assert truth[kind]["l1"] == 0 and truth[kind]["ssim"] == pytest.approx(1) == truth[kind]["identity"]
        assert all(copy[kind][name] == copy[kind][f"copy_{name}"] for name in ("l1", "ssim", "identity"))
        assert all(copy[kind][f"copy_{name}"] == truth[kind][f"copy_{name}"] for name in ("l1", "ssim", "identity"))
    assert copy["expressive"]["l1"] > 5 * copy["neutral"]["l1"]
    assert copy["expressive"]["ssim"] < copy["neutral"]["ssim"]
    rows = torch.arange(4)
    batch = next(iter(ordered(table, 64)))[rows]
    half = (batch.image + batch.neutral) / 2
    found = compare_faces(batch.image, batch.neutral, half, judge.similarity, whole=True)
    assert found["l1"] == pytest.approx(found["copy_l1"] / 2, abs=1e-6)  # half of the way is left


def test_a_run_and_its_export_score_alike(drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    method = build("derl", {"width": 0.125}, EXPRESSIONS).eval()
    save_method(tmp_path / "model.safetensors", "derl", method, {"alignment": "mesh"})
    path, card_path = export(tmp_path, flip=False)
    out = tmp_path / "figures.json"
    of_run, of_file = score(tmp_path, [drawn]), score(path, [drawn])
    assert of_run.keys() == of_file.keys() == {drawn.name}
    run, file = of_run[drawn.name]["all"].summary(), of_file[drawn.name]["all"].summary()
    assert file["accuracy"] == pytest.approx(run["accuracy"], abs=1 / 32)
    assert file["neutral_l1"] == pytest.approx(run["neutral_l1"], abs=0.004)  # a grey level is 1 / 255
    assert main(["score", str(path), str(drawn), "--json", str(out)]) == 0
    figures = of_file[drawn.name]["all"].figures()
    assert json.loads(out.read_text()) == {drawn.name: {"all": figures}} and file.items() <= figures.items()
    printed = capsys.readouterr().out
    assert f"accuracy {file['accuracy']:.4f}" in printed
    assert f"calibration error {figures['calibration_error']:.4f}" in printed
    assert f"gap {figures['groups']['intensity']['gap']:.3f}" in printed
    assert json.loads(card_path.read_text())["parity"] < 1e-3


def test_the_oracle_is_measured_with_the_true_neutral_face(drawn: Path) -> None:
    method = build("oracle", {"width": 0.125}, EXPRESSIONS)
    table = open_data(str(drawn), None, 64)
    seen = []
    method.network.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))  # type: ignore[union-attr]
    measure_method(method, table, torch.device("cpu"))
    assert seen[0].shape[1] == 6
    assert seen[0][:, 3:].abs().max() > 0.1
