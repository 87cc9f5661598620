"""The readers of photographs from the wild, posed photographs and videos, each on a generated miniature of its tree."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from PIL import Image

from deadpan.datasets import affectnet, cremad, fer2013, jaffe, kdef, london, rafd, rafdb, sfew, videos, yale
from deadpan.datasets.sample import DatasetError, Sample, VideoFrame, check_names
from deadpan.expressions import check_expressions
from deadpan.faces.photographs import PhotographError, read_photograph
from deadpan.faces.video import frame_count, read_frame

READERS = [affectnet, cremad, fer2013, jaffe, kdef, london, rafd, rafdb, sfew, videos, yale]
LITTER = (".DS_Store", "Thumbs.db", "._picture.jpg", "Readme.txt")


def put(root: Path, *names: str) -> None:
    """Write a small real picture under each name, in the format of its suffix, and litter beside it."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = path.suffix.lower() if path.suffix.lower() in {".jpg", ".png", ".tiff"} else ".gif"
        Image.new("L", (8, 8), 128).save(
            path, format={".jpg": "JPEG", ".png": "PNG", ".tiff": "TIFF"}.get(suffix, "GIF")
        )
        for litter in LITTER:
            (path.parent / litter).write_bytes(b"litter")


def film(path: Path, frames: int) -> None:
    """Write a Motion JPEG film whose frame n is grey of value 10 n."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.stem + ".avi")
    writer = cv2.VideoWriter(str(part), cv2.VideoWriter.fourcc(*"MJPG"), 25, (32, 32))
    for number in range(frames):
        writer.write(np.full((32, 32, 3), 10 * number, np.uint8))
    writer.release()
    part.rename(path)


def expression_of(sample: Sample, module: ModuleType) -> str:
    assert sum(sample.target) == 1 and len(sample.target) == len(module.EXPRESSIONS)
    return str(module.EXPRESSIONS[int(np.argmax(sample.target))])


def expressions(samples: list[Sample], module: ModuleType) -> dict[str, str]:
    check_names(samples, Path("miniature"))
    return {sample.name: expression_of(sample, module) for sample in samples}


@pytest.mark.parametrize("module", READERS, ids=lambda module: module.__name__.split(".")[-1])
def test_a_wrong_root_names_the_tree_and_where_to_ask(module: ModuleType, tmp_path: Path) -> None:
    assert check_expressions(module.EXPRESSIONS) == module.EXPRESSIONS
    (tmp_path / "holiday").mkdir()
    put(tmp_path, "holiday/beach.bmp")
    for root in (tmp_path / "absent", tmp_path):
        with pytest.raises(DatasetError) as error:
            module.read(root)
        assert str(root) in str(error.value)
        assert module.FACTS.tree in str(error.value) and module.FACTS.request in str(error.value)


@pytest.mark.parametrize("module", READERS, ids=lambda module: module.__name__.split(".")[-1])
def test_known_counts_add_up(module: ModuleType) -> None:
    counts = module.FACTS.counts
    assert set(counts) <= {"subjects", "sequences", "pictures", *module.EXPRESSIONS}
    if set(module.EXPRESSIONS) <= set(counts):
        assert sum(counts[name] for name in module.EXPRESSIONS) == counts["pictures"]


# --- FER2013 ---------------------------------------------------------------------------------------------------------

PIXELS = " ".join(["7"] * 48 * 48)


def write_fer2013(
    path: Path, *rows: tuple[object, ...], header: tuple[str, ...] = ("emotion", "pixels", "Usage")
) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def test_fer2013_table(tmp_path: Path) -> None:
    rows = [(code, PIXELS, usage) for code in range(7) for usage in ("Training", "PublicTest", "PrivateTest")]
    write_fer2013(tmp_path / "fer2013.csv", *rows)
    samples = fer2013.read(tmp_path)
    assert samples == fer2013.read(tmp_path / "fer2013.csv")
    found = expressions(samples, fer2013)
    assert list(found) == [f"fer{number:07d}" for number in range(21)]
    assert list(found.values())[::3] == ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
    assert [sample.split for sample in samples[:3]] == ["train", "public_test", "private_test"]
    assert all(sample.cropped and sample.subject == "" for sample in samples)
    assert isinstance(samples[0].picture, bytes)
    assert (read_photograph(samples[0].picture) == np.full((48, 48, 3), 7)).all()


def test_fer2013_table_with_blanks_in_its_header(tmp_path: Path) -> None:
    header = ("emotion", " Usage", " pixels")
    write_fer2013(tmp_path / "icml_face_data.csv", (3, "Training", PIXELS), header=header)
    (sample,) = fer2013.read(tmp_path)
    assert (expression_of(sample, fer2013), sample.split) == ("happiness", "train")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ((7, PIXELS, "Training"), "line 3: emotion must be 0 to 6, got '7'"),
        (("happy", PIXELS, "Training"), "line 3: emotion must be 0 to 6, got 'happy'"),
        ((3, PIXELS, "Holiday"), "line 3: Usage must be one of Training"),
        ((3, "1 2 3", "Training"), "line 3: expected 2304 pixels of 0 to 255, got 3"),
        ((3, PIXELS.replace("7", "256", 1), "Training"), "line 3: expected 2304 pixels of 0 to 255"),
        ((3, PIXELS.replace("7", "x", 1), "Training"), "line 3: pixels must be numbers"),
    ],
)
def test_fer2013_damage_is_named_by_line(row: tuple[object, ...], complaint: str, tmp_path: Path) -> None:
    write_fer2013(tmp_path / "fer2013.csv", (0, PIXELS, "Training"), row)
    with pytest.raises(DatasetError, match=rf"fer2013.csv, {complaint}"):
        fer2013.read(tmp_path)


def test_labels_that_are_no_text(tmp_path: Path) -> None:
    rubbish = bytes(range(128, 256)) * 4
    (tmp_path / "fer2013.csv").write_bytes(b"emotion,pixels,Usage\n" + rubbish)
    with pytest.raises(DatasetError, match=r"fer2013.csv, line 2"):
        fer2013.read(tmp_path)
    (tmp_path / "training.csv").write_bytes(rubbish)
    with pytest.raises(DatasetError, match=r"training.csv, line 1"):
        affectnet.read(tmp_path)
    (tmp_path / "EmoLabel").mkdir()
    (tmp_path / "EmoLabel" / "list_patition_label.txt").write_bytes(rubbish)
    with pytest.raises(DatasetError, match=r"list_patition_label.txt, line 1"):
        rafdb.read(tmp_path)


def test_fer2013_without_its_columns(tmp_path: Path) -> None:
    write_fer2013(tmp_path / "fer2013.csv", (0, 1), header=("label", "image"))
    with pytest.raises(DatasetError, match="lacks the columns emotion and pixels; it has label, image"):
        fer2013.read(tmp_path)


def test_fer2013_folders(tmp_path: Path) -> None:
    put(tmp_path, "train/angry/Training_3908.jpg", "test/happy/PublicTest_1.JPG", "test/surprise/PrivateTest_2.jpg")
    put(tmp_path, "test/neutral/other.png")
    samples = fer2013.read(tmp_path)
    assert expressions(samples, fer2013) == {
        "train/angry/Training_3908.jpg": "anger",
        "test/happy/PublicTest_1.JPG": "happiness",
        "test/neutral/other.png": "neutral",
        "test/surprise/PrivateTest_2.jpg": "surprise",
    }
    assert [sample.split for sample in samples] == ["train", "public_test", "test", "private_test"]
    put(tmp_path, "train/contempt/Training_1.jpg")
    with pytest.raises(DatasetError, match="contempt is no class of FER2013"):
        fer2013.read(tmp_path)


# --- RAF-DB ----------------------------------------------------------------------------------------------------------


def write_rafdb(root: Path, labels: str | None = None) -> Path:
    basic = root / "basic"
    put(basic, *(f"Image/aligned/train_0000{code}_aligned.jpg" for code in range(1, 8)))
    put(basic, "Image/aligned/test_0001_aligned.JPG", "Image/original/train_00001.jpg", "Image/original/test_0001.jpg")
    lines = [f"train_0000{code}.jpg {code}" for code in range(1, 8)] + ["test_0001.jpg 4", "test_0002.jpg 4", ""]
    (basic / "EmoLabel").mkdir()
    (basic / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines) if labels is None else labels)
    manual = basic / "Annotation" / "manual"
    manual.mkdir(parents=True)
    points = "137.5\t188.0\n" * 5
    (manual / "train_00001_manu_attri.txt").write_text(f"{points}1\n2\n3\n")
    (manual / "train_00002_manu_attri.txt").write_text(f"{points}2\n0\n0\n")
    return basic


def test_rafdb(tmp_path: Path) -> None:
    basic = write_rafdb(tmp_path)
    samples = rafdb.read(tmp_path)
    assert [sample.name for sample in samples] == [sample.name for sample in rafdb.read(basic)]
    words = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral", "happiness"]
    assert list(expressions(samples, rafdb).values()) == words
    assert samples[0].name == "Image/aligned/train_00001_aligned.jpg"
    assert [sample.split for sample in samples] == ["train"] * 7 + ["test"]  # test_0002.jpg is not there
    assert samples[0].attributes == {"gender": "female", "ethnicity": "asian", "age": "40-69"}
    assert samples[1].attributes == {"ethnicity": "caucasian", "age": "0-3"}  # gender 2: unsure
    assert samples[2].attributes == {}
    assert all(sample.cropped for sample in samples)


def test_rafdb_photographs_instead_of_crops(tmp_path: Path) -> None:
    write_rafdb(tmp_path)
    samples = rafdb.read(tmp_path, aligned=False)
    assert [sample.name for sample in samples] == ["Image/original/train_00001.jpg", "Image/original/test_0001.jpg"]
    assert not any(sample.cropped for sample in samples)


@pytest.mark.parametrize("line", ["train_00002.jpg 8", "train_00002.jpg happy", "train_00002.jpg", "a b 3"])
def test_rafdb_damaged_labels(line: str, tmp_path: Path) -> None:
    write_rafdb(tmp_path, f"train_00001.jpg 1\n{line}\n")
    with pytest.raises(DatasetError, match=r"list_patition_label.txt, line 2: expected .*CODE 1 to 7"):
        rafdb.read(tmp_path)


def test_rafdb_damaged_annotation_and_no_pictures(tmp_path: Path) -> None:
    basic = write_rafdb(tmp_path)
    annotation = basic / "Annotation" / "manual" / "train_00001_manu_attri.txt"
    for text in ("1\n2\nold\n", "1\n2\n"):
        annotation.write_text(text)
        with pytest.raises(DatasetError, match=r"train_00001_manu_attri.txt: expected gender"):
            rafdb.read(tmp_path)
    (basic / "Image").rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match=r"none of the pictures that list_patition_label.txt lists"):
        rafdb.read(tmp_path)


# --- AffectNet -------------------------------------------------------------------------------------------------------

POINTS = ";".join(f"{x}.5;{2 * x}" for x in range(68))


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
    assert expressions(samples, affectnet) == {"689/a.jpg": "happiness", "689/b.JPG": "contempt", "1/d.jpg": "neutral"}
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


def write_npy(root: Path, place: str, code: object) -> None:
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array(code))


def test_affectnet_npy(tmp_path: Path) -> None:
    put(tmp_path, *(f"train_set/images/{number}.jpg" for number in range(10)), "val_set/images/0.jpg")
    for code in range(9):  # picture 9 has no annotation, code 8 means none
        write_npy(tmp_path, f"train_set/annotations/{code}_exp.npy", str(code) if code % 2 else code)
    write_npy(tmp_path, "val_set/annotations/0_exp.npy", "6")
    samples = affectnet.read(tmp_path)
    words = ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt", "anger"]
    assert list(expressions(samples, affectnet).values()) == words
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


# --- SFEW ------------------------------------------------------------------------------------------------------------


def test_sfew(tmp_path: Path) -> None:
    airheads, bridget = "Airheads_000519240_00000005.png", "Bridget_Jones_010203000_00000012.png"
    put(tmp_path, f"Train/Angry/{airheads}", f"Train/Train_Aligned_Faces/Angry/{airheads}", f"Train/Happy/{bridget}")
    put(tmp_path, f"Val_Aligned_Faces_new/Val_Aligned_Faces_new/Surprise/{bridget}", "Test/Test_Aligned_Faces/1.png")
    samples = sfew.read(tmp_path)
    assert expressions(samples, sfew) == {
        f"Train/Train_Aligned_Faces/Angry/{airheads}": "anger",
        f"Train/Happy/{bridget}": "happiness",
        f"Val_Aligned_Faces_new/Val_Aligned_Faces_new/Surprise/{bridget}": "surprise",
    }
    assert [(sample.split, sample.cropped) for sample in samples] == [
        ("train", True),
        ("train", False),
        ("validation", True),
    ]
    assert (samples[0].sequence, samples[0].frame) == ("Airheads_000519240", 5)
    assert (samples[1].sequence, samples[1].frame) == ("Bridget_Jones_010203000", 12)
    assert samples[1].attributes == {"film": "Bridget_Jones"}
    frames = [sample.name for sample in sfew.read(tmp_path, aligned=False) if not sample.cropped]
    assert frames == [f"Train/Angry/{airheads}", f"Train/Happy/{bridget}"]


# --- posed photographs -----------------------------------------------------------------------------------------------


def test_jaffe(tmp_path: Path) -> None:
    names = ["KA.AN1.39.tiff", "KA.DI1.42.tiff", "KA.FE4.48.TIFF", "KA.HA1.29.tiff", "KA.NE1.26.tiff"]
    put(tmp_path / "jaffedbase", *names, "YM.SA1.55.tiff", "YM.SU2.59.tiff", "montage.png")
    samples = jaffe.read(tmp_path)
    words = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
    assert list(expressions(samples, jaffe).values()) == words
    assert [sample.subject for sample in samples] == ["KA"] * 5 + ["YM"] * 2
    assert samples[2].attributes == {"gender": "female", "take": 4.0}
    assert samples[2].name == "jaffedbase/KA.FE4.48.TIFF"
    assert read_photograph(tmp_path / samples[0].name).shape == (8, 8, 3)
    put(tmp_path, "KA.XX1.99.tiff")
    with pytest.raises(DatasetError, match=r"KA.XX1.99.tiff: unknown expression XX; expected one of NE, AN"):
        jaffe.read(tmp_path)


def test_kdef(tmp_path: Path) -> None:
    codes = {"AF": "fear", "AN": "anger", "DI": "disgust", "HA": "happiness"}
    codes |= {"NE": "neutral", "SA": "sadness", "SU": "surprise"}
    put(tmp_path, *(f"KDEF/AF01/AF01{code}{angle}.JPG" for code in codes for angle in ("S", "HL", "HR", "FL", "FR")))
    put(tmp_path, "KDEF/BF01/BF01NES.jpg", "KDEF/BM01/BM01NES.JPG", "AKDEF/FAFFL.JPG")
    samples = kdef.read(tmp_path)
    found = expressions(samples, kdef)
    assert len(samples) == 37
    assert {name[14:16]: word for name, word in found.items() if name.startswith("KDEF/AF01")} == codes
    by_name = {sample.name: sample for sample in samples}
    assert {sample.subject for sample in samples} == {"F01", "M01"}
    assert by_name["KDEF/BF01/BF01NES.jpg"].subject == by_name["KDEF/AF01/AF01ANS.JPG"].subject == "F01"
    half = {"session": "A", "gender": "female", "view": "half", "side": "left"}
    assert by_name["KDEF/AF01/AF01ANHL.JPG"].attributes == half
    assert by_name["KDEF/BM01/BM01NES.JPG"].attributes == {"session": "B", "gender": "male", "view": "frontal"}


def test_kdef_names_without_an_expression(tmp_path: Path) -> None:
    put(tmp_path, "AF31/AF31V.JPG", "AM31/AM31H.JPG")
    samples = kdef.read(tmp_path)
    assert expressions(samples, kdef) == {"AF31/AF31V.JPG": "sadness", "AM31/AM31H.JPG": "surprise"}
    assert [(sample.subject, sample.attributes["side"]) for sample in samples] == [("F31", "left"), ("M31", "right")]
    put(tmp_path, "AF31/AF31XXS.JPG")
    with pytest.raises(DatasetError, match=r"AF31XXS.JPG: unknown expression XX; expected one of NE, AN"):
        kdef.read(tmp_path)


def test_rafd(tmp_path: Path) -> None:
    words = {"neutral": "neutral", "angry": "anger", "contemptuous": "contempt", "disgusted": "disgust"}
    words |= {"fearful": "fear", "happy": "happiness", "sad": "sadness", "surprised": "surprise"}
    put(tmp_path, *(f"Rafd090_01_Caucasian_female_{word}_frontal.jpg" for word in words))
    put(tmp_path, "Rafd045_73_Moroccan_male_surprised_right.JPG", "Rafd180_63_Kid_female_sad_left.jpg")
    samples = rafd.read(tmp_path)
    found = expressions(samples, rafd)
    for word, expression in words.items():
        assert found[f"Rafd090_01_Caucasian_female_{word}_frontal.jpg"] == expression
    by_subject = {sample.subject: sample for sample in samples}
    assert set(by_subject) == {"01", "73", "63"}
    assert by_subject["73"].attributes == {
        "camera": 45.0,
        "view": "half",
        "group": "moroccan",
        "gender": "male",
        "gaze": "right",
    }
    assert by_subject["01"].attributes["view"] == "frontal" and by_subject["63"].attributes["view"] == "profile"
    put(tmp_path, "Rafd090_02_Caucasian_female_bored_frontal.jpg")
    with pytest.raises(DatasetError, match=r"Rafd090_02_.*'bored' is not an expression"):
        rafd.read(tmp_path)


@pytest.mark.parametrize("suffix", ["", ".gif", ".GIF"])
def test_yale(suffix: str, tmp_path: Path) -> None:
    words = ["centerlight", "glasses", "happy", "leftlight", "noglasses", "normal", "rightlight", "sad", "sleepy"]
    put(tmp_path, *(f"subject01.{word}{suffix}" for word in [*words, "surprised", "wink"]))
    put(tmp_path, f"subject04.sad{suffix}", f"subject04.normal{suffix}", "subject01.gif")
    samples = yale.read(tmp_path)
    assert expressions(samples, yale) == {
        f"subject01.happy{suffix}": "happiness",
        f"subject01.normal{suffix}": "neutral",
        f"subject01.sad{suffix}": "sadness",
        f"subject01.surprised{suffix}": "surprise",
        f"subject04.normal{suffix}": "neutral",  # subject04.sad is a copy of it
    }
    assert [sample.subject for sample in samples] == ["01"] * 4 + ["04"]
    assert isinstance(samples[0].picture, Path)
    assert read_photograph(samples[0].picture).shape == (8, 8, 3)


def write_london(root: Path, table: str) -> None:
    put(root, "neutral_front/001_03.jpg", "neutral_front/002_03.JPG", "smiling_front/001_08.jpg")
    put(root, "neutral_left_profile/001_01.jpg", "smiling_front/999_07.jpg")
    (root / "neutral_front" / "001_03.tem").write_text("189\n")
    (root / "london_faces_info.csv").write_text(table)


def test_london(tmp_path: Path) -> None:
    write_london(tmp_path, "face_id,face_age,face_gender,face_eth\nX001,24.5,female,east_asian/white\nX002,NA,male,\n")
    samples = london.read(tmp_path)
    assert expressions(samples, london) == {
        "neutral_front/001_03.jpg": "neutral",
        "neutral_front/002_03.JPG": "neutral",
        "smiling_front/001_08.jpg": "happiness",
    }
    assert [sample.subject for sample in samples] == ["001", "002", "001"]
    assert samples[0].attributes == {"gender": "female", "age": 24.5, "ethnicity": "east_asian/white"}
    assert samples[1].attributes == {"gender": "male"}
    (tmp_path / "london_faces_info.csv").unlink()
    assert [sample.attributes for sample in london.read(tmp_path)] == [{}, {}, {}]


def test_london_with_other_spellings_and_damage(tmp_path: Path) -> None:
    write_london(tmp_path, "face_id,face_age,face_sex\n001,24,male\n")
    assert london.read(tmp_path)[0].attributes == {"gender": "male", "age": 24.0}
    table = tmp_path / "london_faces_info.csv"
    table.write_text("face_id,face_age\n001,old\n")
    with pytest.raises(DatasetError, match=r"london_faces_info.csv, line 2: face_age must be a number, got 'old'"):
        london.read(tmp_path)
    table.write_text("person,face_age\n001,24\n")
    with pytest.raises(DatasetError, match="lacks the column face_id; it has person, face_age"):
        london.read(tmp_path)


# --- videos ----------------------------------------------------------------------------------------------------------


def shown(sample: Sample) -> int:
    """The number of the frame that is really decoded, from its grey value."""
    assert isinstance(sample.picture, VideoFrame)
    return round(float(read_frame(sample.picture.path, sample.picture.index).mean()) / 10)


def test_frames_are_counted(tmp_path: Path) -> None:
    film(tmp_path / "a.avi", 12)
    (tmp_path / "b.avi").write_text("version https://git-lfs.github.com/spec/v1")
    assert (frame_count(tmp_path / "a.avi"), frame_count(tmp_path / "b.avi")) == (12, 0)
    assert frame_count(tmp_path / "absent.avi") == 0


def write_cremad(root: Path) -> None:
    codes = ["1001_DFA_ANG_XX", "1001_IEO_DIS_LO", "1001_IEO_FEA_MD", "1002_IEO_HAP_HI", "1002_IWL_NEU_XX"]
    for name in [*codes, "1002_ITH_SAD_X", "1064_IEO_DIS_MD"]:
        film(root / "VideoFlash" / f"{name}.flv", 9)
    (root / "VideoFlash" / "1003_DFA_SAD_XX.FLV").write_text("version https://git-lfs.github.com/spec/v1")
    (root / "VideoFlash" / ".DS_Store").write_bytes(b"litter")
    (root / "AudioWAV").mkdir()
    (root / "AudioWAV" / "1001_DFA_ANG_XX.wav").write_bytes(b"")
    table = '"ActorID","Age","Sex","Race","Ethnicity"\n1001,51,"Male","Caucasian","Not Hispanic"\n'
    (root / "VideoDemographics.csv").write_text(table)


def test_cremad(tmp_path: Path) -> None:
    write_cremad(tmp_path)
    samples = cremad.read(tmp_path)
    assert expressions(samples, cremad) == {
        "VideoFlash/1001_DFA_ANG_XX.flv#4": "anger",
        "VideoFlash/1001_IEO_DIS_LO.flv#4": "disgust",
        "VideoFlash/1001_IEO_FEA_MD.flv#4": "fear",
        "VideoFlash/1002_IEO_HAP_HI.flv#4": "happiness",
        "VideoFlash/1002_ITH_SAD_X.flv#4": "sadness",
        "VideoFlash/1002_IWL_NEU_XX.flv#4": "neutral",
        "VideoFlash/1003_DFA_SAD_XX.FLV#0": "sadness",  # cannot be opened: kept, to be reported
    }
    assert [sample.subject for sample in samples] == ["1001"] * 3 + ["1002"] * 3 + ["1003"]
    assert (samples[1].sequence, samples[1].frame, shown(samples[1])) == ("1001_IEO_DIS_LO", 4, 4)
    assert samples[1].attributes == {
        "sentence": "IEO",
        "intensity": "low",
        "age": 51.0,
        "gender": "male",
        "race": "caucasian",
        "ethnicity": "not hispanic",
    }
    levels = [sample.attributes["intensity"] for sample in samples]
    assert levels == ["unspecified", "low", "medium", "high", "unspecified", "unspecified", "unspecified"]
    assert samples[-1].attributes == {"sentence": "DFA", "intensity": "unspecified"}
    with pytest.raises(PhotographError):
        shown(samples[-1])


def test_cremad_with_more_frames(tmp_path: Path) -> None:
    write_cremad(tmp_path)
    samples = cremad.read(tmp_path, frames=3)
    assert [sample.frame for sample in samples if sample.sequence == "1001_DFA_ANG_XX"] == [2, 4, 6]
    assert len(samples) == 6 * 3 + 1


def test_cremad_damage(tmp_path: Path) -> None:
    write_cremad(tmp_path)
    table = tmp_path / "VideoDemographics.csv"
    table.write_text("ActorID,Age\n1001,old\n")
    with pytest.raises(DatasetError, match=r"VideoDemographics.csv, line 2: Age must be a number, got 'old'"):
        cremad.read(tmp_path)
    table.write_text("Actor,Age\n1001,51\n")
    with pytest.raises(DatasetError, match="lacks the column ActorID; it has Actor, Age"):
        cremad.read(tmp_path)
    table.unlink()
    film(tmp_path / "VideoFlash" / "1001_DFA_JOY_XX.flv", 2)
    with pytest.raises(DatasetError, match=r"1001_DFA_JOY_XX.flv: unknown emotion or intensity"):
        cremad.read(tmp_path)


def test_videos(tmp_path: Path) -> None:
    for place in ("happy/anna.avi", "neutral/anna.AVI", "happy/ben.avi", "sad/Carl/clip 1.avi", "test/fear/dora.avi"):
        film(tmp_path / place, 12)
    (tmp_path / "happy" / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "happy" / ".hidden.mp4").write_bytes(b"litter")
    samples = videos.read(tmp_path, step=5)
    found = {(sample.sequence, sample.subject, sample.split, expression_of(sample, videos)) for sample in samples}
    assert found == {
        ("happy/anna.avi", "anna", "", "happiness"),
        ("neutral/anna.AVI", "anna", "", "neutral"),
        ("happy/ben.avi", "", "", "happiness"),  # under one expression only: a person or a number of a clip
        ("happy/broken.mp4", "", "", "happiness"),
        ("sad/Carl/clip 1.avi", "Carl", "", "sadness"),
        ("test/fear/dora.avi", "", "test", "fear"),
    }
    names = [sample.name for sample in samples]
    assert names[:3] == ["happy/anna.avi#0", "happy/anna.avi#5", "happy/anna.avi#10"]
    assert names.count("happy/broken.mp4#0") == 1 and len(names) == 5 * 3 + 1
    assert [(sample.frame, shown(sample)) for sample in samples[:3]] == [(0, 0), (5, 5), (10, 10)]
    assert [sample.frame for sample in videos.read(tmp_path)][:2] == [0, 10]


def test_videos_in_wrong_places(tmp_path: Path) -> None:
    film(tmp_path / "bored" / "anna.avi", 1)
    with pytest.raises(DatasetError, match="'bored' is not an expression"):
        videos.read(tmp_path)
    with pytest.raises(DatasetError, match=r"anna.avi lies in no folder of an expression; expected\nhappiness/PERSON"):
        videos.read(tmp_path / "bored")
    with pytest.raises(ValueError, match="step must be at least 1 frame, got 0"):
        videos.read(tmp_path, step=0)


@pytest.mark.parametrize(
    ("read", "name"), [(jaffe.read, "KA.NE1.1.tiff"), (kdef.read, "AF01NES.JPG"), (london.read, "001_03.jpg")]
)
def test_hidden_folders_are_left_alone(read: Callable[[Path], list[Sample]], name: str, tmp_path: Path) -> None:
    put(tmp_path, name, f".Trash/{name}")
    assert [sample.name for sample in read(tmp_path)] == [name]
