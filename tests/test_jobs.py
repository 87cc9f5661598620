"""Where folds run: each gets a second chance, one that dies takes no other with it, and Ray does the same."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import pytest

from deadpan.jobs import check_reachable, run_folds


def work(folder: Path, index: int) -> None:
    """Leave a mark for each call; fold 1 raises always, 2 the first time, 3 is killed the first time."""
    mark = folder / f"{index}-{len(list(folder.glob(f'{index}-*')))}"
    mark.touch()
    if index == 1 or (index == 2 and mark.name == "2-0"):
        raise FloatingPointError(f"loss became nan\nin {index}")
    if index == 3 and mark.name == "3-0":
        os._exit(9)


def marks(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_one_after_another_a_fold_is_tried_twice(tmp_path: Path) -> None:
    ended = list(run_folds(partial(work, tmp_path), [0, 1, 2]))
    assert ended == [(0, None), (1, "FloatingPointError: loss became nan in 1"), (2, None)]
    assert marks(tmp_path) == ["0-0", "1-0", "1-1", "2-0", "2-1"]


def test_a_process_that_is_killed_is_tried_again(tmp_path: Path) -> None:
    ended = dict(run_folds(partial(work, tmp_path), [0, 1, 3], jobs=2))
    assert ended[0] is None and ended[3] is None
    assert "loss became nan in 1" in str(ended[1])
    assert marks(tmp_path) == ["0-0", "1-0", "1-1", "3-0", "3-1"]


def test_a_ray_cluster_does_the_same(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    ended = dict(run_folds(partial(work, tmp_path), [0, 1, 3], ray="local"))
    assert ended[0] is None and ended[3] is None
    assert "loss became nan in 1" in str(ended[1])
    assert marks(tmp_path) == ["0-0", "1-0", "1-1", "3-0", "3-1"]


def test_what_is_missing_or_wrong_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="jobs must be at least 1; got 0"):
        list(run_folds(print, [0], jobs=0))
    for address, text in (("here", "takes local, auto or HOST:PORT; got 'here'"), ("127.0.0.1:1", "no Ray cluster")):
        with pytest.raises(ValueError, match=text):
            check_reachable(address)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"pip install 'deadpan\[ray\]'"):
        list(run_folds(print, [0], ray="local"))


def test_processes_and_a_cluster_are_not_asked_for_at_once() -> None:
    with pytest.raises(ValueError, match="--jobs or --ray"):
        list(run_folds(print, [0], jobs=2, ray="local"))
