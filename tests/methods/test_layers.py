"""The output that moves and paints, and the losses of generators, against hand numbers and plain loops."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from deadpan.method import Batch
from deadpan.methods.layers import (
    Generated,
    WarpAndPaint,
    accuracy,
    changed_l1,
    edge_l1,
    flow_loss,
    removal_loss,
    roughness,
    rows_of,
)
from deadpan.release.export import TOLERANCE
from deadpan.release.onnx_file import parity, to_onnx
from tests.support.methods import make_batch, small


def last_layer(count: int, size: int, flow: tuple[float, float], mask: float, drawing: float) -> torch.Tensor:
    """A last layer that makes the same of every pixel."""
    values = torch.tensor([*flow, mask, drawing, drawing, drawing])
    return values.view(1, 6, 1, 1).expand(count, 6, size, size).clone()


def test_nothing_moved_and_nothing_painted_is_the_image() -> None:
    image = make_batch(32).image
    made = WarpAndPaint(32).train()(image, last_layer(8, 32, (0, 0), -40, 0.7))
    assert torch.allclose(made.neutral, image, atol=1e-5)
    assert made.mask is not None and made.mask.max() < 1e-6


def test_a_flow_fetches_each_pixel_from_where_it_points() -> None:
    image = make_batch(32).image
    pull = math.atanh(2 / 16 / 0.25)  # two pixels to the right, of 16 to half the side
    for mode in ("train", "eval"):
        warp = WarpAndPaint(32)
        getattr(warp, mode)()
        made = warp(image, last_layer(8, 32, (pull, 0), -40, 0))
        assert torch.allclose(made.neutral[:, :, 4:-4, 4:-8], image[:, :, 4:-4, 6:-6], atol=1e-4)


def test_what_is_painted_starts_from_the_blurred_face() -> None:
    image = make_batch(32).image * 0.3
    made = WarpAndPaint(32)(image, last_layer(8, 32, (0, 0), 40, 0.2))
    blurred = image[:, :, 10:21, 10:21].mean((2, 3))  # 11 x 11 around the pixel in row and column 15
    assert torch.allclose(made.neutral[:, :, 15, 15], blurred + 2 * math.tanh(0.2), atol=1e-5)


def test_half_a_mask_is_half_of_both() -> None:
    image = make_batch(32).image * 0.3
    warp = WarpAndPaint(32)
    moved, painted = (warp(image, last_layer(8, 32, (0.2, 0.1), mask, 0.1)).neutral for mask in (-40.0, 40.0))
    mixed = warp(image, last_layer(8, 32, (0.2, 0.1), 1.0, 0.1))  # sigmoid(1 - 1) = 1/2
    assert torch.allclose(mixed.neutral, (moved + painted) / 2, atol=1e-5)


def pair_of(landmarks: torch.Tensor, neutral_landmarks: torch.Tensor) -> Batch:
    batch = make_batch(32, len(landmarks))
    return dataclasses.replace(batch, landmarks=landmarks, neutral_landmarks=neutral_landmarks)


def test_the_flow_loss_is_nothing_where_the_flow_is_the_motion_of_the_mesh() -> None:
    rest = torch.rand(2, 40, 2) * 20 + 6
    points = rest + torch.tensor([1.6, -3.2])  # in the image 1.6 pixels to the right of and 3.2 above where they rest
    flow = torch.tensor([1.6, -3.2]).view(1, 2, 1, 1).expand(2, 2, 32, 32) / 16
    assert flow_loss(flow, pair_of(points, rest)).item() == pytest.approx(0, abs=1e-6)
    assert flow_loss(0 * flow, pair_of(points, rest)).item() == pytest.approx((1.6 + 3.2) / 2 / 16, rel=1e-5)


def test_the_flow_loss_reads_the_flow_at_the_neutral_landmarks() -> None:
    flow = torch.zeros(1, 2, 32, 32)
    flow[0, 0, 20, 10] = 0.5
    rest = torch.tensor([[[10.0, 20.0], [5.0, 5.0]]])
    assert flow_loss(flow, pair_of(rest, rest)).item() == pytest.approx(0.5 / 2 / 2)  # two coordinates, two points
    unknown = rest.clone()
    unknown[0, 0] = math.nan
    assert flow_loss(flow, pair_of(unknown, rest)).item() == 0
    assert flow_loss(flow, pair_of(rest * math.nan, rest)).item() == 0


def test_roughness_by_hand() -> None:
    ramp = torch.zeros(1, 2, 32, 32)
    ramp[0, 0] = torch.arange(32) / 16  # one pixel more with every column, in halves of the side
    assert roughness(ramp).item() == pytest.approx(0.5)  # of two channels one, across alone


def test_edges_by_a_plain_loop() -> None:
    pairs, made = make_batch(8, 2), make_batch(8, 2, seed=5).image
    wrong = made - pairs.neutral
    across = [(wrong[..., x + 1] - wrong[..., x]).abs().mean() for x in range(7)]
    down = [(wrong[..., y + 1, :] - wrong[..., y, :]).abs().mean() for y in range(7)]
    expected = float(torch.stack(across).mean() + torch.stack(down).mean())
    assert edge_l1(made, pairs, 0).item() == pytest.approx(expected, rel=1e-5)


def test_losses_weigh_the_clean_pair_and_not_what_was_erased() -> None:
    pairs = make_batch(16, 4)
    erased = dataclasses.replace(pairs, image=torch.zeros_like(pairs.image))
    made = make_batch(16, 4, seed=2).image
    assert changed_l1(made, pairs, 12) == changed_l1(made, erased, 12)
    assert edge_l1(made, pairs, 12) == edge_l1(made, erased, 12)


def test_removal_of_a_papers_own_output_is_the_l1_alone() -> None:
    pairs, made = make_batch(32), make_batch(32, seed=3).image
    loss, logs = removal_loss(Generated(made), pairs, 12)
    assert loss.item() == logs["l1"].item() == pytest.approx(changed_l1(made, pairs, 12).item())
    assert logs["copy_l1"].item() == pytest.approx(changed_l1(pairs.clean, pairs, 12).item())


def test_removal_of_a_moved_face_is_the_weighted_sum() -> None:
    pairs = make_batch(32)
    generated = WarpAndPaint(32)(pairs.image, torch.randn(8, 6, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert generated.flow is not None and generated.mask is not None
    loss, logs = removal_loss(generated, pairs, 12)
    expected = logs["l1"] + 0.7 * edge_l1(generated.neutral, pairs, 12) + 2 * flow_loss(generated.flow, pairs)
    expected = expected + 0.02 * roughness(generated.flow) + 0.002 * generated.mask.mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_rows_of_generated_faces() -> None:
    made = WarpAndPaint(32)(make_batch(32).image, last_layer(8, 32, (0.1, 0), 0, 0))
    some = rows_of(made, torch.arange(8) < 3)
    assert some.flow is not None and some.flow.shape[0] == some.neutral.shape[0] == 3
    assert rows_of(Generated(made.neutral), torch.tensor([1])).flow is None


def test_accuracy_by_hand() -> None:
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]])
    target = torch.tensor([[0.6, 0.4], [0.9, 0.1], [1.0, 0.0]])
    assert accuracy(logits, target).item() == pytest.approx(2 / 3)


WARPED: list[tuple[str, dict[str, object]]] = [
    ("derl", {"warp": True}),
    ("dgcn", {"warp": True, "skips": True}),
    ("degan", {"warp": True}),
    ("errnet", {"output": "warp"}),
    ("pixel_difference", {"warp": True}),
]


@pytest.mark.parametrize(("name", "settings"), WARPED)
def test_every_paper_trains_and_exports_with_it(name: str, settings: dict[str, object]) -> None:
    method = small(name, image_size=64, **settings)
    for stage in method.stages():
        logged = [stage.step(make_batch(64)) for _ in range(3)]
        assert all(torch.isfinite(value) for value in logged[-1].values())
    assert any("flow" in stage.step(make_batch(64)) for stage in method.stages())
    method.eval()
    assert parity(method, to_onnx(method, 64).SerializeToString(), 64) < TOLERANCE
