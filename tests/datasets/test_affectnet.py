"""The reader of AffectNet on a generated miniature of its documented tree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deadpan.datasets import affectnet
from deadpan.datasets.sample import DatasetError
from tests.support.data_trees import labels, put

POINTS = ";".join(f"{x}.5;{2 * x}" for x in range(68))


def write_npy(root: Path, place: str, code: object) -> None:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array(code))


def write_affectnet(
    root: Path, header: bool = True, code: str = "1", images: str = "Manually_Annotated_Images"
) -> None:
    put(root, *(f"{images}/{name}" for name in ("689/a.jpg", "689/b.JPG", "1/c.jpg", "1/d.jpg")))
    lists = root / "Manually_Annotated_file_list"
    lists.mkdir(exist_ok=True)
    columns = ",".join(affectnet.COLUMNS)
    rows = [f"689/a.jpg,134,134,899,899,{POINTS},{code},0.785,-0.055", "689/b.JPG,1,1,9,9,1;2,7,-0.5,0.5"]
    rows += ["1/c.jpg,1,1,9,9,,10,-2,-2", "1/gone.jpg,1,1,9,9,,0,0,0"]
    (lists / "training.csv").write_text("\n".join([columns, *rows]) + "\n\n")
    row = f"1/d.jpg,1,1,9,9,{POINTS},0,0,0"
    (lists / "validation.csv").write_text("\n".join([columns, row] if header else [row]) + "\n")


@pytest.mark.parametrize("images", ["Manually_Annotated_Images", "Manually_Annotated_Images/Manually_Annotated_Images"])
@pytest.mark.parametrize("header", [True, False])
def test_affectnet_tables(header: bool, images: str, tmp_path: Path) -> None:
    write_affectnet(tmp_path, header, images=images)
    samples = affectnet.read(tmp_path)
    assert labels(samples, affectnet.EXPRESSIONS) == {
        "689/a.jpg": "happiness",
        "689/b.JPG": "contempt",
        "1/d.jpg": "neutral",
    }
    assert [sample.split for sample in samples] == ["train", "train", "validation"]
    assert samples[0].attributes == {"valence": 0.785, "arousal": -0.055}
    assert samples[0].landmarks is not None and samples[0].landmarks.shape == (68, 2)
    assert samples[0].landmarks[3].tolist() == [3.5, 6]
    assert samples[1].landmarks is None
    assert samples[0].picture == tmp_path / images / "689" / "a.jpg"
    assert not samples[0].cropped


@pytest.mark.parametrize("code", ["11", "-1", "happy", ""])
def test_affectnet_damaged_table(code: str, tmp_path: Path) -> None:
    write_affectnet(tmp_path, code=code)
    with pytest.raises(DatasetError, match=r"training.csv, line 2: the expression must be a code of 0 to 10"):
        affectnet.read(tmp_path)


def test_affectnet_damaged_numbers_and_missing_pictures(tmp_path: Path) -> None:
    write_affectnet(tmp_path)
    table = tmp_path / "Manually_Annotated_file_list" / "training.csv"
    table.write_text(table.read_text().replace("0.785", "pleasant"))
    with pytest.raises(DatasetError, match=r"training.csv, line 2: expected a number, got 'pleasant'"):
        affectnet.read(tmp_path)
    (tmp_path / "Manually_Annotated_Images").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match=r"none of the pictures that training.csv and validation.csv list"):
        affectnet.read(tmp_path)


def test_affectnet_npy(tmp_path: Path) -> None:
    put(tmp_path, *(f"train_set/images/{number}.jpg" for number in range(10)), "val_set/images/0.jpg")
    for code in range(9):  # picture 9 has no annotation, code 8 means none
        write_npy(tmp_path, f"train_set/annotations/{code}_exp.npy", str(code) if code % 2 else code)
    write_npy(tmp_path, "val_set/annotations/0_exp.npy", "6")
    samples = affectnet.read(tmp_path)
    words = ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt", "anger"]
    assert list(labels(samples, affectnet.EXPRESSIONS).values()) == words
    assert [sample.split for sample in samples] == ["train"] * 8 + ["validation"]
    assert samples[-1].name == "val_set/images/0.jpg"
    assert all(sample.cropped for sample in samples)


@pytest.mark.parametrize("content", [b"", b"no numpy file", "12", "anger", ["1", "2"], {"pickled": 1}])
def test_affectnet_damaged_npy(content: object, tmp_path: Path) -> None:
    put(tmp_path, "val_set/images/5.jpg")
    annotation = tmp_path / "val_set" / "annotations" / "5_exp.npy"
    write_npy(tmp_path, "val_set/annotations/5_exp.npy", content)
    if isinstance(content, bytes):
        annotation.write_bytes(content)
    with pytest.raises(DatasetError, match=r"5_exp.npy: (expected one expression code|the expression must be a code)"):
        affectnet.read(tmp_path)


@pytest.mark.parametrize(("above", "sets"), [("AffectNet", ("train_set", "val_set")), ("a/b", ("Train", "validation"))])
def test_affectnet_npy_at_any_depth(above: str, sets: tuple[str, str], tmp_path: Path) -> None:
    for number, folder in enumerate(sets):
        put(tmp_path / above, f"{folder}/images/{number}.jpg")
        write_npy(tmp_path / above, f"{folder}/annotations/{number}_exp.npy", str(number))
    samples = affectnet.read(tmp_path)
    found = labels(samples, affectnet.EXPRESSIONS)
    assert found == {f"{above}/{sets[0]}/images/0.jpg": "neutral", f"{above}/{sets[1]}/images/1.jpg": "happiness"}
    assert [sample.split for sample in samples] == ["train", "validation"]


@pytest.mark.parametrize("columns", [",pth,label,relFCs", "n,Path,Emotion,x"])
def test_affectnet_with_one_table_of_labels(columns: str, tmp_path: Path) -> None:
    put(tmp_path / "archive", "anger/image0.jpg", "surprise/image1.png", "contempt/image2.jpg")
    rows = ["0,anger/image0.jpg,anger,0.9", "1,elsewhere/image1.png,surprise,0.8", "2,contempt/image2.jpg,7,0.7"]
    table = tmp_path / "archive" / "labels.csv"
    table.write_text("\n".join([columns, *rows, "3,anger/gone.jpg,fear,1"]) + "\n")
    samples = affectnet.read(tmp_path)
    assert labels(samples, affectnet.EXPRESSIONS) == {
        "anger/image0.jpg": "anger",
        "surprise/image1.png": "surprise",
        "contempt/image2.jpg": "contempt",
    }
    assert all(sample.cropped for sample in samples)
    table.write_text(f"{columns}\n0,anger/image0.jpg,bored,1\n")
    with pytest.raises(DatasetError, match=r"labels.csv, line 2: the expression must be .* got 'bored'"):
        affectnet.read(tmp_path)
    table.write_text("a,b\n1,2\n")
    with pytest.raises(DatasetError, match=r"labels.csv: expected columns such as pth and label, it has a, b"):
        affectnet.read(tmp_path)
