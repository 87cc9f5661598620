"""Trains the network that measures how much of a face is covered, on photographs with synthetic occlusions.

    python recipes/quality.py OUT FILE.parquet...

The files are prepared photographs of format 2 (`deadpan prepare`), with meshes. An eighth of the people, or the split
`public_test`, is held out. OUT receives cover.onnx, its card with the SHA-256, and for each file a sheet of held-out
faces with their measured cover. The network in the package was trained on prepared news and FER+ pictures, in six
minutes on one core.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deadpan.faces.landmarks import IBUG_68
from deadpan.faces.networks import ASSETS
from deadpan.preparation.table import FaceTable, people_in, read_table

Grey = NDArray[np.float32]

SIDE, CELLS = 64, 16
LOWER_FACE = (93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323)
EYES = ((33, 133), (362, 263))
KINDS = ("clean", "blob", "rectangle", "hand", "mask", "scarf", "sunglasses")
SHARES = (0.4, 0.1, 0.07, 0.16, 0.1, 0.05, 0.12)


class CoverNetwork(nn.Module):
    """Grey faces (N, 1, 64, 64) of 0 to 255 -> the covered share (N,) of the face."""

    def __init__(self, place: Grey) -> None:
        super().__init__()
        self.fine = nn.Sequential(_step(1, 12, 2), _step(12, 24, 2), _step(24, 24, 1))  # (N, 24, 16, 16)
        self.coarse = nn.Sequential(_step(24, 32, 2), _step(32, 48, 2), _step(48, 48, 1))  # (N, 48, 4, 4)
        self.both = _step(72, 24, 1)
        self.last = nn.Conv2d(24, 1, 1)
        self.place: Tensor
        self.register_buffer("place", torch.from_numpy(place / place.sum()))  # (16, 16)

    def logits(self, grey: Tensor) -> Tensor:
        """The logit that each cell is covered, (N, 16, 16)."""
        middle = grey.mean((2, 3), keepdim=True)
        spread = (grey - middle).square().mean((2, 3), keepdim=True).sqrt()
        fine = self.fine((grey - middle) / (spread + 4))
        coarse = nn.functional.interpolate(self.coarse(fine), scale_factor=4.0, mode="nearest")
        return self.last(self.both(torch.cat([fine, coarse], 1)))[:, 0]

    def forward(self, grey: Tensor) -> Tensor:
        """The covered share (N,)."""
        return (self.logits(grey).sigmoid() * self.place).sum((1, 2))


def _step(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class Faces:
    """Grey photographs of faces with their meshes, and the generation of occlusions."""

    def __init__(self, images: NDArray[np.uint8], meshes: Grey) -> None:
        self.images, self.meshes = images, meshes

    def example(self, index: int, rng: np.random.Generator, kind: str) -> tuple[Grey, Grey]:
        """An occluded face (64, 64) of 0 to 255, and the covered share of each cell (16, 16)."""
        face = self.images[index].astype(np.float32)
        cover = np.zeros_like(face)
        if kind != "clean":
            shape = SHAPES[kind](self.meshes[index], rng)
            cover = cv2.GaussianBlur(shape, (0, 0), rng.uniform(0.3, 0.9)) * (1 if rng.random() < 0.8 else 0.9)
            face = face + cover * (self._stuff(face, kind, rng) - face)
        middle = (face.shape[0] - 1) / 2
        matrix = cv2.getRotationMatrix2D((middle, middle), rng.normal(0, 4), rng.uniform(0.9, 1.1))
        matrix[:, 2] += (SIDE - 1) / 2 - middle + rng.uniform(-2.5, 2.5, 2)
        flip = slice(None, None, -1 if rng.random() < 0.5 else 1)
        both = [
            cv2.warpAffine(each, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)[:, flip]
            for each in (face, cover)
        ]
        return _photographed(np.ascontiguousarray(both[0]), rng), cv2.resize(
            both[1], (CELLS, CELLS), interpolation=cv2.INTER_AREA
        )

    def _stuff(self, face: Grey, kind: str, rng: np.random.Generator) -> Grey:
        """The texture of an occlusion: skin for hands, dark glass, cloth, or a part of another picture."""
        side = face.shape[0]
        if kind == "hand":
            skin = float(np.median(face[20:50, 20:50])) * rng.uniform(0.7, 1.25)
            return np.clip(skin + _waves(side, rng, 18) + rng.normal(0, 2, face.shape), 0, 255).astype(np.float32)
        if kind == "sunglasses":
            return np.clip(rng.uniform(0, 70) + _waves(side, rng, 14), 0, 255).astype(np.float32)
        if rng.random() < 0.4:
            other = self.images[rng.integers(len(self.images))].astype(np.float32)
            x, y = rng.integers(0, 40, 2)
            return cv2.resize(other[y : y + 30, x : x + 30], (side, side), interpolation=cv2.INTER_LINEAR)
        cloth = rng.uniform(10, 250) + _waves(side, rng, 20) + rng.normal(0, rng.uniform(0, 10), face.shape)
        return np.clip(cloth, 0, 255).astype(np.float32)


def _waves(side: int, rng: np.random.Generator, height: float) -> Grey:
    """Smooth variations of light (side, side), like folds and shadows."""
    coarse = rng.normal(0, rng.uniform(0.2, 1) * height, (rng.integers(2, 7), rng.integers(2, 7))).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)


def _photographed(face: Grey, rng: np.random.Generator) -> Grey:
    """Change the light of a face, blur it, lower its resolution and compress it."""
    face = 128 + (face - 128) * rng.uniform(0.5, 1.3) + rng.uniform(-40, 40)
    if rng.random() < 0.5:
        face = face * (1 + rng.uniform(-0.4, 0.4) * np.linspace(-1, 1, SIDE, dtype=np.float32))
    if rng.random() < 0.4:
        face = cv2.GaussianBlur(face, (0, 0), rng.uniform(0.4, 1.8))
    if rng.random() < 0.5:
        fewer = int(rng.integers(20, SIDE))
        face = cv2.resize(cv2.resize(face, (fewer, fewer), interpolation=cv2.INTER_AREA), (SIDE, SIDE))
    face = face + rng.normal(0, rng.uniform(0, 6), face.shape)
    pixels = np.clip(face, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])[1]
        pixels = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
    return pixels.astype(np.float32)


def _filled(*polygons: Any) -> Grey:
    """A picture (70, 70) that is 1 inside the polygons (P, 2)."""
    shape = np.zeros((70, 70), np.float32)
    for polygon in polygons:
        cv2.fillPoly(shape, [np.round(np.asarray(polygon) * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    return shape


def _round(centre: Any, radii: Any, rng: np.random.Generator, rough: float = 0.15, angle: float = 0.0) -> Grey:
    """The outline (40, 2) of a smooth lump."""
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    wobble = 1 + sum(rng.normal(0, rough / k) * np.cos(k * turn + rng.uniform(0, 6)) for k in (2, 3, 4))
    points = np.stack([np.cos(turn) * radii[0], np.sin(turn) * radii[1]], 1) * np.asarray(wobble)[:, None]
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[c, s], [-s, c]]) + centre, np.float32)


def blob(mesh: Grey, rng: np.random.Generator) -> Grey:
    """A lump anywhere over the face."""
    return _filled(_round(rng.uniform(8, 62, 2), rng.uniform(6, 26, 2), rng, angle=rng.uniform(0, 3)))


def rectangle(mesh: Grey, rng: np.random.Generator) -> Grey:
    """A sheet, a book, a bar: a rectangle at any angle, often from the picture's edge."""
    half, angle = rng.uniform(5, 35, 2), rng.normal(0, 0.5)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    return _filled(corners @ turn + rng.uniform(0, 70, 2))


def hand(mesh: Grey, rng: np.random.Generator) -> Grey:
    """A palm with one to five fingers that come from an edge of the picture, most often from below."""
    target = mesh[rng.integers(0, 468)] + rng.normal(0, 3, 2)
    angle = rng.normal(0, 0.9)  # 0: the fingers point up
    along, across = np.array([np.sin(angle), -np.cos(angle)]), np.array([np.cos(angle), np.sin(angle)])
    width, count = rng.uniform(4.5, 8), int(rng.integers(1, 6))
    shape = np.zeros((70, 70), np.float32)
    length, spread = rng.uniform(18, 34), rng.uniform(0, 0.25)
    base = target - along * length
    for finger in range(count):
        place = finger - (count - 1) / 2
        way = along + across * place * spread
        start, end = base + across * place * width * 1.02, target + across * place * width + (way - along) * length
        end = end - along * rng.uniform(0, 5)
        points = [tuple(int(v) for v in np.round(point * 16)) for point in (start, end)]
        cv2.line(shape, points[0], points[1], 1.0, max(1, int(width)), cv2.LINE_8, 4)
    palm = _round(
        base - along * rng.uniform(8, 16), (max(count, 2) * width * 0.6, rng.uniform(14, 24)), rng, 0.05, angle
    )
    return np.maximum(shape, _filled(palm))


def mask(mesh: Grey, rng: np.random.Generator) -> Grey:
    """A surgical mask from the bridge of the nose, sometimes from below it, to the chin."""
    nose = mesh[rng.choice([6, 197, 195, 5, 4])]
    cheeks = mesh[[118, 347]] if rng.random() < 0.7 else mesh[[50, 280]]
    sides = mesh[list(LOWER_FACE)][:: rng.choice([1, 2])] + rng.normal(0, 0.6, 2)
    return _filled(np.concatenate([cheeks[1:], nose[None], cheeks[:1], sides]))


def scarf(mesh: Grey, rng: np.random.Generator) -> Grey:
    """Cloth from somewhere between nose and lips downwards, wider than the face."""
    y = mesh[rng.choice([5, 4, 2, 0, 13]), 1]
    x = np.linspace(-5, 75, 9)
    top = y + np.cumsum(rng.normal(0, 1.2, 9)) * 0.7 - rng.uniform(-4, 6) * np.abs(x - 35) / 35
    return _filled(np.concatenate([np.stack([x, top], 1), [[75, 75], [-5, 75]]]))


def sunglasses(mesh: Grey, rng: np.random.Generator) -> Grey:
    """Two dark glasses with a bridge."""
    wide, high = rng.uniform(0.75, 1.05), rng.uniform(0.42, 0.85)
    lenses = []
    for outer, inner in EYES:
        half = np.linalg.norm(mesh[outer] - mesh[inner]) / 2 + 1
        centre = (mesh[outer] + mesh[inner]) / 2 + [0, rng.uniform(0, 2)]
        turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        corner = rng.uniform(0.45, 1)  # 1: an ellipse, less: rounder corners
        x, y = (np.sign(v) * np.abs(v) ** corner for v in (np.cos(turn), np.sin(turn)))
        lenses.append(centre + np.stack([x * half * 1.35 * wide, y * half * 1.6 * high], 1))
    shape = _filled(*lenses)
    ends = [tuple(int(v) for v in np.round(mesh[point] * 16)) for point in (133, 362)]
    cv2.line(shape, ends[0], ends[1], 1.0, int(rng.integers(1, 3)), cv2.LINE_8, 4)
    return shape


SHAPES = {"blob": blob, "rectangle": rectangle, "hand": hand, "mask": mask, "scarf": scarf, "sunglasses": sunglasses}


def place_of(meshes: Grey) -> Grey:
    """The mean position of faces, from the brows to the chin, in (64, 64): the share of each cell (16, 16)."""
    mean = np.median(meshes[:4000], axis=0)
    outline = cv2.convexHull(mean[[*IBUG_68[:17], *IBUG_68[17:27]]].astype(np.float32))[:, 0]
    return cv2.resize(_filled(outline)[3:67, 3:67], (CELLS, CELLS), interpolation=cv2.INTER_AREA)


def split(table: FaceTable) -> tuple[Faces, Faces]:
    """Split into training faces and held-out faces: an eighth of the people, or the split `public_test`."""
    known = np.isfinite(table.landmarks[:, 0, 0].astype(np.float32))
    names = [[name or str(row) for name in people] for row, people in enumerate(people_in(table))]
    eighth = [{zlib.crc32(name.encode()) % 8 == 0 for name in people} for people in names]
    held, kept = (np.array([each == {side} for each in eighth]) for side in (True, False))
    if "public_test" in table.split:
        held = table.split == "public_test"
        kept = ~held
    grey = table.images.mean(axis=3).round().astype(np.uint8)
    parts = [np.flatnonzero(known & rows) for rows in (kept, held)]
    return tuple(Faces(grey[rows], table.landmarks[rows].astype(np.float32)) for rows in parts)  # type: ignore[return-value]


def joined(parts: list[Faces]) -> Faces:
    """All faces of several sets."""
    return Faces(np.concatenate([each.images for each in parts]), np.concatenate([each.meshes for each in parts]))


def batch(faces: Faces, rows: Any, rng: np.random.Generator, kinds: Any) -> tuple[Tensor, Tensor]:
    """Occluded pictures (N, 1, 64, 64) and the covered share of their cells (N, 16, 16)."""
    made = [faces.example(int(row), rng, str(kind)) for row, kind in zip(rows, kinds, strict=True)]
    pictures, covers = (torch.from_numpy(np.stack(each)) for each in zip(*made, strict=True))
    return pictures[:, None], covers


def train(network: CoverNetwork, faces: Faces, steps: int, seed: int) -> None:
    """Train with binary cross-entropy in each cell of the face."""
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps, pct_start=0.15)
    network.train()
    mean = 0.0
    for step in range(steps):
        kinds = rng.choice(KINDS, 64, p=SHARES)
        pictures, covers = batch(faces, rng.integers(len(faces.images), size=64), rng, kinds)
        losses = nn.functional.binary_cross_entropy_with_logits(network.logits(pictures), covers, reduction="none")
        loss = (losses * network.place).sum((1, 2)).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        mean = loss.item() if step == 0 else 0.98 * mean + 0.02 * loss.item()
        if step % 200 == 199:
            print(f"step {step + 1}: loss {mean:.4f}", flush=True)
    network.eval()


@torch.no_grad()
def clean_rows(network: CoverNetwork, faces: Faces) -> NDArray[np.bool_]:
    """The photographs in which the network sees no occlusion; some of the others show real hands."""
    greys = torch.from_numpy(faces.images[:, 3:67, 3:67]).float()[:, None]
    return np.concatenate([network(part).numpy() for part in greys.split(512)]) < 0.12


@torch.no_grad()
def measure(network: CoverNetwork, faces: Faces, name: str) -> None:
    """Print the error of the measured cover on held-out faces, for each kind of occlusion."""
    rng = np.random.default_rng(1)
    for kind in KINDS:
        rows = rng.permutation(len(faces.images))[:400]
        pictures, covers = batch(faces, rows, rng, [kind] * len(rows))
        true = (covers * network.place).sum((1, 2)).numpy()
        read = network(pictures).numpy()
        much, little = true >= 0.15, true < 0.15
        print(
            f"{name} {kind:11s} true {true.mean():.3f}, mean error {np.abs(read - true).mean():.3f}, read >= 0.1: "
            f"{(read[much] >= 0.1).mean() if much.any() else float('nan'):.3f} of those with 0.15 and more, "
            f"{(read[little] >= 0.1).mean() if little.any() else float('nan'):.3f} of the others",
            flush=True,
        )


def write(network: CoverNetwork, path: Path) -> None:
    """Write the network as ONNX with its weights as 16-bit floats, which ONNX Runtime widens once at load."""
    import onnx

    from deadpan.release.halving import halve, large_weights
    from deadpan.release.onnx_file import without_traces

    program = torch.onnx.export(
        network,
        (torch.zeros(2, 1, SIDE, SIDE),),
        input_names=["grey"],
        output_names=["cover"],
        dynamic_shapes=({0: torch.export.Dim("faces")},),
        opset_version=18,
        dynamo=True,
    )
    assert program is not None
    model = without_traces(program.model_proto)
    halve(model, large_weights(model))
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, path)
    card = json.loads((ASSETS / "cover.json").read_text(encoding="utf-8"))
    card["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path}: {path.stat().st_size / 1000:.0f} KB")


@torch.no_grad()
def sheet(network: CoverNetwork, faces: Faces, path: Path) -> None:
    """Write held-out faces with occlusions, and those without that the network measures as most covered."""
    rng = np.random.default_rng(2)
    made, _ = batch(faces, rng.permutation(len(faces.images))[:60], rng, np.resize(KINDS, 60))
    greys = torch.from_numpy(faces.images[:, 3:67, 3:67]).float()[:, None]
    real = torch.cat([network(part) for part in greys.split(512)]).argsort(descending=True)[:60]
    shown = torch.cat([made, greys[real]])
    cells = []
    for picture, cover in zip(shown[:, 0].numpy(), network(shown).numpy(), strict=True):
        cell = cv2.resize(picture.astype(np.uint8), (96, 96))
        cv2.putText(cell, f"{cover:.2f}", (2, 92), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1)
        cells.append(cell)
    cv2.imwrite(str(path), np.concatenate([np.concatenate(cells[i : i + 15], 1) for i in range(0, 120, 15)]))


def main() -> None:
    """Train twice: the second time without the photographs that the first network measures as covered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, nargs=2, default=(700, 3000))
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    parts = [split(read_table(path)) for path in options.files]
    faces = joined([part[0] for part in parts])
    place = place_of(faces.meshes)
    for stage, steps in enumerate(options.steps):
        network = CoverNetwork(place)
        train(network, faces, steps, seed=stage)
        if stage == 0:
            kept = clean_rows(network, faces)
            print(f"left out because they are already covered: {(~kept).sum():,} of {len(kept):,}")
            faces = Faces(faces.images[kept], faces.meshes[kept])
    for path, (_, held) in zip(options.files, parts, strict=True):
        measure(network, held, path.stem)
        sheet(network, held, options.out / f"sheet_{path.stem}.png")
    write(network, options.out / "cover.onnx")


if __name__ == "__main__":
    main()
