"""The data sets deadpan reads: one file each, one torch-free function `read(root) -> list[Sample]`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deadpan.datasets import csv, ferplus, folders, synthetic
from deadpan.datasets.sample import DatasetError, Sample

__all__ = ["DATASETS", "Dataset", "DatasetError", "Sample", "read"]


@dataclass(frozen=True)
class Dataset:
    """A reader, the expressions that its targets are over, and the terms that a model card repeats."""

    read: Callable[[Path], list[Sample]]
    expressions: tuple[str, ...]
    terms: str


DATASETS: dict[str, Dataset] = {
    "csv": Dataset(
        csv.read,
        csv.EXPRESSIONS,
        "the user's own; see the owner of the pictures",
    ),
    "ferplus": Dataset(
        ferplus.read,
        ferplus.EXPRESSIONS,
        "votes MIT (Microsoft FER+); the FER2013 photographs come from web searches and have no licence",
    ),
    "folders": Dataset(
        folders.read,
        folders.EXPRESSIONS,
        "the user's own; see the owner of the pictures",
    ),
    "synthetic": Dataset(
        synthetic.read,
        synthetic.EXPRESSIONS,
        "drawn by deadpan: MakeHuman head CC0, ICT-FaceKit head MIT (USC Institute for Creative Technologies)",
    ),
}
"""Every data set by the word that users type."""


def read(name: str, root: Path) -> list[Sample]:
    """All samples of data set `name` at `root`; DatasetError for an unknown name or an unreadable tree."""
    if name not in DATASETS:
        raise DatasetError(f"unknown data set {name!r}; known are {', '.join(DATASETS)}")
    return DATASETS[name].read(Path(root))
