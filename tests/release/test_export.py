"""What ships: mirrored answers, offsets, and a file that says what it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from deadpan.expressions import EXPRESSIONS
from deadpan.release.calibration import balanced_offsets, best_temperature, calibrate
from deadpan.release.export import export
from deadpan.release.halving import halve
from deadpan.release.onnx_file import parity, to_onnx
from deadpan.release.released import DeadZone, Graph, Released
from deadpan.training.checkpoint import build, save_method
from tests.support.methods import make_batch, small


def test_released_answers_are_the_mean_of_face_and_mirror_image() -> None:
    method = small("cnn").eval()
    image = make_batch(64, 3).image
    answer = Released(method, flip=True)(image).logits.exp()
    mean = (method(image).logits.softmax(1) + method(image.flip(3)).logits.softmax(1)) / 2
    assert torch.allclose(answer, mean, atol=1e-6)
    assert torch.allclose(Released(method, flip=False)(image).logits.softmax(1), method(image).logits.softmax(1))


def test_neutral_faces_are_averaged_over_the_mirror_and_kept_by_their_strength() -> None:
    method = small("derl").eval()
    image = make_batch(64, 2).image
    both = (method(image).neutral + method(image.flip(3)).neutral.flip(3)) / 2
    assert torch.allclose(Released(method, flip=True)(image).neutral, both, atol=1e-6)
    kept = Released(method, flip=True, strength=0.25)(image).neutral
    assert torch.allclose(kept, 0.75 * image + 0.25 * both, atol=1e-6)
    change = 0.25 * (both - image)
    width = change.abs().mean().item() / 1.5
    left = Released(method, flip=True, strength=0.25, dead_zone=width).eval()(image).neutral - image
    assert torch.allclose(left, DeadZone(width).eval()(change), atol=1e-6)
    assert left.abs().sum() < change.abs().sum()


def test_what_is_called_neutral_is_left_alone() -> None:
    method = small("derl").eval()
    image = make_batch(64, 3).image
    whole = Released(method, flip=False).eval()(image)
    called = whole.logits.softmax(1)[:, method.expressions.index("neutral")]  # (3,)
    weight = 0.5 / called.median().item()  # one face loses more than half of its change, one less
    left = Released(method, flip=False, leave_neutral=weight).eval()(image)
    share = (1 - weight * called).clamp(min=0).view(-1, 1, 1, 1)
    assert share.min() < 0.5 < share.max()
    assert torch.equal(left.logits, whole.logits)
    assert torch.allclose(left.neutral - image, share * (whole.neutral - image), atol=1e-6)
    sure = Released(method, flip=False, leave_neutral=1 / called.min().item()).eval()(image)
    assert torch.allclose(sure.neutral, image, atol=1e-6)
    with pytest.raises(ValueError, match="leave_neutral must be at least 0; got -1"):
        Released(method, flip=False, leave_neutral=-1)
    without = type(method)(method.config, ("anger", "happiness"))
    with pytest.raises(ValueError, match="leave_neutral needs neutral among the expressions: anger, happiness"):
        Released(without, flip=False, leave_neutral=1)


def test_offsets_move_the_border_to_where_both_expressions_are_recalled_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.cat([torch.zeros(3000), torch.ones(1500), torch.full((20,), 2.0)]).long()
    logits = torch.zeros(len(truth), 3)
    logits[:, 1] = torch.randn(len(truth), generator=generator) + 2 * (truth == 1) - 3  # mild: nearly always neutral
    offsets = balanced_offsets(logits, torch.eye(3)[truth])
    assert offsets[2] == 0
    assert offsets[:2].sum().abs() < 1e-5
    answer = (logits + offsets)[:, :2].argmax(1)
    recall = [(answer[truth == k] == k).float().mean().item() for k in (0, 1)]
    assert recall[0] == pytest.approx(recall[1], abs=0.05)
    assert min(recall) > 0.8
    with pytest.raises(ValueError, match="two expressions with 1000 pictures"):
        balanced_offsets(logits[:3500], torch.eye(3)[truth[:3500]])


def test_the_temperature_makes_probabilities_the_shares_of_right_answers() -> None:
    generator = torch.Generator().manual_seed(0)
    sure = 2 * torch.randn(20_000, 3, generator=generator)
    truth = torch.multinomial(sure.softmax(1), 1, generator=generator)[:, 0]
    assert best_temperature(sure / 3, torch.eye(3)[truth]) == pytest.approx(1 / 3, rel=0.05)
    assert best_temperature(sure, torch.eye(3)[truth]) == pytest.approx(1, rel=0.05)
    undecided = 0.4 * torch.eye(3)[truth] + 0.2  # votes of several people, of whom most say the truth
    assert best_temperature(sure / 3, undecided) == best_temperature(sure / 3, torch.eye(3)[truth])


def test_the_temperature_divides_the_mean_of_face_and_mirror_image() -> None:
    released = Released(small("cnn").eval(), flip=True)
    image = make_batch(64, 3).image
    before = released(image).logits
    released.temperature.fill_(0.5)
    released.offsets[1] = 1
    assert torch.allclose(released(image).logits, 2 * before + released.offsets, atol=1e-5)


def test_the_file_names_no_path_of_the_machine_that_exported_it() -> None:
    data = to_onnx(small("derl").eval(), 64).SerializeToString()
    assert b"site-packages" not in data
    assert str(Path(__file__).parents[2]).encode() not in data


def test_weights_are_stored_in_16_bits_and_statistics_in_32() -> None:
    method = small("derl").eval()
    whole = to_onnx(method, 64)
    stored = to_onnx(method, 64)
    halve(stored, {name for name, weight in method.named_parameters() if weight.dim() > 1})
    assert stored.ByteSize() < 0.6 * whole.ByteSize()
    difference = parity(method, stored.SerializeToString(), 64)
    assert parity(method, whole.SerializeToString(), 64) < difference < 1e-2
    halved = [each for each in stored.graph.initializer if each.data_type == onnx.TensorProto.FLOAT16]
    assert halved
    assert all(len(each.dims) > 1 for each in halved)


@pytest.mark.parametrize("flip", [True, False])
def test_the_file_holds_every_weight_under_its_name_so_that_a_training_can_start_from_it(flip: bool) -> None:
    module = Released(small("deadpan").eval(), flip=flip).eval()
    weights = {numpy_helper.to_array(each).tobytes() for each in to_onnx(module, 64).graph.initializer}
    named = {each.name: numpy_helper.to_array(each) for each in to_onnx(module, 64).graph.initializer}
    for name, value in module.state_dict().items():
        if name != "offsets" and not name.endswith("num_batches_tracked"):
            assert name in named or value.numpy().tobytes() in weights, name
    assert np.array_equal(named["method.network.trunk.stages.0.0.residual.0.weight"].shape, (8, 8, 3, 3))


def test_the_mirror_image_is_read_in_the_same_batch_and_not_with_a_second_copy_of_the_network() -> None:
    method = small("deadpan").eval()
    graphs = [to_onnx(Graph(Released(method, flip=flip).eval()).eval(), 64, shows=1).graph for flip in (False, True)]
    single, both = (sum(node.op_type == "Conv" for node in graph.node) for graph in graphs)
    assert single == both


def test_calibration_stands_in_the_card(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prior = dict.fromkeys(EXPRESSIONS, 0.125)
    facts = {"prior": prior, "data": [{"file": "trained.parquet@train"}]}
    save_method(tmp_path / "model.safetensors", "cnn", build("cnn", {"width": 0.125}, EXPRESSIONS), facts)
    monkeypatch.setattr("deadpan.release.export.calibrate", lambda module, table: module.offsets.fill_(0.5))
    _, card = export(tmp_path, tmp_path / "named.onnx", calibration=str(drawn), temperature=str(drawn))
    facts = json.loads(card.read_text())
    assert facts["name"] == "named"
    assert facts["calibration"] == drawn.name
    assert "5(1)(f)" in facts["use"]["law"]
    assert facts["offsets"]["fear"] == 0.5
    assert facts["parity"] < 1e-4
    assert 0 < facts["rounding"] < 0.1
    assert facts["prior"] == prior
    assert facts["temperature_fitted_on"] == drawn.name
    assert facts["temperature"] not in (0, 1)
    assert calibrate.__doc__
    with pytest.raises(ValueError, match=r"trained\.parquet was used for training"):
        export(tmp_path, tmp_path / "named.onnx", calibration="trained.parquet")
    with pytest.raises(ValueError, match=r"trained\.parquet@train was used for training"):
        export(tmp_path, tmp_path / "named.onnx", temperature="trained.parquet@train")


def test_the_dead_zone_by_hand() -> None:
    change = torch.zeros(1, 3, 64, 64)
    change[:, 0, 32, 32] = 81 * 3 * 0.045  # the mean of all within 4 pixels, over three channels, is 0.045
    change[:, :, 4:20, 4:20] = -0.07
    change[:, :, 50:, 50:] = 0.02
    left = DeadZone(0.03)(change)
    assert left[0, 0, 32, 32] == pytest.approx(81 * 3 * 0.045 / 2, rel=1e-4)
    assert torch.equal(left[:, :, 8:16, 8:16], change[:, :, 8:16, 8:16])
    assert not left[:, :, 50:, 50:].any()
    assert torch.equal(DeadZone(0)(change), change)
    with pytest.raises(ValueError, match=r"dead_zone must be at least 0 and below 1; got 1\.5"):
        DeadZone(1.5)
