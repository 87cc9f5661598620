"""The queue and its thread: batches, order, what is skipped, and what one bad photograph leaves alone."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from deadpan.faces.face import Face
from deadpan.faces.photographs import PhotographError
from deadpan.pixels import RGB
from deadpan.prediction.predictor import Predictor, RestFaceError
from deadpan.prediction.results import FaceResult
from deadpan.server import inference as module
from deadpan.server.inference import BATCH, Inference, Job
from deadpan.server.metrics import Metrics
from tests.support.waiting import PATIENCE


@pytest.fixture
def inference() -> Iterator[Inference]:
    opened = Inference(50_000_000, Metrics())
    opened.start()
    yield opened
    opened.close()


class Gate:
    """A job that keeps the thread busy until it is opened."""

    def __init__(self, inference: Inference, content: bytes) -> None:
        self._begun, self._opened = threading.Event(), threading.Event()
        inference.submit(Job(content, self._wait))
        assert self._begun.wait(PATIENCE)

    def _wait(self, *_: Any) -> None:
        self._begun.set()
        self._opened.wait(2 * PATIENCE)

    def open(self) -> None:
        self._opened.set()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many photographs each run of a network read."""
    counts: list[int] = []
    read = Predictor.read

    def counted(self: Predictor, found: Any) -> Any:
        counts.append(len(found))
        return read(self, found)

    monkeypatch.setattr(Predictor, "read", counted)
    return counts


def expression(_: RGB, __: list[Face], results: list[FaceResult]) -> str:
    return results[0].expression


def test_what_waits_is_read_in_batches(
    inference: Inference, model_file: Path, photos: list[Path], runs: list[int]
) -> None:
    predictor = Predictor(model_file)
    contents = [path.read_bytes() for path in photos][:12]
    gate = Gate(inference, contents[0])
    futures = [inference.submit(Job(content, expression, predictor)) for content in contents]
    assert inference.waiting == len(contents)
    gate.open()
    got = [future.result(PATIENCE) for future in futures]
    assert runs == [BATCH, len(contents) - BATCH]
    assert got == [predictor.predict(content)[0].expression for content in contents]


def test_a_batch_is_cut_by_pixels(
    inference: Inference, model_file: Path, photos: list[Path], runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_PIXELS", 1)
    predictor = Predictor(model_file)
    gate = Gate(inference, photos[0].read_bytes())
    futures = [inference.submit(Job(path.read_bytes(), expression, predictor)) for path in photos[:3]]
    gate.open()
    for future in futures:
        future.result(PATIENCE)
    assert runs == [1, 1, 1]


def test_models_in_one_batch(inference: Inference, model_file: Path, comparing_model_file: Path, girl: Path) -> None:
    predictors = [Predictor(model_file), Predictor(comparing_model_file)]
    gate = Gate(inference, girl.read_bytes())
    futures = [inference.submit(Job(girl.read_bytes(), expression, predictors[i % 2])) for i in range(6)]
    gate.open()
    expected = [predictor.predict(girl)[0].expression for predictor in predictors]
    assert [future.result(PATIENCE) for future in futures] == expected * 3


def test_who_left_is_skipped(inference: Inference, model_file: Path, girl: Path, runs: list[int]) -> None:
    predictor = Predictor(model_file)
    gate = Gate(inference, girl.read_bytes())
    gone = [inference.submit(Job(girl.read_bytes(), expression, predictor)) for _ in range(3)]
    stays = inference.submit(Job(girl.read_bytes(), expression, predictor))
    assert all(future.cancel() for future in gone)
    gate.open()
    stays.result(PATIENCE)
    assert runs == [1]


def test_one_bad_photograph_leaves_the_others_alone(
    inference: Inference, comparing_model_file: Path, girl: Path
) -> None:
    predictor = Predictor(comparing_model_file)

    class Confused:
        """A detector that fails on one kind of photograph."""

        def __call__(self, photograph: RGB) -> list[Face]:
            if photograph.shape[0] == 2:
                raise RestFaceError("confused")
            return whole(photograph)

    small = io.BytesIO()
    Image.new("RGB", (2, 2)).save(small, "PNG")
    whole = predictor.detector
    predictor._opened = predictor._opened._replace(detector=Confused())
    gate = Gate(inference, girl.read_bytes())
    contents = [girl.read_bytes(), small.getvalue(), b"no picture", girl.read_bytes()]
    good, confused, broken, last = (inference.submit(Job(each, expression, predictor)) for each in contents)
    gate.open()
    assert good.result(PATIENCE) == last.result(PATIENCE)
    with pytest.raises(RestFaceError, match="confused"):
        confused.result(PATIENCE)
    with pytest.raises(PhotographError, match="not a picture"):
        broken.result(PATIENCE)
    failing = inference.submit(Job(girl.read_bytes(), lambda *_: 1 / 0, predictor))
    with pytest.raises(ZeroDivisionError):
        failing.result(PATIENCE)
    assert inference.works()


def test_a_failing_batch_does_not_end_the_thread(
    inference: Inference, girl: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(inference, "_predict", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            inference.submit(Job(girl.read_bytes(), lambda *_: None)).result(PATIENCE)
    assert inference.submit(Job(girl.read_bytes(), lambda *_: "done")).result(PATIENCE) == "done"


def test_closing_finishes_what_waits(model_file: Path, girl: Path) -> None:
    inference = Inference(50_000_000, Metrics())
    inference.start()
    predictor = Predictor(model_file)
    futures = [inference.submit(Job(girl.read_bytes(), expression, predictor)) for _ in range(20)]
    inference.close()
    assert all(future.done() for future in futures) and not inference.works()
    with pytest.raises(RuntimeError, match="not running"):
        inference.submit(Job(girl.read_bytes(), expression, predictor))
