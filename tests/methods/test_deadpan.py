"""deadpan's own method: its layers, what teaches what, and the control without removal."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import torch

from deadpan.expressions import EXPRESSIONS
from deadpan.methods.deadpan import Deadpan, DeadpanConfig, Trunk
from deadpan.methods.layers import classification_loss
from tests.support.methods import make_batch


def deadpan(**settings: Any) -> Deadpan:
    torch.manual_seed(0)
    return Deadpan(DeadpanConfig(**{"width": 0.125, **settings}), EXPRESSIONS)


def test_layers_have_the_sizes_that_are_given() -> None:
    made = Trunk([40, 80, 160, 320])(torch.zeros(2, 3, 64, 64))
    assert [tuple(layer.shape[1:]) for layer in made] == [(40, 32, 32), (80, 16, 16), (160, 8, 8), (320, 4, 4)]
    method = deadpan(width=1.0)
    assert sum(p.numel() for p in method.parameters()) == pytest.approx(4.85e6, rel=0.01)
    _, layers = method.network.decoder(torch.zeros(2, 3, 64, 64), made)
    assert [tuple(layer.shape[1:]) for layer in layers] == [(160, 8, 8), (80, 16, 16), (40, 32, 32)]


@pytest.mark.parametrize("size", [32, 48, 96, 128])
def test_other_sizes(size: int) -> None:
    prediction = deadpan(image_size=size).eval()(torch.zeros(2, 3, size, size))
    assert prediction.neutral.shape == (2, 3, size, size)
    assert prediction.logits.shape == (2, 8)


def test_a_size_that_fits_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 16 from 32 on; got 40"):
        deadpan(image_size=40)


def test_labels_teach_the_trunk_but_not_what_to_remove() -> None:
    method, batch = deadpan(), make_batch(64)
    for _ in range(3):  # away from the output layer's zeros
        method.stages()[0].step(batch)
        method.zero_grad()
    logits, _ = method.network(batch.image)
    classification_loss(logits, batch.target).backward()  # type: ignore[no-untyped-call]
    gradients = {name: parameter.grad for name, parameter in method.network.named_parameters()}
    output = gradients["decoder.output.weight"]
    assert output is None or not output.any()
    for name in ("trunk.stem.weight", "reader.layers.0.0.weight", "decoder.up.2.weight", "classify.1.weight"):
        gradient = gradients[name]
        assert gradient is not None and gradient.any()


def test_the_residue_is_read() -> None:
    method, image = deadpan().eval(), make_batch(64).image
    plain = method(image)
    with torch.no_grad():
        method.network.decoder.output.bias[8:12] = 3.0  # type: ignore[index]  # the mask, before the pixel shuffle
        method.network.decoder.output.bias[12:] = 0.5  # type: ignore[index]
    painted = method(image)
    assert not torch.allclose(plain.neutral, painted.neutral, atol=1e-3)
    assert not torch.allclose(plain.logits, painted.logits, atol=1e-5)


def test_the_total_is_the_weighted_sum() -> None:
    method, batch = deadpan(theta=7.0), make_batch(64)
    logs = method.stages()[1].step(batch)
    assert logs["loss"] - logs["cross_entropy"] > 7 * logs["l1"]  # and the edges, the flow and the mask
    alone = dataclasses.replace(batch, paired=torch.zeros_like(batch.paired))
    lone = deadpan(theta=7.0).stages()[1].step(alone)
    assert lone["loss"] == lone["cross_entropy"]


def test_without_removal_it_is_the_trunk_alone() -> None:
    method, batch = deadpan(removal=False), make_batch(64)
    assert not method.generates
    (stage,) = method.stages()
    before = copy.deepcopy(method.state_dict())
    for _ in range(2):
        stage.step(batch)
    assert not [key for key, value in method.named_parameters() if torch.equal(value, before[key])]
    assert torch.equal(method.eval()(batch.image).neutral, batch.image)
    assert method.show(batch.image, batch.image) == {}


def test_the_mask_is_shown() -> None:
    method, image = deadpan().eval(), make_batch(64).image
    shown = method.show(image, method(image).neutral)["painted"]
    assert shown.kind == "picture"
    share = (shown.value[:, :1] + 1) / 2
    assert torch.allclose(share, torch.sigmoid(torch.tensor(-1.0)).expand_as(share))  # untrained: everywhere alike
