"""Follow faces from frame to frame: keep each person's number, locate the face, and detect scene cuts.

The face mesh is read at the place of the face in the previous frame. The detector, which takes ten times as long, runs
only when a face was lost, after a scene cut, and every LOOK_EVERY seconds to find new faces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from deadpan.faces.alignment import margin_size, mesh_alignment
from deadpan.faces.cascade import PRESENT
from deadpan.faces.face import Detector, Face
from deadpan.faces.landmarks import mesh_of, mesh_of_crop
from deadpan.faces.mesh import Mesh, five_of_mesh, read_mesh
from deadpan.faces.networks import Floats
from deadpan.pixels import RGB

LOOK_EVERY = 0.5
"""Seconds between two runs of the detector while at least one face is followed."""

SEARCH_EVERY = 0.2
"""Seconds between two runs of the detector while no face is visible; the detector is slowest if there is no face."""

KEPT = 1.0
"""Seconds for which a lost face keeps its number, for instance while a hand covers it or the head is turned away."""

JUMP, GROWN = 0.5, 1.6
"""Largest motion of a face between two frames, in sides of its square, and largest ratio of its sizes."""

SAME_PLACE, ONE_FACE = 0.3, 0.6
"""Overlaps (intersection over union): from SAME_PLACE on, a detected face counts as one that is already followed; from
ONE_FACE on, two followed faces count as the same face."""

CLOSE = 0.12
"""Frames at most this many seconds apart are close: they are checked for cuts with the stricter thresholds below."""

SCENE, NEW_SCENE, STILL_SCENE, SAME_FACE, FAINT = 0.8, 0.5, 0.97, 0.85, 6.0
"""Thresholds for scene cuts, on the correlation of consecutive frames, scaled down. Below SCENE (for frames that are
not CLOSE: NEW_SCENE) there is a cut. Below STILL_SCENE a track ends if its face has also changed, to a correlation
below SAME_FACE. Frames that differ by less than FAINT of 255 grey levels are never a cut. Rendered people who turned
their heads and changed their expression at 25 frames a second never fell below .98 (frame) and .93 (face). Portraits
of different people, taken in the same studio, are below .86 and .74 in half of all pairs."""

SMALL, SMALL_FACE = (32, 18), 24
"""Size of the small frame (width, height) and side of the small face, in pixels, that are compared to find cuts."""


@dataclass(frozen=True, eq=False)
class TrackedFace:
    """One face in one frame."""

    id: int  # from 0, in the order in which the faces of a video were first seen; never reused
    face: Face  # its box surrounds the face mesh; its score is the mesh's confidence that a face is present, 0..1


@dataclass(eq=False)
class _Track:
    """A followed face, as it was last seen."""

    id: int
    mesh: Mesh
    seen_s: float  # time of the last frame that showed it
    look: Floats  # the aligned face, small and grey, to tell people apart


class Tracker:
    """Follows the faces of one video or camera; call it with each frame in order."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._tracks: list[_Track] = []  # seen in the last frame, or lost less than KEPT seconds ago
        self._count = 0
        self._looked_s = -math.inf
        self._last: tuple[float, Floats] | None = None

    def __call__(self, frame: RGB, time_s: float) -> list[TrackedFace]:
        """Return the faces of a frame, (H, W, 3) uint8 RGB, at `time_s` seconds, from left to right."""
        last_s, scene = self._compare(frame, time_s)
        close = time_s - last_s <= CLOSE
        if scene < (SCENE if close else NEW_SCENE):
            self._tracks, self._looked_s = [], -math.inf
        watched = [track for track in self._tracks if track.seen_s == last_s]
        for track in watched:
            self._follow(track, frame, time_s, may_differ=close and scene < STILL_SCENE)
        self._tracks = [track for track in self._tracks if time_s - track.seen_s <= KEPT]
        here = self._here(time_s)
        if len(here) < len(watched) or time_s - self._looked_s >= (LOOK_EVERY if here else SEARCH_EVERY):
            self._look(frame, time_s)
        faces = [TrackedFace(track.id, _face(track.mesh, frame)) for track in self._here(time_s)]
        return sorted(faces, key=lambda each: each.face.box[:2])

    def _compare(self, frame: RGB, time_s: float) -> tuple[float, float]:
        """The time of the previous frame, and its correlation, -1 to 1, with this one; (-inf, 1) at first."""
        step = max(1, frame.shape[1] // (4 * SMALL[0]))  # averaging all pixels would take as long as decoding
        sampled = np.ascontiguousarray(frame[::step, ::step])
        small = np.asarray(cv2.resize(sampled, SMALL, interpolation=cv2.INTER_AREA), np.float64)
        last_s, before = self._last or (-math.inf, small)
        self._last = (time_s, small)
        return last_s, 1.0 if np.abs(small - before).mean() < FAINT else _likeness(small, before)

    def _here(self, time_s: float) -> list[_Track]:
        """The tracks seen in this frame; if two tracks have converged on one face, only the older one."""
        here: list[_Track] = []
        for track in self._tracks:  # oldest first
            box = _bounds(track.mesh)
            if track.seen_s == time_s and all(_overlap(box, _bounds(other.mesh)) < ONE_FACE for other in here):
                here.append(track)
        return here

    def _follow(self, track: _Track, frame: RGB, time_s: float, may_differ: bool) -> None:
        """Update a track if its face is in this frame; end the track if another person is now in its place."""
        before, mesh = track.mesh.square, read_mesh(frame, track.mesh.square)
        moved = math.hypot(*(mesh.square[:2] - before[:2])) / before[2]
        if mesh.presence < PRESENT or moved > JUMP or abs(math.log(mesh.square[2] / before[2])) > math.log(GROWN):
            return
        look = _look_of(frame, mesh)
        if may_differ and _likeness(look, track.look) < SAME_FACE:
            self._tracks.remove(track)
        else:
            track.mesh, track.seen_s, track.look = mesh, time_s, look

    def _look(self, frame: RGB, time_s: float) -> None:
        """Detect faces that are not followed yet: a lost face continues its track, any other starts a new track."""
        self._looked_s = time_s
        for face in self._detector(frame):
            points = mesh_of_crop(frame) if face.is_crop else mesh_of(frame, face)
            if points is None:
                continue
            mesh = read_mesh(frame, Mesh(points, 0.0).square)
            box = _bounds(mesh)
            known = any(_overlap(box, _bounds(track.mesh)) >= SAME_PLACE for track in self._here(time_s))
            if known or mesh.presence < PRESENT:
                continue
            track = self._nearest_lost(mesh, time_s)
            if track is None:
                track = _Track(self._count, mesh, time_s, _look_of(frame, mesh))
                self._tracks.append(track)
                self._count += 1
            track.mesh, track.seen_s, track.look = mesh, time_s, _look_of(frame, mesh)

    def _nearest_lost(self, mesh: Mesh, time_s: float) -> _Track | None:
        x, y, side, _ = mesh.square
        found = []
        for track in self._tracks:
            was_x, was_y, was, _ = track.mesh.square
            apart = math.hypot(x - was_x, y - was_y) / side
            if track.seen_s < time_s and apart <= JUMP and abs(math.log(side / was)) <= math.log(GROWN):
                found.append((apart, track))
        return min(found, key=lambda pair: pair[0])[1] if found else None


def _look_of(frame: RGB, mesh: Mesh) -> Floats:
    """The aligned face, (24, 24) grey; sampled at three times that resolution, in a third of the time of `warp`."""
    side = 3 * SMALL_FACE
    matrix = mesh_alignment(mesh.points, side)
    matrix[:, 2] -= (margin_size(side) - side) // 2
    aligned = cv2.warpAffine(frame, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    small = cv2.resize(aligned, (SMALL_FACE, SMALL_FACE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float64)


def _likeness(one: Floats, other: Floats) -> float:
    """The correlation, -1 to 1, of two pictures of the same shape."""
    one, other = one - one.mean(), other - other.mean()
    power = float((one**2).sum() * (other**2).sum())
    return float((one * other).sum()) / math.sqrt(power) if power > 0 else 0.0


def _bounds(mesh: Mesh) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the mesh in pixels of the frame."""
    (left, top), (right, bottom) = mesh.points[:, :2].min(axis=0) + 0.5, mesh.points[:, :2].max(axis=0) + 0.5
    return float(left), float(top), float(right), float(bottom)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return common / max(sum(areas) - common, 1e-9)


def _face(mesh: Mesh, frame: RGB) -> Face:
    height, width = frame.shape[:2]
    left, top, right, bottom = (float(edge) for edge in np.clip(_bounds(mesh), 0, [width, height, width, height]))
    landmarks = five_of_mesh(mesh.points).astype(np.float32)
    score = 1 / (1 + math.exp(-mesh.presence))
    return Face((left, top, right, bottom), score, landmarks, mesh.points.astype(np.float32))
