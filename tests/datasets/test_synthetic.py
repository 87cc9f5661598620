"""The reader of folders that `deadpan synthesize` writes, on a hand-made one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deadpan.datasets import read
from deadpan.datasets.sample import DatasetError
from deadpan.expressions import EXPRESSIONS
from tests.support.data_trees import expression_of


def write_synthetic(root: Path, **changes: Any) -> None:
    points = np.random.default_rng(0).uniform(20, 100, (68, 2)).tolist()
    row = {
        "picture": "00012/happiness-0.png",
        "twin": "00012/happiness-0.twin.png",
        "person": "00012",
        "expression": "happiness",
        "intensity": 0.83,
        "sequence": "",
        "frame": -1,
        "landmarks": points,
        "twin_landmarks": points,
        "weights": {"smile": 0.7},
        "action_units": {"AU12": 0.8},
        "attributes": {"age": 34, "sex": "female", "yaw": -3.5},
    }
    (root / "synthetic.json").write_text(json.dumps({"format": 1, "people": 1, "head": "makehuman", "seed": 4}))
    (root / "samples.jsonl").write_text(json.dumps(row | changes) + "\n")


def test_synthetic(tmp_path: Path) -> None:
    write_synthetic(tmp_path)
    (sample,) = read("synthetic", tmp_path)
    assert (sample.name, sample.subject, expression_of(sample, EXPRESSIONS)) == (
        "00012/happiness-0.png",
        "makehuman-4-00012",
        "happiness",
    )
    assert sample.picture == tmp_path / "00012" / "happiness-0.png"
    assert sample.landmarks is not None and sample.landmarks.shape == (68, 2)
    assert sample.attributes == {"intensity": 0.83, "age": 34, "sex": "female", "yaw": -3.5, "AU12": 0.8}
    assert not sample.cropped


@pytest.mark.parametrize("changes", [{"expression": "bored"}, {"landmarks": [[1, 2]]}, {"twin": None}])
def test_synthetic_damage_is_named_by_line(changes: dict[str, Any], tmp_path: Path) -> None:
    write_synthetic(tmp_path, **changes)
    with pytest.raises(DatasetError, match="line 1 is damaged"):
        read("synthetic", tmp_path)


def test_synthetic_of_another_format(tmp_path: Path) -> None:
    write_synthetic(tmp_path)
    (tmp_path / "synthetic.json").write_text('{"format": 2, "head": "makehuman", "seed": 4}')
    with pytest.raises(DatasetError, match="has format 2, this deadpan reads 1"):
        read("synthetic", tmp_path)
