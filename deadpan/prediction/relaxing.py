"""Photographs -> the same photographs with the faces at rest, in memory and as files."""

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
"""Written into every file, so that nobody takes it for an untouched photograph, and that it may be written again."""

JPEG, PNG = (".jpg", ".jpeg"), (".png",)

ORIENTATION = 0x0112


class RelaxError(DeadpanError):
    """A photograph that cannot be relaxed as asked, or an output that would destroy something."""


@dataclass(frozen=True, eq=False)
class Relaxed:
    """A photograph whose faces were brought to rest."""

    photograph: RGB  # (H, W, 3), the size of the original
    faces: list[RelaxedFace]  # of those that were relaxed, from left to right: meshes, and the motion as an array


def relax_photograph(photograph: RGB, detector: Detector, face: int | None = None, strength: float = 1.0) -> Relaxed:
    """Relax everyone, or the `face` of that number from the left; RelaxError where there is no such face."""
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
    """Where each photograph's result is written: `out` itself if it names a picture, else NAME.png or NAME.jpg in it.

    RelaxError where a result would take the place of a photograph given, of another result, or of a file that is not
    deadpan's own.
    """
    if out.suffix.lower() in (*JPEG, *PNG) and not out.is_dir():
        if len(paths) > 1:
            raise RelaxError(f"{len(paths)} photographs cannot all be written to {out}; give a directory to -o")
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
            raise RelaxError(f"{target} is a photograph that was given; write to another directory with -o")
        if place in taken:
            raise RelaxError(f"{taken[place]} and {path} would both be written to {target}; relax them one by one")
        if place.exists() and not _is_own(place):
            raise RelaxError(
                f"{target} exists and was not written by deadpan relax; move it away or choose another name"
            )
        taken[place] = path
    return targets


def relax_file(path: str | Path, target: Path, detector: Detector, face: int | None, strength: float) -> Relaxed:
    """Relax a file and write a PNG or JPEG, by the target's name, with the original's EXIF and colour profile.

    RelaxError where no face is found; nothing is written then.
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
            exif.pop(ORIENTATION, None)  # the pixels are upright already
            facts["exif"] = exif.tobytes()  # without the thumbnail, which shows the face as it was
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
