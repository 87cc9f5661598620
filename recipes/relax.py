"""Trains the network of `deadpan relax`: the mesh of a face -> the displacement to the same person's neutral mesh.

    python recipes/relax.py OUT.npz --people PEOPLE.npz... --photographs NEWS.npz... [--studio LONDON.npz]

The inputs are files of recipes/relax_meshes.py. --photographs show each person several times and have noisy labels; the
neutral ones are filtered by shape. --studio has pairs with reliable labels. Meshes are made upright by a similarity
transform in space, fitted to the points that move least in rendered people. The network reads principal components of
the shape and predicts those of the displacement. It is trained on rendered people and their neutral twins, on pairs of
photographs of one person, on neutral shapes with the displacement of another person added (their neutral shape is known
exactly), and on neutral shapes, which must not change.

First, one in five of the photographed people and all studio pairs are held out, and their remaining expressions are
printed. Then the networks that are saved are trained on everyone.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from relax_shapes import BROWS, EYES, LIPS, TRUSTED, Floats, Frame, Photographs, make_frame, mouth, moved, pairs_of
from scipy.spatial import Delaunay
from torch import nn
from torch.nn import functional as F

from deadpan.faces.warping import with_ring

INPUTS, OUTPUTS, HIDDEN = 70, 50, 256  # ours; other sizes were not tried
SHARES = {"people": 0.25, "photographs": 0.2, "sums": 0.4, "neutral": 0.15, "studio": 0.08}
"""The relative shares of the parts in a batch."""


class Bases(NamedTuple):
    """Principal components of shapes and of displacements, and their standard deviations."""

    mean: Floats
    inputs: Floats  # (1404, INPUTS)
    spread: Floats  # (INPUTS,)
    outputs: Floats  # (1404, OUTPUTS)
    amounts: Floats  # (OUTPUTS,)

    @classmethod
    def of(cls, shapes: Floats, displacements: Floats) -> Bases:
        """Fit the components to shapes and displacements (N, 468, 3)."""
        mean = shapes.reshape(len(shapes), -1).mean(axis=0)
        _, spread, inputs = np.linalg.svd(shapes.reshape(len(shapes), -1) - mean, full_matrices=False)
        _, amounts, outputs = np.linalg.svd(displacements.reshape(len(displacements), -1), full_matrices=False)
        sizes = spread[:INPUTS] / len(shapes) ** 0.5, amounts[:OUTPUTS] / len(displacements) ** 0.5
        return cls(mean, inputs[:INPUTS].T, sizes[0], outputs[:OUTPUTS].T, sizes[1])

    def encode(self, shapes: Floats, rest: Floats) -> tuple[Floats, Floats]:
        """The input and the target of the network."""
        flat = shapes.reshape(len(shapes), -1)
        seen = (flat - self.mean) @ self.inputs / self.spread
        wanted = (rest.reshape(len(rest), -1) - flat) @ self.outputs / self.amounts
        return seen.astype(np.float32), wanted.astype(np.float32)


class Relaxer(nn.Module):
    """Two hidden layers beside a linear map; the initial displacement is 0."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(INPUTS, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.last, self.linear = nn.Linear(HIDDEN, OUTPUTS), nn.Linear(INPUTS, OUTPUTS, bias=False)
        self.dropout = dropout
        for layer in (self.last, self.linear):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Amounts (N, OUTPUTS) for features (N, INPUTS)."""
        hidden = F.dropout(F.silu(self.first(seen)), self.dropout, self.training)
        hidden = F.dropout(F.silu(self.second(hidden)), self.dropout, self.training)
        amounts: torch.Tensor = self.last(hidden) + self.linear(seen)
        return amounts


def sums(
    frame: Frame, neutral: Floats, displacements: Floats, chances: Floats, count: int, seed: int
) -> tuple[Floats, Floats]:
    """Neutral shapes with the displacement of one or two others added, upright again, and those neutral shapes."""
    rng = np.random.default_rng(seed)
    rest = neutral[rng.integers(len(neutral), size=count)].astype(np.float64)
    added = displacements[rng.choice(len(displacements), count, p=chances)]
    added = np.where(rng.random((count, 1, 1)) < 0.5, frame.flipped(added), added)
    shapes = rest + added * rng.uniform(0.2, 1.4, (count, 1, 1))
    second = (rng.random((count, 1, 1)) < 0.25) * rng.uniform(0, 0.6, (count, 1, 1))
    shapes += second * displacements[rng.choice(len(displacements), count, p=chances)]
    fit = frame.fit(shapes)
    return moved(fit, shapes), moved(fit, rest)


def train(parts: Mapping[str, tuple[Floats, Floats, Floats]], bases: Bases, steps: int, seed: int) -> Relaxer:
    """Fit a network to parts (seen, wanted, weights) mixed by SHARES, by a smooth L1 over the points."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    network, batch, rate = Relaxer(), 256, 2e-3
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    weight = np.ones((468, 3))
    weight[LIPS], weight[BROWS + EYES] = 4, 2.5
    weight[:, 2] *= 0.3
    points = sorted({*LIPS, *BROWS, *EYES, *range(0, 468, 3)})
    kept = (np.array(points)[:, None] * 3 + np.arange(3)).ravel()
    weights = torch.tensor(weight.ravel()[kept] / weight.mean(), dtype=torch.float32)
    decode = torch.tensor((bases.outputs * bases.amounts).T[:, kept], dtype=torch.float32)
    noise = torch.tensor(0.25 * bases.spread[29] / bases.spread, dtype=torch.float32)  # the noise of the mesh
    shares = np.array([SHARES[name] for name in parts])
    every = [torch.from_numpy(np.concatenate([part[index] for part in parts.values()])) for index in (0, 1)]
    chances = np.concatenate(
        [share * part[2] / part[2].sum() for share, part in zip(shares, parts.values(), strict=True)]
    )
    drawn = torch.from_numpy(rng.choice(len(chances), (steps, batch), p=chances / chances.sum()))
    for rows in drawn:
        seen, wanted = every[0][rows], every[1][rows]
        network.train()
        error = ((network(seen + noise * torch.randn_like(seen)) - wanted) @ decode).abs()  # (batch, kept)
        loss = (weights * torch.where(error < 0.02, error**2 / 0.04, error - 0.01)).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return network.eval()


def relaxed(shapes: Floats, networks: Sequence[Relaxer], bases: Bases, frame: Frame) -> Floats:
    """The mean prediction of the networks for shapes and their mirror images."""
    results = []
    for given in (shapes, frame.flipped(shapes)):
        seen = torch.from_numpy(bases.encode(given, given)[0])
        with torch.no_grad():
            amounts = np.mean([network(seen).numpy() for network in networks], axis=0)
        results.append(given + ((amounts * bases.amounts) @ bases.outputs.T).reshape(-1, 468, 3))
    return np.asarray((results[0] + frame.flipped(results[1])) / 2)


def parts_of(
    people: tuple[Floats, Floats],
    photographs: Photographs,
    neutral: Floats,
    studio: Photographs | None,
    frame: Frame,
    count: int,
) -> tuple[dict[str, tuple[Floats, Floats, Floats]], Bases]:
    """The parts of the training data, each with its mirror images, and the principal components."""
    rng = np.random.default_rng(1)
    expressive, twins = people
    strong = photographs.expression != "neutral"
    displacements = np.concatenate([expressive - twins, (photographs.shape - photographs.rest)[strong]])
    chances = np.repeat([0.5 / len(twins), 0.5 / strong.sum()], [len(twins), strong.sum()])
    some = np.concatenate([photographs.shape, neutral, expressive[rng.permutation(len(expressive))[:3000]]])
    some = some[rng.permutation(len(some))[:4000]]
    often = displacements[rng.choice(len(displacements), 4000, p=chances)]
    bases = Bases.of(*(np.concatenate([each, frame.flipped(each)]) for each in (some, often)))
    of_label = {"neutral": 0.25, "happiness": 0.6}  # they are most of the photographs
    sources = {
        "people": (expressive, twins, np.ones(len(twins))),
        "photographs": (
            photographs.shape,
            photographs.rest,
            np.array([of_label.get(str(name), 4.0) for name in photographs.expression]),
        ),
        "sums": (*sums(frame, neutral, displacements, chances, count, seed=2), np.ones(count)),
        "neutral": (neutral, neutral, np.ones(len(neutral))),
    }
    if studio is not None:
        sources["studio"] = (studio.shape, studio.rest, np.ones(len(studio.shape)))
    parts = {}
    for name, (shapes, rest, weight) in sources.items():
        both = [np.concatenate([each, frame.flipped(each)]) for each in (shapes, rest)]
        parts[name] = (*bases.encode(*both), np.concatenate([weight, weight]))
    return parts, bases


def report(title: str, pairs: Photographs, results: Floats) -> None:
    """Print the distance to the neutral face before and after, in thousandths of the eye distance, by expression."""
    for expression in sorted(set(pairs.expression)):
        rows = pairs.expression == expression
        if rows.sum() < 5:
            continue
        before, after, rest = pairs.shape[rows], results[rows], pairs.rest[rows]
        line = f"{title} {expression:<10}{rows.sum():>5}"
        for name, points in (("lips", LIPS), ("brows", BROWS), ("eyes", EYES)):
            left = [np.linalg.norm((each - rest)[:, points, :2], axis=2).mean() * 1e3 for each in (before, after)]
            line += f"  {name} {left[0]:.1f} -> {left[1]:.1f}"
        for name, *three in zip(("gap", "width", "rise"), *map(mouth, (before, after, rest)), strict=True):
            line += f"  {name} {np.abs(three[0] - three[2]).mean():.3f} -> {np.abs(three[1] - three[2]).mean():.3f}"
        print(line, flush=True)


def save(out: Path, networks: Sequence[Relaxer], bases: Bases, frame: Frame, open_mouth: Floats) -> None:
    """Write the file that deadpan/faces/relaxing.py reads."""
    count = len(networks)

    def stacked(name: str) -> NDArray[np.float32]:
        return np.stack([network.state_dict()[name].numpy().T for network in networks])

    np.savez_compressed(
        out,
        shape=frame.shape.astype(np.float32),
        rigid=frame.rigid.astype(np.float32),
        mirror=frame.mirror.astype(np.uint16),
        triangles=Delaunay(with_ring(open_mouth.astype(np.float64))).simplices.astype(np.uint16),
        mean=bases.mean.astype(np.float32),
        inputs=(bases.inputs / bases.spread).astype(np.float16),
        outputs=bases.outputs.T.astype(np.float16),
        first=stacked("first.weight").astype(np.float16),
        first_bias=stacked("first.bias"),
        second=stacked("second.weight").astype(np.float16),
        second_bias=stacked("second.bias"),
        last=(stacked("last.weight") * bases.amounts / count).astype(np.float32),
        last_bias=(stacked("last.bias").mean(axis=0) * bases.amounts).astype(np.float32),
        linear=(stacked("linear.weight").mean(axis=0) * bases.amounts).astype(np.float32),
    )


def read(paths: Sequence[Path]) -> dict[str, NDArray[Any]]:
    """Read the columns of several files of meshes, and keep meshes with a high presence."""
    files = [dict(np.load(path)) for path in paths]
    columns = {name: np.concatenate([file[name] for file in files]) for name in files[0]}
    return {name: values[columns["presence"] > TRUSTED] for name, values in columns.items()}


def main() -> None:
    """Report on held-out people, then train on everyone and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    for name in ("--people", "--photographs"):
        parser.add_argument(name, type=Path, nargs="+", required=True)
    parser.add_argument("--studio", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--sums", type=int, default=40000, help="neutral shapes with a displacement added")
    parser.add_argument("--networks", type=int, default=2, help="number of networks to average")
    given = parser.parse_args()
    rendered, wild = read(given.people), read(given.photographs)
    frame = make_frame(wild["mesh"][wild["expression"] == "neutral"], rendered["mesh"], rendered["neutral"])
    fit = frame.fit(rendered["mesh"])
    people = moved(fit, rendered["mesh"]), moved(fit, rendered["neutral"])
    pairs, neutral, who = pairs_of(wild, frame, noisy=True)
    studio = pairs_of(read(given.studio), frame, noisy=False)[0] if given.studio else None
    everyone = np.unique(who)
    held = np.random.default_rng(0).permutation(everyone)[: len(everyone) // 5]
    tested, kept = np.isin(pairs.subject, held), ~np.isin(who, held)
    known, unknown = (Photographs(*(column[rows] for column in pairs)) for rows in (~tested, tested))
    parts, bases = parts_of(people, known, neutral[kept], None, frame, given.sums)
    networks = [train(parts, bases, given.steps, 0)]
    report("photographs", unknown, relaxed(unknown.shape, networks, bases, frame))
    still = Photographs(neutral[~kept], neutral[~kept], np.full((~kept).sum(), "neutral"), who[~kept])
    report("unmoved", still, relaxed(still.shape, networks, bases, frame))
    if studio is not None:
        report("studio", studio, relaxed(studio.shape, networks, bases, frame))
    parts, bases = parts_of(people, pairs, neutral, studio, frame, given.sums)
    networks = [train(parts, bases, given.steps, seed) for seed in range(given.networks)]
    wide = pairs.shape[mouth(pairs.shape)[0] > 0.25].mean(axis=0)
    save(given.out, networks, bases, frame, (wide + frame.flipped(wide[None])[0]) / 2)


if __name__ == "__main__":
    main()
