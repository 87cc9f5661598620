from pathlib import Path

import numpy as np
import pytest

from deadpan.synthetic.expression import expression_weights, for_head
from deadpan.synthetic.heads import load_head
from deadpan.synthetic.ict import LANDMARKS, convert, similarity, warp
from deadpan.synthetic.raster import draw
from deadpan.synthetic.rig import SKIN, Array, Head, Indices, normals


@pytest.fixture(scope="module")
def head() -> Head:
    return load_head("makehuman")


def plain_raster(points: Array, triangles: Indices, size: int) -> tuple[Indices, Array]:
    """The slow truth: for every pixel centre, the nearest front-facing triangle that holds it."""
    shown, depth = np.full((size, size), -1), np.full((size, size), -np.inf)
    for t, triangle in enumerate(triangles):
        a, b, c = points[triangle].astype(np.float64)
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if area >= 0:
            continue
        for row in range(size):
            for column in range(size):
                x, y = column + 0.5, row + 0.5
                wb = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) / area
                wc = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) / area
                wa = 1 - wb - wc
                z = wa * a[2] + wb * b[2] + wc * c[2]
                if min(wa, wb, wc) >= 0 and z > depth[row, column]:
                    shown[row, column], depth[row, column] = t, z
    return shown, depth


def test_rasteriser_agrees_with_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-4, 28, (60, 2)), rng.normal(size=60)]).astype(np.float32)
    triangles = rng.integers(0, 60, (40, 3)).astype(np.int32)
    shown, where, depth = draw(points, triangles, 24, 24)
    expected, expected_depth = plain_raster(points, triangles, 24)
    assert (shown >= 0).mean() > 0.3
    assert (shown == expected).mean() > 0.99  # single and double precision part on edges
    same = (shown == expected) & (shown >= 0)
    np.testing.assert_allclose(depth[same], expected_depth[same], atol=1e-4)
    corners = points[triangles[shown[same]]]
    weights = np.column_stack([1 - where[same].sum(-1), where[same]])
    rows, columns = np.nonzero(same)
    centres = (corners[..., :2] * weights[..., None]).sum(1)
    np.testing.assert_allclose(centres, np.column_stack([columns, rows]) + 0.5, atol=1e-2)


def test_normals_of_a_tetrahedron_point_outwards() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    triangles = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    outward = normals(vertices, triangles)
    np.testing.assert_allclose(np.linalg.norm(outward, axis=1), 1, rtol=1e-5)
    assert (((vertices - vertices.mean(0)) * outward).sum(1) > 0).all()


def test_head_is_complete(head: Head) -> None:
    assert head.template.shape == head.rest.shape == (len(head.openness), 3)
    assert head.triangles.max() < len(head.template)
    assert len(head.shape_names) == 52
    skin = np.unique(head.triangles[head.material == SKIN])
    assert np.isin(head.landmarks, skin).all()
    marks = head.template[head.landmarks]
    mirror = [*range(16, -1, -1), *range(26, 16, -1)]  # jaw and brows, seen in a mirror
    np.testing.assert_allclose(marks[mirror, 1], marks[:27, 1], atol=0.02)
    assert marks[36, 0] < marks[39, 0] < 0 < marks[42, 0] < marks[45, 0]  # the viewer's left comes first


def test_jaw_opens_and_smile_rises(head: Head) -> None:
    rest = head.posed(head.template, {})[head.landmarks]
    opened = head.posed(head.template, {"jawOpen": 1.0})[head.landmarks]
    assert opened[57, 1] < rest[57, 1] - 0.15
    assert opened[8, 1] < rest[8, 1] - 0.1
    assert abs(opened[51, 1] - rest[51, 1]) < 0.03
    np.testing.assert_allclose(opened[36:48], rest[36:48], atol=0.01)
    smiling = head.posed(head.template, {"mouthSmileLeft": 1.0})[head.landmarks]
    assert smiling[54, 1] > rest[54, 1] + 0.03  # the person's left corner is the viewer's right
    assert abs(smiling[48, 1] - rest[48, 1]) < 0.02


@pytest.mark.parametrize(
    ("expression", "mark", "axis", "sign"),
    [("happiness", 54, 1, 1), ("sadness", 54, 1, -1), ("surprise", 57, 1, -1), ("surprise", 19, 1, 1),
     ("anger", 21, 1, -1), ("happiness", 54, 0, 1)],
)  # fmt: skip
def test_landmarks_move_as_the_expression_says(head: Head, expression: str, mark: int, axis: int, sign: int) -> None:
    for seed in range(5):
        weights = for_head("makehuman", expression_weights(expression, 1.0, np.random.default_rng(seed)))
        moved = head.posed(head.template, weights)[head.landmarks]
        assert sign * (moved[mark, axis] - head.template[head.landmarks][mark, axis]) > 0.005


def test_unknown_shapes_and_heads_are_refused(head: Head) -> None:
    with pytest.raises(ValueError, match=r"unknown shape 'mouthGrin'; this head has"):
        head.posed(head.template, {"mouthGrin": 1.0})
    with pytest.raises(ValueError, match=r"unknown head 'flame'; known are makehuman, ict"):
        load_head("flame")


def test_closed_lips_hide_the_teeth(head: Head) -> None:
    assert head.shut(head.template) == 1.0
    assert head.shut(head.posed(head.template, {"jawOpen": 0.5})) == 0.0


def test_similarity_and_warp_meet_their_anchors() -> None:
    rng = np.random.default_rng(1)
    goal = rng.normal(size=(30, 3))
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    source = ((goal - 5) @ turn) / 3
    found, shift = similarity(source, goal)
    np.testing.assert_allclose(source @ found.T + shift, goal, atol=1e-9)
    bent = goal + 0.1 * rng.normal(size=goal.shape)
    moved = warp(goal.astype(np.float32), goal.astype(np.float32), bent.astype(np.float32), stiffness=1e-9)
    np.testing.assert_allclose(moved, bent, atol=1e-4)


def test_convert_packs_a_clone(tmp_path: Path) -> None:
    folder = tmp_path / "FaceXModel"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rest = rng.normal(0, 5, (26719, 3)).round(3)
    faces = "".join(f"f {k}/{k} {k + 1}/{k} {k + 2}/{k} {k + 3}/{k}\n" for k in range(1, 9405, 2))  # the face alone
    moved = {"identity000": rng.normal(size=3), "jawOpen": rng.normal(size=3), "browDown_L": rng.normal(size=3)}
    for name, shift in [("generic_neutral_mesh", np.zeros(3)), *moved.items()]:
        lines = "".join(f"v {x:.4f} {y:.4f} {z:.4f}\n" for x, y, z in rest + shift)
        (folder / f"{name}.obj").write_text(lines + faces)
    convert(tmp_path, tmp_path / "ict.npz")
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".npz"] == ["ict.npz"]
    with np.load(tmp_path / "ict.npz") as file:
        assert list(file["ex_names"]) == ["browDown_L", "jawOpen"]
        count = len(file["v"])
        assert 9000 < count <= 9409
        np.testing.assert_allclose(file["v"][file["lmk68"]], rest[list(LANDMARKS)], atol=1e-4)
        for packed, size, name in [
            (file["id_q"][0], file["id_s"][0], "identity000"),
            (file["ex_q"][1], file["ex_s"][1], "jawOpen"),
        ]:
            wanted = np.broadcast_to(moved[name], (count, 3))
            np.testing.assert_allclose(packed * size, wanted, atol=0.6 * size + 1e-4)
        assert file["f"].max() < count


def test_convert_needs_a_clone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must be a clone of ICT-FaceKit"):
        convert(tmp_path, tmp_path / "ict.npz")
