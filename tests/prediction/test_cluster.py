"""Photographs read on a Ray cluster of two workers: the rows of one process, whatever happens to the workers."""

from __future__ import annotations

import os
import pickle
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from deadpan.cli.main import main
from deadpan.faces.photographs import read_photograph
from deadpan.prediction import cluster
from deadpan.prediction.bulk import in_order
from deadpan.prediction.cluster import ClusterError, reading_on
from deadpan.prediction.folders import Input, inputs_of
from deadpan.prediction.predictor import Predictor
from deadpan.prediction.results import PhotographResult
from tests.support.photos import many_names, write_pictures
from tests.support.tiny_model import tiny_model

ray = pytest.importorskip("ray")

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def workers() -> Iterator[None]:
    """A cluster of two workers on this machine, which `ray="local"` uses instead of starting one."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    before = signal.getsignal(signal.SIGTERM)
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def album(photos: list[Path], tmp_path: Path) -> Path:
    """Several names of each example photograph, and two files that cannot be read."""
    folder = many_names(tmp_path / "album", photos, copies=4)
    (folder / "001-broken.png").write_text("no picture")
    (folder / "002-empty.png").touch()
    return folder


def facts(results: Any) -> list[dict[str, Any]]:
    return [result.as_json(shown=True, mesh=True) for result in results]


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("name", ["out.csv", "out.jsonl", "out.parquet"])
def test_the_tables_are_those_of_one_process(name: str, album: Path, tmp_path: Path, capsys: Captured) -> None:
    one, two = tmp_path / f"one-{name}", tmp_path / f"two-{name}"
    assert main(["predict", str(album), "--model", "cnn", "-o", str(one)]) == 1
    said = capsys.readouterr().err
    assert main(["predict", str(album), "--model", "cnn", "-o", str(two), "--ray", "local"]) == 1
    assert capsys.readouterr().err == said and said.endswith("2 of 54 photographs could not be read\n")
    if name.endswith("parquet"):  # a slow run has several row groups
        assert pq.read_table(two) == pq.read_table(one)
    else:
        assert two.read_bytes() == one.read_bytes()


@pytest.mark.usefixtures("workers")
def test_the_results_and_pictures_are_those_of_one_process(
    comparing_model_file: Path, girl: Path, tmp_path: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(comparing_model_file, show=True, rest_face=girl)
    monkeypatch.chdir(photos[0].parent)  # the workers have another working directory
    given = [*(path.name for path in photos), girl.read_bytes(), read_photograph(girl), f"file://{girl}", "gone.png"]
    expected = list(predictor.predict_many(given))
    found = list(predictor.predict_many(given, ray="local"))
    assert facts(found) == facts(expected)
    for ours, theirs in zip(found, expected, strict=True):
        for face, other in zip(ours.faces, theirs.faces, strict=True):
            for attribute in ("aligned", "neutral", "residue_map"):
                assert (getattr(face, attribute) == getattr(other, attribute)).all()
    small = list(predictor.predict_many(given, ray="local", pictures=False))
    assert facts(small) == facts(list(predictor.predict_many(given, pictures=False))) == facts(expected)
    assert len(pickle.dumps(small)) < len(pickle.dumps(found)) / 3


@pytest.mark.usefixtures("workers")
def test_tables_of_pictures_and_panels(album: Path, model_file: Path, tmp_path: Path) -> None:
    pictures = [path.read_bytes() for path in sorted(album.iterdir())]
    table = write_pictures(tmp_path / "photos.parquet", list(pictures), 40)
    words = ["predict", str(table), "--model", str(model_file)]
    assert main([*words, "-o", str(tmp_path / "one.csv")]) == 1
    panels = tmp_path / "panels"
    assert main([*words, "-o", str(tmp_path / "two.csv"), "--ray", "local", "--panel", str(panels)]) == 1
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    assert len(list(panels.iterdir())) == 52


@pytest.mark.usefixtures("workers")
def test_a_resumed_table_equals_a_straight_one(
    album: Path, model_file: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["predict", "--model", str(model_file), "-o"]
    assert main([*words, str(tmp_path / "one.csv"), str(album)]) == 1
    first = sorted(album.iterdir())[:20]
    assert main([*words, str(tmp_path / "two.csv"), *map(str, first)]) == 1
    capsys.readouterr()
    monkeypatch.setattr(Predictor, "_look", None)  # in this process, which must not read photographs itself
    assert main([*words, str(tmp_path / "two.csv"), str(album), "--resume", "--ray", "local"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "2 of 54 photographs could not be read"
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    other = tiny_model(tmp_path / "other.onnx", description={"name": "other"})
    words = ["predict", str(album), "--model", str(other), "-o", str(tmp_path / "two.csv"), "--resume"]
    assert main([*words, "--ray", "local"]) == 2
    assert "was written by the model tiny@" in capsys.readouterr().err


class Deadly:
    """Reads photographs, but its process is killed by some: once, or each time."""

    def __init__(self, predictor: Predictor, once: Sequence[str], always: Sequence[str], folder: Path) -> None:
        self.predictor, self.once, self.always, self.folder = predictor, once, always, folder

    def __call__(self, inputs: Sequence[Input], go_on: Callable[[], None]) -> list[PhotographResult]:
        for name in (Path(each.name).name for each in inputs):
            mark = self.folder / name
            if name in self.always or (name in self.once and not mark.exists()):
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return self.predictor.read_inputs(inputs, go_on)


@pytest.mark.usefixtures("workers")
def test_a_killed_worker_loses_nothing(
    album: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "RETRIES", 1)
    predictor = Predictor(model_file)
    expected = facts(predictor.predict_many(album))
    names = [Path(each["path"]).name for each in expected]
    marks = tmp_path / "marks"
    marks.mkdir()
    once, always = [names[3], names[20], names[50]], [names[18]]
    deadly = Deadly(predictor, once, always, marks)
    with reading_on("local", predictor, deadly) as (work, width):
        found = facts(in_order(work, inputs_of(album), width, 16))
    assert width == 4
    assert sorted(path.name for path in marks.iterdir()) == sorted([*once, *always])
    assert found[18] == {**expected[18], "width": 0, "height": 0, "faces": [], "error": cluster.LOST}
    assert found[:18] + found[19:] == expected[:18] + expected[19:]


class Elsewhere:
    """Answers as a machine that does not see the files of this one."""

    def __call__(self, inputs: Sequence[Input], go_on: Callable[[], None]) -> list[PhotographResult]:
        return [PhotographResult(each.name, error="no such file") for each in inputs]


@pytest.mark.usefixtures("workers")
def test_what_differs_between_the_machines_is_said(album: Path, tmp_path: Path) -> None:
    predictor = Predictor(tiny_model(tmp_path / "model.onnx"))
    with (
        pytest.raises(ClusterError, match=r"\.png is a file on this machine, and not on the machine of the cluster"),
        reading_on("local", predictor, Elsewhere()) as (work, _),
    ):
        work(list(inputs_of(album))[:2], lambda: None)
    table = write_pictures(tmp_path / "photos.parquet", [b"1"])
    places = list(inputs_of(table))
    table.unlink()
    with pytest.raises(ClusterError, match=r"on .*, a machine of the cluster: .*photos\.parquet: cannot be read"):
        list(predictor.predict_many(places, ray="local"))
    predictor = Predictor(tiny_model(tmp_path / "model.onnx", description={"comment": "of the other machine"}))
    before = predictor.model_id
    tiny_model(tmp_path / "model.onnx", description={"comment": "trained again"})
    expected = re.escape(f"with the model {before}, found deadpan") + ".* with tiny@"
    with pytest.raises(ClusterError, match=expected):
        list(predictor.predict_many([str(album / "001-broken.png")], ray="local"))


def test_an_address_without_a_cluster(
    girl: Path, model_file: Path, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["predict", str(girl), "--model", str(model_file), "-o", str(tmp_path / "out.csv"), "--ray"]
    assert main([*words, "127.0.0.1:1"]) == 2
    assert "no Ray cluster answers at 127.0.0.1:1" in capsys.readouterr().err
    assert main([*words, "here"]) == 2
    assert "--ray takes local, auto or HOST:PORT; got 'here'" in capsys.readouterr().err

    def refused(**_: Any) -> None:
        raise ConnectionError("Failed to connect to Ray cluster at 127.0.0.1:2")

    monkeypatch.setattr("deadpan.jobs.check_reachable", lambda _: None)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refused)
    assert main([*words, "127.0.0.1:2"]) == 2
    assert "Failed to connect to Ray cluster at 127.0.0.1:2; if the cluster was started with a token" in (
        capsys.readouterr().err
    )
    assert not list(tmp_path.glob("out*"))
    assert main(["predict", "talk.mp4", "--ray", "local"]) == 2
    assert "--ray: only for photographs, but videos were given" in capsys.readouterr().err
