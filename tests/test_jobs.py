"""How many cores there are, and where folds run: one that dies takes no other with it, and Ray does the same."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import pytest

from deadpan.jobs import check_reachable, cores, run_folds


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


def control_groups(root: Path, own: str, **files: str) -> Path:
    """The part of Linux's proc and sys that says which control groups a process is in and what they allow."""
    for name, text in {"proc/self/cgroup": own, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


V1 = "11:cpuset:/\n4:cpu,cpuacct:/docker/4e1\n1:name=systemd:/docker/4e1\n"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),  # inside a container of version 2
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "20000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "nonsense\n"}, 8),
        ("0::/\n", {"cpu.max": "6400000 100000\n"}, 8),  # more than there are
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "max 100000\n"}, 3),  # set by a group above
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "200000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 2),
        (V1, {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "10000\n"}, 5),
        (V1, {"cpu/docker/4e1/cpu.cfs_quota_us": "400000\n", "cpu/docker/4e1/cpu.cfs_period_us": "100000\n"}, 4),
        (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ("", {}, 8),
    ],
)
def test_cores_follow_the_quota_of_the_container(
    own: str, files: dict[str, str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    root = control_groups(tmp_path, own, **{f"sys/fs/cgroup/{name}": text for name, text in files.items()})
    assert cores(root) == expected


def test_cores_follow_the_affinity_of_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert cores(tmp_path) == 3
    root = control_groups(tmp_path, "0::/\n", **{"sys/fs/cgroup/cpu.max": "200000 100000\n"})
    assert cores(root) == 2
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS and Windows
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores(tmp_path / "nowhere") == 1
