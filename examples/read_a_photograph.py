"""Read the expressions in photographs from Python: python examples/read_a_photograph.py PHOTOGRAPH..."""

import sys

from deadpan import Predictor


def main(paths: list[str]) -> None:
    """Print the expression of every face and, if the model generates a neutral face, its residue."""
    predictor = Predictor()
    for result in predictor.predict_files(paths):
        if result.error is not None:
            print(f"{result.path}: {result.error}")
        for face in result.faces:
            share = face.probabilities[face.expression]
            left, top, right, bottom = (round(edge) for edge in face.box)
            residue = "" if face.residue is None else f", residue {face.residue:.3f}"
            print(f"{result.path} ({left}, {top})-({right}, {bottom}): {face.expression} {share:.0%}{residue}")


if __name__ == "__main__":
    main(sys.argv[1:])
