"""Synthetic people in the folders of CK+: frames from onset to apex, an emotion file and landmarks per sequence."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from pathlib import Path

from deadpan.datasets.ckplus import CODES
from deadpan.synthetic.synthesize import SynthesisConfig, synthesize


def write_ckplus_tree(root: Path, people: int, frames: int = 4, size: int = 72) -> Path:
    """Render people with one sequence of each of CK+'s seven emotions into ROOT/ckplus."""
    synthesize(
        root / "drawn", SynthesisConfig(people=people, pictures=8, size=size, sequences=frames, seed=7, workers=1)
    )
    sequences = defaultdict(list)
    for line in (root / "drawn" / "samples.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["expression"] != "neutral":
            sequences[row["person"], row["expression"]].append(row)
    tree = root / "ckplus"
    for (person, expression), rows in sequences.items():
        code = CODES.index(expression)
        place = Path(f"S{int(person):03}") / f"{code:03}"
        for number, row in enumerate(sorted(rows, key=lambda row: row["frame"]), start=1):
            stem = f"{'_'.join(place.parts)}_{number:08}"
            picture, points = tree / "cohn-kanade-images" / place / f"{stem}.png", tree / "Landmarks" / place
            picture.parent.mkdir(parents=True, exist_ok=True)
            points.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / "drawn" / row["picture"], picture)
            lines = [f"   {x:.7e}   {y:.7e}\n" for x, y in row["landmarks"]]
            (points / f"{stem}_landmarks.txt").write_text("".join(lines))
        emotion = tree / "Emotion" / place / f"{stem}_emotion.txt"
        emotion.parent.mkdir(parents=True)
        emotion.write_text(f"   {code:.7e}\n")
    return tree
