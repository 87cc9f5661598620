"""The data sets deadpan reads: one file each, one torch-free function `read(root) -> list[Sample]`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deadpan.datasets import csv, ferplus, folders, synthetic
from deadpan.datasets.sample import DatasetError, Facts, Sample, VideoFrame

__all__ = ["DATASETS", "Dataset", "DatasetError", "Facts", "Sample", "VideoFrame", "read"]


@dataclass(frozen=True)
class Dataset:
    """A reader, the expressions that its targets are over, and what is publicly known of the data set."""

    read: Callable[[Path], list[Sample]]
    expressions: tuple[str, ...]
    facts: Facts


DATASETS: dict[str, Dataset] = {
    "csv": Dataset(csv.read, csv.EXPRESSIONS, csv.FACTS),
    "ferplus": Dataset(ferplus.read, ferplus.EXPRESSIONS, ferplus.FACTS),
    "folders": Dataset(folders.read, folders.EXPRESSIONS, folders.FACTS),
    "synthetic": Dataset(synthetic.read, synthetic.EXPRESSIONS, synthetic.FACTS),
}
"""Every data set by the word that users type."""


def read(name: str, root: Path) -> list[Sample]:
    """All samples of data set `name` at `root`; DatasetError for an unknown name or an unreadable tree."""
    if name not in DATASETS:
        raise DatasetError(f"unknown data set {name!r}; known are {', '.join(DATASETS)}")
    return DATASETS[name].read(Path(root))
