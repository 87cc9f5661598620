"""The reader of RaFD on a generated miniature of its documented tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from deadpan.datasets import rafd
from deadpan.datasets.sample import DatasetError
from tests.support.data_trees import labels, put


def test_rafd(tmp_path: Path) -> None:
    words = {"neutral": "neutral", "angry": "anger", "contemptuous": "contempt", "disgusted": "disgust"}
    words |= {"fearful": "fear", "happy": "happiness", "sad": "sadness", "surprised": "surprise"}
    put(tmp_path, *(f"Rafd090_01_Caucasian_female_{word}_frontal.jpg" for word in words))
    put(tmp_path, "Rafd045_73_Moroccan_male_surprised_right.JPG", "Rafd180_63_Kid_female_sad_left.jpg")
    samples = rafd.read(tmp_path)
    found = labels(samples, rafd.EXPRESSIONS)
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
