"""Pictures of a face for the page: the model's input, the neutral face and the residue, and the face warped to rest."""

from __future__ import annotations

import base64
import io
from typing import Any

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from deadpan.faces.face import Face
from deadpan.faces.landmarks import mesh_of
from deadpan.faces.mesh import Mesh
from deadpan.faces.relaxing import relax_face
from deadpan.faces.warping import Motion, moved
from deadpan.pixels import RGB
from deadpan.prediction.panel import heat_map
from deadpan.prediction.relaxing import MARK
from deadpan.prediction.results import FaceResult

LONGEST = 384
"""Longest side, in pixels, of the pictures that lead from the expression to rest."""

STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Steps from the expression (0) to rest (1); the page blends neighbouring steps, so five are enough."""

AROUND = 1.1
"""The pictures show a square this many times as large as the face mesh's square, which is 1.5 times as large as the
face: the motion reaches that far."""


def png(pixels: RGB, *, relaxed: bool = False) -> bytes:
    """Encode (H, W, 3) uint8 RGB as PNG; with `relaxed`, a comment says that deadpan changed the picture."""
    facts = PngInfo()
    if relaxed:
        facts.add_text("Comment", MARK)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", pnginfo=facts, compress_level=1)
    return buffer.getvalue()


def seen_and_made(face: FaceResult) -> dict[str, str | None]:
    """Data URIs of the aligned face, its neutral face and the residue; None for pictures that the model lacks."""
    made = face.neutral is not None and face.residue_map is not None
    return {
        "face": _uri("png", png(face.aligned)),
        "neutral": _uri("png", png(face.neutral)) if face.neutral is not None else None,
        "residue": _uri("png", png(heat_map(face.residue_map, 128))) if made and face.residue_map is not None else None,
    }


def way_to_rest(photograph: RGB, face: Face) -> dict[str, Any] | None:
    """Warp a face of the photograph, (H, W, 3) uint8 RGB, to each of STEPS; None if no face mesh is found.

    Returns the fields of `answers.WayToRest`. `moved` is the mean motion of the 468 mesh points, as a multiple of the
    distance between the outer corners of the eyes; it is 0 for a face that is predicted to be at rest already.
    """
    mesh = mesh_of(photograph, face)
    if mesh is None:
        return None
    height, width = photograph.shape[:2]
    x, y, side, _ = Mesh(mesh, 0.0).square
    half = AROUND * side / 2
    left, top = max(0, round(x - half)), max(0, round(y - half))
    right, bottom = min(width, round(x + half)), min(height, round(y + half))
    crop = photograph[top:bottom, left:right]
    factor = min(1.0, LONGEST / max(crop.shape[:2]))
    size = (max(1, round(crop.shape[1] * factor)), max(1, round(crop.shape[0] * factor)))
    small: RGB = np.ascontiguousarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA) if factor < 1 else crop)
    placed = (mesh + np.array([0.5 - left, 0.5 - top, 0])) * factor - np.array([0.5, 0.5, 0])
    _, found = relax_face(small, placed)
    flow, corner = found.motion
    eyes = float(np.linalg.norm(found.mesh[263] - found.mesh[33]))
    way = np.linalg.norm((found.relaxed - found.mesh)[:, :2], axis=1)
    return {
        "box": [left, top, right, bottom],
        "moved": round(float(way.mean()) / eyes, 4),
        "steps": [_uri("jpeg", _jpeg(moved(small, Motion(flow * np.float32(share), corner)))) for share in STEPS],
    }


def _jpeg(pixels: RGB) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=90, comment=MARK)
    return buffer.getvalue()


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
