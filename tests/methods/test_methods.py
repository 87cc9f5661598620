"""The contract that every method keeps, whatever it is called."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from deadpan.expressions import EXPRESSIONS
from deadpan.methods import METHODS
from deadpan.release.export import TOLERANCE
from deadpan.release.onnx_file import to_onnx
from deadpan.training import checkpoint
from tests.support.methods import make_batch, small

NAMES = list(METHODS)


@pytest.mark.parametrize("name", NAMES)
def test_training_is_finite_and_moves_every_parameter(name: str) -> None:
    method = small(name)
    before = copy.deepcopy(method.state_dict())
    batch = make_batch(method.config.image_size)
    for stage in method.stages():
        for _ in range(2):
            logged = stage.step(batch)
            assert logged, f"{stage.name} logs nothing"
            assert all(torch.isfinite(value) and value.ndim == 0 for value in logged.values())
    still = [key for key, parameter in method.named_parameters() if torch.equal(parameter, before[key])]
    assert not still


@pytest.mark.parametrize("name", NAMES)
def test_training_takes_batches_without_any_pair(name: str) -> None:
    method = small(name)
    batch = make_batch(method.config.image_size)
    lone = dataclasses.replace(batch, paired=torch.zeros_like(batch.paired), neutral=batch.image)
    for stage in method.stages():
        if stage.rows == "all":
            assert all(torch.isfinite(value) for value in stage.step(lone).values())


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_range(name: str) -> None:
    method = small(name).eval()
    size = method.config.image_size
    batch = make_batch(size, 3)
    for prediction in (method(batch.image), method.predict(batch)):
        assert prediction.logits.shape == (3, len(EXPRESSIONS))
        assert prediction.neutral.shape == (3, 3, size, size)
        assert prediction.neutral.abs().max() <= 1
    if not method.generates:
        assert torch.equal(method(batch.image).neutral, batch.image)


@pytest.mark.parametrize("name", NAMES)
def test_prediction_of_a_face_does_not_depend_on_its_company(name: str) -> None:
    method = small(name).eval()
    image = make_batch(method.config.image_size).image
    together, alone = method(image), method(image[2:3])
    assert torch.allclose(together.logits[2:3], alone.logits, atol=1e-4)
    assert torch.allclose(together.neutral[2:3], alone.neutral, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_round_trip(name: str, tmp_path: Path) -> None:
    method = small(name).eval()
    checkpoint.save_method(tmp_path / "model.safetensors", name, method, {"subjects": ["a"]})
    back, facts = checkpoint.load_method(tmp_path)
    image = make_batch(method.config.image_size).image
    assert torch.equal(back(image).logits, method(image).logits)
    assert facts["subjects"] == ["a"]
    assert back.config == method.config
    assert back.expressions == EXPRESSIONS


@pytest.mark.parametrize("name", NAMES)
def test_exports_to_onnx_with_parity_and_any_batch_size(name: str) -> None:
    method = small(name).eval()
    session = onnxruntime.InferenceSession(to_onnx(method, method.config.image_size).SerializeToString())
    for count in (1, 5):
        image = make_batch(method.config.image_size, count).image
        logits, neutral = session.run(["logits", "neutral"], {"image": image.numpy()})
        expected = method(image)
        assert np.abs(logits - expected.logits.detach().numpy()).max() < TOLERANCE
        assert np.abs(neutral - expected.neutral.detach().numpy()).max() < TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_a_method_has_at_most_15_settings(name: str) -> None:
    assert dataclasses.is_dataclass(METHODS[name].Config)
    settings = {field.name for field in dataclasses.fields(METHODS[name].Config)}
    assert settings >= {"image_size", "width"}
    assert len(settings) <= 15


def test_unknown_names_are_refused_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown method 'dreal'; known are deadpan, derl, dgcn, "):
        checkpoint.build("dreal", {}, EXPRESSIONS)
    with pytest.raises(ValueError, match=r"derl has no setting 'tetha'; its settings are image_size, width"):
        checkpoint.build("derl", {"tetha": 1}, EXPRESSIONS)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(checkpoint.CheckpointError, match="does not exist"):
        checkpoint.load_method(path)
    path.write_bytes(b"not safetensors")
    with pytest.raises(checkpoint.CheckpointError, match="cannot be read"):
        checkpoint.load_method(path)
