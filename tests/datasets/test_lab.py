"""The readers of the papers' own data sets, each on a generated miniature of its documented tree."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from deadpan.datasets import bp4d, bp4dplus, bu3dfe, bu4dfe, ckplus, mmi, oulu, read
from deadpan.datasets.listing import frames, middle, visible
from deadpan.datasets.sample import DatasetError, Sample, VideoFrame
from deadpan.expressions import check_expressions

MODULES = (ckplus, oulu, mmi, bu3dfe, bu4dfe, bp4d, bp4dplus)


def touch(root: Path, *places: str, text: str = "") -> None:
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)


def expression_of(sample: Sample, expressions: tuple[str, ...]) -> str:
    assert sum(sample.target) == 1 and len(sample.target) == len(expressions)
    return expressions[int(np.argmax(sample.target))]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rsplit(".", 1)[-1])
def test_a_wrong_root_is_told_the_tree_and_where_to_request(module: object, tmp_path: Path) -> None:
    facts, read = module.FACTS, module.read  # type: ignore[attr-defined]
    assert check_expressions(module.EXPRESSIONS)  # type: ignore[attr-defined]
    assert set(facts.counts) <= {"subjects", "sequences", "pictures", *module.EXPRESSIONS}  # type: ignore[attr-defined]
    touch(tmp_path, "holidays/beach.jpg", ".DS_Store")
    for root, found in ((tmp_path / "absent", "does not exist"), (tmp_path, "holidays")):
        with pytest.raises(DatasetError, match=found) as caught:
            read(root)
        assert facts.tree in str(caught.value) and facts.request in str(caught.value)
    with pytest.raises(DatasetError, match="is not a folder"):
        read(tmp_path / "holidays" / "beach.jpg")


def test_listing_skips_what_systems_leave_and_sorts_by_number(tmp_path: Path) -> None:
    touch(tmp_path, "10.jpg", "9.JPG", "0011.png", "._9.JPG", ".DS_Store", "Thumbs.db", "notes.txt", "cover.jpg")
    assert [path.name for path in frames(tmp_path)] == ["9.JPG", "10.jpg", "0011.png"]
    assert [path.name for path in visible(tmp_path)] == ["0011.png", "10.jpg", "9.JPG", "cover.jpg", "notes.txt"]


@pytest.mark.parametrize(
    ("count", "wanted", "expected"),
    [(100, 3, [49, 50, 51]), (9, 3, [3, 4, 5]), (9, 1, [4]), (3, 3, [1, 2]), (2, 3, [1]), (1, 3, [])],
)
def test_middle_frames_never_hold_the_first(count: int, wanted: int, expected: list[int]) -> None:
    assert list(middle(count, wanted)) == expected


# --- CK+ -------------------------------------------------------------------------------------------------------------


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


# --- Oulu-CASIA ------------------------------------------------------------------------------------------------------


def write_oulu(root: Path, above: str = "OriginalImg", ending: str = "") -> None:
    for camera in ("VL", "NI"):
        for light in ("Strong", "Dark"):
            for person, folder, count in (("P001", "Anger", 6), ("P001", "Happiness", 3), ("P080", "Surprise", 5)):
                place = f"{above}/{camera}{ending}/{light}/{person}/{folder}"
                touch(root, *(f"{place}/{number:03d}.jpeg" for number in range(count)), f"{place}/Thumbs.db")
    touch(root, f"{above}/.DS_Store", f"{above}/VL{ending}/Strong/.DS_Store", f"{above}/change_log.txt")


@pytest.mark.parametrize("above", ["OriginalImg", "B_OriginalImg/B_OriginalImg/OriginalImg", "Oulu_CASIA_NIR_VIS"])
def test_oulu(above: str, tmp_path: Path) -> None:
    write_oulu(tmp_path, above)
    samples = oulu.read(tmp_path)
    assert [sample.name for sample in samples[:4]] == [f"VL/Strong/P001/Anger/00{n}.jpeg" for n in (0, 3, 4, 5)]
    assert Counter(expression_of(sample, oulu.EXPRESSIONS) for sample in samples) == {
        "neutral": 3,
        "anger": 3,
        "happiness": 2,  # a sequence of three frames: the first stays neutral
        "surprise": 3,
    }
    assert {(sample.subject, sample.sequence) for sample in samples} == {
        ("P001", "VL/Strong/P001/Anger"),
        ("P001", "VL/Strong/P001/Happiness"),
        ("P080", "VL/Strong/P080/Surprise"),
    }
    assert samples[1].attributes == {"part": "peak", "phase": 0.6, "camera": "VL", "light": "Strong"}
    assert samples[1].frame == 3 and not samples[1].cropped
    assert samples[1].picture == tmp_path / above / samples[1].name


def test_oulu_cameras_lights_and_crops(tmp_path: Path) -> None:
    write_oulu(tmp_path)
    write_oulu(tmp_path, "PreProcess_Img", "_Acropped")
    infrared = oulu.read(tmp_path, camera="NI", light="all", all_frames=True)
    assert len(infrared) == 2 * (6 + 3 + 5)
    assert Counter(sample.attributes["light"] for sample in infrared) == {"Strong": 14, "Dark": 14}
    crops = oulu.read(tmp_path, images="PreProcess_Img")
    assert crops[0].cropped and crops[0].name == "VL_Acropped/Strong/P001/Anger/000.jpeg"
    with pytest.raises(DatasetError, match="no sequence under Weak light"):
        oulu.read(tmp_path, light="Weak")
    with pytest.raises(ValueError, match="light Strong, Weak, Dark or all"):
        oulu.read(tmp_path, light="dim")


def test_oulu_folder_that_is_no_expression(tmp_path: Path) -> None:
    write_oulu(tmp_path)
    touch(tmp_path, "OriginalImg/VL/Strong/P001/Boredom/000.jpeg")
    with pytest.raises(DatasetError, match=r"Boredom: 'Boredom' is not an expression"):
        oulu.read(tmp_path)


# --- MMI -------------------------------------------------------------------------------------------------------------


def write_video(path: Path, count: int, size: tuple[int, int] = (96, 64)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, size)
    for index in range(count):
        film.write(np.full((size[1], size[0], 3), 10 * index, np.uint8))
    film.release()


def write_session(root: Path, number: int, clip: str, emotion: str | None, view: str = "0") -> Path:
    folder = root / "Sessions" / str(number)
    touch(
        folder,
        "session.xml",
        text=f'<?xml version="1.0"?><session><track filename="{clip}.avi" view="{view}"/></session>',
    )
    tag = "" if emotion is None else f'<Metatag Name="Emotion" Value="{emotion}"/>'
    touch(folder, f"{clip}.xml", text=f'<?xml version="1.0"?><clip><Metatag Name="Coder" Value="x"/>{tag}</clip>')
    touch(folder, f"._{clip}.avi", ".DS_Store")
    return folder


def write_mmi(root: Path) -> None:
    write_video(write_session(root, 1, "S001-001", None) / "S001-001.avi", 9)  # action units only: no emotion
    folder = write_session(root, 12, "S001-100", "1")
    write_video(folder / "S001-100.avi", 9, (640, 480))
    touch(folder, "S001-100-oao_aucs.xml", text='<a><ActionUnit Number="4"/><ActionUnit Number="17"/></a>')
    write_video(write_session(root, 13, "S002-099", "6", view="2") / "S002-099.AVI", 5)
    write_video(write_session(root, 14, "S002-100", "4", view="1") / "S002-100.avi", 5)
    write_video(write_session(root, 15, "S003-102", "8") / "S003-102.avi", 5)  # no basic expression
    touch(write_session(root, 16, "S003-103", "3"), "S003-103.avi", text="no video at all")
    touch(write_session(root, 17, "S004-001", "5"), "S004-001.jpg")
    (root / "Sessions" / "18").mkdir()


def test_mmi(tmp_path: Path) -> None:
    write_mmi(tmp_path)
    samples = mmi.read(tmp_path)
    assert [(sample.name, expression_of(sample, mmi.EXPRESSIONS)) for sample in samples] == [
        ("12/S001-100.avi#0", "neutral"),
        *((f"12/S001-100.avi#{index}", "anger") for index in (3, 4, 5)),
        ("13/S002-099.AVI#0", "neutral"),
        *((f"13/S002-099.AVI#{index}", "surprise") for index in (1, 2, 3)),
        ("16/S003-103.avi#0", "fear"),  # cannot be opened: preparing lists it
        ("17/S004-001.jpg", "sadness"),
    ]
    peak = samples[2]
    assert peak.picture == VideoFrame(tmp_path / "Sessions/12/S001-100.avi", 4)
    assert (peak.subject, peak.sequence, peak.frame) == ("S001", "12/S001-100.avi", 4)
    assert peak.attributes == {"part": "peak", "phase": 0.5, "view": "frontal", "AU04": 1.0, "AU17": 1.0}
    assert samples[4].attributes["view"] == "both" and samples[0].attributes["part"] == "neutral"
    still = samples[-1]
    assert (still.subject, still.sequence, still.frame) == ("S004", "", -1)
    assert still.picture == tmp_path / "Sessions/17/S004-001.jpg"


def test_mmi_all_frames(tmp_path: Path) -> None:
    write_mmi(tmp_path)
    samples = read("mmi", tmp_path, all_frames=True)
    clip = [sample for sample in samples if sample.sequence == "12/S001-100.avi"]
    parts = [sample.attributes["part"] for sample in clip]
    assert parts == ["neutral", "onset", "onset", "peak", "peak", "peak", "offset", "offset", "offset"]
    assert {expression_of(sample, mmi.EXPRESSIONS) for sample in clip[1:]} == {"anger"}
    with pytest.raises(DatasetError, match="kdef is not read with all frames; ckplus, oulu, mmi, bu4dfe are"):
        read("kdef", tmp_path, all_frames=True)


def test_mmi_views(tmp_path: Path) -> None:
    write_mmi(tmp_path)
    write_video(write_session(tmp_path, 19, "S005-001", "2") / "S005-001.avi", 4, (720, 576))
    samples = {
        (s.subject, s.attributes["view"], s.picture.turn if isinstance(s.picture, VideoFrame) else 0)
        for s in mmi.read(tmp_path / "Sessions", profile=True, wanted=1)
        if s.sequence
    }
    assert {("S002", "profile", 270.0), ("S005", "frontal", 90.0), ("S002", "both", 0.0)} <= samples


def test_mmi_without_a_session_file_or_emotion(tmp_path: Path) -> None:
    write_mmi(tmp_path)
    (tmp_path / "Sessions/12/session.xml").unlink()
    (tmp_path / "Sessions/13/S002-099.xml").unlink()
    samples = mmi.read(tmp_path)
    assert [sample.attributes["view"] for sample in samples[:4]] == [""] * 4
    assert not any(sample.name.startswith("13/") for sample in samples)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('<clip><Metatag Name="Emotion" Value="happy"/></clip>', "S001-100.xml: expected the emotion as a number"),
        ("<clip><Metatag", "S001-100.xml: expected an XML annotation with Metatag elements"),
    ],
)
def test_mmi_damaged_annotations_are_named(text: str, complaint: str, tmp_path: Path) -> None:
    write_mmi(tmp_path)
    touch(tmp_path, "Sessions/12/S001-100.xml", text=text)
    with pytest.raises(DatasetError, match=complaint):
        mmi.read(tmp_path)


def test_mmi_with_clips_but_no_emotion(tmp_path: Path) -> None:
    write_video(write_session(tmp_path, 1, "S001-001", None) / "S001-001.avi", 3)
    with pytest.raises(DatasetError, match="1 clips, none of them with an emotion"):
        mmi.read(tmp_path)


# --- BU-3DFE and BU-4DFE ---------------------------------------------------------------------------------------------


def write_bu3dfe(root: Path) -> None:
    for subject, ethnicity in (("F0001", "WH"), ("M0044", "AE")):
        for code in ("NE00", "AN01", "AN04", "DI02", "FE03", "HA01", "SA02", "SU04"):
            stem = f"{root}/BU_3DFE/{subject}/{subject}_{code}{ethnicity}"
            touch(root, *(f"{stem}_{rest}" for rest in ("F2D.bmp", "F3D.bmp", "F3D.wrl", "F3D.bnd", "RAW.wrl")))
    touch(root, "BU_3DFE/F0001/Thumbs.db", "BU_3DFE/F0001/._F0001_NE00WH_F2D.bmp", "BU_3DFE/M0001/M0001_HA04LA_F2D.BMP")


def test_bu3dfe(tmp_path: Path) -> None:
    write_bu3dfe(tmp_path)
    samples = bu3dfe.read(tmp_path)
    assert Counter(expression_of(sample, bu3dfe.EXPRESSIONS) for sample in samples) == {
        "neutral": 2,
        "anger": 4,
        "disgust": 2,
        "fear": 2,
        "happiness": 3,
        "sadness": 2,
        "surprise": 2,
    }
    assert {sample.subject for sample in samples} == {"F0001", "M0001", "M0044"}
    by_name = {sample.name: sample for sample in samples}
    strong = by_name["F0001/F0001_AN04WH_F2D.bmp"]
    assert strong.attributes == {"intensity": 4.0, "gender": "female", "ethnicity": "WH", "kind": "F2D"}
    assert strong.picture == tmp_path / "BU_3DFE" / strong.name and strong.twin is None
    assert (strong.sequence, strong.frame) == ("", -1)
    assert by_name["M0001/M0001_HA04LA_F2D.BMP"].attributes["gender"] == "male"
    assert by_name["M0044/M0044_NE00AE_F2D.bmp"].attributes["intensity"] == 0
    assert len(bu3dfe.read(tmp_path / "BU_3DFE", kind="F3D")) == 16
    with pytest.raises(DatasetError, match="no RAW picture is below"):
        bu3dfe.read(tmp_path, kind="RAW")
    with pytest.raises(ValueError, match="kind must be F2D, F3D, RAW, got 'F4D'"):
        bu3dfe.read(tmp_path, kind="F4D")


def test_bu3dfe_unknown_code_is_named(tmp_path: Path) -> None:
    write_bu3dfe(tmp_path)
    touch(tmp_path, "BU_3DFE/F0001/F0001_XX01WH_F2D.bmp")
    with pytest.raises(DatasetError, match=r"F0001_XX01WH_F2D.bmp: 'XX' is not an expression"):
        bu3dfe.read(tmp_path)


def write_bu4dfe(root: Path) -> None:
    for person, word, count in (("F001", "Angry", 9), ("F001", "Sad", 9), ("M043", "Surprise", 2)):
        place = f"BU_4DFE/{person}/{word}"
        touch(root, *(f"{place}/{number:03d}{end}" for number in range(count) for end in (".jpg", ".mtl", ".wrl")))
    touch(root, "BU_4DFE/.DS_Store", "BU_4DFE/F001/Sad/.DS_Store", "BU_4DFE/tools/Angry/000.jpg")


def test_bu4dfe(tmp_path: Path) -> None:
    write_bu4dfe(tmp_path)
    samples = bu4dfe.read(tmp_path)
    assert [(sample.name, expression_of(sample, bu4dfe.EXPRESSIONS)) for sample in samples] == [
        ("F001/Angry/000.jpg", "neutral"),
        *((f"F001/Angry/00{index}.jpg", "anger") for index in (3, 4, 5)),
        ("F001/Sad/000.jpg", "neutral"),
        *((f"F001/Sad/00{index}.jpg", "sadness") for index in (3, 4, 5)),
        ("M043/Surprise/000.jpg", "neutral"),
        ("M043/Surprise/001.jpg", "surprise"),
    ]
    apex = samples[2]
    assert (apex.subject, apex.sequence, apex.frame) == ("F001", "F001/Angry", 4)
    assert apex.attributes == {"part": "peak", "phase": 0.5, "gender": "female"}
    assert apex.picture == tmp_path / "BU_4DFE" / apex.name
    whole = bu4dfe.read(tmp_path / "BU_4DFE", wanted=1, all_frames=True)[:9]
    assert [s.attributes["part"] for s in whole] == ["neutral", *["onset"] * 3, "peak", *["offset"] * 4]
    touch(tmp_path, "BU_4DFE/F001/Models/000.jpg")
    with pytest.raises(DatasetError, match="'Models' is not an expression"):
        bu4dfe.read(tmp_path)


# --- BP4D and BP4D+ --------------------------------------------------------------------------------------------------


def write_bp4d(root: Path, tasks: int = 8, above: str = "") -> None:
    for person in ("F001", "M018"):
        for task in range(1, tasks + 1):
            touch(root, *(f"{above}{person}/T{task}/{number:04d}.jpg" for number in range(30)))
    touch(
        root,
        f"{above}F001/.DS_Store",
        f"{above}F001/T1/0000.obj",
        f"{above}F001/T1/._0001.jpg",
        "3DFeatures/F001/x.bnd",
    )


def test_bp4d(tmp_path: Path) -> None:
    write_bp4d(tmp_path)
    samples = bp4d.read(tmp_path)
    assert {sample.subject for sample in samples} == {"F001", "M018"}
    assert len({sample.sequence for sample in samples}) == 16
    elicited = {
        str(s.attributes["elicited"]): expression_of(s, bp4d.EXPRESSIONS)
        for s in samples
        if s.attributes["part"] == "task"
    }
    assert elicited == {name: name for name in bp4d.EXPRESSIONS[1:]}
    happy = [sample for sample in samples if sample.sequence == "F001/T1"]
    assert [sample.frame for sample in happy] == [0, 10, 20]
    assert [expression_of(sample, bp4d.EXPRESSIONS) for sample in happy] == ["neutral", "happiness", "happiness"]
    assert happy[0].attributes["elicited"] == "happiness" and happy[0].attributes["gender"] == "female"
    assert happy[1].picture == tmp_path / "F001/T1/0010.jpg" and happy[1].name == "F001/T1/0010.jpg"
    pain = [sample for sample in samples if sample.sequence == "F001/T6"]
    assert [(s.frame, s.attributes["part"], s.attributes["elicited"]) for s in pain] == [
        (0, "neutral", "physical pain")
    ]


def test_bp4d_coded_frames_and_listed_neutral_ones(tmp_path: Path) -> None:
    write_bp4d(tmp_path, above="2D+3D/")
    rows = ["0,1,2,12", *(f"{number},{number % 2},9,1" for number in range(12, 20))]
    touch(tmp_path, "AUCoding/AU_OCC/F001_T1.csv", text="\n".join(rows) + "\n")
    touch(tmp_path, "neutral.txt", text="# chosen by hand\nF001/T1/0003.jpg\n\nM018\\T4\\0007\nF001/T2/9999.jpg\n")
    samples = bp4d.read(tmp_path, step=3)
    happy = [sample for sample in samples if sample.sequence == "F001/T1"]
    assert [(sample.frame, sample.attributes["part"]) for sample in happy] == [
        (3, "neutral"),
        (12, "task"),
        (15, "task"),
        (18, "task"),
    ]
    assert {key: value for key, value in happy[2].attributes.items() if key[:2] == "AU"} == {"AU01": 1.0, "AU12": 1.0}
    neutral = [sample.name for sample in samples if sample.attributes["part"] == "neutral"]
    assert neutral == ["F001/T1/0003.jpg", "M018/T4/0007.jpg"]
    assert len([sample for sample in samples if sample.sequence == "F001/T2"]) == 10  # no coding: all frames
    (tmp_path / "AUCoding").rename(tmp_path / "2D+3D" / "AUCoding")  # beside the people
    assert len([s for s in bp4d.read(tmp_path, step=3) if s.sequence == "F001/T1"]) == 4
    other = tmp_path / "other.txt"
    touch(tmp_path, "other.txt", text="F001/T1/0000.jpg\n")
    assert bp4d.read(tmp_path, neutral=other)[0].frame == 0
    with pytest.raises(DatasetError, match=r"absent\.txt does not exist"):
        bp4d.read(tmp_path, neutral=tmp_path / "absent.txt")


@pytest.mark.parametrize(
    ("place", "text", "complaint"),
    [
        ("AUCoding/AU_OCC/F001_T1.csv", "0,1\n12,yes\n", "F001_T1.csv: expected a row of action units.*'yes'"),
        ("AUCoding/AU_OCC/F001_T1.csv", "0,1\n12,1,1\n", "F001_T1.csv: expected a row of action units"),
        ("AUCoding/AU_OCC/F001_T1.csv", "frame,smile\n12,1\n", "F001_T1.csv: expected a row of action units"),
        ("neutral.txt", "F001/T1/0000.jpg\nsomewhere\n", "neutral.txt, line 2: expected a frame .* got 'somewhere'"),
    ],
)
def test_bp4d_damaged_files_are_named(place: str, text: str, complaint: str, tmp_path: Path) -> None:
    write_bp4d(tmp_path)
    touch(tmp_path, place, text=text)
    with pytest.raises(DatasetError, match=complaint):
        bp4d.read(tmp_path)


def test_bp4dplus_has_other_tasks(tmp_path: Path) -> None:
    write_bp4d(tmp_path, tasks=10, above="2D+3D/")
    samples = bp4dplus.read(tmp_path)
    found = {(s.sequence, expression_of(s, bp4dplus.EXPRESSIONS)) for s in samples if s.subject == "F001"}
    expected = {1: "happiness", 2: "surprise", 3: "sadness", 4: "surprise", 7: "fear", 9: "anger", 10: "disgust"}
    assert {pair for pair in found if pair[1] != "neutral"} == {(f"F001/T{n}", word) for n, word in expected.items()}
    assert len([pair for pair in found if pair[1] == "neutral"]) == 10
    with pytest.raises(DatasetError, match=r"T10 is none of the tasks T1 to T8; (.|\n)*bp4dplus"):
        bp4d.read(tmp_path)


def test_a_tree_of_people_without_tasks_is_no_bp4d(tmp_path: Path) -> None:
    touch(tmp_path, "F001/Angry/000.jpg")  # BU-4DFE
    with pytest.raises(DatasetError, match="holds F001; expected"):
        bp4d.read(tmp_path)
