"""The reader of CK+ on a generated miniature of its documented tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.datasets import ckplus
from deadpan.datasets.sample import DatasetError
from tests.support.data_trees import expression_of, put, touch


def write_ckplus(root: Path) -> None:
    images = "cohn-kanade-images"
    for place, count in (("S005/001", 6), ("S005/002", 4), ("S010/001", 2), ("S999/001", 3)):
        stem = place.replace("/", "_")
        touch(root, *(f"{images}/{place}/{stem}_{number:08d}.png" for number in range(1, count + 1)))
    touch(root, f"{images}/.DS_Store", f"{images}/S005/001/.DS_Store", f"{images}/S005/._001", "Emotion/.DS_Store")
    touch(root, "Emotion/S005/001/S005_001_00000006_emotion.txt", text="   3.0000000e+00\n")
    (root / "Emotion" / "S005" / "002").mkdir(parents=True)  # a folder without a file: no label
    touch(root, "Emotion/S010/001/S010_001_00000002_emotion.txt", text="   7.0000000e+00\n")
    touch(root, "FACS/S005/001/S0005_001_00000006_facs.txt", text="9.0000e+00 4.0000e+00\n1.7000e+01 0.0000e+00\n")
    points = "".join(f"   {x:.7e}   {2 * x:.7e}\n" for x in range(100, 168))
    touch(root, "Landmarks/S005/001/S005_001_00000006_landmarks.txt", text=points)


def test_ckplus(tmp_path: Path) -> None:
    write_ckplus(tmp_path)
    samples = ckplus.read(tmp_path)
    assert [(sample.name, expression_of(sample, ckplus.EXPRESSIONS)) for sample in samples] == [
        ("S005/001/S005_001_00000001.png", "neutral"),
        ("S005/001/S005_001_00000004.png", "disgust"),
        ("S005/001/S005_001_00000005.png", "disgust"),
        ("S005/001/S005_001_00000006.png", "disgust"),
        ("S010/001/S010_001_00000001.png", "neutral"),
        ("S010/001/S010_001_00000002.png", "surprise"),
    ]
    first, *_, peak = samples[:4]
    assert (first.subject, first.sequence, first.frame, first.landmarks) == ("S005", "S005/001", 1, None)
    assert first.attributes == {"part": "neutral", "phase": 0.0}
    assert peak.attributes == {"part": "peak", "phase": 1.0, "AU09": 4.0, "AU17": 0.0}
    assert peak.picture == tmp_path / "cohn-kanade-images" / peak.name and peak.twin is None and not peak.cropped
    assert peak.landmarks is not None and peak.landmarks.shape == (68, 2)
    assert peak.landmarks[1].tolist() == [101, 202]


def test_ckplus_other_frames(tmp_path: Path) -> None:
    write_ckplus(tmp_path)
    assert [sample.frame for sample in ckplus.read(tmp_path, last=1)] == [1, 6, 1, 2]
    samples = ckplus.read(tmp_path, last=2, all_frames=True)[:6]
    assert [sample.attributes["part"] for sample in samples] == ["neutral", *["onset"] * 3, "peak", "peak"]
    assert {expression_of(sample, ckplus.EXPRESSIONS) for sample in samples[1:]} == {"disgust"}
    extra = [sample for sample in ckplus.read(tmp_path, unlabelled=True) if sample.sequence in ("S005/002", "S999/001")]
    assert [(sample.frame, expression_of(sample, ckplus.EXPRESSIONS)) for sample in extra] == [(1, "neutral")] * 2


def test_ckplus_unpacked_into_folders_of_their_own_and_in_part(tmp_path: Path) -> None:
    write_ckplus(tmp_path / "whole")
    (tmp_path / "ck").mkdir()
    for name, place in (("cohn-kanade-images", "images"), ("Emotion", "labels"), ("Landmarks", "Landmarks")):
        (tmp_path / "ck" / place).mkdir()
        (tmp_path / "whole" / name).rename(tmp_path / "ck" / place / name)
    samples = ckplus.read(tmp_path / "ck")
    assert len(samples) == 6 and samples[3].landmarks is not None  # and FACS is missing
    for number in (5, 6):  # the end is lost: frame 4 still is one of the last three, frame 3 is not
        (tmp_path / "ck/images/cohn-kanade-images/S005/001" / f"S005_001_{number:08d}.png").unlink()
    assert [sample.frame for sample in ckplus.read(tmp_path / "ck")] == [1, 4, 1, 2]
    (tmp_path / "ck/images/cohn-kanade-images/S010/001/S010_001_00000001.png").unlink()  # the peak is not neutral
    samples = ckplus.read(tmp_path / "ck")
    assert [sample.frame for sample in samples] == [1, 4, 2]
    assert expression_of(samples[-1], ckplus.EXPRESSIONS) == "surprise"


@pytest.mark.parametrize(
    ("place", "text", "complaint"),
    [
        ("Emotion/S005/001/S005_001_00000006_emotion.txt", "happy", "expected one code from 0 to 7 .*'happy'"),
        ("Emotion/S005/001/S005_001_00000006_emotion.txt", "8.0e+00", "expected one code from 0 to 7 .*, got 8"),
        ("Emotion/S005/001/S005_001_00000006_emotion.txt", "", "expected one code from 0 to 7 .*, got nothing"),
        ("FACS/S005/001/S0005_001_00000006_facs.txt", "9 4 17", "expected an action unit and its intensity"),
        ("Landmarks/S005/001/S005_001_00000006_landmarks.txt", "1 2\n3 4\n", "expected 68 lines of x and y, got 2"),
    ],
)
def test_ckplus_damaged_label_files_are_named(place: str, text: str, complaint: str, tmp_path: Path) -> None:
    write_ckplus(tmp_path)
    touch(tmp_path, place, text=text)
    with pytest.raises(DatasetError, match=f"{Path(place).name}: {complaint}"):
        ckplus.read(tmp_path)


def test_ckplus_counts_are_those_of_the_paper() -> None:
    counts = ckplus.FACTS.counts
    expressive = sum(counts[name] for name in ckplus.EXPRESSIONS[1:])
    assert expressive == 3 * counts["sequences"] == 981 and counts["pictures"] == 981 + counts["neutral"]


@pytest.mark.parametrize(
    "names",
    [
        (
            "extended-cohn-kanade-images/cohn-kanade-images",
            "Emotion_labels/Emotion",
            "Landmarks/Landmarks",
            "FACS_labels/FACS",
        ),
        ("CK+/Images", "CK+/emotions", "CK+/landmark", "CK+/facs"),
        ("data/cohn_kanade_images", "data/labels", "points", "au"),
    ],
)
def test_ckplus_with_renamed_folders(names: tuple[str, ...], tmp_path: Path) -> None:
    write_ckplus(tmp_path / "whole")
    root = tmp_path / "copy"
    for old, new in zip(("cohn-kanade-images", "Emotion", "Landmarks", "FACS"), names, strict=True):
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "whole" / old).rename(root / new)
    peak = ckplus.read(root)[3]
    assert peak.name == "S005/001/S005_001_00000006.png" and peak.landmarks is not None
    assert peak.attributes == {"part": "peak", "phase": 1.0, "AU09": 4.0, "AU17": 0.0}


def test_ckplus_prefers_the_pictures_of_the_owner(tmp_path: Path) -> None:
    write_ckplus(tmp_path)
    touch(tmp_path, *(f"aligned/S005/001/S005_001_{number:08d}.png" for number in range(1, 90)))
    assert {str(sample.picture).split("/")[-4] for sample in ckplus.read(tmp_path)} == {"cohn-kanade-images"}


@pytest.mark.parametrize("above", ["CK+48", "archive/CK+48", "ck/train"])
def test_ckplus_48_tells_people_and_sequences_by_its_names(above: str, tmp_path: Path) -> None:
    put(tmp_path / above, "anger/S010_004_00000017.png", "anger/S010_004_00000018.png", "happy/S011_006_00000011.png")
    put(tmp_path / above, "Surprise/S010_001_00000014.jpg", "contempt/other.png")
    samples = ckplus.read(tmp_path)
    found = {(s.subject, s.sequence, s.frame, expression_of(s, ckplus.EXPRESSIONS)) for s in samples}
    assert found == {
        ("S010", "S010/004", 17, "anger"),
        ("S010", "S010/004", 18, "anger"),
        ("S011", "S011/006", 11, "happiness"),
        ("S010", "S010/001", 14, "surprise"),
    }
    assert all(sample.cropped and sample.attributes == {"part": "peak"} for sample in samples)


def test_ckplus_extended_table(tmp_path: Path) -> None:
    pixels = " ".join(["7"] * 48 * 48)
    rows = [f"{code},{pixels},{usage}" for code, usage in ((6, "Training"), (7, "PublicTest"), (0, "PrivateTest"))]
    touch(tmp_path, "archive/ckextended.csv", text="\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    for root in (tmp_path, tmp_path / "archive" / "ckextended.csv"):
        samples = ckplus.read(root)
        assert [expression_of(sample, ckplus.EXPRESSIONS) for sample in samples] == ["neutral", "contempt", "anger"]
        assert [sample.split for sample in samples] == ["train", "public_test", "private_test"]


def test_ckplus_without_emotion_files_says_so(tmp_path: Path) -> None:
    write_ckplus(tmp_path)
    (tmp_path / "Emotion").rename(tmp_path.parent / "elsewhere")
    with pytest.raises(DatasetError, match="holds pictures of sequences, but no emotion file"):
        ckplus.read(tmp_path)
