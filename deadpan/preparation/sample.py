"""One sample of a data set -> one row of the prepared file, or why there is none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deadpan.datasets.sample import Sample, VideoFrame
from deadpan.faces.alignment import alignment, crop_alignment, warp
from deadpan.faces.detection import WholePicture
from deadpan.faces.face import Detector
from deadpan.faces.landmarks import five_of_68, main_face
from deadpan.faces.photographs import PhotographError, read_photograph
from deadpan.faces.video import read_frame

# --- one sample, in a worker -----------------------------------------------------------------------------------------


def read_picture(picture: Path | bytes | VideoFrame) -> NDArray[np.uint8]:
    """The pixels of a sample's picture, (H, W, 3) uint8 RGB; PhotographError where it cannot be read."""
    if isinstance(picture, VideoFrame):
        return np.ascontiguousarray(np.rot90(read_frame(picture.path, picture.index), -picture.turn // 90))
    return read_photograph(picture)


def prepare_sample(sample: Sample, size: int, find: Detector) -> dict[str, Any] | Skipped:
    """One row of the prepared file, or why there is none."""
    try:
        photograph = read_picture(sample.picture)
        twin = None if sample.twin is None else read_photograph(sample.twin)
    except PhotographError as error:
        return Skipped(sample.name, "unreadable picture", str(error))
    if twin is not None and twin.shape != photograph.shape:
        sizes = " and ".join(f"{picture.shape[1]} x {picture.shape[0]}" for picture in (photograph, twin))
        return Skipped(sample.name, "twin of another size", sizes)
    height, width = photograph.shape[:2]
    try:
        if sample.cropped:
            matrix = crop_alignment(height, width, size)
        else:
            points = five_points(sample, photograph, find)
            if points is None:
                return Skipped(sample.name, "no face found", f"{width} x {height} pixels")
            matrix = alignment(points, size)
    except ValueError as error:
        return Skipped(sample.name, "landmarks that give no alignment", str(error))
    return {
        "name": sample.name,
        "image": encode(warp(photograph, matrix, size)),
        "twin": None if twin is None else encode(warp(twin, matrix, size)),
        "target": sample.target,
        "subject": sample.subject,
        "sequence": sample.sequence,
        "frame": sample.frame,
        "split": sample.split,
        "landmarks": _transformed(sample.landmarks, matrix),
        "twin_landmarks": _transformed(sample.twin_landmarks, matrix),
        "attributes": json.dumps(dict(sample.attributes), sort_keys=True),
    }


def five_points(sample: Sample, photograph: NDArray[np.uint8], find: Detector) -> NDArray[np.floating[Any]] | None:
    """The points to align a photograph by: the detector's, else the data set's landmarks, else None.

    A synthetic face is looked for as a photographed one is, so that both are aligned alike: the detector's points lie
    up to 5 % of the eye distance from the landmarks of the rendered mesh (medians over 48 faces).
    """
    if sample.landmarks is not None and isinstance(find, WholePicture):
        return five_of_68(sample.landmarks)
    faces = find(photograph)
    if faces:
        return main_face(faces, photograph.shape[1], photograph.shape[0]).landmarks
    return None if sample.landmarks is None else five_of_68(sample.landmarks)


def encode(image: NDArray[np.uint8]) -> bytes:
    """A PNG of an (M, M, 3) uint8 RGB picture, with a single channel where it is grey."""
    grey = bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())
    # level 1: a 70 px face takes 0.1 ms; level 9 saves a tenth of the size for six times that
    encoded = cv2.imencode(".png", image[..., 0] if grey else image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
    return bytes(encoded.tobytes())


def _transformed(landmarks: NDArray[Any] | None, matrix: NDArray[np.float64]) -> list[float] | None:
    if landmarks is None:
        return None
    moved: list[float] = (landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32).ravel().tolist()
    return moved


@dataclass(frozen=True)
class Skipped:
    """A picture that could not be used: `reason` is one of few, `detail` names what exactly."""

    name: str
    reason: str
    detail: str
