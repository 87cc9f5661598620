"""The two head families, loaded by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from deadpan.synthetic.ict import load
from deadpan.synthetic.rig import EYE, LASH, LOWER_TEETH, SKIN, TONGUE, UPPER_TEETH, Head

HEADS = ("makehuman", "ict")

ASSET = Path(__file__).parent / "assets" / "makehuman_head.npz"

_MAKEHUMAN_MATERIALS = {
    "body": SKIN,
    "helper-l-eye": EYE,
    "helper-r-eye": EYE,
    "helper-upper-teeth": UPPER_TEETH,
    "helper-lower-teeth": LOWER_TEETH,
    "helper-tongue": TONGUE,
    "helper-l-eyelashes-1": LASH,
    "helper-l-eyelashes-2": LASH,
    "helper-r-eyelashes-1": LASH,
    "helper-r-eyelashes-2": LASH,
}


def unpack_makehuman(path: Path) -> Head:
    """Read the packed MakeHuman head (CC0).

    The file stores each displacement as (gap to the next moved vertex, int16 in tenths of a millimetre). Most targets
    move few vertices, so this keeps the file at 1 MB.
    """
    with np.load(path) as file:
        data = {key: file[key] for key in file.files}
    names = [str(name) for name in data["names"]]
    count, size, _ = (int(n) for n in data["tgt_shape"])
    flat = np.zeros((count * size, 3), np.float32)
    flat[np.cumsum(data["tgt_gap"].astype(np.int64))] = data["tgt_val"] * np.float32(1e-3)
    deltas = flat.reshape(count, size, 3)
    groups = [str(group) for group in data["groups"]]
    drawn = np.array([group in _MAKEHUMAN_MATERIALS for group in groups])[data["fg"]]
    kinds = np.array([_MAKEHUMAN_MATERIALS.get(group, 0) for group in groups], np.uint8)
    moves = [i for i, name in enumerate(names) if name.startswith("fu/")]
    modes = [i for i, name in enumerate(names) if not name.startswith(("fu/", "eu/"))]
    masks = {key: data[key].astype(np.float32) / 255 for key in ("ao", "inside_mouth", "lips", "eyelids", "ears")}
    return Head(
        name="makehuman",
        template=data["template"].astype(np.float32),
        rest=(data["v"] / 1e4).astype(np.float32),
        triangles=data["f"][drawn].astype(np.int32),
        material=kinds[data["fg"][drawn]],
        landmarks=data["lmk68"].astype(np.int32),
        modes=deltas[modes],
        mode_names=tuple(names[i] for i in modes),
        shapes=deltas[moves],
        shape_names=tuple(names[i].removeprefix("fu/") for i in moves),
        openness=masks["ao"],
        inside=masks["inside_mouth"],
        lips=masks["lips"],
        lids=masks["eyelids"],
        ears=masks["ears"],
    )


@cache
def load_head(name: str, assets: Path | None = None) -> Head:
    """Return the head family `name`, cached per process.

    "makehuman" is in the package. "ict" needs `assets`, the file that `ict.convert` writes. ValueError for another
    name.
    """
    if name == "makehuman":
        return unpack_makehuman(assets or ASSET)
    if name == "ict":
        return load(assets, load_head("makehuman"))
    raise ValueError(f"unknown head {name!r}; known are {', '.join(HEADS)}")
