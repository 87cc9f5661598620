"""The folder OUT.partial of an unfinished preparation, with one small Parquet file for each chunk of samples."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

from deadpan.datasets.sample import Sample
from deadpan.files import OutputError, partial_path, replacing, write_json
from deadpan.outputs import json_in
from deadpan.preparation.contents import prepared_schema
from deadpan.preparation.sample import Skipped
from deadpan.version import __version__

Results = list["dict[str, Any] | Skipped"]

SKIPPED = b"deadpan.skipped"

ABOUT = "_about.json"
"""Name of the file of settings. It starts with an underscore, so that pyarrow skips it when it reads the folder."""


class Parts:
    """The parts of the prepared file OUT; each part is written atomically."""

    def __init__(self, out: Path, about: dict[str, Any], chunks: Sequence[Sequence[Sample]]) -> None:
        """Create the folder for these chunks of samples, or continue an interrupted preparation with equal settings.

        Raises OutputError if the folder belongs to another preparation, or if deadpan did not create it.
        """
        self.folder = partial_path(out)
        self.total = len(chunks)
        self._schema = prepared_schema(about)
        facts = "\0".join(f"{each.name}\0{each.target}\0{each.subject}" for each in chain.from_iterable(chunks))
        digest = hashlib.sha256(facts.encode("utf-8", "surrogateescape")).hexdigest()
        recipe = {**about, "deadpan": __version__, "chunks": [len(chunk) for chunk in chunks], "samples": digest}
        if self.folder.exists():
            there = json_in(self.folder / ABOUT)
            if not isinstance(there, dict):
                raise OutputError(f"{self.folder} exists and was not created by deadpan; move it away")
            other = ", ".join(key for key in recipe if there.get(key) != recipe[key])
            if other:
                reason = f"{self.folder} holds an interrupted preparation with another {other}"
                raise OutputError(f"{reason}; repeat that, or delete the folder")
        else:
            write_json(self.folder / ABOUT, recipe)

    def missing(self) -> list[int]:
        """The indices of the chunks that have not been prepared yet."""
        return [index for index in range(self.total) if not self._path(index).exists()]

    def write(self, index: int, results: Results) -> None:
        """Store the results of chunk `index`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = [result for result in results if not isinstance(result, Skipped)]
        skipped = [asdict(result) for result in results if isinstance(result, Skipped)]
        metadata = {**self._schema.metadata, SKIPPED: json.dumps(skipped).encode()}
        with replacing(self._path(index)) as partial:
            pq.write_table(pa.Table.from_pylist(rows, self._schema.with_metadata(metadata)), partial)

    def read(self) -> Iterator[tuple[Any, list[Skipped]]]:
        """Yield the rows of every chunk, as a pyarrow table, and its skipped samples, in the order of the samples."""
        import pyarrow.parquet as pq

        for index in range(self.total):
            table = pq.ParquetFile(self._path(index)).read()
            skipped = json.loads(table.schema.metadata[SKIPPED])
            yield table.replace_schema_metadata(self._schema.metadata), [Skipped(**each) for each in skipped]

    def remove(self) -> None:
        """Delete the parts and their folder."""
        for path in (*self.folder.glob("*.parquet"), *self.folder.glob(".deadpan-*"), self.folder / ABOUT):
            path.unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:06d}.parquet"


def progress(out: Path) -> tuple[int, int]:
    """The numbers of finished and of all samples in an interrupted preparation of OUT; (0, 0) if there is none."""
    about = json_in(partial_path(out) / ABOUT)
    if not isinstance(about, dict):
        return 0, 0
    done = sum(about["chunks"][int(part.stem)] for part in partial_path(out).glob("*.parquet"))
    return done, sum(about["chunks"])
