"""The released models: whole, described, and able to read the example photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deadpan.datasets import DATASETS
from deadpan.expressions import EXPRESSIONS
from deadpan.faces.photographs import read_photograph
from deadpan.models import card, is_intact, released
from deadpan.prediction.predictor import Predictor

MODELS = sorted(released())


def test_the_default_and_the_models_of_papers_are_released() -> None:
    assert {"cnn", "default", "derl", "dgcn", "small"} <= set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_whole_and_says_what_it_learnt_from(name: str) -> None:
    facts = card(name)
    assert is_intact(name)
    assert f"deadpan train {facts['method']} --data" in facts["recipe"]
    assert {each["dataset"] for each in facts["data"]} <= set(DATASETS)
    assert all(each["terms"] for each in facts["data"])
    assert facts["metrics"]
    assert facts["selection"]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_reads_open_smiles_and_a_face_at_rest(name: str, photos: list[Path]) -> None:
    predictor = Predictor(name)
    assert predictor.expressions == EXPRESSIONS
    answers = {path.stem: predictor.predict(path)[0].expression for path in photos}
    assert answers["girl_happiness"] == "happiness"
    assert answers["london_107_happiness"] == "happiness"
    at_rest = [answer for stem, answer in answers.items() if stem.endswith("neutral")]
    assert at_rest.count("neutral") > len(at_rest) / 2


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_turned_photograph_is_answered_like_the_upright_one(photos: list[Path], turn: int) -> None:
    predictor = Predictor()
    for path in (
        each for each in photos if each.stem in ("girl_happiness", "duchenne_man_neutral", "london_006_neutral")
    ):
        pixels = read_photograph(path)
        (upright,), (turned,) = (
            predictor.predict(pixels),
            predictor.predict(np.ascontiguousarray(np.rot90(pixels, turn))),
        )
        for expression, probability in upright.probabilities.items():
            assert turned.probabilities[expression] == pytest.approx(probability, abs=0.02)


def test_derl_leaves_less_residue_on_a_face_at_rest_than_on_a_smile(photos: list[Path]) -> None:
    predictor = Predictor()
    smile, rest = ("happiness", "neutral")
    found = {path.stem: predictor.predict(path)[0].residue for path in photos if path.stem.startswith("london")}
    people = {stem.split("_")[1] for stem in found}
    more = sum((found[f"london_{p}_{smile}"] or 0) > (found[f"london_{p}_{rest}"] or 0) for p in people)
    assert more > len(people) / 2


def test_mild_smiles_are_seen_better_against_the_persons_own_face_at_rest(photos: list[Path]) -> None:
    by_name = {path.stem: path for path in photos}
    people = [stem.removesuffix("_neutral") for stem in by_name if stem.startswith("london") and "neutral" in stem]
    alone, right = Predictor("dgcn"), {"alone": 0, "against": 0}
    for person in people:
        smile, rest = by_name[f"{person}_happiness"], by_name[f"{person}_neutral"]
        against = Predictor("dgcn", rest_face=rest)
        assert against.predict(rest)[0].expression == "neutral"
        right["alone"] += alone.predict(smile)[0].expression == "happiness"
        right["against"] += against.predict(smile)[0].expression == "happiness"
    assert right["against"] == len(people) > right["alone"]


def test_the_neutral_face_of_a_grey_photograph_is_grey(photos: list[Path]) -> None:
    (smile,) = (path for path in photos if path.stem == "london_107_happiness")
    pixels = read_photograph(smile)
    grey = np.repeat(pixels[..., 1:2], 3, axis=2)
    for photograph, is_grey in ((grey, True), (pixels, False)):
        (face,) = Predictor().predict(photograph)
        assert face.neutral is not None
        assert (np.ptp(face.neutral, axis=2) == 0).all() == is_grey
        assert not np.array_equal(face.neutral, face.aligned)
