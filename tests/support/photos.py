"""Paths of the example photographs and videos, and folders and Parquet files of many photographs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"

VIDEOS = Path(__file__).parents[1] / "data" / "videos"
"""Small videos whose frames carry their numbers; see the README beside them."""


def many_names(folder: Path, photos: Sequence[Path], copies: int) -> Path:
    """Make a folder in which each photograph has several names, N-NAME with N from 0, and return it."""
    folder.mkdir()
    for copy in range(copies):
        for path in photos:
            (folder / f"{copy:03d}-{path.name}").symlink_to(path)
    return folder


def write_pictures(path: Path, pictures: list[bytes | None], rows: int = 4, **columns: list[Any]) -> Path:
    """Write a Parquet file with row groups of `rows` pictures."""
    pq.write_table(pa.table({**columns, "image": pa.array(pictures, pa.binary())}), path, row_group_size=rows)
    return path
