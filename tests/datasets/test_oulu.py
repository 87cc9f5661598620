"""The reader of Oulu-CASIA on a generated miniature of its documented tree."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from deadpan.cli.main import main
from deadpan.datasets import oulu
from deadpan.datasets.sample import DatasetError
from tests.support.data_trees import expression_of, touch


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


def test_oulu_with_only_the_cropped_pictures(tmp_path: Path) -> None:
    write_oulu(tmp_path, "PreProcess_Img/PreProcess_Img", "_Acropped")
    samples = oulu.read(tmp_path)
    assert len(samples) == 11 and all(sample.cropped for sample in samples)
    assert [sample.name for sample in oulu.read(tmp_path, images="PreProcess_Img")] == [s.name for s in samples]
    for root in (tmp_path / "PreProcess_Img/PreProcess_Img", tmp_path / "PreProcess_Img/PreProcess_Img/VL_Acropped"):
        assert len(oulu.read(root)) == 11
    with pytest.raises(DatasetError, match="it holds PreProcess_Img only, add --images PreProcess_Img"):
        oulu.read(tmp_path, images="OriginalImg")


def test_oulu_settings_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_oulu(tmp_path)
    write_oulu(tmp_path, "PreProcess_Img", "_Acropped")
    chosen = ["--images", "PreProcess_Img", "--camera", "NI", "--light=all", "--last", "1"]
    main(["data", "check", "oulu", str(tmp_path), *chosen])
    printed = capsys.readouterr()
    assert "pictures   12" in printed.out and "NI_Acropped/Dark/P001/Anger/005.jpeg: empty" in printed.err
    assert main(["data", "check", "oulu", str(tmp_path), "--pose", "left"]) == 2
    error = capsys.readouterr().err
    assert 'Unknown option: "--pose"' in error and "--images, --camera, --light, --last" in error
    assert main(["data", "check", "oulu", str(tmp_path), "--last", "many"]) == 2
    assert "last must be a whole number, got 'many'" in capsys.readouterr().err
    assert main(["prepare", "oulu", str(tmp_path), str(tmp_path / "o.parquet"), "--images", "Raw"]) == 2
    assert "expected images OriginalImg or PreProcess_Img" in capsys.readouterr().err
