"""DeRL against its layer table, its equations and its rules."""

from __future__ import annotations

import copy
import dataclasses
import math

import pytest
import torch

from deadpan.expressions import EXPRESSIONS
from deadpan.methods.derl import DeRL, DeRLConfig, Generator
from deadpan.methods.layers import ResidualBlock, adversarial_loss, changed_l1
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
    assert neutral.neutral.shape == (2, 3, 64, 64)
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
    pairs = dataclasses.replace(make_batch(8, 2), image=image.flip(3), clean=image, neutral=neutral)
    assert changed_l1(made, pairs, 12).item() == pytest.approx(total / weights, rel=1e-5)
    assert changed_l1(made, pairs, 0).item() == pytest.approx(float((made - neutral).abs().mean()), rel=1e-5)


def test_the_total_is_the_sum_of_the_five_losses() -> None:
    method = small("derl")
    assert isinstance(method, DeRL)
    logits = [torch.randn(4, 8, generator=torch.Generator().manual_seed(i)) for i in range(5)]
    target = torch.eye(8)[:4] * 0.7 + 0.3 / 8
    loss = method.classification_total(logits[4], logits[:4], target)
    single = [float(-(target * each.log_softmax(1)).sum(1).mean()) for each in logits]
    assert loss.item() == pytest.approx(sum(single), rel=1e-5)


def test_branches_can_be_left_out() -> None:
    method = small("derl", branches=[3]).eval()
    assert method(make_batch(64, 2).image).logits.shape == (2, 8)
    with pytest.raises(ValueError, match="branches must be among 1 to 4 at 64 px"):
        small("derl", branches=[5])


def test_sizes_are_powers_of_two() -> None:
    assert small("derl", image_size=32, branches=[1, 2]).eval()(torch.zeros(1, 3, 32, 32)).neutral.shape[-1] == 32
    with pytest.raises(ValueError, match="power of two"):
        small("derl", image_size=48)


def test_the_joint_stage_trains_both_and_holds_pairs_to_the_truth() -> None:
    method = small("derl", joint_epochs=1)
    assert isinstance(method, DeRL)
    stage = method.stages()[2]
    batch = make_batch(64)
    before = copy.deepcopy(method.state_dict())
    logged = [stage.step(batch) for _ in range(4)]
    assert logged[-1]["l1"] < logged[0]["l1"]
    after = method.state_dict()
    moved = ("generator.encoder.2.0.weight", "generator.decoder.1.0.weight", "classifier.final.1.weight")
    assert not any(torch.equal(after[key], before[key]) for key in moved)
    alone = dataclasses.replace(batch, paired=torch.zeros_like(batch.paired))
    assert "l1" not in stage.step(alone)


def test_without_an_adversary_there_is_no_discriminator() -> None:
    method = small("derl", adversarial=0.0)
    assert not any(name.startswith("discriminator") for name, _ in method.named_parameters())
    logged = method.stages()[0].step(make_batch(64))
    assert set(logged) == {"loss", "l1", "copy_l1"}
    assert logged["loss"].item() == pytest.approx(100 * logged["l1"].item(), rel=1e-5)


def test_blocks_refine_encoder_layers_and_keep_their_shapes() -> None:
    plain, refined = (Generator(DeRLConfig(width=0.125, blocks=n)).eval() for n in (0, 2))
    image = make_batch(64).image
    shapes = [[part.shape for part in generator(image)[1]] for generator in (plain, refined)]
    assert shapes[0] == shapes[1]
    blocks = [sum(isinstance(layer, ResidualBlock) for layer in e.children()) for e in refined.encoder]
    assert blocks == [2, 2, 2, 2, 0, 0]  # none at 2x2 and 1x1


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
