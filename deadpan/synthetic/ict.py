"""The second head family: ICT-FaceKit Light, built from scans of real people.

ICT-FaceKit is MIT licensed, "Copyright (c) 2020 USC Institute for Creative Technologies". It is not part of deadpan:
users need their own clone. `convert` turns a clone into one small file. `load` reads that file and fits the head to the
common template. A second family shows whether a model has learnt expressions or only one mesh.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deadpan.synthetic.openness import openness
from deadpan.synthetic.rig import EYE, LASH, LOWER_TEETH, SKIN, TONGUE, UPPER_TEETH, Array, Head, Indices

# (part, first vertex, last vertex) in generic_neutral_mesh.obj; the vertex order is that of ICT-FaceKit's README
PARTS = (
    ("face", 0, 9408),
    ("head", 9409, 11247),
    ("mouth", 11248, 13293),
    ("sockl", 13294, 13677),
    ("sockr", 13678, 14061),
    ("gums", 14062, 17038),
    ("teeth", 17230, 21271),
    ("eyel", 21451, 23020),
    ("eyer", 23021, 24590),
    ("lash", 25351, 26718),
)
LANDMARKS = (
    1225, 1888, 1052, 367, 1719, 1722, 2199, 1447, 966, 3661, 4390, 3927, 3924, 2608, 3272, 4088, 3443, 268, 493, 1914,
    2044, 1401, 3615, 4240, 4114, 2734, 2509, 978, 4527, 4942, 4857, 1140, 2075, 1147, 4269, 3360, 1507, 1542, 1537,
    1528, 1518, 1511, 3742, 3751, 3756, 3721, 3725, 3732, 5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957,
    5841, 5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
)  # fmt: skip
"""The vertex of each iBUG-68 landmark on the same mesh."""

MODES = 60  # identity modes that are kept
NECK = -16.5  # centimetres; the mesh below this height is cut off

_MATERIALS = {"teeth": UPPER_TEETH, "gums": TONGUE, "eyel": EYE, "eyer": EYE, "lash": LASH}
_INSIDE = ("mouth", "sockl", "sockr")
_KEYS = ("v", "f", "fg", "groups", "id_q", "id_s", "ex_q", "ex_s", "ex_names", "lmk68")


def convert(ict_root: Path, out: Path) -> None:
    """Write the head file `out` (.npz, 4 MB) from a clone of https://github.com/ICT-VGL/ICT-FaceKit at `ict_root`.

    ValueError where `ict_root` is no such clone.
    """
    folder = Path(ict_root) / "FaceXModel"
    mesh = folder / "generic_neutral_mesh.obj"
    if not mesh.is_file():
        raise ValueError(f"{ict_root} must be a clone of ICT-FaceKit, with FaceXModel/generic_neutral_mesh.obj in it")
    lines = mesh.read_text("utf-8").splitlines()
    vertices = _vertices(lines)
    identities = sorted(folder.glob("identity*.obj"))[:MODES]
    expressions = sorted(p for p in folder.glob("*.obj") if not p.name.startswith(("identity", "generic_neutral")))
    part = np.full(len(vertices), -1)
    for index, (_, first, last) in enumerate(PARTS):
        part[first : last + 1] = index
    triangles = np.array(list(_triangles(lines)))
    own = part[triangles]
    triangles = triangles[(own >= 0).all(1) & (vertices[triangles][..., 1].min(1) > NECK)]
    kept = np.unique(triangles)
    renumbered = np.full(len(vertices), -1)
    renumbered[kept] = np.arange(len(kept))
    rest = vertices[kept]
    modes, mode_sizes = _packed([_vertices(p.read_text("utf-8").splitlines())[kept] for p in identities], rest)
    shapes, sizes = _packed([_vertices(p.read_text("utf-8").splitlines())[kept] for p in expressions], rest)
    unfinished = Path(out).with_name(f".{Path(out).name}.npz")
    np.savez_compressed(
        unfinished,
        v=rest,
        f=renumbered[triangles].astype(np.uint16),
        fg=part[triangles[:, 0]].astype(np.uint8),
        groups=np.array([name for name, _, _ in PARTS]),
        id_q=modes,
        id_s=mode_sizes,
        ex_q=shapes,
        ex_s=sizes,
        ex_names=np.array([p.stem for p in expressions]),
        lmk68=renumbered[list(LANDMARKS)].astype(np.int32),
    )
    unfinished.replace(out)


def _vertices(lines: Iterable[str]) -> Array:
    """Return the vertices (V, 3) of the lines of an .obj file."""
    return np.array([[float(x) for x in line.split()[1:4]] for line in lines if line.startswith("v ")], np.float32)


def _triangles(lines: Iterable[str]) -> Iterable[tuple[int, int, int]]:
    """Yield the triangles of the lines of an .obj file, counted from 0; larger polygons become fans."""
    for line in lines:
        if line.startswith("f "):
            corners = [int(corner.split("/")[0]) - 1 for corner in line.split()[1:]]
            for k in range(1, len(corners) - 1):
                yield corners[0], corners[k], corners[k + 1]


def _packed(meshes: list[Array], rest: Array) -> tuple[npt.NDArray[np.int8], Array]:
    """Return the displacements from `rest` as int8 (M, V, 3), and the step (M,) that scales them back."""
    deltas = np.stack(meshes) - rest
    sizes = np.maximum(np.abs(deltas).max((1, 2)) / 127, 1e-9).astype(np.float32)
    return np.round(deltas / sizes[:, None, None]).astype(np.int8), sizes


def load(assets: Path | None, common: Head) -> Head:
    """Return the ICT head of a converted file; its vertices are placed on the template of the MakeHuman head.

    ValueError for a missing or damaged file.
    """
    if assets is None or not Path(assets).is_file():
        raise ValueError(f"the ict head needs a file made by deadpan.synthetic.ict.convert; got {assets}")
    try:
        opened = np.load(assets)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{assets} is not a converted ICT head ({error}); convert it again") from error
    with opened as file:
        missing = [key for key in _KEYS if key not in file.files]
        if missing:
            raise ValueError(f"{assets} is not a converted ICT head: {missing[0]!r} is missing; convert it again")
        data = {key: file[key] for key in _KEYS}
    goal = common.template[common.landmarks]
    triangles, marks = data["f"].astype(np.int32), data["lmk68"].astype(np.int32)
    source = data["v"].astype(np.float64)
    turn, shift = similarity(source[marks], goal)
    rest = (source @ turn.T + shift).astype(np.float32)
    template = warp(rest, rest[marks], goal)
    groups = [str(group) for group in data["groups"]]
    part = np.zeros(len(rest), np.uint8)
    part[triangles.ravel()] = np.repeat(data["fg"], 3)
    names = np.array(groups)[part]
    material = np.array([_MATERIALS.get(group, SKIN) for group in groups], np.uint8)[data["fg"]]
    low = template[triangles][..., 1].mean(1) < goal[60:68, 1].mean()  # teeth below the inner lips are the lower ones
    material[(material == UPPER_TEETH) & low] = LOWER_TEETH
    shapes = _shapes(data, turn)
    return Head(
        name="ict",
        template=template,
        rest=rest,
        triangles=triangles,
        material=material,
        landmarks=marks,
        modes=_deltas(data["id_q"], data["id_s"], turn),
        mode_names=tuple(f"mode{k:02d}" for k in range(len(data["id_q"]))),
        shapes=np.stack(list(shapes.values())),
        shape_names=tuple(shapes),
        openness=openness(rest, triangles[material != LASH]),
        inside=np.isin(names, _INSIDE).astype(np.float32),
        lips=_lips(template, triangles, names == "face", goal),
        lids=np.zeros(len(rest), np.float32),
        ears=_ears(template),
    )


def _deltas(packed: npt.NDArray[np.int8], sizes: Array, turn: npt.NDArray[np.float64]) -> Array:
    """Return packed displacements as float32 (M, V, 3), rotated and scaled onto the template."""
    deltas: Array = (packed * sizes[:, None, None]) @ turn.T.astype(np.float32)
    return deltas.astype(np.float32)


def _shapes(data: dict[str, npt.NDArray[np.generic]], turn: npt.NDArray[np.float64]) -> dict[str, Array]:
    """Return ICT's expression shapes under ARKit's names.

    browDown_L becomes browDownLeft. ARKit has one browInnerUp and one cheekPuff, so ICT's two halves are summed.
    """
    shapes: dict[str, Array] = {}
    deltas = _deltas(np.asarray(data["ex_q"], np.int8), np.asarray(data["ex_s"], np.float32), turn)
    for name, delta in zip((str(name) for name in data["ex_names"]), deltas, strict=True):
        key = name.removesuffix("_L") + "Left" if name.endswith("_L") else name
        key = key.removesuffix("_R") + "Right" if key.endswith("_R") else key
        if key.startswith(("browInnerUp", "cheekPuff")):
            key = key.removesuffix("Left").removesuffix("Right")
        shapes[key] = shapes[key] + delta if key in shapes else delta
    return shapes


def similarity(
    source: npt.NDArray[np.float64], goal: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the scaled rotation (3, 3) and the shift (3,) that best align points (N, 3) with `goal` (Umeyama 1991)."""
    a, b = source - source.mean(0), goal - goal.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    turn = (u * sign) @ vt * ((s * sign).sum() / (a**2).sum())
    return turn, goal.mean(0) - turn @ source.mean(0)


def warp(points: Array, anchors: Array, goal: Array, stiffness: float = 1e-3) -> Array:
    """Return points (N, 3), moved by the smoothest map that takes `anchors` to `goal` (A, 3 each).

    The map is a thin-plate spline in three dimensions, with the kernel |r|. `stiffness` regularises it.
    """
    count = len(anchors)
    system = np.zeros((count + 4, count + 4))
    system[:count, :count] = -np.linalg.norm(anchors[:, None] - anchors[None], axis=-1) - stiffness * np.eye(count)
    system[:count, count] = system[count, :count] = 1
    system[:count, count + 1 :], system[count + 1 :, :count] = anchors, anchors.T
    solution = np.linalg.solve(system, np.concatenate([goal - anchors, np.zeros((4, 3))]))
    moved = np.array(points, np.float64)
    for start in range(0, len(points), 4096):
        chunk = points[start : start + 4096]
        reach = -np.linalg.norm(chunk[:, None] - anchors[None], axis=-1)
        moved[start : start + 4096] += reach @ solution[:count] + solution[count] + chunk @ solution[count + 1 :]
    return moved.astype(np.float32)


def _lips(template: Array, triangles: Indices, face: npt.NDArray[np.bool_], goal: Array) -> Array:
    """Return 1 on the lips (V,): front vertices inside the outline of the lip landmarks, smoothed over the mesh."""
    import cv2

    outline = np.ascontiguousarray(goal[48:60, :2], np.float32)
    near = face & (template[:, 2] > 1.1)
    lips = np.zeros(len(template), np.float32)
    for index in np.flatnonzero(near):
        point = (float(template[index, 0]), float(template[index, 1]))
        lips[index] = cv2.pointPolygonTest(outline, point, True) > -0.004
    degree = np.bincount(triangles.ravel(), minlength=len(lips)) * 2
    for _ in range(2):
        around = np.zeros(len(lips), np.float64)
        for a, b in ((0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2)):
            around += np.bincount(triangles[:, a], lips[triangles[:, b]], len(lips))
        lips = (0.5 * lips + 0.5 * around / np.maximum(degree, 1)).astype(np.float32)
    return lips


def _ears(template: Array) -> Array:
    """Return a mask (V,) of the ears: a soft box around each one, in template coordinates."""
    x, y, z = template.T
    ears = sum(
        np.exp(-(((x - at) / 0.16) ** 4) - ((y - 7.22) / 0.36) ** 4 - ((z - 0.5) / 0.28) ** 4) for at in (-0.8, 0.8)
    )
    return np.asarray(ears, np.float32)
