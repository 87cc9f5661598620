import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from deadpan.expressions import EXPRESSIONS
from deadpan.synthetic.figure import make_figure
from deadpan.synthetic.heads import load_head
from deadpan.synthetic.ict import load
from deadpan.synthetic.render import Studio, sample_scene
from deadpan.synthetic.synthesize import SynthesisConfig, synthesize

SMALL = SynthesisConfig(people=2, pictures=8, size=48, seed=3, workers=1)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drawn") / "people"
    synthesize(out, SMALL)
    return out


def test_folder_holds_what_the_rows_say(drawn: Path) -> None:
    card = json.loads((drawn / "synthetic.json").read_text())
    assert {"format": 1, "people": 2, "size": 48, "seed": 3, "head": "makehuman"}.items() <= card.items()
    rows = [json.loads(line) for line in (drawn / "samples.jsonl").read_text().splitlines()]
    assert len(rows) == 16
    assert sorted(row["expression"] for row in rows) == sorted(EXPRESSIONS * 2)
    for row in rows:
        picture, twin = cv2.imread(str(drawn / row["picture"])), cv2.imread(str(drawn / row["twin"]))
        assert picture is not None
        assert twin is not None
        assert picture.shape == twin.shape == (48, 48, 3)
        marks = np.array(row["landmarks"])
        assert marks.shape == np.array(row["twin_landmarks"]).shape == (68, 2)
        assert (marks[17:] > 0).all()
        assert (marks[17:] < 48).all()
        assert (row["intensity"] == 0) == (row["expression"] == "neutral")
        assert 0 <= row["intensity"] <= 1.1
        assert (row["sequence"], row["frame"]) == ("", -1)
        assert {"age", "sex", "skin", "yaw", "pitch", "roll", "light", "glasses", "beard"} <= row["attributes"].keys()
        assert row["picture"].startswith(row["person"] + "/")
    assert not list(drawn.glob(".*"))


def test_same_seed_same_bytes_with_any_number_of_workers(drawn: Path, tmp_path: Path) -> None:
    synthesize(tmp_path / "again", replace(SMALL, workers=2, people=3))
    first, again = contents(drawn), contents(tmp_path / "again")
    for name in first:
        if name.startswith("0000"):
            assert first[name] == again[name], name
    synthesize(tmp_path / "other", replace(SMALL, people=1, seed=4))
    assert contents(tmp_path / "other")["00000/neutral-0.png"] != first["00000/neutral-0.png"]


def test_finished_and_interrupted_runs_go_on(drawn: Path, tmp_path: Path) -> None:
    before = contents(drawn)
    synthesize(drawn, SMALL)
    assert contents(drawn) == before
    synthesize(tmp_path / "part", SMALL)
    for file in (tmp_path / "part" / "00001").iterdir():
        file.unlink()
    (tmp_path / "part" / "00001").rmdir()
    (tmp_path / "part" / "samples.jsonl").unlink()
    synthesize(tmp_path / "part", SMALL)
    assert contents(tmp_path / "part") == before


def test_other_settings_and_foreign_folders_are_refused(drawn: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"rendered with size 48 instead of 64; give another folder"):
        synthesize(drawn, replace(SMALL, size=64))
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match=r"holds other files already"):
        synthesize(tmp_path, SMALL)
    with pytest.raises(ValueError, match=r"must be a folder"):
        synthesize(tmp_path / "letter.txt", SMALL)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"people": 0}, "people must be at least 1; got 0"),
        ({"size": 8}, "size must be at least 32; got 8"),
        ({"sequences": 1}, "sequences must be 0 .* or at least 2"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"head": "flame"}, "unknown head 'flame'; known are makehuman, ict"),
        ({"head": "ict"}, "head 'ict' needs assets"),
        ({"head": "ict", "assets": Path("nowhere.npz")}, "assets must be an existing file"),
    ],
)
def test_wrong_settings_are_told(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        SynthesisConfig(**settings)  # type: ignore[arg-type]


def test_sequences_run_from_the_twin_to_the_apex(tmp_path: Path) -> None:
    synthesize(tmp_path / "film", replace(SMALL, people=1, pictures=8, sequences=3))
    rows = [json.loads(line) for line in (tmp_path / "film" / "samples.jsonl").read_text().splitlines()]
    assert len(rows) == 24
    film = [row for row in rows if row["sequence"] == "surprise-0"]
    assert [row["frame"] for row in film] == [0, 1, 2]
    assert film[0]["intensity"] == 0 < film[1]["intensity"] < film[2]["intensity"]
    chins = [row["landmarks"][8][1] - row["landmarks"][27][1] for row in film]
    assert chins[0] < chins[1] < chins[2]
    assert len({row["twin"] for row in film}) == 1


def boxed(marks: npt.NDArray[np.floating], size: int, room: float) -> npt.NDArray[np.bool_]:
    (left, top), (right, bottom) = marks.min(0) - room, marks.max(0) + room
    columns, rows = np.meshgrid(np.arange(size), np.arange(size))
    return np.asarray((columns > left) & (columns < right) & (rows > top) & (rows < bottom))


def test_twin_differs_in_the_face_alone() -> None:
    for seed in (1, 2, 3):
        figure = make_figure("makehuman", seed)
        scene = replace(sample_scene(seed), occluder="none")
        studio = Studio(figure, scene, 96)
        twin, before = studio.picture({})
        smile = {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0, "jawOpen": 0.2}
        picture, after = studio.picture(smile)
        again, _ = studio.picture({})
        assert (again == twin).all()
        changed = np.abs(picture.astype(int) - twin).max(-1)
        face = boxed(np.concatenate([before, after]), 96, 6)
        mouth = boxed(before[48:60], 96, 3)
        assert changed[~face].max() <= 25  # the shadow of the jaw on neck and clothes may move
        assert (changed[~face] > 3).mean() < 0.03
        assert changed[mouth].mean() > 5
        assert after[66, 1] - after[62, 1] > before[66, 1] - before[62, 1] + 1  # the lips part
        corners = after[[48, 54]].mean(0) - before[[48, 54]].mean(0)
        assert corners[1] < 0  # up in the picture


def test_poses_turn_the_landmarks_the_way_they_say() -> None:
    figure = make_figure("makehuman", 5)
    straight = replace(sample_scene(0), yaw=0.0, pitch=0.0, roll=0.0)

    def marks(**pose: float) -> npt.NDArray[np.floating]:
        return Studio(figure, replace(straight, **pose), 64).picture({})[1]  # type: ignore[arg-type]

    def nose_aside(m: npt.NDArray[np.floating]) -> float:
        return float((m[30, 0] - m[36, 0]) / (m[45, 0] - m[36, 0]))

    assert nose_aside(marks(yaw=20.0)) > nose_aside(marks()) > nose_aside(marks(yaw=-20.0))
    level = marks(roll=15.0)
    assert level[45, 1] < level[36, 1]  # positive roll lifts the viewer's right side
    assert marks(pitch=15.0)[30, 1] - marks(pitch=15.0)[27, 1] > marks(pitch=-15.0)[30, 1] - marks(pitch=-15.0)[27, 1]


@pytest.fixture
def tiny_ict(tmp_path: Path) -> Path:
    """A head in ICT's file format: the MakeHuman head, ten times as large and turned, two modes, four shapes."""
    head = load_head("makehuman")
    rng = np.random.default_rng(0)
    names = ("face", "head", "mouth", "sockl", "sockr", "gums", "teeth", "eyel", "eyer", "lash")
    kinds = {0: 0, 1: 7, 2: 6, 3: 6, 4: 5, 5: 9}
    groups = np.array([kinds[int(kind)] for kind in head.material], np.uint8)
    shapes = ("mouthSmile_L", "mouthSmile_R", "browInnerUp_L", "browInnerUp_R", "jawOpen")
    ours = ("mouthSmileLeft", "mouthSmileRight", "browInnerUp", "browInnerUp", "jawOpen")
    deltas = np.stack([10 * head.shapes[head.shape_names.index(name)] for name in ours])
    scale = np.abs(deltas).max((1, 2)) / 127
    modes = rng.normal(0, 1, (2, 1, 3)) * head.template[None] * 0.02
    mode_scale = np.abs(modes).max((1, 2)) / 127
    np.savez(
        tmp_path / "ict.npz",
        v=(head.template * 10 - 70).astype(np.float32),
        f=head.triangles.astype(np.uint16),
        fg=groups,
        groups=np.array(names),
        id_q=np.round(modes / mode_scale[:, None, None]).astype(np.int8),
        id_s=mode_scale.astype(np.float32),
        ex_q=np.round(deltas / scale[:, None, None]).astype(np.int8),
        ex_s=scale.astype(np.float32),
        ex_names=np.array(shapes),
        lmk68=head.landmarks,
    )
    return tmp_path / "ict.npz"


def test_ict_head_lies_on_the_template(tiny_ict: Path) -> None:
    common, head = load_head("makehuman"), load(tiny_ict, load_head("makehuman"))
    np.testing.assert_allclose(head.template, common.template, atol=0.01)
    np.testing.assert_allclose(head.rest, common.template, atol=1e-3)
    assert set(head.shape_names) == {"mouthSmileLeft", "mouthSmileRight", "browInnerUp", "jawOpen"}
    mine, theirs = (h.shapes[h.shape_names.index("jawOpen")] for h in (head, common))
    np.testing.assert_allclose(mine, theirs, atol=0.005)
    figure = make_figure("ict", 1, tiny_ict)
    picture, _ = Studio(figure, sample_scene(1), 48).picture({"jawOpen": 0.4})
    assert picture.std() > 10


def test_ict_file_must_be_whole(tmp_path: Path) -> None:
    np.savez(tmp_path / "half.npz", v=np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"not a converted ICT head: 'f' is missing"):
        load(tmp_path / "half.npz", load_head("makehuman"))
    with pytest.raises(ValueError, match=r"needs a file made by deadpan\.synthetic\.ict\.convert"):
        load(None, load_head("makehuman"))
