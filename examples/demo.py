"""Read the example photographs, and print each answer beside the true one: python examples/demo.py [PANEL_FOLDER]."""

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

import deadpan

PHOTOS = Path(__file__).parent / "photos"


def main(out: Path) -> None:
    """Print one line for each photograph and write its panel into the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    predictor = deadpan.load()
    with (PHOTOS / "truth.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    right = 0
    print(f"{'photograph':38} {'shows':10} {predictor.name} reads")
    for row in rows:
        path = PHOTOS / row["photograph"]
        pixels = np.asarray(Image.open(path).convert("RGB"))
        faces = predictor.predict(pixels)
        Image.fromarray(deadpan.draw_panel(pixels, faces)).save(out / f"{path.stem}.panel.png")
        if not faces:
            print(f"{path.name:38} {row['shows']:10} no face found")
            continue
        expression = faces[0].expression
        right += expression == row["shows"]
        verdict = "" if expression == row["shows"] else "  <- wrong"
        print(f"{path.name:38} {row['shows']:10} {expression} {faces[0].probabilities[expression]:.0%}{verdict}")
    print(f"\n{right} of {len(rows)} answers are right. These photographs are hard:")
    for row in rows:
        if row["hard"]:
            print(f"  {row['photograph']}: {row['hard']}")
    print(f"\nPanels with the generated neutral faces: {out}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/demo"))
