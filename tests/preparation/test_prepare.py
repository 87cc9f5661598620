"""Real photographs and generated crops, through the whole preparation and back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from rich.console import Console

from deadpan.datasets import DATASETS, Dataset
from deadpan.datasets.sample import DatasetError, Sample, VideoFrame
from deadpan.expressions import EXPRESSIONS
from deadpan.faces.alignment import (
    STABLE,
    STABLE_TEMPLATE,
    TEMPLATE,
    Alignment,
    alignment,
    margin_size,
    mesh_alignment,
    warp,
)
from deadpan.faces.detection import WholePicture, make_detector
from deadpan.faces.face import Detector, Face
from deadpan.faces.landmarks import main_face
from deadpan.faces.photographs import read_photograph
from deadpan.preparation import prepare as preparation
from deadpan.preparation.prepare import PreparationReport, prepare, skipped_path
from deadpan.preparation.sample import Skipped
from deadpan.preparation.sample import prepare_samples as rows_of
from deadpan.preparation.table import read_table, unpack_mesh
from tests.support.photos import PHOTOS, VIDEOS

HAPPY, NEUTRAL = PHOTOS / "london_006_happiness.jpg", PHOTOS / "london_006_neutral.jpg"
TARGET = (1.0, *[0.0] * (len(EXPRESSIONS) - 1))


@pytest.fixture
def prepare_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PreparationReport]:
    """Prepare a hand-made list of samples into OUT.parquet."""

    def run(
        samples: list[Sample], *, image_size: int = 64, workers: int = 1, alignment: Alignment = "mesh"
    ) -> PreparationReport:
        monkeypatch.setitem(DATASETS, "given", Dataset(lambda root: samples, EXPRESSIONS, DATASETS["csv"].facts))
        quiet = Console(file=StringIO())
        return prepare(
            "given", tmp_path, tmp_path / "out.parquet", image_size, workers=workers, alignment=alignment, console=quiet
        )

    return run


def row_of(sample: Sample, size: int, find: Detector, way: Alignment = "mesh") -> dict[str, Any] | Skipped:
    """What preparing makes of one sample."""
    (row,) = rows_of([sample], size, find, way)
    return row


def png(pixels: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def crops(count: int) -> list[Sample]:
    """Small grey face crops that need no detection, each different."""
    photograph = cv2.resize(read_photograph(NEUTRAL), (48, 48))
    grey = photograph.mean(2).astype(np.uint8)
    return [Sample(png(np.roll(grey, n % 48, 1)), f"{n}", TARGET, cropped=True) for n in range(count)]


def landmarks_68(five: NDArray[np.float64]) -> NDArray[np.float32]:
    """68 points whose eye centres, nose tip and mouth corners are the given ones."""
    points = np.random.default_rng(0).uniform(five.min(0), five.max(0), (68, 2))
    for start, centre in ((36, five[0]), (42, five[1])):
        points[start : start + 6] = centre + 3 * np.array([[-1, 0], [1, 0], [0, 1], [0, -1], [1, 1], [-1, -1]])
    points[30], points[48], points[54] = five[2:]
    return points.astype(np.float32)


def test_photographs_are_detected_aligned_and_read_back(
    tmp_path: Path, prepare_samples: Callable[..., PreparationReport]
) -> None:
    samples = [
        Sample(path, path.name, TARGET, subject="006", frame=4, attributes={"age": 3.5}) for path in (HAPPY, NEUTRAL)
    ]
    report = prepare_samples(samples)
    assert (report.kept, report.skipped, report.twins) == (2, 0, 0)
    table = read_table(tmp_path / "out.parquet", None, 64)
    assert table.images.shape == (2, 70, 70, 3) and table.expressions == EXPRESSIONS
    assert (table.subjects, table.frame.tolist(), table.attributes[0]) == (("given/006",), [4, 4], {"age": 3.5})
    # the face really is where the template says: detected once more in the aligned crop, enlarged
    big = cv2.resize(table.images[0], (280, 280), interpolation=cv2.INTER_CUBIC)
    (face,) = make_detector()(np.pad(big, ((60, 60), (60, 60), (0, 0)), mode="edge"))
    found = (face.landmarks - 60 + 0.5) / 4 - 0.5
    assert np.abs(found - (TEMPLATE * 64 + 3 - 0.5)).max() < 3.5


def test_metadata_and_columns(tmp_path: Path, prepare_samples: Callable[..., PreparationReport]) -> None:
    prepare_samples(crops(3), image_size=96)
    schema = pq.read_schema(tmp_path / "out.parquet")
    about = json.loads(schema.metadata[b"deadpan"])
    assert about["format"] == 2 and about["dataset"] == "given" and about["expressions"] == list(EXPRESSIONS)
    assert (about["image_size"], about["margin_size"]) == (96, margin_size(96))
    assert [str(schema.field(name).type) for name in ("image", "frame", "split")] == ["binary", "int32", "string"]


def test_grey_pictures_take_one_channel(tmp_path: Path, prepare_samples: Callable[..., PreparationReport]) -> None:
    prepare_samples(crops(2))
    stored = pq.read_table(tmp_path / "out.parquet")["image"][0].as_py()
    decoded = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded is not None and decoded.shape == (70, 70)


def test_the_mesh_follows_the_pixels() -> None:
    """A dot painted on a point of the mesh is found where the prepared file says that the point is."""
    photograph = read_photograph(NEUTRAL)
    (face,) = make_detector()(photograph)
    assert face.mesh is not None
    row = row_of(Sample(NEUTRAL, "a", TARGET, twin=NEUTRAL.read_bytes()), 64, make_detector())
    assert isinstance(row, dict)
    points = unpack_mesh(row["landmarks"], NEUTRAL).astype(float)
    matrix = mesh_alignment(face.mesh, 64)
    for index in (33, 61, 17, 263, 291):
        dotted = np.zeros_like(photograph)
        x, y = np.rint(face.mesh[index, :2]).astype(int)
        cv2.circle(dotted, (int(x), int(y)), 12, (255, 255, 255), -1)
        aligned = warp(dotted, matrix, 64)[..., 0]
        ys, xs = np.nonzero(aligned > 64)
        found = np.average(np.stack([xs, ys], 1), axis=0, weights=aligned[ys, xs])
        assert np.abs(found - points[index]).max() < 0.5
    twin = unpack_mesh(row["twin_landmarks"], NEUTRAL).astype(float)
    assert np.abs(twin - points).mean() < 0.3  # the same picture, read in the square that its mesh asks for


@pytest.mark.parametrize("cropped", [False, True])
def test_the_stable_points_come_to_lie_on_their_template(cropped: bool) -> None:
    for path in (NEUTRAL, HAPPY):
        photograph = read_photograph(path)
        if cropped:
            (face,) = make_detector()(photograph)
            left, top, right, bottom = (round(edge) for edge in face.box)
            photograph = np.ascontiguousarray(photograph[top:bottom, left:right])
        row = row_of(Sample(png(photograph), "a", TARGET, cropped=cropped), 64, make_detector())
        assert isinstance(row, dict)
        stable = unpack_mesh(row["landmarks"], path)[list(STABLE)].astype(float)
        assert np.abs(stable - (STABLE_TEMPLATE * 64 + 3 - 0.5)).mean() < 1.0


def test_the_landmarks_of_the_data_set_stand_in_where_nothing_is_detected() -> None:
    """They align the face; noise has no mesh."""
    photograph = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    five = TEMPLATE * 100 + 40
    sample = Sample(png(photograph), "a", TARGET, landmarks=landmarks_68(five))

    def blind(photograph: NDArray[np.uint8]) -> list[Face]:
        return []

    for find in (blind, WholePicture()):
        row = row_of(sample, 64, find)
        assert isinstance(row, dict)
        assert row["landmarks"] is None
        as_before = row_of(sample, 64, find, "five")
        assert isinstance(as_before, dict)
        expected = warp(photograph[..., ::-1], alignment(five, 64), 64)
        stored = cv2.imdecode(np.frombuffer(as_before["image"], np.uint8), cv2.IMREAD_COLOR)
        assert stored is not None
        assert np.abs(stored[..., ::-1].astype(int) - expected.astype(int)).mean() < 3


def test_unusable_pictures_are_reported_and_skipped(
    tmp_path: Path, prepare_samples: Callable[..., PreparationReport]
) -> None:
    whole = HAPPY.read_bytes()
    empty = png(np.repeat(np.arange(200, dtype=np.uint8), 600).reshape(200, 200, 3))
    good = Sample(HAPPY, "good", TARGET)
    samples = [
        good,
        Sample(whole[: len(whole) // 3], "cut", TARGET),
        Sample(tmp_path / "absent.jpg", "absent", TARGET),
        Sample(empty, "empty", TARGET),
        replace(good, name="bad twin", twin=b"no picture"),
        replace(good, name="small twin", twin=empty),
        Sample(png(np.full((200, 200, 3), 128, np.uint8)), "grey", TARGET),
        Sample(empty, "flat", TARGET, landmarks=np.zeros((68, 2), np.float32)),
    ]
    report = prepare_samples(samples)
    assert report.kept == 1
    assert report.reasons == {
        "unreadable picture": 3,
        "no face found": 1,
        "picture of one colour": 1,
        "twin of another size": 1,
        "landmarks that give no alignment": 1,
    }
    listed = [json.loads(line) for line in skipped_path(report.out).read_text().splitlines()]
    assert [entry["name"] for entry in listed] == ["cut", "absent", "empty", "bad twin", "small twin", "grey", "flat"]
    assert "absent.jpg" in listed[1]["detail"]
    assert "skipped 3: unreadable picture" in str(report)
    prepare_samples([good])
    assert not skipped_path(report.out).exists()  # an old list would be taken for the new file's


def test_any_number_of_processes_writes_the_same_file(
    tmp_path: Path, prepare_samples: Callable[..., PreparationReport]
) -> None:
    samples = crops(150)
    samples[70] = replace(samples[70], picture=b"damaged")
    prepare_samples(samples, workers=1)
    alone = (tmp_path / "out.parquet").read_bytes()
    report = prepare_samples(samples, workers=2)
    assert (tmp_path / "out.parquet").read_bytes() == alone
    assert (report.kept, report.skipped) == (149, 1)
    assert read_table(tmp_path / "out.parquet", None).names.tolist() == [str(n) for n in range(150) if n != 70]


def test_nothing_is_left_of_a_preparation_that_failed(
    tmp_path: Path, prepare_samples: Callable[..., PreparationReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_samples(crops(2))
    before = (tmp_path / "out.parquet").read_bytes()

    def fail(*_: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(preparation, "prepare_samples", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        prepare_samples(crops(2))
    assert (tmp_path / "out.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_no_face_left_is_an_error(prepare_samples: Callable[..., PreparationReport]) -> None:
    with pytest.raises(DatasetError, match=r"no face is left of the 1 pictures of .*: unreadable picture"):
        prepare_samples([Sample(b"x", "a", TARGET)])


def test_settings_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="image size must be 16 to 512"):
        prepare("csv", tmp_path, tmp_path / "o", image_size=8)
    with pytest.raises(ValueError, match="at least one worker"):
        prepare("csv", tmp_path, tmp_path / "o", workers=0)
    with pytest.raises(ValueError, match="unknown detector 'haar'"):
        prepare("csv", tmp_path, tmp_path / "o", detector="haar")


def test_main_face_is_large_and_central() -> None:
    points = np.zeros((5, 2), np.float32)

    def face(left: float, top: float, side: float) -> Face:
        return Face((left, top, left + side, top + side), 0.9, points)

    corner, centre, passer_by = face(0, 0, 100), face(140, 140, 90), face(190, 190, 20)
    assert main_face([corner, centre, passer_by], 400, 400) is centre
    assert main_face([corner, passer_by], 400, 400) is corner


def test_a_video_is_decoded_once_for_all_its_frames(
    tmp_path: Path, prepare_samples: Callable[..., PreparationReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames of a variable rate, wanted in another order, with pictures between: each row shows its own frame."""
    opened = []
    capture = cv2.VideoCapture

    def count(*arguments: object) -> cv2.VideoCapture:
        opened.append(arguments[0])
        return capture(*arguments)

    monkeypatch.setattr(cv2, "VideoCapture", count)
    video = tmp_path / "film.mp4"  # whose frames no other test has counted
    shutil.copy(VIDEOS / "variable_rate.mp4", video)
    wanted = [43, *range(43), 99]
    frames = [Sample(VideoFrame(video, n), f"frame {n}", TARGET, frame=n, cropped=True) for n in wanted]
    report = prepare_samples([*crops(40), *frames, *crops(3)[2:]], alignment="five")
    assert (report.kept, report.reasons) == (40 + 44 + 1, {"unreadable picture": 1})
    assert len(opened) == 2  # to count its frames, and to read them
    table = read_table(tmp_path / "out.parquet", None)
    assert table.names.tolist()[40:-1] == [f"frame {n}" for n in wanted[:-1]]
    shown = [cv2.resize(image, (128, 128)) for image in table.images[40:-1]]
    numbers = [sum(1 << k for k in range(8) if each[4:12, 16 * k + 5 : 16 * k + 11].mean() > 127) for each in shown]
    source = [n for n in range(60) if not 20 <= n < 44 or n % 3 == 0]
    assert numbers == [source[n] for n in wanted[:-1]]
