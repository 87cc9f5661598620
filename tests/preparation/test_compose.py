"""Pairs made of the example photographs and of rendered people."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from deadpan.cli.main import main
from deadpan.datasets import DATASETS
from deadpan.faces.landmarks import mesh_of_crop
from deadpan.faces.relaxing import upright, with_depth
from deadpan.files import OutputError
from deadpan.preparation.compose import CompositionReport, alike, common_split, compose
from deadpan.preparation.contents import METADATA_KEY
from deadpan.preparation.donors import ComposeError, measure_face, measures, pools
from deadpan.preparation.pasting import Recipe, composite, displaced
from deadpan.preparation.prepare import prepare
from deadpan.preparation.table import FaceTable, people_in, photographs_in, read_table, subjects_of
from deadpan.training.provenance import described
from tests.support.photos import PHOTOS

PAIRS = 40

LIPS = [61, 291, 0, 17, 13, 14, 82, 312, 87, 317]

TRAINED = ("006", "107")

QUIET = Console(file=StringIO())


def prepared(folder: Path, size: int, known: bool = True, **labels: str) -> Path:
    """The eight photographs of the London Set, prepared; `labels` replace an expression by another.

    The first two people are in the split train, the others in test; nobody is `known` by name where that is wished.
    """
    with (folder / "faces.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "name", "expression", "subject", "split"])
        for path in sorted(PHOTOS.glob("london_*.jpg")):
            _, person, expression = path.stem.split("_")
            label, split = labels.get(expression, expression), "train" if person in TRAINED else "test"
            rows.writerow([path, path.stem, label, person if known else "", split])
    out = folder / f"faces{size}.parquet"
    prepare("csv", folder / "faces.csv", out, size, workers=1, console=QUIET)
    return out


def named(path: Path, dataset: str) -> Path:
    """A copy of a prepared file as if it came from another data set."""
    table, out = pq.read_table(path), path.with_name(f"{dataset}.parquet")
    about = {**json.loads(table.schema.metadata[METADATA_KEY]), "dataset": dataset}
    pq.write_table(table.replace_schema_metadata({METADATA_KEY: json.dumps(about)}), out)
    return out


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("faces"), 128)


@pytest.fixture(scope="module")
def composed(faces: Path) -> tuple[CompositionReport, FaceTable]:
    out = faces.with_name("pairs.parquet")
    report = compose(faces, [faces], out, PAIRS, workers=1, console=QUIET)
    return report, read_table(out)


def kind(table: FaceTable, wanted: str) -> list[int]:
    return [row for row in range(len(table)) if table.attributes[row]["kind"] == wanted]


def test_a_pair_is_a_composite_and_the_untouched_photograph(
    faces: Path, composed: tuple[CompositionReport, FaceTable]
) -> None:
    given, (report, table) = read_table(faces), composed
    assert len(table) == PAIRS and table.image_size == 128 and sum(report.kinds.values()) == PAIRS
    place = {name: row for row, name in enumerate(given.names.tolist())}
    for row in range(PAIRS):
        about = table.attributes[row]
        source = place[about["neutral"]]
        assert np.array_equal(table.twins[table.twin_index[row]], given.images[source])
        assert np.array_equal(table.twin_landmarks[row], given.landmarks[source])
        assert table.subjects[table.subject[row]] == given.subjects[given.subject[source]]
        assert (
            "neutral" in about["neutral"] and about["neutral"].split("_")[1] != about.get("donor", "_-_").split("_")[1]
        )
    assert {table.subjects[index].split("/")[0] for index in table.subject} == {"csv"}


def test_a_composite_names_its_donor_and_belongs_to_a_split_only_with_both_photographs(
    faces: Path, composed: tuple[CompositionReport, FaceTable]
) -> None:
    given, (_, table) = read_table(faces), composed
    subject = dict(zip(given.names.tolist(), subjects_of(given), strict=True))
    split = dict(zip(given.names.tolist(), given.split.tolist(), strict=True))
    for row in range(PAIRS):
        about = table.attributes[row]
        assert table.donors[row] == (subject[about["donor"]] if "donor" in about else "")
        sides = {split[about[each]] for each in ("neutral", "donor") if each in about}
        assert table.split[row] == (sides.pop() if len(sides) == 1 else "")
    assert set(table.split) == {"train", "test", ""}
    for part in ("train", "test"):
        people = read_table(table.path, split=part).people
        assert people and all((person.partition("/")[2] in TRAINED) == (part == "train") for person in people)
    assert table.sources == ("csv",) and common_split("", "train") == "train" and common_split("", "") == ""


def test_namesakes_of_another_data_set_are_other_people(faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "pairs.parquet"
    compose(faces, [named(faces, "london"), faces], out, PAIRS, image_size=64, workers=1, console=QUIET)
    table = read_table(out)
    mains, controls = kind(table, "main"), kind(table, "control")
    assert table.sources == ("csv", "london") and {f"{name}/006" for name in table.sources} <= set(table.people)
    assert {table.donors[row].partition("/")[0] for row in mains} == {"csv", "london"}
    assert {table.donors[row].partition("/")[0] for row in controls} == {"csv"}
    assert subjects_of(table) == [f"csv/{each['neutral'].split('_')[1]}" for each in table.attributes]
    given = [each["terms"] for each in described({"pairs.parquet": table})]
    assert given == [DATASETS[name].facts.terms for name in ("csv", "london")]


def test_a_donor_without_a_name_is_an_unknown_person_of_the_data_set(tmp_path: Path) -> None:
    faces, out = prepared(tmp_path, 64, known=False), tmp_path / "pairs.parquet"
    compose(faces, [faces], out, 20, workers=1, console=QUIET)
    table = read_table(out)
    same = kind(table, "identity")
    assert table.people == [] and same and set(table.donors[same]) == {""}
    assert set(np.delete(table.donors, same)) == {"csv/"} and ("", "") in people_in(table)
    photographs = {each for shown in photographs_in(table) for each in shown}
    assert photographs <= {("csv", name) for name in read_table(faces).names.tolist()} and len(photographs) > 4


def test_composites_are_not_composed_again(faces: Path, composed: tuple[CompositionReport, FaceTable]) -> None:
    _, table = composed
    out = table.path.with_name("again.parquet")
    for neutral, expressive in ((table.path, faces), (faces, table.path)):
        with pytest.raises(ComposeError, match=r"pairs.parquet holds composites; expected prepared files of"):
            compose(neutral, [expressive], out, 4, workers=1, console=QUIET)
    assert not out.exists()


def test_the_kinds_do_what_they_are_named_for(composed: tuple[CompositionReport, FaceTable]) -> None:
    report, table = composed
    assert set(report.kinds) == {"main", "control", "identity"} and report.kinds["main"] > PAIRS / 2
    differences = np.abs(table.images.astype(int) - table.twins[table.twin_index]).mean(axis=(1, 2, 3))
    moved = np.abs(table.landmarks.astype(float) - table.twin_landmarks)[:, LIPS].mean(axis=(1, 2))
    smiles = table.classes == table.expressions.index("happiness")
    main_rows, controls, same = (kind(table, each) for each in ("main", "control", "identity"))
    assert smiles[main_rows].all() and (moved[main_rows] > 0.3).all() and (differences[main_rows] > 0.5).all()
    assert not smiles[controls + same].any() and (moved[controls + same] == 0).all() and (differences[same] == 0).all()
    assert all(0.55 <= table.attributes[row]["strength"] <= 1.15 for row in main_rows)


def test_the_mesh_network_sees_the_mesh_that_the_file_states(composed: tuple[CompositionReport, FaceTable]) -> None:
    _, table = composed
    nearer, errors = [], []
    for row in kind(table, "main"):
        stated, twin = (each[row].astype(np.float64) for each in (table.landmarks, table.twin_landmarks))
        if np.abs(stated - twin)[LIPS].mean() < 2:  # pixels of 140
            continue
        seen = mesh_of_crop(np.ascontiguousarray(table.images[row]))
        assert seen is not None
        error = np.linalg.norm(seen[LIPS, :2] - stated[LIPS], axis=1).mean()
        errors.append(error)
        nearer.append(error < np.linalg.norm(seen[LIPS, :2] - twin[LIPS], axis=1).mean())
    assert len(nearer) >= 8 and all(nearer) and np.median(errors) < 2.5


def test_the_motion_fades_out_around_the_face(composed: tuple[CompositionReport, FaceTable]) -> None:
    _, table = composed
    difference = np.abs(table.images.astype(int) - table.twins[table.twin_index])
    mouth = difference[kind(table, "main"), 85:115, 45:95].mean()
    assert mouth > 5 and difference[:, :12].mean() < mouth / 10


def test_the_file_is_the_same_for_any_number_of_workers_and_another_for_another_seed(
    faces: Path, composed: tuple[CompositionReport, FaceTable]
) -> None:
    two, other = faces.with_name("two.parquet"), faces.with_name("other.parquet")
    compose(faces, [faces], two, PAIRS, workers=2, console=QUIET)
    compose(faces, [faces], other, PAIRS, seed=1, workers=1, console=QUIET)
    first = pq.read_table(faces.with_name("pairs.parquet"))
    assert first.equals(pq.read_table(two), check_metadata=True)
    assert not first["image"].equals(pq.read_table(other)["image"])


def test_a_smaller_image_size_shrinks_picture_twin_and_mesh_alike(
    faces: Path, composed: tuple[CompositionReport, FaceTable]
) -> None:
    small = faces.with_name("small.parquet")
    compose(faces, [faces], small, PAIRS, image_size=64, workers=1, console=QUIET)
    _, large = composed
    table = read_table(small, image_size=64)
    assert table.images.shape[1:3] == (70, 70)
    halved = large.images.reshape(PAIRS, 70, 2, 70, 2, 3).mean(axis=(2, 4))
    assert np.abs(halved - table.images).max() <= 1
    assert np.abs((large.landmarks + 0.5) / 2 - 0.5 - table.landmarks).max() < 0.1


def test_rendered_people_are_donors_for_photographs(drawn: Path, tmp_path: Path) -> None:
    neutral, out = prepared(tmp_path, 64), tmp_path / "pairs.parquet"
    compose(neutral, [neutral, drawn], out, 60, workers=1, console=QUIET)
    table = read_table(out)
    expressions = {table.expressions[index] for index in table.classes[kind(table, "main")]}
    assert len(expressions) > 3
    assert any(not table.attributes[row]["donor"].startswith("london") for row in kind(table, "main"))


def test_a_smile_that_is_labelled_neutral_is_not_taken_for_a_neutral_face(tmp_path: Path) -> None:
    table = read_table(prepared(tmp_path, 64, happiness="neutral"))
    found = measures(np.stack([measure_face(*each) for each in zip(table.images, table.landmarks, strict=True)]))
    smiling = np.char.endswith(table.names, "happiness")
    assert found.corner[smiling].mean() > found.corner[~smiling].mean() + 0.01
    with pytest.raises(ComposeError, match="an expression other than neutral"):
        pools(table, found, [table], found)
    other = read_table(prepared(tmp_path, 64))
    pool = pools(table, found, [other], found)
    opened = found.opened > 0.1
    assert opened[smiling].any() and len(pool.neutral) and not opened[pool.neutral].any()
    wide = ["london_006_happiness", "london_107_happiness", "london_137_happiness"]  # 119 hardly smiles
    assert not np.isin(table.names[pool.neutral], wide).any()


def test_a_grey_photograph_stays_grey_under_a_coloured_donor(faces: Path) -> None:
    table = read_table(faces)
    own = np.repeat(table.images[1].mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    grey, donor = alike(own, table.images[2])
    made = composite(grey, table.landmarks[1], donor, table.landmarks[2], Recipe("main", 1.0, True), (0, 1))
    assert np.ptp(made.image.astype(int), axis=2).max() <= 1


def test_an_expression_is_transferred_in_the_other_face_s_own_pose(faces: Path) -> None:
    table = read_table(faces)
    row = {name: index for index, name in enumerate(table.names.tolist())}
    own, donor = (
        with_depth(table.landmarks[row[name]].astype(float)) for name in ("london_006_neutral", "london_107_happiness")
    )
    target = displaced(own, donor, 1.0, 100.0)
    width = [np.linalg.norm(np.subtract(*mesh[[61, 291]])) for mesh in (own, target)]
    assert width[1] > 1.05 * width[0]
    half = displaced(own, donor, 0.5, 100.0)
    assert np.allclose(half - own, (target - own) / 2)
    assert np.linalg.norm(displaced(own, donor, 1.0, 2.0) - own, axis=1).max() == pytest.approx(2.0)
    assert np.abs(upright(target).turn - upright(own).turn).max() < 0.03


def test_files_that_do_not_fit_are_refused(faces: Path, drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    with pytest.raises(ComposeError, match="image size 64"):
        compose(faces, [drawn], out, 4, workers=1, console=QUIET)
    with pytest.raises(OutputError, match="is an input"):
        compose(faces, [faces], faces, 4, workers=1, console=QUIET)
    with pytest.raises(ValueError, match="16 to 128"):
        compose(faces, [faces], out, 4, image_size=200, workers=1, console=QUIET)
    with pytest.raises(ValueError, match="expected at least one pair"):
        compose(faces, [faces], out, 0, workers=1, console=QUIET)
    with pytest.raises(ComposeError, match="expected a file of neutral faces and at least one of"):
        compose(faces, [], out, 4, workers=1, console=QUIET)
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_was_made_and_refuses_in_one_line(
    faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.parquet"
    options = ["--pairs", "6", "--workers", "1", "--image-size", "64"]
    assert main(["compose", str(faces), str(faces), str(out), *options]) == 0
    assert "6 pairs" in capsys.readouterr().out and len(read_table(out)) == 6
    assert main(["compose", str(faces), str(tmp_path / "none.parquet"), str(out)]) == 2
    assert "none.parquet does not exist" in capsys.readouterr().err
