"""DeRL against its layer table, its equations and its rules."""

from __future__ import annotations

import copy
import dataclasses
import math

import pytest
import torch

from deadpan.expressions import EXPRESSIONS
from deadpan.methods.derl import DeRL, DeRLConfig, Generator
from deadpan.methods.layers import LocalCNN, ResidualBlock, adversarial_loss, changed_l1
from deadpan.training import checkpoint
from tests.support.methods import make_batch, small


def test_layers_are_those_of_the_paper() -> None:
    generator = Generator(DeRLConfig())
    seen: dict[str, tuple[int, ...]] = {}
    for name, layers in (("e", generator.encoder), ("d", generator.decoder)):
        for i, layer in enumerate(layers):
            label = f"{name}{i + 1 if name == 'e' else len(layers) - i}"
            layer.register_forward_hook(lambda _m, _x, out, label=label: seen.update({label: tuple(out.shape[1:])}))
    neutral, residue, code = generator(torch.zeros(2, 3, 64, 64))
    halves = {1: (64, 32, 32), 2: (128, 16, 16), 3: (256, 8, 8), 4: (512, 4, 4), 5: (512, 2, 2)}
    assert seen == {
        **{f"e{i}": shape for i, shape in halves.items()},
        "e6": (512, 1, 1),
        **{f"d{i}": shape for i, shape in halves.items()},
    }
    assert neutral.shape == (2, 3, 64, 64)
    assert [tuple(tap.shape[1:]) for tap in residue] == [(256, 16, 16), (512, 8, 8), (1024, 4, 4), (1024, 2, 2)]
    assert code.shape == (2, 512)
    assert sum(p.numel() for p in generator.parameters()) == pytest.approx(29.2e6, rel=0.01)


def test_skips_join_each_encoder_layer_to_the_decoder_layer_below() -> None:
    generator = Generator(DeRLConfig())
    reads = [layer[0].in_channels for layer in generator.decoder]  # type: ignore[index]
    assert reads == [512, 512 + 512, 512 + 512, 256 + 256, 128 + 128]
    assert generator.output.in_channels == 64
    assert Generator(DeRLConfig(outer_skip=True)).output.in_channels == 128


def test_the_residue_is_the_raw_activations_of_encoder_and_decoder() -> None:
    generator = Generator(DeRLConfig(width=0.125)).eval()
    image = make_batch(64).image
    kept: dict[str, torch.Tensor] = {}
    generator.encoder[1].register_forward_hook(lambda _m, _x, out: kept.update(e2=out))
    generator.decoder[3].register_forward_hook(lambda _m, _x, out: kept.update(d2=out))
    _, residue, _ = generator(image)
    assert torch.equal(residue[0], torch.cat([kept["e2"], kept["d2"]], 1))


def test_a_local_cnn_without_fc_votes_on_its_pooled_convolutions() -> None:
    features = {}
    for fc in (True, False):
        method = checkpoint.build("derl", {"width": 0.125, "local_fc": fc}, EXPRESSIONS).eval()
        assert isinstance(method, DeRL)
        local = method.classifier.local[0]
        assert isinstance(local, LocalCNN)
        features[fc] = [type(layer).__name__ for layer in [*local.layers.children()][-2:]]
        assert method(make_batch(64).image).logits.shape == (8, 8)
    assert features == {True: ["Linear", "ReLU"], False: ["AdaptiveAvgPool2d", "Flatten"]}


def test_classifier_training_leaves_the_generator_bit_identical() -> None:
    method = small("derl")
    before = copy.deepcopy(method.generator.state_dict())  # type: ignore[union-attr]
    step = method.stages()[1].step
    for seed in range(3):
        step(make_batch(64, seed=seed))
    after = method.generator.state_dict()  # type: ignore[union-attr]
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_adversarial_loss_by_hand() -> None:
    logits = torch.tensor([0.0, math.log(3.0)])  # D = 0.5 and 0.75
    assert adversarial_loss(logits, True).item() == pytest.approx(-(math.log(0.5) + math.log(0.75)) / 2)
    assert adversarial_loss(logits, False).item() == pytest.approx(-(math.log(0.5) + math.log(0.25)) / 2)


def test_changed_l1_by_a_plain_loop() -> None:
    image, neutral, made = (make_batch(8, 2, seed).image for seed in range(3))
    total = weights = 0.0
    for n in range(2):
        for y in range(8):
            for x in range(8):
                change = 0.0
                for v in range(max(0, y - 2), min(8, y + 3)):
                    for u in range(max(0, x - 2), min(8, x + 3)):
                        change += float((image - neutral)[n, :, v, u].abs().mean()) / 25
                weight = 1 + 12 * change / 0.2
                total += weight * float((made - neutral)[n, :, y, x].abs().mean())
                weights += weight
    assert changed_l1(made, neutral, image, 12).item() == pytest.approx(total / weights, rel=1e-5)
    assert changed_l1(made, neutral, image, 0).item() == pytest.approx(float((made - neutral).abs().mean()), rel=1e-5)


def test_the_total_is_the_weighted_sum_of_the_five_losses() -> None:
    method = checkpoint.build("derl", {"width": 0.125, "lambda_local": 0.5, "lambda_final": 2.0}, EXPRESSIONS)
    assert isinstance(method, DeRL)
    logits = [torch.randn(4, 8, generator=torch.Generator().manual_seed(i)) for i in range(5)]
    target = torch.eye(8)[:4] * 0.7 + 0.3 / 8
    loss = method.classification_total(logits[4], logits[:4], target)
    single = [float(-(target * each.log_softmax(1)).sum(1).mean()) for each in logits]
    assert loss.item() == pytest.approx(0.5 * sum(single[:4]) + 2.0 * single[4], rel=1e-5)


def test_the_residual_output_starts_from_the_image() -> None:
    generator = Generator(DeRLConfig(width=0.125, residual_output=True)).eval()
    image = make_batch(64).image
    assert torch.equal(generator(image)[0], image)


def test_branches_can_be_left_out() -> None:
    method = small("derl", branches=[3]).eval()
    assert method(make_batch(64, 2).image).logits.shape == (2, 8)
    with pytest.raises(ValueError, match="branches must be among 1 to 4 at 64 px"):
        small("derl", branches=[5])


def test_sizes_are_powers_of_two() -> None:
    assert small("derl", image_size=32, branches=[1, 2]).eval()(torch.zeros(1, 3, 32, 32)).neutral.shape[-1] == 32
    with pytest.raises(ValueError, match="power of two"):
        small("derl", image_size=48)


def test_the_joint_stage_holds_pairs_to_the_truth_and_others_to_stage_1() -> None:
    method = checkpoint.build("derl", {"width": 0.125, "joint_epochs": 1, "joint_theta": 2.0}, EXPRESSIONS)
    assert isinstance(method, DeRL)
    stage = method.stages()[2]
    assert stage.begin is not None
    stage.begin()
    batch = make_batch(64)
    before = copy.deepcopy(method.generator.state_dict())
    logged = [stage.step(batch) for _ in range(4)]
    assert logged[-1]["l1"] < logged[0]["l1"]
    assert 0 < logged[-1]["held_l1"] < 0.5
    after, teacher = method.generator.state_dict(), method.teacher.state_dict()
    assert all(torch.equal(teacher[key], value) for key, value in before.items())
    assert not any(torch.equal(after[key], before[key]) for key in ("encoder.2.0.weight", "decoder.1.0.weight"))
    alone = dataclasses.replace(batch, paired=torch.zeros_like(batch.paired))
    assert "l1" not in stage.step(alone)
    together = dataclasses.replace(batch, paired=torch.ones_like(batch.paired))
    assert "held_l1" not in stage.step(together)


def test_blocks_refine_encoder_layers_and_keep_their_shapes() -> None:
    plain, refined = (Generator(DeRLConfig(width=0.125, blocks=n)).eval() for n in (0, 2))
    image = make_batch(64).image
    shapes = [[part.shape for part in generator(image)[1]] for generator in (plain, refined)]
    assert shapes[0] == shapes[1]
    blocks = [sum(isinstance(layer, ResidualBlock) for layer in e.children()) for e in refined.encoder]
    assert blocks == [2, 2, 2, 2, 0, 0]  # none at 2x2 and 1x1


def test_the_critic_teaches_the_generator_on_unpaired_faces_alone() -> None:
    method = checkpoint.build("derl", {"width": 0.125, "expression_critic": 1.0}, EXPRESSIONS)
    assert isinstance(method, DeRL)
    stage = method.stages()[0]
    assert stage.rows == "all"
    logged = stage.step(make_batch(64))
    assert {"expression_left", "unpaired_l1"} <= set(logged)
    with pytest.raises(ValueError, match="neutral"):
        checkpoint.build("derl", {"expression_critic": 1.0}, ("anger", "disgust"))


def test_each_branch_shows_its_own_vote() -> None:
    method = small("derl").eval()
    image = make_batch(64, 3).image
    shown = method.show(image, image)
    assert list(shown) == ["residue 16x16", "residue 8x8", "residue 4x4", "residue 2x2"]
    for vote in shown.values():
        assert vote.kind == "votes" and vote.value.shape == (3, len(EXPRESSIONS))
        assert torch.allclose(vote.value.sum(1), torch.ones(3), atol=1e-5)
    single = small("derl", branches=(2,)).eval()
    assert list(single.show(image, image)) == ["residue 8x8"]
