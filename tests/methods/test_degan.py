"""DE-GAN against its layer table, its losses and its rules."""

from __future__ import annotations

import copy
import dataclasses
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from deadpan.expressions import EXPRESSIONS
from deadpan.method import Batch, Stage
from deadpan.methods.degan import (
    DEGAN,
    Decoder,
    DEGANConfig,
    Discriminator,
    Encoder,
    NeutralDecoder,
    identity_loss,
    reconstruction_loss,
    wanted_identity,
)
from deadpan.methods.layers import changed_l1, classification_loss
from deadpan.training import checkpoint
from tests.support.methods import make_batch

SMALL: dict[str, object] = {"width": 0.125, "image_size": 32, "subjects": 4}


def degan(**settings: object) -> DEGAN:
    torch.manual_seed(0)
    method = checkpoint.build("degan", {**SMALL, **settings}, EXPRESSIONS)
    assert isinstance(method, DEGAN)
    return method


def stage(method: DEGAN, name: str) -> Stage:
    return next(each for each in method.stages() if each.name == name)


def state(module: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(module.state_dict())


def same(module: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


def test_the_encoder_is_dr_gans() -> None:
    encoder = Encoder(DEGANConfig()).eval()
    outputs: list[tuple[int, ...]] = []
    for module in encoder.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _m, _x, out: outputs.append(tuple(out.shape[1:])))
    taps, code = encoder(torch.zeros(1, 3, 96, 96))
    sides = {96: (32, 64), 48: (64, 64, 128), 24: (128, 96, 192), 12: (192, 128, 256), 6: (256, 160, 320)}
    assert outputs == [(channels, side, side) for side, stage in sides.items() for channels in stage]
    assert [tuple(tap.shape[1:]) for tap in taps] == [(128, 48, 48), (192, 24, 24), (256, 12, 12), (320, 6, 6)]
    assert code.shape == (1, 320)
    assert torch.allclose(code, taps[3].mean((2, 3)))


def test_the_decoder_mirrors_the_encoder() -> None:
    decoder = Decoder(DEGANConfig(subjects=10)).eval()
    outputs: list[tuple[int, ...]] = []
    for module in decoder.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(lambda _m, _x, out: outputs.append(tuple(out.shape[1:])))
    assert (decoder.enter.in_features, decoder.enter.out_features) == (320 + 10 + 50, 320 * 6 * 6)
    made = decoder(torch.zeros(1, 320), torch.zeros(1, 10), torch.zeros(1, 50))
    sides = {6: (160, 256), 12: (256, 128, 192), 24: (192, 96, 128), 48: (128, 64, 64), 96: (64, 32, 3)}
    assert outputs == [(channels, side, side) for side, stage in sides.items() for channels in stage]
    assert made.shape == (1, 3, 96, 96)
    assert made.abs().max() <= 1


def test_the_discriminator_has_the_same_trunk_and_three_heads() -> None:
    config = DEGANConfig(subjects=10)
    discriminator = Discriminator(7, config).eval()
    assert [p.shape for p in discriminator.trunk.parameters()] == [p.shape for p in Encoder(config).parameters()]
    verdict = discriminator(torch.zeros(2, 3, 96, 96))
    assert [tuple(head.shape) for head in verdict] == [(2, 7), (2, 10), (2, 1)]


@pytest.mark.parametrize(("size", "stem"), [(32, 1), (48, 1), (64, 1), (128, 1), (32, 2), (64, 2), (96, 2)])
def test_multiples_of_sixteen_work_and_with_the_strided_stem_of_thirty_two(size: int, stem: int) -> None:
    method = degan(image_size=size, stem=stem)
    batch = make_batch(size)
    for each in method.stages():
        assert all(torch.isfinite(value) for value in each.step(batch).values())
    prediction = method.eval()(batch.image)
    assert prediction.neutral.shape == batch.image.shape
    assert prediction.logits.shape == (8, 8)


def test_the_strided_stem_halves_every_layer_but_the_picture() -> None:
    config = DEGANConfig(stem=2, width=0.125)
    taps, _ = Encoder(config).eval()(torch.zeros(1, 3, 96, 96))
    assert [tap.shape[2] for tap in taps] == [24, 12, 6, 3]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 40}, "multiple of 16 from 32 on; got 40"),
        ({"image_size": 16}, "multiple of 16 from 32 on; got 16"),
        ({"image_size": 48, "stem": 2}, "multiple of 32 from 32 on; got 48"),
        ({"stem": 3}, "stem must be 1 or 2; got 3"),
        ({"subjects": 1}, "subjects must be at least 2; got 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        degan(**settings)


def test_more_people_than_codes_are_refused_with_what_to_pass() -> None:
    method = degan(subjects=2)
    with pytest.raises(ValueError, match=r"a subject 2, DE-GAN keeps codes for 2 .* pass --subjects"):
        stage(method, "synthesis").step(make_batch(32))
    stage(method, "classifier").step(make_batch(32))  # needs no identity


def test_classification_loss_by_hand() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)]])  # probabilities 1/4 and 3/4
    target = torch.tensor([[0.2, 0.8]])
    assert classification_loss(logits, target).item() == pytest.approx(-0.2 * math.log(0.25) - 0.8 * math.log(0.75))


def test_identity_loss_leaves_out_unknown_people() -> None:
    logits = torch.tensor([[0.0, math.log(3.0)], [5.0, -5.0], [0.0, 0.0]])
    subject = torch.tensor([0, -1, 1])
    assert identity_loss(logits, subject).item() == pytest.approx((-math.log(0.25) - math.log(0.5)) / 2)
    assert identity_loss(logits, torch.full((3,), -1)).item() == 0


def test_reconstruction_loss_counts_only_faces_made_as_themselves() -> None:
    image, made = torch.zeros(3, 3, 4, 4), torch.zeros(3, 3, 4, 4)
    made[0], made[1], made[2] = 0.5, 0.9, -0.3
    assert reconstruction_loss(made, image, torch.tensor([True, False, True])).item() == pytest.approx(0.4)
    assert reconstruction_loss(made, image, torch.zeros(3, dtype=torch.bool)).item() == 0


def test_half_of_the_batch_keeps_its_identity_and_the_unknown_never() -> None:
    subject = torch.tensor([5, 5, -1, -1, 7, 9, 7, 9])
    seen = set()
    for seed in range(50):
        torch.manual_seed(seed)
        wanted, own = wanted_identity(subject)
        assert own.tolist() == [True, False, False, False, True, False, True, False]
        assert torch.equal(wanted[own], subject[own])
        seen |= set(wanted[~own].tolist())
    assert seen == {5, 7, 9}
    wanted, own = wanted_identity(torch.tensor([-1, -1]))
    assert wanted.tolist() == [-1, -1]
    assert not own.any()


def test_the_neutral_decoder_reads_all_taps() -> None:
    config = DEGANConfig()
    decoder = NeutralDecoder(config).eval()
    reads = [layer[0].in_channels for layer in decoder.layers]  # type: ignore[index]
    assert reads == [320, 256 + 256, 192 + 192]
    assert [layer.in_channels for layer in decoder.last if isinstance(layer, nn.ConvTranspose2d)] == [128 + 128]
    nn.init.normal_(decoder.last[0].weight, std=0.01)  # type: ignore[arg-type]
    image = torch.zeros(1, 3, 96, 96)
    taps = [tap.detach().requires_grad_() for tap in Encoder(config).eval()(torch.rand(1, 3, 96, 96))[0]]
    neutral = decoder(image, taps).neutral
    assert neutral.shape == image.shape
    assert all((grad != 0).any() for grad in torch.autograd.grad(neutral.sum(), taps))


def test_the_neutral_face_starts_from_the_image_and_stays_in_range() -> None:
    method = degan().eval()
    image = make_batch(32).image
    assert torch.equal(method(image).neutral, image)
    nn.init.constant_(method.neutral_decoder.last[0].bias, 0.5)  # type: ignore[arg-type]
    assert torch.allclose(method(image).neutral, (image + 2 * math.tanh(0.5)).clamp(-1, 1), atol=1e-6)


def test_removal_is_that_of_the_paired_rows() -> None:
    method = degan()
    batch = make_batch(32)
    taps, _ = method.encoder(batch.image)
    loss, logs = method.removal(batch, taps)
    pairs = batch[batch.paired]
    assert 0 < len(pairs) < len(batch)
    expected = changed_l1(pairs.image, pairs, 12.0).item()
    assert logs["copy_l1"].item() == pytest.approx(expected)
    assert logs["l1"].item() == pytest.approx(expected)  # an untrained one copies
    assert loss.item() == pytest.approx(50 * expected)


def test_the_total_is_the_sum_of_the_five_losses() -> None:
    method = degan()
    logits = [torch.randn(4, 8, generator=torch.Generator().manual_seed(i)) for i in range(5)]
    target = torch.eye(8)[:4] * 0.7 + 0.3 / 8
    loss = method.classification_total(logits[4], logits[:4], target)
    single = [float(-(target * each.log_softmax(1)).sum(1).mean()) for each in logits]
    assert loss.item() == pytest.approx(sum(single), rel=1e-5)


@pytest.mark.parametrize("off", ["adversarial", "reconstruction", "neutral"])
def test_every_weight_of_the_first_stage_counts(off: str) -> None:
    terms = stage(degan(), "synthesis").step(make_batch(32))
    total = terms["adversarial"] + terms["expression"] + terms["identity"]
    total = total + 10 * terms["reconstruction"] + 50 * terms["l1"]
    assert terms["loss"].item() == pytest.approx(float(total), rel=1e-4)
    name = "l1" if off == "neutral" else off
    without = stage(degan(**{off: 0.0}), "synthesis").step(make_batch(32))
    part = getattr(DEGANConfig(), off) * terms[name]
    assert without["loss"].item() == pytest.approx(float(total - part), rel=1e-4)


def test_the_discriminator_learns_only_from_its_own_step() -> None:
    method = degan()
    first = stage(method, "synthesis")
    first.optimizers["discriminator"].param_groups[0]["lr"] = 0.0
    before = {key: value.clone() for key, value in method.discriminator.named_parameters()}
    first.step(make_batch(32))
    assert all(torch.equal(value, before[key]) for key, value in method.discriminator.named_parameters())
    assert all(value.requires_grad for value in method.discriminator.parameters())


def test_photographs_of_unknown_people_train_the_expression_but_no_identity() -> None:
    batch = make_batch(32)
    lone = dataclasses.replace(batch, subject=torch.full_like(batch.subject, -1))
    terms = stage(degan(), "synthesis").step(lone)
    assert {"expression", "adversarial", "l1"} <= set(terms)
    assert not {"identity", "reconstruction"} & set(terms)
    mixed = dataclasses.replace(batch, subject=torch.tensor([0, -1, -1, -1, 1, -1, 2, -1]))
    assert {"identity", "reconstruction"} <= set(stage(degan(), "synthesis").step(mixed))


def test_classifier_training_leaves_everything_else_bit_identical() -> None:
    method = degan()
    stage(method, "synthesis").step(make_batch(32))
    frozen = {name: state(child) for name, child in method.named_children() if name != "classifier"}
    before = state(method.classifier)
    step = stage(method, "classifier").step
    for seed in range(3):
        step(make_batch(32, seed=seed))
    assert set(frozen) == {"encoder", "decoder", "discriminator", "neutral_decoder"}
    assert all(same(method.get_submodule(name), values) for name, values in frozen.items())
    assert not same(method.classifier, before)


def test_taps_are_read_or_not() -> None:
    image = make_batch(32).image
    both, alone = degan().eval(), degan(taps="none").eval()
    taps, code = both.encoder(image)
    silent = [torch.zeros_like(tap) for tap in taps]
    assert len(both.classifier.local) == 4
    assert not torch.allclose(both.classifier(taps, code)[0], both.classifier(silent, code)[0])
    assert len(alone.classifier.local) == 0
    assert torch.equal(alone.classifier(taps, code)[0], alone.classifier(silent, code)[0])
    assert alone.classifier.final[1].in_features == 40  # the code alone, 320 / 8


def test_without_a_neutral_face_only_the_encoder_predicts() -> None:
    method = degan(neutral_face=False)
    terms = stage(method, "synthesis").step(make_batch(32))
    assert "l1" not in terms
    method.eval()
    image = make_batch(32).image
    assert not method.generates
    assert degan().generates
    nn.init.constant_(method.decoder.enter.weight, math.nan)
    prediction = method(image)
    assert torch.equal(prediction.neutral, image)
    assert torch.isfinite(prediction.logits).all()


@pytest.mark.parametrize("neutral_face", [True, False])
def test_the_joint_stage_trains_encoder_and_classifier_on_labels_and_pairs(neutral_face: bool) -> None:
    method = degan(joint_epochs=1, neutral_face=neutral_face)
    joint = stage(method, "joint")
    before, decoder, critic = state(method.encoder), state(method.decoder), state(method.discriminator)
    logs = [joint.step(make_batch(32)) for _ in range(4)]
    assert not torch.equal(method.encoder.state_dict()["stages.0.0.weight"], before["stages.0.0.weight"])
    assert same(method.decoder, decoder)
    assert same(method.discriminator, critic)
    assert ("l1" in logs[0]) == neutral_face
    assert logs[-1]["loss"] < logs[0]["loss"]


def test_show_puts_the_expression_on_the_first_two_people() -> None:
    method = degan().eval()
    image = make_batch(32, 2).image
    shown = method.show(image, image)
    pictures = {caption: each.value for caption, each in shown.items() if each.kind == "picture"}
    assert list(pictures) == ["on another person 1", "on another person 2"]
    _, code = method.encoder(image)
    for slot, made in enumerate(pictures.values()):
        identity = torch.eye(4)[[slot, slot]]
        assert torch.allclose(made, method.decoder(code, identity, torch.zeros(2, 50)), atol=1e-6)
        assert made.shape == image.shape
    votes = {caption: each.value for caption, each in shown.items() if each.kind == "votes"}
    assert list(votes) == ["layer 16x16", "layer 8x8", "layer 4x4", "layer 2x2"]
    assert all(torch.allclose(value.sum(1), torch.ones(2), atol=1e-5) for value in votes.values())
    assert len(degan(taps="none").eval().show(image, image)) == 2


@pytest.mark.parametrize("expressions", [("anger", "happiness"), ("neutral", "fear", "surprise")])
def test_any_expressions_do(expressions: tuple[str, ...]) -> None:
    method = checkpoint.build("degan", SMALL, expressions)
    batch = make_batch(32)
    target = torch.eye(len(expressions))[torch.arange(8) % len(expressions)]
    some = Batch(**{**{f.name: getattr(batch, f.name) for f in dataclasses.fields(batch)}, "target": target})
    for each in method.stages():
        assert all(torch.isfinite(value) for value in each.step(some).values())
    assert method.eval()(batch.image).logits.shape == (8, len(expressions))


def test_what_the_neutral_face_needs_is_saved(tmp_path: Path) -> None:
    method = degan()
    for _ in range(3):
        stage(method, "synthesis").step(make_batch(32))
    method.eval()
    checkpoint.save_method(tmp_path / "model.safetensors", "degan", method, {})
    back, _ = checkpoint.load_method(tmp_path)
    image = make_batch(32).image
    assert not torch.equal(method(image).neutral, image)
    assert torch.equal(back(image).neutral, method(image).neutral)
