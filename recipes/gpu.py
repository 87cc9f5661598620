"""The steps of recipes/gpu.sh: packs the data into small files, or trains the networks in a given time."""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

QUALITY = 82  # of WebP: a FER2013 picture of 48 pixels then takes 0.7 KB
SHARES = {"deadpan": 0.72, "small": 0.28}
"""Share of the training time for each network."""
WIDTHS = {"deadpan": 1.0, "small": 0.4}
MARGIN = 12  # seconds for writing the results


def pack(tables: list[Path], head: Path, out: Path) -> None:
    """Write each table into `out` with its pictures as WebP, and copy the head."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    for path in tables:
        table = pq.read_table(path)
        packed = []
        for encoded in table["image"].to_pylist():
            stream = io.BytesIO()
            Image.open(io.BytesIO(encoded)).save(stream, "WEBP", quality=QUALITY, method=6)
            packed.append(stream.getvalue())
        place = table.schema.get_field_index("image")
        table = table.set_column(place, "image", pa.array(packed, pa.binary()))
        pq.write_table(table, out / path.name, compression="zstd")
        print(f"{path.name}: {len(packed):,} pictures, {(out / path.name).stat().st_size / 1e6:.1f} MB")
    shutil.copy(head, out / "ict.npz")


def run(*words: str) -> None:
    """Run one deadpan command and print the time."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "deadpan", *words], check=True)
    print(f"[{time.perf_counter() - begun:.0f} s] deadpan {' '.join(words)}", flush=True)


def make_data(packed: Path, work: Path, people: int, pairs: int) -> None:
    """Prepare the photographs, render people and compose pairs; existing files are kept."""
    ferplus, news, composites = (str(work / f"{name}.parquet") for name in ("ferplus", "news", "composites"))
    head = ("--head", "ict", "--assets", str(packed / "ict.npz"))
    steps = {
        "ferplus.parquet": ("prepare", "ferplus", str(packed / "ferplus.parquet"), ferplus),
        "news.parquet": ("prepare", "csv", str(packed / "news_faces.parquet"), news),
        "ict": ("synthesize", str(work / "ict"), "--people", str(people), "--pictures", "12", "--seed", "31", *head),
        "ict.parquet": ("prepare", "synthetic", str(work / "ict"), str(work / "ict.parquet")),
        "composites.parquet": ("compose", news, news, composites, "--pairs", str(pairs)),
    }
    for name, words in steps.items():
        if not (work / name).exists():
            run(*words)


def fit(name: str, work: Path, out: Path, pictures: int, epochs: int, batch_size: int) -> Path:
    """Train one network on `pictures` pictures altogether."""
    from deadpan.loading.augmentation import Augmentation
    from deadpan.methods.deadpan import DeadpanConfig
    from deadpan.training.config import TrainingConfig
    from deadpan.training.train import train

    files = {"composites.parquet": 0.22, "ict.parquet": 0.05, "ferplus.parquet@train": 0.55, "news.parquet": 0.18}
    alone = [0.75, 0.25, 0.0, 0.0]  # shares of the files in the stage that trains removal alone
    removal = max(1, epochs // 6)
    loop = TrainingConfig(
        batch_size=batch_size,
        pictures_per_epoch=max(batch_size, pictures // epochs),
        weights=(*alone, *files.values()),
        validation_pictures=2000,
        sheet_every=max(1, epochs // 4),
    )
    rate = 2e-3 * min(2.0, (batch_size / 64) ** 0.5)
    config = DeadpanConfig(width=WIDTHS[name], rate=rate, removal_epochs=removal, epochs=epochs - removal)
    gentle = Augmentation(resolution=0.08, blur=0.06, blocks=0.08, noise=0.03, grey=0.5)
    data = [str(work / spec) for spec in files]
    validation = [str(work / "ferplus.parquet@public_test")] if epochs > 2 else []
    return train("deadpan", config, data, out, loop, augmentation=gentle, validation=validation, resume=out.exists())


def train_all(packed: Path, out: Path, seconds: float) -> None:
    """Make the data, measure the speed of training, and divide the remaining time among the networks."""
    import torch

    end = time.time() + seconds
    gpu = torch.cuda.is_available()
    work = out / "data"
    work.mkdir(parents=True, exist_ok=True)
    make_data(packed, work, people=400 if gpu else 4, pairs=60_000 if gpu else 200)
    batch_size = 512 if gpu else 32
    for name, share in SHARES.items():
        trial = out / f"{name}-trial"
        shutil.rmtree(trial, ignore_errors=True)
        fit(name, work, trial, 60 * batch_size if gpu else 4 * batch_size, 2, batch_size)
        speeds = [json.loads(line)["pictures_per_second"] for line in (trial / "log.jsonl").read_text().splitlines()]
        shutil.rmtree(trial)
        left = end - time.time() - MARGIN
        mine = left * share / sum(list(SHARES.values())[list(SHARES).index(name) :])
        pictures = int(0.85 * mine * speeds[-1])  # measuring, sheets and checkpoints take the rest
        print(f"{name}: {speeds[-1]} pictures/s, {pictures:,} pictures in {mine:.0f} s", flush=True)
        fit(name, work, out / name, pictures, 30 if gpu else 3, batch_size)
    shutil.rmtree(work)
    for sheets in out.glob("*/sheets"):
        shutil.rmtree(sheets)


def main() -> None:
    """The command line of recipes/gpu.sh."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack")
    for name in ("ferplus", "news", "head", "out"):
        packing.add_argument(name, type=Path)
    training = commands.add_parser("train")
    training.add_argument("packed", type=Path)
    training.add_argument("out", type=Path)
    training.add_argument("--seconds", type=float, default=520)
    options = parser.parse_args()
    if options.command == "pack":
        pack([options.ferplus, options.news], options.head, options.out)
    else:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        train_all(options.packed, options.out, options.seconds)


if __name__ == "__main__":
    main()
