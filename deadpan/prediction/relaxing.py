"""Photographs -> the same photographs with the expressions relaxed to neutral, in memory and as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from deadpan.errors import DeadpanError
from deadpan.faces.face import Detector
from deadpan.faces.landmarks import mesh_of
from deadpan.faces.photographs import read_photograph
from deadpan.faces.relaxing import RelaxedFace, check_strength, relax_face
from deadpan.files import replacing
from deadpan.pixels import RGB

MARK = "expressions relaxed by deadpan"
"""Comment in every written file. It marks the photograph as altered, and the file as one that may be overwritten."""

JPEG, PNG = (".jpg", ".jpeg"), (".png",)

ORIENTATION = 0x0112


class RelaxError(DeadpanError):
    """A photograph without the face to relax, or an output that would overwrite another file."""


@dataclass(frozen=True, eq=False)
class Relaxed:
    """A photograph with relaxed faces."""

    photograph: RGB  # (H, W, 3), the size of the original
    faces: list[RelaxedFace]  # the relaxed faces from left to right: their meshes and the motion of each pixel


def relax_photograph(photograph: RGB, detector: Detector, face: int | None = None, strength: float = 1.0) -> Relaxed:
    """Relax all faces, or only the one of index `face`, counted from 0 and from the left.

    Raises RelaxError if there is no face of that index, StrengthError if `strength` is not in 0..1.5.
    """
    check_strength(strength)
    faces = detector(photograph)
    if face is not None:
        if not 0 <= face < len(faces):
            raise RelaxError(f"there is no face {face}; found {len(faces)}, counted from 0 and from the left")
        faces = [faces[face]]
    done = []
    for each in faces:
        mesh = mesh_of(photograph, each)
        if mesh is not None:
            photograph, relaxed = relax_face(photograph, mesh, strength)
            done.append(relaxed)
    return Relaxed(photograph, done)


def relaxed_names(paths: Sequence[str], out: Path) -> dict[str, Path]:
    """Map each photograph to the file of its result: `out` if it names a picture, else NAME.png or NAME.jpg in `out`.

    Raises RelaxError if a result would overwrite an input photograph, another result, or a file that `deadpan relax`
    did not write.
    """
    if out.suffix.lower() in (*JPEG, *PNG) and not out.is_dir():
        if len(paths) > 1:
            raise RelaxError(f"{len(paths)} photographs cannot all be written to {out}; give -o a directory")
        targets = {paths[0]: out}
    else:
        targets = {
            path: out / (Path(path).stem + (".jpg" if Path(path).suffix.lower() in JPEG else ".png")) for path in paths
        }
    taken: dict[Path, str] = {}
    given = {Path(path).resolve() for path in paths}
    for path, target in targets.items():
        place = target.resolve()
        if place in given:
            raise RelaxError(f"{target} is one of the input photographs; write to another directory with -o")
        if place in taken:
            raise RelaxError(f"{taken[place]} and {path} would both be written to {target}; relax them one by one")
        if place.exists() and not _is_own(place):
            raise RelaxError(
                f"{target} exists and was not written by deadpan relax; move it away or choose another name"
            )
        taken[place] = path
    return targets


def relax_file(path: str | Path, target: Path, detector: Detector, face: int | None, strength: float) -> Relaxed:
    """Relax the faces in a file and write a PNG or JPEG, as the target's name says.

    The EXIF data (without its thumbnail) and the colour profile are copied from the original. Raises RelaxError, and
    writes nothing, if no face is found.
    """
    relaxed = relax_photograph(read_photograph(path), detector, face, strength)
    if not relaxed.faces:
        raise RelaxError(f"{path}: no face found")
    with replacing(target) as partial:
        _write(relaxed.photograph, partial, target.suffix.lower() in JPEG, Path(path))
    return relaxed


def _write(photograph: RGB, partial: Path, jpeg: bool, original: Path) -> None:
    facts: dict[str, Any] = {}
    with Image.open(original) as image:
        exif = image.getexif()
        if len(exif):
            exif.pop(ORIENTATION, None)  # read_photograph has turned the pixels upright
            facts["exif"] = exif.tobytes()  # without the thumbnail, which shows the original expression
        if image.mode in ("RGB", "RGBA", "P") and "icc_profile" in image.info:
            facts["icc_profile"] = image.info["icc_profile"]
    if jpeg:
        Image.fromarray(photograph).save(partial, format="JPEG", quality=95, subsampling=0, comment=MARK, **facts)
    else:
        mark = PngInfo()
        mark.add_text("Comment", MARK)
        Image.fromarray(photograph).save(partial, format="PNG", pnginfo=mark, **facts)


def _is_own(path: Path) -> bool:
    """Whether `relax_file` wrote the file."""
    try:
        with Image.open(path, formats=["PNG", "JPEG"]) as picture:
            comment = picture.info.get("Comment", picture.info.get("comment", b""))
    except (OSError, ValueError, SyntaxError):
        return False
    return comment in (MARK, MARK.encode())
