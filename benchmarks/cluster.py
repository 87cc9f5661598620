"""Measure reading a folder in the threads of one process, and with a Ray cluster on this machine, into a Parquet table.

    python benchmarks/cluster.py [--photographs 600] [--model derl] [--rounds 3]

The photographs are those of speed.py with one to three people. Each round reads the folder both ways, with one worker
for each core; the medians over the rounds are printed. The cluster is started once, before the first round. `cpu_ms` is
the processor time of this process per photograph: with the cluster, it is the work of collecting the results and
writing the table, and 1000 / cpu_ms photographs per second is the most that one machine can collect.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pyarrow.parquet import read_table
from speed import alternate, make_photographs

from deadpan.jobs import connected, cores
from deadpan.prediction.predictor import Predictor
from deadpan.prediction.results import PhotographResult
from deadpan.prediction.writers import Output


def written(predictor: Predictor, names: list[str], ray: str | None, table: Path) -> Iterator[PhotographResult]:
    """Read photographs and write their rows as `deadpan predict -o` does."""
    with Output(table, "-o", "parquet").writer(predictor) as write:
        for result in predictor.predict_many(names, ray=ray, pictures=False):
            write(result)
            yield result


def main() -> None:
    """Measure both ways and print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--photographs", type=int, default=600)
    parser.add_argument("--model", default="derl")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        names = make_photographs(Path(directory) / "photos", options.photographs, "several")
        predictor = Predictor(options.model)
        began = time.perf_counter()
        with connected("local") as cluster:
            start = time.perf_counter() - began
            list(predictor.predict_many(names[:100], ray="local"))  # opens the models
            ways = {"threads": None, "cluster": "local"}
            found = alternate(
                {
                    way: lambda way=way, ray=ray: written(predictor, names, ray, Path(directory) / way)  # type: ignore[misc]
                    for way, ray in ways.items()
                },
                options.rounds,
            )
            workers = cluster.count("CPU")
        first, second = (read_table(Path(directory) / way) for way in ways)
        same = first.equals(second)  # of the rows: the size of a row group depends on the time that it took
    ratio = round(found["cluster"]["per_second"] / found["threads"]["per_second"], 2)
    facts = {"cores": cores(), "workers": workers, "seconds_to_start": round(start, 1), "ratio": ratio, "same": same}
    print(json.dumps({**facts, **found}, indent=1))


if __name__ == "__main__":
    main()
