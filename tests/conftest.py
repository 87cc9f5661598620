"""Photographs and models that several tests share."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.films import smiling, write_film
from tests.support.photos import PHOTOS
from tests.support.tiny_model import comparing_model, tiny_model


def pytest_configure() -> None:
    """Let the processes that tests start be stopped by Ctrl-C, also if the tests themselves run in the background.

    A shell lets its background processes ignore Ctrl-C (.ci/run starts the slow tests so), and the processes that these
    start would ignore it too.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail where no browser test may be skipped (.ci/run), and one was, because a browser or its driver is missing.

    A package that the npm registry does not deliver is no such reason.
    """
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or not os.environ.get("DEADPAN_BROWSER_TESTS"):
        return
    skipped = [each for each in terminal.stats.get("skipped", []) if "browser" in each.nodeid or "hromium" in str(each)]
    skipped = [each for each in skipped if "npm" not in str(each.longrepr)]
    if skipped:
        print(f"\n{len(skipped)} browser tests were skipped: {skipped[0].nodeid}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


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
    """A tiny model that generates a (blurred) neutral face."""
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def plain_model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that generates no neutral face."""
    return tiny_model(tmp_path_factory.mktemp("model") / "plain.onnx", generates=False)


@pytest.fixture(scope="session")
def comparing_model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that uses a rest face and has explanations of every kind."""
    return comparing_model(tmp_path_factory.mktemp("model") / "comparing.onnx")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two synthetic people, 32 pictures with their twins, prepared at 64 px."""
    from deadpan.preparation.prepare import prepare
    from deadpan.synthetic.synthesize import SynthesisConfig, synthesize

    folder = tmp_path_factory.mktemp("drawn")
    synthesize(folder / "people", SynthesisConfig(people=2, pictures=16, size=72, workers=1))
    prepare("synthetic", folder / "people", folder / "people.parquet", 64, workers=1)
    return folder / "people.parquet"


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of a person who smiles, of nobody, and of another person."""
    return write_film(tmp_path_factory.mktemp("film") / "talk.avi", smiling())
