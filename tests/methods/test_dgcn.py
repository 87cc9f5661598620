"""DGCN against its layer numbers, its equations and its rules."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from deadpan.expressions import EXPRESSIONS
from deadpan.method import Batch
from deadpan.methods.dgcn import (
    DGCN,
    Classifier,
    DGCNConfig,
    Encoder,
    Generator,
    rest_loss,
    separation_loss,
)
from deadpan.methods.layers import classification_loss
from deadpan.training import checkpoint
from tests.support.methods import make_batch, small


def dgcn(expressions: tuple[str, ...] = EXPRESSIONS, **settings: Any) -> DGCN:
    torch.manual_seed(0)
    return DGCN(DGCNConfig(**{"width": 0.125, **settings}), expressions)


def outputs(layers: nn.ModuleList, seen: list[tuple[int, ...]]) -> None:
    for layer in layers:
        layer.register_forward_hook(lambda _m, _x, out: seen.append(tuple(out.shape[1:])))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_layers_have_the_sizes_that_the_documentation_gives() -> None:
    down: list[tuple[int, ...]] = []
    up: list[tuple[int, ...]] = []
    embedded: list[tuple[int, ...]] = []
    generator, encoder, image = Generator(DGCNConfig()), Encoder(DGCNConfig()), torch.zeros(2, 3, 64, 64)
    outputs(generator.encoder, down)
    outputs(generator.decoder, up)
    outputs(encoder.layers, embedded)
    assert generator(image).neutral.shape == (2, 3, 64, 64)
    assert down == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]
    assert up == [(256, 8, 8), (128, 16, 16), (64, 32, 32)]
    assert generator.read(torch.zeros(2, 512, 4, 4)).shape == (2, 256)
    assert encoder(image).shape == (2, 256)
    assert embedded == [(32, 32, 32), (64, 16, 16), (128, 8, 8), (256, 4, 4), (256, 2, 2)]
    widths = [layer.out_features for layer in Classifier(256, 7).layers if isinstance(layer, nn.Linear)]
    assert widths == [128, 7]


@pytest.mark.parametrize(("size", "down", "embedded"), [(32, 3, 4), (128, 5, 6), (256, 6, 7)])
def test_other_sizes_take_fewer_or_more_stages(size: int, down: int, embedded: int) -> None:
    method = dgcn(image_size=size).eval()
    assert (len(method.generator.encoder), len(method.encoder.layers)) == (down, embedded)
    prediction = method(torch.zeros(2, 3, size, size))
    assert prediction.logits.shape == (2, 8)
    assert prediction.neutral.shape == (2, 3, size, size)


@pytest.mark.parametrize("size", [16, 48, 512])
def test_sizes_that_fit_nothing_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="power of two from 32 to 256"):
        dgcn(image_size=size)


def test_unknown_choices_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="contrast must be one of diff, concat; got 'ratio'"):
        dgcn(contrast="ratio")
    with pytest.raises(ValueError, match="reference must be one of generated, real, none; got 'mean'"):
        dgcn(reference="mean")


def test_the_reference_passes_through_the_code_alone_unless_there_are_skips() -> None:
    image = make_batch(64).image
    for skips in (False, True):
        generator = Generator(DGCNConfig(width=0.125, skips=skips)).eval()
        generator.read[1].register_forward_hook(lambda _m, _x, out: torch.zeros_like(out))
        made = generator(image).neutral
        assert torch.equal(made[0], made[1]) is not skips


def test_separation_by_hand() -> None:
    contrast = torch.tensor([[3.0, 0.0], [0.0, 0.2], [0.0, 7.0], [5.0, 5.0]])
    expression = torch.tensor([1, 1, 2, 2])
    d = 2 * math.sin(math.pi / 8)  # between directions 45 degrees apart; those 90 apart have d^2 = 2
    pairs = [2.0, 0.0, (1 - d) ** 2, 1.0, (1 - d) ** 2, d**2]  # 01 02 03 12 13 23
    assert separation_loss(contrast, expression, 1.0).item() == pytest.approx(sum(pairs) / 6, abs=1e-5)


def test_separation_by_a_plain_loop() -> None:
    contrast, margin = random(9, 5), 1.5
    expression = torch.tensor([0, 1, 2, 0, 1, 2, 0, 0, 3])
    total = 0.0
    for i in range(9):
        for j in range(i):
            u, v = contrast[i] / contrast[i].norm(), contrast[j] / contrast[j].norm()
            d = float((u - v).norm())
            total += d**2 if expression[i] == expression[j] else max(0.0, margin - d) ** 2
    assert separation_loss(contrast, expression, margin).item() == pytest.approx(total / 36, rel=1e-5)


def test_separation_reads_directions_and_not_lengths() -> None:
    contrast, expression = random(6, 4), torch.tensor([0, 0, 1, 1, 2, 2])
    scaled = contrast * torch.tensor([0.5, 2, 3, 10, 100, 1]).view(-1, 1)
    loss = separation_loss(contrast, expression, 1.0)
    assert separation_loss(scaled, expression, 1.0).item() == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize("length", [0.0, 1e-30, 1e-8, 1e-3])
def test_metric_losses_are_safe_where_the_contrast_vanishes(length: float) -> None:
    contrast = (length * random(6, 4)).requires_grad_()
    expression = torch.tensor([0, 0, 1, 1, 2, 2])
    loss = separation_loss(contrast, expression, 1.0) + rest_loss(contrast, expression == 0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert contrast.grad is not None
    assert contrast.grad.abs().max() < 1000  # NaN and infinity fail this, too


def test_short_contrasts_are_not_blown_up() -> None:
    contrast, expression = torch.tensor([[0.1, 0.0], [0.0, 2.0]]), torch.tensor([1, 1])
    assert separation_loss(contrast, expression, 1.0, 0.5).item() == pytest.approx(0.2**2 + 1)
    neutral = torch.tensor([True, False])
    assert rest_loss(contrast, neutral, 0.5).item() == pytest.approx(0.01 / (4.01 / 2 + 0.25))


def test_rest_by_hand_and_metric_losses_without_rows() -> None:
    contrast, neutral = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]]), torch.tensor([True, False, True])
    expected = ((25 + 4) / 2) / ((25 + 1 + 4) / 3)
    assert rest_loss(contrast, neutral).item() == pytest.approx(expected, rel=1e-4)
    assert rest_loss(10 * contrast, neutral).item() == pytest.approx(expected, rel=1e-4)
    assert rest_loss(contrast, torch.zeros(3, dtype=torch.bool)).item() == 0
    for rows in (0, 1):
        assert separation_loss(torch.ones(rows, 4), torch.zeros(rows, dtype=torch.long), 1.0).item() == 0


def test_classification_loss_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)]])
    target = torch.tensor([[0.25, 0.75]])
    expected = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert classification_loss(logits, target).item() == pytest.approx(expected)


def test_neutral_rows_rest_and_expressive_rows_separate() -> None:
    method = dgcn()
    contrast = random(8, 6)
    target = torch.full((8, 8), 0.05)
    expression = torch.tensor([0, 1, 1, 2, 0, 3, 3, 0])  # 0 is neutral, here with a share of 0.65 of the votes
    target[torch.arange(8), expression] = 0.65
    separation, rest = method.metric_losses(contrast, target)
    expressive = expression != 0
    assert separation == separation_loss(contrast[expressive], expression[expressive], 1.0)
    assert rest == rest_loss(contrast, ~expressive)
    assert rest > 0
    method = dgcn(EXPRESSIONS[1:])
    separation, rest = method.metric_losses(contrast, target[:, 1:])
    assert separation == separation_loss(contrast, target[:, 1:].argmax(1), 1.0)
    assert rest == 0


def test_the_total_is_the_weighted_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deadpan.methods.dgcn.DROPOUT", 0.0)
    method, batch = dgcn(contrastive=0.5), make_batch(64)
    logs = method.stages()[2].step(batch)
    twin = dgcn(contrastive=0.5)
    twin.generator.eval()
    compared, _ = twin.contrast(*twin.embed(batch.image, twin.generator(batch.image).neutral))
    label = -(batch.target * twin.classifier(compared).log_softmax(1)).sum(1).mean()
    expected = logs["l1"] + 0.5 * (logs["separation"] + logs["rest"]) + label
    assert logs["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_first_stage_trains_the_generator_on_pairs_alone() -> None:
    method, batch = dgcn(), make_batch(64)
    stage = method.stages()[0]
    assert (stage.name, stage.rows) == ("generator", "paired")
    others = copy.deepcopy([method.encoder.state_dict(), method.classifier.state_dict()])
    spoilt = dataclasses.replace(batch, image=batch.image.clone())
    spoilt.image[~batch.paired] = 0  # what the unpaired rows show must not matter
    first, twin = stage.step(batch), dgcn().stages()[0].step(spoilt)
    assert first["l1"] == twin["l1"]
    for before, child in zip(others, (method.encoder, method.classifier), strict=True):
        assert all(torch.equal(value, before[key]) for key, value in child.state_dict().items())
    losses = [float(stage.step(batch)["l1"]) for _ in range(12)]
    assert losses[-1] < float(first["l1"])


def test_the_second_stage_leaves_the_generator_bit_identical() -> None:
    method = dgcn()
    method.generator.train()
    before = copy.deepcopy(method.generator.state_dict())
    step = method.stages()[1].step
    for seed in range(3):
        step(make_batch(64, seed=seed))
    assert all(torch.equal(value, before[key]) for key, value in method.generator.state_dict().items())
    assert all(parameter.grad is None for parameter in method.generator.parameters())


def test_the_joint_stage_moves_the_generator_through_the_labels_of_unpaired_faces() -> None:
    method, batch = dgcn(), make_batch(64)
    lone = dataclasses.replace(batch, paired=torch.zeros_like(batch.paired), neutral=batch.image)
    before = copy.deepcopy(method.generator.state_dict())
    stage = method.stages()[2]
    rates = {name: optimizer.defaults["lr"] for name, optimizer in stage.optimizers.items()}
    assert rates["generator"] == pytest.approx(method.config.generator_rate / 10)
    assert "l1" not in stage.step(lone)
    after = method.generator.state_dict()
    assert not [name for name, _ in method.generator.named_parameters() if torch.equal(after[name], before[name])]
    running = [key for key in before if "running" in key]
    assert running
    assert all(torch.equal(after[key], before[key]) for key in running)


def test_face_and_reference_share_one_encoder_call() -> None:
    method, calls = dgcn(), []
    method.encoder.register_forward_hook(lambda _m, inputs, _out: calls.append(inputs[0]))
    batch = make_batch(64)
    method.stages()[1].step(batch)
    assert [len(call) for call in calls] == [2 * len(batch)]
    assert torch.equal(calls[0][: len(batch)], batch.image)
    assert torch.equal(calls[0][len(batch) :], method.generator(batch.image).neutral)


@pytest.mark.parametrize("contrast", ["diff", "concat"])
def test_contrasts(contrast: str) -> None:
    method = dgcn(contrast=contrast).eval()
    image, other = make_batch(64, seed=1).image, make_batch(64, seed=2).image
    a, b = method.encoder(image), method.encoder(other)
    compared, difference = method.contrast(*method.embed(image, other))
    expected = {"diff": a - b, "concat": torch.cat([a, a - b], 1)}[contrast]
    assert torch.allclose(compared, expected, atol=1e-6)
    assert torch.allclose(difference, a - b, atol=1e-6)
    if contrast != "concat":
        assert torch.equal(compared, difference)
    embedded = method.embed(image, method.generator(image).neutral)
    assert torch.equal(method(image).logits, method.classifier(method.contrast(*embedded)[0]))


def test_a_face_compared_with_itself_has_no_contrast() -> None:
    method = dgcn().eval()
    image = make_batch(64).image
    assert torch.allclose(method.contrast(*method.embed(image, image))[0], torch.zeros(8, 256), atol=1e-6)
    assert method.show(image, image)["intensity"].value.max() < 1e-5


def test_forward_is_the_comparison_with_the_generated_face() -> None:
    method = dgcn().eval()
    image, given = make_batch(64, seed=1).image, make_batch(64, seed=2).image
    prediction, own = method(image), method.compare(image, method.generator(image).neutral)
    assert method.compares
    assert torch.equal(prediction.logits, own.logits)
    assert torch.equal(prediction.neutral, own.neutral)
    compared = method.compare(image, given)
    assert torch.equal(compared.neutral, given)
    assert not torch.allclose(compared.logits, prediction.logits)


def test_the_real_reference_is_the_true_face_where_paired_and_the_generated_one_elsewhere() -> None:
    method, batch = dgcn(reference="real").eval(), make_batch(64)
    plain, prediction = method(batch.image), method.predict(batch)
    assert torch.equal(prediction.neutral, plain.neutral)
    true = method.compare(batch.image, batch.neutral).logits
    assert torch.allclose(prediction.logits[batch.paired], true[batch.paired], atol=1e-6)
    assert torch.allclose(prediction.logits[~batch.paired], plain.logits[~batch.paired], atol=1e-6)
    assert not torch.allclose(true, plain.logits)
    seen: list[Tensor] = []
    method.encoder.register_forward_hook(lambda _m, inputs, _out: seen.append(inputs[0][len(batch) :]))
    method.stages()[1].step(batch)
    made = method.generator(batch.image).neutral
    assert torch.equal(seen[0][batch.paired], batch.neutral[batch.paired])
    assert torch.equal(seen[0][~batch.paired], made[~batch.paired])
    generated = dgcn().eval()
    assert torch.equal(generated.predict(batch).logits, generated(batch.image).logits)


def test_without_a_reference_there_is_no_generator() -> None:
    method = dgcn(reference="none")
    assert [name for name, _ in method.named_children()] == ["encoder", "classifier"]
    assert (method.generates, method.compares) == (False, False)
    assert DGCN.generates
    batch = make_batch(64)
    before = copy.deepcopy(method.state_dict())
    stages = method.stages()
    assert [stage.name for stage in stages] == ["contrast", "joint"]
    for stage in stages:
        assert set(stage.averaged) == {"encoder", "classifier"}
        assert {"accuracy", "separation", "rest"} <= set(stage.step(batch))
    assert not [key for key, parameter in method.named_parameters() if torch.equal(parameter, before[key])]
    method.eval()
    prediction = method(batch.image)
    assert torch.equal(prediction.neutral, batch.image)
    assert torch.equal(prediction.logits, method.classifier(method.encoder(batch.image)))
    assert method.show(batch.image, batch.image) == {}
    with pytest.raises(NotImplementedError, match="no place for a given neutral face"):
        method.compare(batch.image, batch.neutral)


SWITCHES: list[dict[str, Any]] = [
    {"contrast": "concat"},
    {"reference": "real"},
    {"skips": True},
    {"warp": True},
    {"blocks": 1},
    {"image_size": 32},
    {"image_size": 128},
]


@pytest.mark.parametrize("settings", SWITCHES, ids=str)
def test_every_switch_trains_all_that_it_builds(settings: dict[str, Any]) -> None:
    method = dgcn(**settings)
    before = copy.deepcopy(method.state_dict())
    batch = make_batch(method.config.image_size)
    for stage in method.stages():
        with torch.autocast("cpu", torch.bfloat16):
            logged = [stage.step(batch) for _ in range(2)][-1]
        assert all(torch.isfinite(value) and value.ndim == 0 for value in logged.values())
    assert not [key for key, parameter in method.named_parameters() if torch.equal(parameter, before[key])]


def test_any_expressions_will_do() -> None:
    batch = make_batch(64)
    for expressions in (("anger", "happiness"), EXPRESSIONS[1:], ("neutral", "surprise")):
        target = torch.eye(len(expressions))[torch.arange(len(batch)) % len(expressions)]
        part: Batch = dataclasses.replace(batch, target=target)
        method = dgcn(expressions)
        for stage in method.stages():
            assert all(torch.isfinite(value) for value in stage.step(part).values())
        assert method(batch.image).logits.shape == (8, len(expressions))


def test_intensity_is_the_length_of_the_contrast() -> None:
    image, neutral = make_batch(64, seed=1).image, make_batch(64, seed=2).image
    for contrast in ("diff", "concat"):
        method = dgcn(contrast=contrast).eval()
        shown = method.show(image, neutral)
        assert [(name, each.kind) for name, each in shown.items()] == [("intensity", "level")]
        expected = (method.encoder(image) - method.encoder(neutral)).square().sum(1).sqrt()
        assert torch.allclose(shown["intensity"].value, expected, rtol=1e-4)


def test_it_is_built_by_name() -> None:
    assert isinstance(small("dgcn"), DGCN)
    with pytest.raises(ValueError, match="dgcn has no setting 'branches'"):
        checkpoint.build("dgcn", {"branches": [1]}, EXPRESSIONS)
