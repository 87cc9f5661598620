"""ERR-Net against its layer table, its equations and its rules."""

from __future__ import annotations

import copy
import dataclasses
import math

import pytest
import torch
from torch import Tensor

from deadpan.expressions import EXPRESSIONS
from deadpan.faces.landmarks import OUTER_EYES, POINTS
from deadpan.method import Batch
from deadpan.methods.errnet import (
    ERRNet,
    ERRNetConfig,
    displacements,
    landmark_loss,
    margin_loss,
    masked,
    residual_size,
    segment_width,
)
from deadpan.training import checkpoint
from tests.support.methods import make_batch


def build(**settings: object) -> ERRNet:
    return build_for(EXPRESSIONS, **settings)


def build_for(expressions: tuple[str, ...], /, **settings: object) -> ERRNet:
    torch.manual_seed(0)
    method = checkpoint.build("errnet", {"width": 0.125, "image_size": 32, **settings}, expressions)
    assert isinstance(method, ERRNet)
    return method


def batch_of(expressions: tuple[str, ...], size: int = 32, **changes: Tensor) -> Batch:
    count = len(expressions)
    target = torch.eye(count)[torch.arange(8) % count]
    return dataclasses.replace(make_batch(size), target=target, **changes)


@pytest.mark.parametrize(
    ("size", "stem_stride", "encoder"),
    [
        (128, 1, [(64, 128), (128, 64), (256, 32), (512, 16), (512, 8)]),
        (128, 2, [(64, 64), (128, 32), (256, 16), (512, 8)]),
        (64, 1, [(64, 64), (128, 32), (256, 16), (512, 8), (512, 4)]),
        (32, 2, [(64, 16), (128, 8), (256, 4)]),
    ],
)
def test_layers_are_those_of_the_table(size: int, stem_stride: int, encoder: list[tuple[int, int]]) -> None:
    method = ERRNet(ERRNetConfig(image_size=size, stem_stride=stem_stride), EXPRESSIONS).eval()
    image = torch.zeros(1, 3, size, size)
    with torch.no_grad():
        made = method.encoder(image)
        hidden, decoded = made[-1], []
        for layer, skip in zip(method.decoder.layers, reversed(made[:-1]), strict=True):
            hidden = layer(hidden)
            decoded.append(tuple(hidden.shape[1:3]))
            hidden = torch.cat([hidden, skip], 1)
        generated, residual = method.decoder(made, image)
    assert [tuple(each.shape[1:3]) for each in made] == encoder
    assert decoded == encoder[-2::-1]
    assert generated.neutral.shape == residual.shape == image.shape


def test_sizes_and_settings_that_do_not_fit_are_refused() -> None:
    assert build(image_size=256).eval()(torch.zeros(1, 3, 256, 256)).neutral.shape[-1] == 256
    with pytest.raises(ValueError, match="image_size must be 32, 64, 128 or 256; got 48"):
        build(image_size=48)
    with pytest.raises(ValueError, match="stem_stride must be 1 or 2; got 3"):
        build(stem_stride=3)
    with pytest.raises(ValueError, match="output must be one of residual, neutral, warp; got 'mask'"):
        build(output="mask")


def test_segments_cover_the_channels_that_are_not_shared() -> None:
    assert segment_width(512, 7) == 36  # 7 x 36 = 252 of 256
    assert segment_width(8, 7) == 1


def test_the_mask_by_a_plain_loop() -> None:
    features, share = torch.randn(2, 8, 3, 3), torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.2, 0.3]])
    cut = masked(features, share, 2)
    for n in range(2):
        for channel in range(8):
            weight = share[n, channel // 2] if channel < 6 else 1.0
            assert torch.equal(cut[n, channel], features[n, channel] * weight)


def test_the_decoder_of_a_neutral_face_sees_the_shared_rest_alone() -> None:
    method = build()
    made = method.encoder(make_batch(32).image)
    rest = method.cut(made, torch.eye(8)[:1].expand(8, 8))
    for before, after in zip(made, rest, strict=True):
        owned = 7 * segment_width(before.shape[1], 7)
        assert not after[:, :owned].any()
        assert torch.equal(after[:, owned:], before[:, owned:])


def test_energies_by_a_plain_loop() -> None:
    recogniser = build().recogniser.eval()
    code = torch.randn(2, 64, 4, 4)
    with torch.no_grad():
        logits, energies = recogniser(code)
    width = segment_width(64, 7)
    for n in range(2):
        assert energies[n, 0] == 0
        for k in range(7):
            pooled = [abs(float(code[n, c].mean())) for c in range(k * width, (k + 1) * width)]
            assert float(energies[n, k + 1]) == pytest.approx(sum(pooled) / width, rel=1e-5)
            assert float(logits[n, k + 1]) == pytest.approx(5 * sum(pooled) / width, rel=1e-5)
    rest = code.mean((2, 3))[:, 7 * width :]  # neutral has no segment: its logit is read from the shared rest
    with torch.no_grad():
        assert torch.allclose(logits[:, :1], recogniser.rest(rest), atol=1e-6)
        assert recogniser.rest.bias.item() == 2.5  # at first neutral wins while all energies are below half the margin


def test_margin_loss_by_hand() -> None:
    energies = torch.tensor([[0.0, 0.75, 0.25], [0.0, 2.0, 0.5], [0.0, 0.5, 0.25]])
    truth = torch.tensor([1, 1, 0])
    first = ((1 - 0.75 + 0) + (1 - 0.75 + 0.25)) / 2
    assert margin_loss(energies, truth, 1.0, neutral=True).item() == pytest.approx((first + 0 + 0.375) / 3)
    two = energies[:1, 1:]  # without neutral: 0.75 against 0.25
    assert margin_loss(two, torch.tensor([0]), 1.0, neutral=False).item() == pytest.approx(0.5)


def test_residual_size_by_hand() -> None:
    residual = torch.stack([torch.full((3, 4, 4), 0.5), torch.full((3, 4, 4), -2.0)])
    assert residual_size(residual, torch.tensor([1.0, 1.0])).item() == pytest.approx(1.25)
    assert residual_size(residual, torch.tensor([3.0, 1.0])).item() == pytest.approx(0.875)
    assert residual_size(residual, torch.tensor([0.0, 0.5])).item() == pytest.approx(1.0)
    assert residual_size(residual, torch.zeros(2)).item() == 0


def test_displacements_are_in_eye_distances_and_know_what_is_unknown() -> None:
    rest = torch.zeros(3, POINTS, 2)
    rest[:, OUTER_EYES[1]] = torch.tensor([30.0, 40.0])  # 50 pixels between the outer corners
    face = rest.clone()
    face[:, 8] += torch.tensor([5.0, -10.0])
    face[1, 3] = math.nan
    rest[2, OUTER_EYES[0]] = math.nan
    wanted, known = displacements(face, rest)
    assert wanted.isfinite().all()
    assert wanted[0, 8].tolist() == pytest.approx([0.1, -0.2])
    assert known[0].all()
    assert known[1].sum() == POINTS - 1
    assert not known[1, 3]
    assert not known[2].any()


def test_landmark_loss_by_hand() -> None:
    predicted, wanted, known = torch.zeros(2, 68, 2), torch.zeros(2, 68, 2), torch.zeros(2, 68, dtype=torch.bool)
    assert landmark_loss(predicted, wanted, known).item() == 0
    wanted[0, 0], wanted[0, 1], wanted[1, 5] = torch.tensor([0.2, 0.4]), torch.tensor([-1.0, 0.0]), torch.ones(2)
    known[0, :2] = True
    assert landmark_loss(predicted, wanted, known).item() == pytest.approx((0.3 + 0.5) / 2)


def test_unknown_landmarks_never_reach_the_loss() -> None:
    method = build()
    step = method.stages()[1].step
    points = make_batch(32).landmarks
    points[0] = math.nan
    points[1, 40:] = math.nan
    logged = step(batch_of(EXPRESSIONS, landmarks=points, neutral_landmarks=points - 1))
    assert all(torch.isfinite(value) for value in logged.values())
    assert all(each.isfinite().all() for each in method.parameters())
    none = torch.full_like(points, math.nan)
    logged = step(batch_of(EXPRESSIONS, landmarks=none, neutral_landmarks=none))
    assert logged["landmarks"] == 0
    assert torch.isfinite(logged["loss"])
    assert all(each.isfinite().all() for each in method.state_dict().values())


def test_the_landmarks_of_unpaired_faces_teach_nothing() -> None:
    method = build()
    unpaired = torch.zeros(8, dtype=torch.bool)
    assert method.stages()[1].step(batch_of(EXPRESSIONS, paired=unpaired))["landmarks"] == 0
    assert method.landmark_branch.seen == 0


def test_the_mean_face_is_the_mean_of_the_neutral_landmarks() -> None:
    branch = build().landmark_branch
    points = torch.rand(12, POINTS, 2) * 32
    branch.remember(points[:4])
    branch.remember(points[4:])
    assert branch.seen == 12
    assert torch.allclose(branch.face, points.mean(0), atol=1e-4)


def test_recognition_does_not_see_the_true_class() -> None:
    method = build().eval()
    batch = make_batch(32)
    read = method.read(batch.image)
    loss, _ = method.recognise(batch, read)
    turned = dataclasses.replace(batch, target=batch.target.flip(1))
    other, _ = method.recognise(turned, method.read(batch.image))
    assert torch.equal(read.logits, method.read(turned.image).logits)
    assert loss != other  # the losses do


def test_both_residues_are_read() -> None:
    method = build().eval()
    torch.nn.init.normal_(method.decoder.last.weight, std=0.1)
    torch.nn.init.normal_(method.landmark_branch.displacement[-1].weight, std=0.1)  # type: ignore[arg-type]
    image = make_batch(32).image
    read = method.read(image)
    picture = method.residual_reader(torch.nn.functional.avg_pool2d(read.residual, 2))[1]
    assert read.displacement is not None
    points = method.landmark_branch.vote(10 * read.displacement.flatten(1))
    assert torch.allclose(read.logits, read.first + picture + points, atol=1e-5)
    assert picture.std(0).min() > 0 and points.std(0).min() > 0


def test_the_residual_output_starts_from_the_image_and_reaches_across_the_range() -> None:
    method = build().eval()
    image = make_batch(32).image
    assert torch.equal(method(image).neutral, image)
    torch.nn.init.constant_(method.decoder.last.bias, 20.0)  # type: ignore[arg-type]
    generated, residual = method.decoder(method.encoder(image), image)
    assert torch.allclose(residual, torch.full_like(residual, 2.0))
    assert torch.equal(generated.neutral, torch.full_like(residual, -1.0))


def test_the_neutral_output_does_not_pass_the_image_on() -> None:
    method = build(output="neutral").eval()
    image = make_batch(32).image
    made = method.encoder(image)
    generated, residual = method.decoder(made, image)
    other, _ = method.decoder(made, image.flip(3))
    assert torch.equal(generated.neutral, other.neutral)
    assert torch.allclose(residual, image - generated.neutral)


def test_each_weight_counts_as_it_says() -> None:
    off = dict.fromkeys(("reconstruction", "adversarial", "landmark_weight", "segment_weight"), 0.0)
    batch = make_batch(32)

    def total(**settings: float) -> dict[str, float]:
        method = build(output="neutral", **(off | settings))
        torch.manual_seed(1)  # the same dropout
        return {key: float(value) for key, value in method.stages()[1].step(batch).items()}

    plain = total()["loss"]
    for name, logged in (("reconstruction", "l1"), ("landmark_weight", "landmarks"), ("segment_weight", "segments")):
        logs = total(**{name: 3.0})
        assert logs["loss"] - plain == pytest.approx(3 * logs[logged], rel=1e-3)


def test_neutral_inputs_pay_for_their_residual_image() -> None:
    method, batch = build(output="neutral", adversarial=0.0), make_batch(32)
    alone = dataclasses.replace(batch, paired=torch.zeros_like(batch.paired))
    generated, residual = method.decoder(method.encoder(batch.image), batch.image)
    for index, weight in ((5, 0.1), (0, 10.1)):  # surprise, neutral
        target = torch.eye(8)[torch.full((8,), index)]
        loss, logged = method.remove(dataclasses.replace(alone, target=target), generated, residual, {})
        assert loss.item() == pytest.approx(weight * logged["residual"].item(), rel=1e-4)


def test_switches_build_only_what_they_need() -> None:
    full = {name for name, _ in build().named_children()}
    assert full == {"encoder", "decoder", "recogniser", "residual_reader", "landmark_branch", "discriminator"}
    assert {name for name, _ in build(adversarial=0.0).named_children()} == full - {"discriminator"}
    assert {name for name, _ in build(landmarks=False).named_children()} == full - {"landmark_branch"}


@pytest.mark.parametrize(
    "settings",
    [
        {"output": "neutral"},
        {"segments": False},
        {"landmarks": False},
        {"adversarial": 0.0},
        {"output": "warp"},
        {"stem_stride": 2},
        {"pretrain_epochs": 1},
        {"segments": False, "landmarks": False, "adversarial": 0.0},
    ],
)
def test_every_ablation_trains_and_moves_every_parameter(settings: dict[str, object]) -> None:
    method = build(**settings)
    before = copy.deepcopy(method.state_dict())
    for stage in method.stages():
        for _ in range(2):
            assert all(torch.isfinite(value) for value in stage.step(make_batch(32)).values())
    assert not [key for key, parameter in method.named_parameters() if torch.equal(parameter, before[key])]


def test_without_segments_there_is_no_mask() -> None:
    method = build(segments=False)
    made = method.encoder(make_batch(32).image)
    assert all(a is b for a, b in zip(made, method.cut(made, torch.zeros(8, 8)), strict=True))


@pytest.mark.parametrize("expressions", [("anger", "disgust", "surprise"), ("neutral", "happiness"), EXPRESSIONS[:3]])
def test_any_expressions_train_and_predict(expressions: tuple[str, ...]) -> None:
    method = build_for(expressions)
    for _ in range(2):
        logged = method.stages()[1].step(batch_of(expressions))
        assert all(torch.isfinite(value) for value in logged.values())
    prediction = method.eval()(make_batch(32).image)
    assert prediction.logits.shape == (8, len(expressions))


def test_pretraining_leaves_recognition_bit_identical() -> None:
    method = build(pretrain_epochs=1)
    stages = method.stages()
    assert [(stage.name, stage.rows) for stage in stages] == [("removal", "paired"), ("joint", "all")]
    before = copy.deepcopy(method.state_dict())
    batch = make_batch(32)
    for _ in range(3):
        stages[0].step(batch[batch.paired])
    after = method.state_dict()
    held = [key for key in before if key.startswith(("recogniser.", "landmark_branch.", "residual_reader."))]
    assert held
    assert all(torch.equal(after[key], before[key]) for key in held)
    assert not torch.equal(after["encoder.layers.0.weight"], before["encoder.layers.0.weight"])


def test_the_discriminator_does_not_learn_from_the_generator_step() -> None:
    method = build()
    stage = method.stages()[1]
    stage.optimizers["discriminator"].param_groups[0]["lr"] = 0.0
    before = copy.deepcopy(dict(method.discriminator.named_parameters()))
    stage.step(make_batch(32))
    assert all(torch.equal(value, before[key]) for key, value in method.discriminator.named_parameters())
    assert all(each.requires_grad for each in method.discriminator.parameters())


def test_what_is_shown() -> None:
    method = build().eval()
    face = torch.rand(POINTS, 2) * 32
    face[OUTER_EYES[0]], face[OUTER_EYES[1]] = torch.tensor([8.0, 10.0]), torch.tensor([24.0, 10.0])  # 16 pixels
    method.landmark_branch.remember(face[None])
    torch.nn.init.normal_(method.landmark_branch.displacement[-1].bias)  # type: ignore[arg-type]
    image = make_batch(32).image
    neutral = image.flip(2)
    shown = method.show(image, neutral)
    assert {name: each.kind for name, each in shown.items()} == {
        "residual image": "picture",
        "segment energies": "amounts",
        "landmark displacements": "shifts",
    }
    assert torch.equal(shown["residual image"].value, (image - neutral) / 2)
    read = method.read(image)
    assert read.displacement is not None
    assert read.displacement.abs().mean() > 0.1
    assert torch.allclose(method(image).logits, read.logits)
    assert torch.equal(shown["segment energies"].value, read.energies)
    assert (read.energies[:, 0] == 0).all()
    shifts = shown["landmark displacements"].value
    assert shifts.shape == (8, POINTS, 2, 2)
    assert torch.allclose(shifts[3, :, 0], face)
    assert torch.allclose(shifts[3, :, 1] - shifts[3, :, 0], 16 * read.displacement[3], atol=1e-4)


def test_only_what_is_built_is_shown() -> None:
    image = make_batch(32).image
    assert set(build(segments=False).eval().show(image, image)) == {"residual image", "landmark displacements"}
    assert set(build(landmarks=False).eval().show(image, image)) == {"residual image", "segment energies"}


def test_there_is_no_place_for_a_given_neutral_face() -> None:
    method = build()
    assert not method.compares
    with pytest.raises(NotImplementedError, match="no place for a given neutral face"):
        method.compare(make_batch(32).image, make_batch(32).neutral)
