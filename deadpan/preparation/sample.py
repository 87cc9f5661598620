"""One sample of a data set -> one row of the prepared file, or the reason to skip it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan.datasets.findings import is_blank
from deadpan.datasets.pictures import read_pictures
from deadpan.datasets.sample import Sample
from deadpan.faces.alignment import Alignment, warp
from deadpan.faces.detection import WholePicture
from deadpan.faces.face import Detector, Face
from deadpan.faces.landmarks import Located, five_of_68, locate, locate_crop, main_face, mesh_beside
from deadpan.faces.photographs import PhotographError, read_photograph
from deadpan.pixels import RGB
from deadpan.preparation.table import pack_mesh


def prepare_samples(
    samples: Sequence[Sample], size: int, find: Detector, way: Alignment = "mesh"
) -> list[dict[str, Any] | Skipped]:
    """For each sample, in order, a row of the prepared file or the reason to skip it."""
    done = {id(sample): prepare_sample(sample, pixels, size, find, way) for sample, pixels in read_pictures(samples)}
    return [done[id(sample)] for sample in samples]


def prepare_sample(
    sample: Sample, photograph: RGB | PhotographError, size: int, find: Detector, way: Alignment = "mesh"
) -> dict[str, Any] | Skipped:
    """The row of a sample, given its picture or the error of reading it, or the reason to skip the sample."""
    try:
        if isinstance(photograph, PhotographError):
            raise photograph
        twin = None if sample.twin is None else read_photograph(sample.twin)
    except PhotographError as error:
        return Skipped(sample.name, "unreadable picture", str(error))
    if is_blank(photograph):
        return Skipped(sample.name, "picture of one colour", "nothing can be seen in it")
    if twin is not None and twin.shape != photograph.shape:
        sizes = " and ".join(f"{picture.shape[1]} x {picture.shape[0]}" for picture in (photograph, twin))
        return Skipped(sample.name, "twin of another size", sizes)
    try:
        located = locate_sample(sample, photograph, size, find, way)
    except ValueError as error:
        return Skipped(sample.name, "landmarks that give no alignment", str(error))
    if located is None:
        return Skipped(sample.name, "no face found", f"{photograph.shape[1]} x {photograph.shape[0]} pixels")
    matrix, mesh = located
    twin_mesh = None if twin is None or mesh is None else mesh_beside(twin, mesh)
    return {
        "name": sample.name,
        "image": encode(warp(photograph, matrix, size)),
        "twin": None if twin is None else encode(warp(twin, matrix, size)),
        "target": sample.target,
        "subject": sample.subject,
        "donor": "",
        "sequence": sample.sequence,
        "frame": sample.frame,
        "split": sample.split,
        "landmarks": pack_mesh(mesh, matrix),
        "twin_landmarks": pack_mesh(twin_mesh, matrix),
        "attributes": json.dumps(dict(sample.attributes), sort_keys=True),
    }


def locate_sample(
    sample: Sample, photograph: NDArray[np.uint8], size: int, find: Detector, way: Alignment
) -> Located | None:
    """Locate the face of a sample by the detector, else by the data set's landmarks; None if both fail.

    Synthetic faces are detected like photographed ones, so that both are aligned in the same way: the mesh network
    places points up to 5 % of the eye distance from the rendered landmarks (medians over 48 faces).
    """
    if sample.cropped:
        return locate_crop(photograph, size, way)
    if sample.landmarks is None or not isinstance(find, WholePicture):
        faces = find(photograph)
        if faces:
            face = main_face(faces, photograph.shape[1], photograph.shape[0])
            return locate_crop(photograph, size, way) if face.is_crop else locate(photograph, face, size, way)
    if sample.landmarks is None:
        return None
    height, width = photograph.shape[:2]
    five = five_of_68(sample.landmarks).astype(np.float32)
    return locate(photograph, Face((0.0, 0.0, float(width), float(height)), 1.0, five), size, way)


def encode(image: NDArray[np.uint8]) -> bytes:
    """Encode an (M, M, 3) uint8 RGB picture as a PNG, with a single channel if it is grey."""
    grey = bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())
    # level 1 takes 0.1 ms for a face of 70 pixels; level 9 takes six times as long and saves a tenth of the size
    encoded = cv2.imencode(".png", image[..., 0] if grey else image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    return bytes(encoded.tobytes())


@dataclass(frozen=True)
class Skipped:
    """A sample that could not be used; `reason` is one of a few fixed texts, `detail` describes this sample."""

    name: str
    reason: str
    detail: str
