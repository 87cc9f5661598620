"""Data models of the JSON answers, for the OpenAPI description; tests check the answers against them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

BOX = [25.0, 97.0, 206.0, 316.0]
EYES_NOSE_MOUTH = [[67.0, 186.0], [146.0, 186.0], [102.0, 227.0], [73.0, 258.0], [139.0, 258.0]]


class Described(BaseModel):
    """A JSON object with no keys other than those described."""

    model_config = ConfigDict(extra="forbid")


class Quality(Described):
    """The quality of the picture of the face; see docs/output.md."""

    size: float = Field(description="distance between the outer corners of the eyes in pixels")
    sharpness: float = Field(description="0 (no detail) to 1", ge=0, le=1)
    turn: float | None = Field(description="degrees between the face and the camera; null if no face mesh is found")
    cover: float = Field(description="covered share of the face, 0 to 1", ge=0, le=1)


class WayToRest(Described):
    """The face in five steps from the expression to rest (0, 25, 50, 75 and 100 %), warped from the photograph."""

    box: tuple[int, int, int, int] = Field(
        description="the part of the photograph that the pictures show: left, top, right, bottom in pixels"
    )
    moved: float = Field(
        description="mean motion of the face mesh, as a multiple of the distance between the outer corners of the eyes"
    )
    steps: list[str] = Field(description="the five pictures: JPEG data URIs", min_length=5, max_length=5)


class Pictures(Described):
    """The pictures that `pictures=true` adds to a face."""

    face: str = Field(description="the aligned face, which is the model's input: a PNG data URI")
    neutral: str | None = Field(description="the generated neutral face, or the person's face at rest if one was given")
    residue: str | None = Field(description="the difference between the two, from black to yellow")
    rest: WayToRest | None = Field(None, description="null in live answers and for all but the eight largest faces")


class FaceAnswer(Described):
    """One face, in the form that `deadpan predict --json` writes."""

    box: tuple[float, float, float, float] = Field(description="left, top, right, bottom in pixels", examples=[BOX])
    score: float = Field(description="the detector's confidence", ge=0, le=1, examples=[0.92])
    landmarks: list[tuple[float, float]] = Field(
        description="eyes, nose tip, mouth corners: x, y in pixels", examples=[EYES_NOSE_MOUTH]
    )
    expression: str = Field(description="the most probable expression", examples=["happiness"])
    probabilities: dict[str, float] = Field(examples=[{"neutral": 0.031, "happiness": 0.969}])
    residue: float | None = Field(
        description="mean absolute difference between the aligned face and its neutral face, 0 to 1", examples=[0.1]
    )
    quality: Quality
    marks: list[str] = Field(description="reasons not to trust the expression", examples=[[]])
    pictures: Pictures | None = None
    change: dict[str, float] | None = Field(
        None, description="only live, with a face at rest: the probabilities minus those of the face at rest"
    )
    distance_from_rest: float | None = Field(
        None, description="only live, with a face at rest: 0 (at rest) to 1, as in a video; null without one or a mesh"
    )


class PhotographAnswer(Described):
    """One photograph, in the form of a line of `deadpan predict --json`."""

    path: str = Field(description="the file name given in the request", examples=["girl.png"])
    width: int = Field(description="pixels of the upright photograph; 0 if it could not be read", examples=[275])
    height: int = Field(description="pixels of the upright photograph; 0 if it could not be read", examples=[360])
    faces: list[FaceAnswer]
    error: str | None = Field(description="why the photograph could not be read, or null", examples=[None])


class Predicted(Described):
    """The photographs in the order of the request."""

    model: str = Field(examples=["default"])
    photographs: list[PhotographAnswer]


class ServedModel(Described):
    """A model that this server offers."""

    name: str = Field(examples=["default"])
    method: str = Field(examples=["deadpan"])
    expressions: list[str]
    generates: bool = Field(description="whether it generates a neutral face")
    compares: bool = Field(description="whether it can compare a face with a given face at rest")
    image_size: int = Field(description="side of its input in pixels")
    card: dict[str, Any] | None = Field(description="its card: training data, figures and terms; null if it has none")


class Models(Described):
    """The models of this server, the default first, and how much it takes in one request."""

    models: list[ServedModel]
    max_mb: float = Field(description="largest request with photographs, in MB (10^6 bytes)", examples=[20])
    max_video_mb: float = Field(description="largest request with a video, in MB", examples=[200])


class Problem(Described):
    """An error: what was expected and what was found."""

    detail: str = Field(examples=["files: expected at least one photograph"])


class Health(Described):
    """The state of the server."""

    status: str = Field(examples=["ok"])


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "the body is not a multipart form, or the Host header is wrong"},
    401: {"model": Problem, "description": "the token is missing or wrong"},
    403: {"model": Problem, "description": "the request comes from a page of another site"},
    404: {"model": Problem, "description": "no such model"},
    408: {"model": Problem, "description": "the body did not arrive in time"},
    413: {"model": Problem, "description": "the body is larger than --max-mb, for a video --max-video-mb"},
    422: {"model": Problem, "description": "no photograph or video could be read, or a parameter is invalid"},
    429: {"model": Problem, "description": "too many requests are waiting; try again after Retry-After seconds"},
}
"""The error answers, by status."""
