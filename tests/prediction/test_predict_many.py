"""Many photographs at once: the answers of one at a time, in order, with what cannot be read in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deadpan.faces.photographs import read_photograph
from deadpan.models import released
from deadpan.prediction.predictor import CHUNK, FEW, Predictor
from deadpan.prediction.results import FaceResult, PhotographResult


def faces_of(results: list[PhotographResult]) -> list[list[dict[str, Any]]]:
    return [[face.as_json(shown=True) for face in result.faces] for result in results]


def assert_same(found: FaceResult, alone: FaceResult) -> None:
    """Equal but for the rounding of float32 in another order."""
    assert (found.box, found.score, found.expression, found.marks) == (
        alone.box,
        alone.score,
        alone.expression,
        alone.marks,
    )
    assert np.array_equal(found.aligned, alone.aligned)
    assert found.probabilities == pytest.approx(alone.probabilities, abs=1e-5)
    if alone.neutral is not None and found.neutral is not None:
        assert np.abs(found.neutral.astype(int) - alone.neutral).max() <= 1


@pytest.mark.parametrize("model", [None, *(name for name in ("derl", "dgcn") if name in released())])
def test_the_answers_are_those_of_one_at_a_time(model: str | None, model_file: Path, photos: list[Path]) -> None:
    many = (photos * 4)[: FEW + 7]
    single, bulk = Predictor(model or model_file), Predictor(model or model_file)
    alone = {path: single.predict(path) for path in photos}
    results = list(bulk.predict_many(many, workers=2))
    assert [result.path for result in results] == list(map(str, many))
    for path, result in zip(many, results, strict=True):
        assert (result.width, result.height) == read_photograph(path).shape[1::-1]
        for found, one in zip(result.faces, alone[path], strict=True):
            assert_same(found, one)


def test_neither_workers_nor_neighbours_change_an_answer(model_file: Path, photos: list[Path]) -> None:
    predictor = Predictor(model_file)
    many = (photos * 5)[: 2 * CHUNK + 5]
    expected = faces_of(list(predictor.predict_many(many, workers=1)))
    assert faces_of(list(predictor.predict_many(many, workers=5))) == expected
    assert faces_of(list(predictor.predict_many(many[3:], workers=2))) == expected[3:]
    assert [[face.as_json(shown=True) for face in predictor.predict(path)] for path in many] == expected


@pytest.mark.parametrize("times", [1, 12])
def test_what_cannot_be_read_keeps_its_place(times: int, model_file: Path, girl: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_text("no picture")
    dark = np.zeros((40, 50, 3), np.uint8)
    given = [tmp_path / "bad.jpg", girl, dark, "gone.png"] * times
    results = list(Predictor(model_file).predict_many(given))
    assert len(results) == 4 * times
    for start in range(0, len(results), 4):
        bad, read, empty, gone = results[start : start + 4]
        assert bad.error is not None and bad.error.startswith("not a picture") and bad.faces == []
        assert read.error is None and len(read.faces) == 1 and (read.width, read.height) == (275, 360)
        assert empty.error is None and empty.faces == [] and (empty.path, empty.width) == (str(start + 2), 50)
        assert gone.error == "no such file"


def test_several_faces_beside_a_rest_face_are_an_error_of_their_photograph(
    comparing_model_file: Path, girl: Path, portrait: Path
) -> None:
    pixels = read_photograph(portrait)
    predictor = Predictor(comparing_model_file, rest_face=girl)
    two, one = predictor.predict_many([np.hstack([pixels, pixels]), portrait])
    assert two.error is not None and "2 faces, but a rest face of one person" in two.error and two.width > 0
    assert len(one.faces) == 1 and one.error is None


def test_it_is_an_iterator_and_no_photograph_is_none(model_file: Path, girl: Path) -> None:
    predictor = Predictor(model_file)
    results = predictor.predict_many(each for each in [girl])
    assert iter(results) is results and next(results).path == str(girl)
    assert list(predictor.predict_many([])) == []
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        predictor.predict_many([girl], workers=0)


def test_one_face_does_not_keep_its_batch(model_file: Path, girl: Path) -> None:
    *_, last = Predictor(model_file).predict_many([girl] * (FEW + 1))
    neutral = last.faces[0].neutral
    assert neutral is not None and neutral.base is None
