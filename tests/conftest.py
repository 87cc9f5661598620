"""Photographs and models that several tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.photos import PHOTOS
from tests.support.tiny_model import comparing_model, tiny_model


@pytest.fixture(scope="session")
def photos() -> list[Path]:
    """Every example photograph, one face each."""
    return sorted([*PHOTOS.glob("*.png"), *PHOTOS.glob("*.jpg")])


@pytest.fixture(scope="session")
def girl() -> Path:
    return PHOTOS / "girl_happiness.png"


@pytest.fixture(scope="session")
def portrait() -> Path:
    return PHOTOS / "london_107_happiness.jpg"


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that makes a (blurred) neutral face."""
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def plain_model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that makes no neutral face."""
    return tiny_model(tmp_path_factory.mktemp("model") / "plain.onnx", generates=False)


@pytest.fixture(scope="session")
def comparing_model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that takes a rest face and has one of each kind of things to show."""
    return comparing_model(tmp_path_factory.mktemp("model") / "comparing.onnx")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drawn people, 32 pictures with their twins, prepared at 64 px."""
    from deadpan.preparation.prepare import prepare
    from deadpan.synthetic.synthesize import SynthesisConfig, synthesize

    folder = tmp_path_factory.mktemp("drawn")
    synthesize(folder / "people", SynthesisConfig(people=2, pictures=16, size=72, workers=1))
    prepare("synthetic", folder / "people", folder / "people.parquet", 64, workers=1)
    return folder / "people.parquet"
