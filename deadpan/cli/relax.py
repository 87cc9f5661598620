"""`deadpan relax`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from deadpan.cli.app import DONE, FAILED, PARTLY, complain


def relax(
    *paths: Annotated[str, Parameter(help="Photographs.")],
    out: Annotated[
        Path,
        Parameter(name=("--out", "-o"), help="A directory, or the .png or .jpg to write."),
    ],
    face: Annotated[int | None, Parameter(help="Relax this face alone; 0 is the leftmost. Default: everyone.")] = None,
    strength: Annotated[
        float, Parameter(help="How far to go: 0 leaves the face as it is, 1 is at rest, at most 1.5.")
    ] = 1.0,
    longest_side: Annotated[
        int, Parameter(help="Scale larger photographs down to this for detection; 0 keeps them (small faces).")
    ] = 640,
) -> int:
    """Write each photograph with the faces in it at rest, in the same size, as PNG or JPEG like the original."""
    from deadpan.faces.detection import make_detector
    from deadpan.faces.photographs import PhotographError
    from deadpan.prediction.relaxing import RelaxError, relax_file, relaxed_names

    if not paths:
        raise ValueError("no photographs given; usage: deadpan relax PHOTO... -o OUT, see deadpan relax --help")
    detector = make_detector(longest_side=longest_side or None)
    failed = 0
    for path, target in relaxed_names(paths, out).items():
        try:
            relax_file(path, target, detector, face, strength)
        except (PhotographError, RelaxError) as error:
            complain(error)
            failed += 1
    return DONE if not failed else FAILED if failed == len(paths) else PARTLY
