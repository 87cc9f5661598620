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
        Parameter(name=("--out", "-o"), help="Directory to write to, or a .png or .jpg file."),
    ],
    face: Annotated[int | None, Parameter(help="Relax only this face; 0 is the leftmost. Default: all faces.")] = None,
    strength: Annotated[
        float, Parameter(help="Share of the expression to remove: 0 none, 1 all of it, at most 1.5.")
    ] = 1.0,
    longest_side: Annotated[
        int, Parameter(help="Scale larger photographs down to this many pixels for detection; 0 never (small faces).")
    ] = 640,
) -> int:
    """Relax the faces in photographs to a neutral expression; each is written at full size, as PNG or JPEG."""
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
