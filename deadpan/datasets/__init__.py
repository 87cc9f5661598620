"""The readers of data sets: one file for each, with a function `read(root) -> list[Sample]` that needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

from deadpan.datasets import (
    affectnet,
    bp4d,
    bp4dplus,
    bu3dfe,
    bu4dfe,
    ckplus,
    cremad,
    csv,
    fer2013,
    ferplus,
    folders,
    jaffe,
    kdef,
    london,
    mmi,
    oulu,
    rafd,
    rafdb,
    sfew,
    synthetic,
    videos,
    yale,
)
from deadpan.datasets.sample import DatasetError, Facts, Sample, VideoFrame
from deadpan.datasets.settings import converted

__all__ = ["DATASETS", "Dataset", "DatasetError", "Facts", "Sample", "VideoFrame", "read"]


@dataclass(frozen=True)
class Dataset:
    """A data set: its reader, the expressions of its targets, and the published facts about it."""

    read: Callable[..., list[Sample]]  # root -> samples; readers of sequences also have all_frames
    expressions: tuple[str, ...]
    facts: Facts


DATASETS: dict[str, Dataset] = {
    "ckplus": Dataset(ckplus.read, ckplus.EXPRESSIONS, ckplus.FACTS),
    "oulu": Dataset(oulu.read, oulu.EXPRESSIONS, oulu.FACTS),
    "mmi": Dataset(mmi.read, mmi.EXPRESSIONS, mmi.FACTS),
    "bu3dfe": Dataset(bu3dfe.read, bu3dfe.EXPRESSIONS, bu3dfe.FACTS),
    "bu4dfe": Dataset(bu4dfe.read, bu4dfe.EXPRESSIONS, bu4dfe.FACTS),
    "bp4d": Dataset(bp4d.read, bp4d.EXPRESSIONS, bp4d.FACTS),
    "bp4dplus": Dataset(bp4dplus.read, bp4dplus.EXPRESSIONS, bp4dplus.FACTS),
    "fer2013": Dataset(fer2013.read, fer2013.EXPRESSIONS, fer2013.FACTS),
    "ferplus": Dataset(ferplus.read, ferplus.EXPRESSIONS, ferplus.FACTS),
    "rafdb": Dataset(rafdb.read, rafdb.EXPRESSIONS, rafdb.FACTS),
    "affectnet": Dataset(affectnet.read, affectnet.EXPRESSIONS, affectnet.FACTS),
    "sfew": Dataset(sfew.read, sfew.EXPRESSIONS, sfew.FACTS),
    "jaffe": Dataset(jaffe.read, jaffe.EXPRESSIONS, jaffe.FACTS),
    "kdef": Dataset(kdef.read, kdef.EXPRESSIONS, kdef.FACTS),
    "rafd": Dataset(rafd.read, rafd.EXPRESSIONS, rafd.FACTS),
    "cremad": Dataset(cremad.read, cremad.EXPRESSIONS, cremad.FACTS),
    "london": Dataset(london.read, london.EXPRESSIONS, london.FACTS),
    "yale": Dataset(yale.read, yale.EXPRESSIONS, yale.FACTS),
    "csv": Dataset(csv.read, csv.EXPRESSIONS, csv.FACTS),
    "folders": Dataset(folders.read, folders.EXPRESSIONS, folders.FACTS),
    "videos": Dataset(videos.read, videos.EXPRESSIONS, videos.FACTS),
    "synthetic": Dataset(synthetic.read, synthetic.EXPRESSIONS, synthetic.FACTS),
}
"""Every data set by the name that users type."""


def read(name: str, root: str | Path, *, all_frames: bool = False, **settings: Any) -> list[Sample]:
    """Read all samples of data set `name` at `root`; `all_frames` reads every frame of sequences.

    `settings` are keyword arguments of the reader, such as `images="PreProcess_Img"` of oulu; text, as typed on the
    command line, is converted to their types. Raises DatasetError for an unknown name or setting, for files that are
    missing or damaged, and for `all_frames` of a data set without sequences.
    """
    if name not in DATASETS:
        raise DatasetError(f"unknown data set {name!r}; known are {', '.join(DATASETS)}")
    if all_frames:
        whole = [known for known in DATASETS if "all_frames" in settings_of(known)]
        if name not in whole:
            raise DatasetError(f"{name} cannot be read with all frames; {', '.join(whole)} can")
        settings["all_frames"] = True
    known = settings_of(name)
    for key in settings.keys() - known.keys():
        raise DatasetError(f"{name} has no setting {key!r}; it has {', '.join(known) or 'none'}")
    given = {key: converted(key, value, known[key]) for key, value in settings.items()}
    return DATASETS[name].read(Path(root), **given)


def settings_of(name: str) -> dict[str, str]:
    """The settings of a data set's reader, each with its type as written in the reader's signature."""
    parameters = list(signature(DATASETS[name].read).parameters.values())[1:]
    return {parameter.name: str(parameter.annotation) for parameter in parameters}
