"""The plain differences: what they read, what stays frozen, and a given neutral face in place of the generated one."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from deadpan.methods.layers import residual_trunk
from tests.support.methods import make_batch, small

DIFFERENCES = ("pixel_difference", "feature_difference")


@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_second_stage_leaves_the_generator_as_it_is(name: str) -> None:
    method, batch = small(name), make_batch(64)
    first, second = method.stages()
    first.step(batch)
    before = copy.deepcopy(method.get_submodule("generator").state_dict())
    second.step(batch)
    after = method.get_submodule("generator").state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert first.rows == "paired"


def test_pixel_difference_reads_what_was_taken_away() -> None:
    method, image = small("pixel_difference").eval(), make_batch(64).image
    seen: list[Tensor] = []
    inner = method.get_submodule("network.network")
    inner.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    neutral = method(image).neutral
    assert torch.equal(seen[0], image - neutral)


def test_feature_difference_is_antisymmetric_up_to_the_bias() -> None:
    method = small("feature_difference").eval()
    batch = make_batch(64)
    one, other = batch.image, batch.image.flip(3)
    there, back = method.compare(one, other).logits, method.compare(other, one).logits
    nothing = method.compare(one, one).logits  # no difference: the bias alone, whoever it is
    assert torch.allclose(nothing, nothing[:1].expand_as(nothing), atol=1e-5)
    assert torch.allclose(there - nothing, nothing - back, atol=1e-4)
    assert not torch.allclose(there, back, atol=1e-4)


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_given_neutral_face_takes_the_place_of_the_generated_one(name: str) -> None:
    method, batch = small(name).eval(), make_batch(64)
    assert method.compares
    given = method.compare(batch.image, batch.neutral)
    assert torch.equal(given.neutral, batch.neutral)
    own = method(batch.image)
    again = method.compare(batch.image, own.neutral)
    assert torch.allclose(again.logits, own.logits, atol=1e-5)
    assert not torch.allclose(given.logits, own.logits, atol=1e-4)


def test_a_method_without_a_place_for_it_refuses_a_given_face() -> None:
    method, batch = small("derl"), make_batch(64)
    assert not method.compares
    with pytest.raises(NotImplementedError, match="DeRL has no place for a given neutral face"):
        method.compare(batch.image, batch.neutral)


def test_the_trunk_begins_with_weights_for_relu() -> None:
    torch.manual_seed(0)
    layers, features = residual_trunk(3, 1.0)
    convolutions = [layer for layer in torch.nn.Sequential(*layers).modules() if isinstance(layer, torch.nn.Conv2d)]
    assert features == 256
    assert len(convolutions) == 18  # the first, two in each of seven blocks, three shortcuts
    for layer in convolutions:
        fan_in = layer.weight[0].numel()
        assert float(layer.weight.detach().std()) == pytest.approx((2 / fan_in) ** 0.5, rel=0.1)
