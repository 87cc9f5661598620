"""Live reading over a WebSocket: the client sends pictures, and the server answers each before it reads the next.

A binary message is a picture (JPEG, PNG, ...); the answer is one JSON object. The text message {"rest": true} makes the
next picture the person's face at rest, and {"rest": false} discards the face at rest. {"smooth": false} ends the
smoothing over time, and {"smooth": true} starts it again. Because the server reads a picture only after it has answered
the last one, a client that sends too fast is slowed down, and no pictures accumulate.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from deadpan.errors import DeadpanError
from deadpan.faces.face import Face
from deadpan.faces.networks import Floats
from deadpan.pixels import RGB
from deadpan.prediction.predictor import Predictor, RestFaceError
from deadpan.prediction.rest_face import RestFace, face_features
from deadpan.prediction.results import FaceResult
from deadpan.server.inference import Inference, Job
from deadpan.server.pictures import seen_and_made
from deadpan.video.smoothing import OneEuro

IDLE = 60.0
"""Seconds without a message after which a connection is closed."""

EXPECTED = 'expected a picture, {"rest": true or false} or {"smooth": true or false}'

UNSUPPORTED, TRY_AGAIN = 1003, 1013
"""Codes for closing a WebSocket: after a message that is not supported, and after IDLE seconds without a message."""

OVERLAP = 0.4
"""Two boxes belong to the same face if their intersection is at least this share of their union."""

GAP = 1.0
"""Seconds after which a face that was not seen is forgotten."""

Box = tuple[float, float, float, float]


class Rest(NamedTuple):
    """A person's face at rest."""

    predictor: Predictor  # compares faces with the face at rest, if the model can
    probabilities: dict[str, float]  # of the face at rest
    face: RestFace
    smooth: OneEuro  # of the distance from rest


@dataclass(eq=False)
class Followed:
    """One face that is followed from picture to picture."""

    box: Box
    seen_s: float
    smooth: OneEuro = field(default_factory=OneEuro)


class Steady:
    """Applies the one-euro filter to the probabilities of every face; a face is recognised by where it was last."""

    def __init__(self) -> None:
        self._faces: list[Followed] = []

    def __call__(self, results: list[FaceResult], time_s: float) -> list[FaceResult]:
        """Return the results of a picture, seen at `time_s` seconds, with smoothed probabilities and expressions."""
        before = [each for each in self._faces if time_s - each.seen_s <= GAP]
        pairs = [(overlap(each.box, result.box), i, each) for each in before for i, result in enumerate(results)]
        same: dict[int, Followed] = {}  # by the index of the result, largest overlaps first
        for share, i, each in sorted(pairs, key=lambda pair: -pair[0]):
            if share >= OVERLAP and i not in same and each in before:
                same[i] = each
                before.remove(each)
        followed, smoothed = [], []
        for i, result in enumerate(results):
            near = same.get(i) or Followed(result.box, time_s)
            near.box, near.seen_s = result.box, time_s
            followed.append(near)
            shares = near.smooth(list(result.probabilities.values()), time_s)
            probabilities = dict(zip(result.probabilities, (shares / shares.sum()).tolist(), strict=True))
            expression = max(probabilities, key=probabilities.__getitem__)
            smoothed.append(replace(result, probabilities=probabilities, expression=expression))
        self._faces = followed + before  # a face that one picture did not show may come back
        return smoothed


def overlap(one: Box, other: Box) -> float:
    """The intersection of two boxes (left, top, right, bottom), as a share of their union."""
    lefts, rights = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    common = float(np.prod(np.clip(rights - lefts, 0, None)))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return common / (sum(areas) - common) if common else 0.0


class Live:
    """One live connection."""

    def __init__(self, socket: WebSocket, inference: Inference, predictor: Predictor, *, pictures: bool) -> None:
        self._socket = socket
        self._inference = inference
        self._predictor = predictor
        self._pictures = pictures
        self._rest: Rest | None = None
        self._takes_rest = False
        self._steady: Steady | None = Steady()

    async def run(self) -> None:
        """Answer messages until the client disconnects, sends nothing for IDLE seconds or sends an invalid message."""
        while True:
            try:
                message = await asyncio.wait_for(self._socket.receive(), IDLE)
            except asyncio.TimeoutError:
                await self._socket.close(TRY_AGAIN, f"no picture for {IDLE:g} s")
                return
            if message["type"] == "websocket.disconnect":
                return
            content = message.get("bytes")
            try:
                if content is not None:
                    await self._socket.send_text(json.dumps(await self._answer(content)))
                elif not self._told(message.get("text") or ""):
                    await self._socket.close(UNSUPPORTED, EXPECTED)
                    return
            except WebSocketDisconnect:
                return

    def _told(self, text: str) -> bool:
        """Handle a text message; return whether it is valid."""
        try:
            wish = json.loads(text)
        except (ValueError, RecursionError):
            return False
        match wish:
            case {"rest": bool(rest), **others} if not others:
                self._takes_rest = rest
                self._rest = self._rest if rest else None
            case {"smooth": bool(smooth), **others} if not others:
                self._steady = Steady() if smooth else None
                self._rest = self._rest and self._rest._replace(smooth=OneEuro())
            case _:
                return False
        return True

    async def _answer(self, content: bytes) -> dict[str, Any]:
        takes_rest, self._takes_rest = self._takes_rest, False
        predictor = self._predictor if takes_rest or self._rest is None else self._rest.predictor
        finish = self._take_rest if takes_rest else self._describe
        try:
            answer: dict[str, Any] = await asyncio.wrap_future(self._inference.submit(Job(content, finish, predictor)))
        except DeadpanError as error:
            return {"width": 0, "height": 0, "faces": [], "rest": self._rest is not None, "error": _reason(error)}
        return answer

    def _take_rest(self, photograph: RGB, faces: list[Face], results: list[FaceResult]) -> dict[str, Any]:
        """Make the only face of a picture the face at rest; runs in the inference thread."""
        if len(results) != 1:
            raise RestFaceError(f"the rest face must be a picture of one person; found {len(results)} faces")
        compares = self._predictor.compares
        predictor = self._predictor.with_rest_face(photograph) if compares else self._predictor
        if compares:
            (results,) = predictor.read([(photograph, faces)])
        self._steady = self._steady and Steady()  # the face at rest is what this one picture shows
        face = RestFace(results[0].aligned, self._features(results[0]))
        self._rest = Rest(predictor, results[0].probabilities, face, OneEuro())
        return self._describe(photograph, faces, results)

    def _distance(self, face: FaceResult, rest: Rest, time_s: float) -> float | None:
        """The distance from rest, 0 to 1, calibrated as in a video; None if a face has no mesh."""
        apart = rest.face.distance(self._features(face))
        if apart is None or self._steady is None:
            return apart
        return float(rest.smooth(np.array([apart]), time_s)[0])

    def _features(self, face: FaceResult) -> Floats | None:
        return face_features(list(face.probabilities.values()), face.mesh, self._predictor.temperature)

    def _describe(self, photograph: RGB, _: list[Face], results: list[FaceResult]) -> dict[str, Any]:
        height, width = photograph.shape[:2]
        time_s = time.monotonic()
        steady = results if self._steady is None else self._steady(results, time_s)
        described = []
        for read, face in zip(results, steady, strict=True):
            facts = face.as_json()
            if self._pictures:
                facts["pictures"] = {**seen_and_made(face), "rest": None}
            if self._rest is not None and len(results) == 1:  # among several faces, the person is unknown
                rest = self._rest.probabilities
                facts["change"] = {name: round(p - rest[name], 6) for name, p in face.probabilities.items()}
                distance = self._distance(read, self._rest, time_s)
                facts["distance_from_rest"] = None if distance is None else round(distance, 4)
            described.append(facts)
        return {"width": width, "height": height, "faces": described, "rest": self._rest is not None, "error": None}


def _reason(error: DeadpanError) -> str:
    return str(error).removeprefix("the given bytes: ")
