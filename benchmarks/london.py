"""Measures models on the London Set: smiles recognised, and the distance of generated to true neutral faces.

    python benchmarks/london.py FOLDER [--model NAME|FILE] [--sheet docs/london.png]

FOLDER holds SUBJECT_neutral.jpg and SUBJECT_happiness.jpg (Face Research Lab London Set, DeBruine & Jones,
figshare 5047666, CC BY 4.0). The L1 is computed over mouth and cheeks of the aligned faces, in grey, after matching the
mean of each picture in that region to that of the true neutral face.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan import Predictor
from deadpan.pixels import LUMA
from deadpan.prediction.results import FaceResult

MOUTH_AND_CHEEKS = (0.15, 0.5, 0.85, 0.95)  # left, top, right, bottom: shares of the input; mouth corners at 0.77


def region(face: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Crop mouth and cheeks of an aligned face (S, S, 3), in grey, 0 to 1."""
    size = len(face)
    left, top, right, bottom = (round(edge * size) for edge in MOUTH_AND_CHEEKS)
    grey: NDArray[np.float64] = face[top:bottom, left:right] @ np.array(LUMA) / 255
    return grey


def distance(face: NDArray[np.uint8], neutral: NDArray[np.uint8]) -> float:
    """L1 over mouth and cheeks after matching the mean brightness there."""
    a, b = region(face), region(neutral)
    return float(np.abs(a + b.mean() - a.mean() - b).mean())


def read_pairs(predictor: Predictor, folder: Path) -> list[tuple[FaceResult, FaceResult]]:
    """Read (neutral, smile) of each person; if several faces are found, the largest."""
    pairs = []
    for path in sorted(folder.glob("*_neutral.jpg")):
        both = [path, path.with_name(path.name.replace("_neutral", "_happiness"))]
        faces = [predictor.predict(each) for each in both]
        if not all(faces):
            raise SystemExit(f"no face found in one of {', '.join(map(str, both))}")
        neutral, smile = (max(found, key=lambda face: face.box[2] - face.box[0]) for found in faces)
        pairs.append((neutral, smile))
    if not pairs:
        raise SystemExit(f"{folder} holds no SUBJECT_neutral.jpg with SUBJECT_happiness.jpg")
    return pairs


def against_rest(model: str, folder: Path) -> float:
    """Share of smiles recognised as happiness with the person's own neutral photograph as the rest face."""
    hits = []
    for path in sorted(folder.glob("*_neutral.jpg")):
        smile = path.with_name(path.name.replace("_neutral", "_happiness"))
        hits.append(Predictor(model, rest_face=path).predict(smile)[0].expression == "happiness")
    return float(np.mean(hits))


def removal(pairs: list[tuple[FaceResult, FaceResult]]) -> dict[str, float]:
    """Mean L1 of generated face, smile and blurred smile to the true neutral face, and the number of closer faces."""
    made = np.array([distance(smile.neutral, neutral.aligned) for neutral, smile in pairs if smile.neutral is not None])
    copied = np.array([distance(smile.aligned, neutral.aligned) for neutral, smile in pairs])
    soft = [np.asarray(cv2.GaussianBlur(smile.aligned, (0, 0), 1), np.uint8) for _, smile in pairs]
    blurred = np.array([distance(face, neutral.aligned) for face, (neutral, _) in zip(soft, pairs, strict=True)])
    return {
        "l1": float(made.mean()),
        "smile_l1": float(copied.mean()),
        "blurred_l1": float(blurred.mean()),
        "nearer": int((made < copied).sum()),
        "blurred_nearer": int((blurred < copied).sum()),
        "nearer_than_blurred": int((made < blurred).sum()),
    }


def main() -> None:
    """Print the figures and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--sheet", type=Path, help="PNG with smile, generated neutral and true neutral of everyone")
    arguments = parser.parse_args()
    predictor = Predictor(arguments.model)
    pairs = read_pairs(predictor, arguments.folder)
    smiles = np.mean([smile.expression == "happiness" for _, smile in pairs])
    neutrals = np.mean([neutral.expression == "neutral" for neutral, _ in pairs])
    print(f"{len(pairs)} people; smile called happiness {smiles:.1%}; neutral called neutral {neutrals:.1%}")
    margins = np.array([[np.log(f.probabilities["happiness"] / f.probabilities["neutral"]) for f in p] for p in pairs])
    above = (margins[:, 1] > margins[:, 0]).mean()
    print(f"smile more happy than the same person's neutral photograph {above:.1%}")
    if predictor.compares:
        share = against_rest(arguments.model, arguments.folder)
        print(f"smile called happiness against the person's own neutral photograph as rest face {share:.1%}")
    if not predictor.generates:
        return
    figures = removal(pairs)
    print(
        f"generated neutral nearer to the true neutral than the smile: {figures['nearer']} of {len(pairs)} "
        f"({figures['nearer'] / len(pairs):.1%}); mean L1 {figures['l1']:.4f} against {figures['smile_l1']:.4f}"
    )
    print(  # as a caution: the L1 between two photographs rewards blur, which removes no expression
        f"merely blurring the smile by 1 pixel: {figures['blurred_nearer'] / len(pairs):.1%} nearer, "
        f"mean L1 {figures['blurred_l1']:.4f}; generated nearer than blurred for "
        f"{figures['nearer_than_blurred'] / len(pairs):.1%}"
    )
    rest = [np.abs(n.neutral.astype(float) - n.aligned).mean() / 255 for n, _ in pairs if n.neutral is not None]
    print(f"neutral photographs changed by {np.mean(rest):.4f} over the whole face")
    if arguments.sheet:
        from deadpan.files import write_png
        from deadpan.training.sheets import sheet

        rows = [
            np.stack([smile.aligned for _, smile in pairs]),
            np.stack([smile.neutral for _, smile in pairs if smile.neutral is not None]),
            np.stack([neutral.aligned for neutral, _ in pairs]),
        ]
        write_png(arguments.sheet, sheet(rows, columns=10, scale=2))


if __name__ == "__main__":
    main()
