"""The contract that every method keeps, whatever it is called."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from deadpan.expressions import EXPRESSIONS
from deadpan.method import Method
from deadpan.methods import METHODS
from deadpan.methods.layers import Change, DeadZone
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


CHANGING = [(name, {} if name in ("degan", "errnet") else {"residual_output": True}) for name in NAMES]
CHANGING = [(name, config) for name, config in CHANGING if METHODS[name].generates]


def test_the_dead_zone_by_hand() -> None:
    change = torch.zeros(1, 3, 64, 64)
    change[:, 0, 32, 32] = 81 * 3 * 0.045  # the mean of all within 4 pixels, over three channels, is 0.045
    change[:, :, 4:20, 4:20] = -0.07
    change[:, :, 50:, 50:] = 0.02
    zone = DeadZone(0.03)
    assert torch.equal(zone(change), change)  # in training
    left = zone.eval()(change)
    assert left[0, 0, 32, 32] == pytest.approx(81 * 3 * 0.045 / 2, rel=1e-4)
    assert torch.equal(left[:, :, 8:16, 8:16], change[:, :, 8:16, 8:16])
    assert not left[:, :, 50:, 50:].any()
    assert torch.equal(DeadZone(0).eval()(change), change)
    with pytest.raises(ValueError, match=r"dead_zone must be at least 0 and below 1; got 1\.5"):
        DeadZone(1.5)


@pytest.mark.parametrize(("name", "config"), CHANGING)
def test_a_dead_zone_leaves_quiet_regions_of_neutral_faces_alone(name: str, config: dict[str, bool]) -> None:
    image = make_batch(64).image * 0.5

    def changed_by(width: float) -> tuple[Method, torch.Tensor]:
        method = small(name, **config, image_size=64, dead_zone=width).eval()
        for key, parameter in method.named_parameters():
            if parameter.ndim == 4 and not parameter.any():  # the last layer, which starts from no change
                torch.nn.init.normal_(parameter, std=0.02, generator=torch.Generator().manual_seed(len(key)))
        return method, (method(image).neutral - image).detach()

    _, change = changed_by(0)
    width = change.abs().mean().item() / 1.5
    method, left = changed_by(width)
    assert (image + change).abs().max() < 1  # nothing is clipped
    expected = DeadZone(width).eval()(change)
    assert expected.abs().sum() < 0.95 * change.abs().sum()
    assert torch.allclose(left, expected, atol=1e-5)
    session = onnxruntime.InferenceSession(to_onnx(method, 64).SerializeToString())
    (exported,) = session.run(["neutral"], {"image": image.numpy()})
    assert np.abs(exported - (image + left).numpy()).max() < TOLERANCE


def test_a_masked_change_by_hand() -> None:
    drawn = torch.full((1, 4, 64, 64), 0.5)
    drawn[:, 3, :, :32] = -1.0
    plain, masked = Change(False, 0.0), Change(True, 0.0)
    assert (plain.channels, masked.channels) == (3, 4)
    assert torch.allclose(plain(drawn[:, :3]), torch.tensor(2 * math.tanh(0.5)))
    half = masked(drawn)
    assert half.shape == (1, 3, 64, 64)
    assert torch.allclose(half[..., :32], torch.tensor(2 * math.tanh(0.5) / (1 + math.e)))
    assert torch.allclose(half[..., 32:], torch.tensor(2 * math.tanh(0.5) / (1 + math.exp(-0.5))))


@pytest.mark.parametrize(("name", "config"), CHANGING)
def test_a_closed_mask_leaves_the_face_alone_and_an_open_one_does_not(name: str, config: dict[str, bool]) -> None:
    method = small(name, **config, image_size=64, change_mask=True).eval()
    (last,) = (
        module
        for module in method.modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and module.bias is not None and len(module.bias) == 4
    )
    image = make_batch(64).image * 0.4
    with torch.no_grad():
        last.bias[:3] = 0.3  # type: ignore[index]
        for open_to, expected in ((-30.0, 0.0), (30.0, 2 * math.tanh(0.3))):
            last.bias[3] = open_to  # type: ignore[index]
            change = (method(image).neutral - image).abs()
            assert torch.allclose(change, torch.tensor(expected), atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_says_what_it_is(name: str) -> None:
    assert dataclasses.is_dataclass(METHODS[name].Config)
    assert {field.name for field in dataclasses.fields(METHODS[name].Config)} >= {"image_size", "width"}


def test_unknown_names_are_refused_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown method 'dreal'; known are derl, dgcn, "):
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
