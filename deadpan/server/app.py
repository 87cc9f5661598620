"""The ASGI application: the routes, the guard and the admission around them, and the inference thread behind them."""

# No `from __future__ import annotations` here: FastAPI cannot resolve these methods' `Annotated[...]` from text.
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, File, HTTPException, Query, Request, Security, UploadFile, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from starlette.formparsers import MultiPartParser
from starlette.types import ASGIApp, Receive, Scope, Send

from deadpan.errors import DeadpanError
from deadpan.faces.face import Face
from deadpan.faces.photographs import PhotographError
from deadpan.faces.relaxing import STRONGEST
from deadpan.faces.video import Sampling
from deadpan.models import ModelError, card
from deadpan.pixels import RGB
from deadpan.prediction.predictor import Predictor
from deadpan.prediction.relaxing import relax_photograph
from deadpan.prediction.results import FaceResult, PhotographResult
from deadpan.printable import printable
from deadpan.server.admission import Admission
from deadpan.server.answers import PROBLEMS, Health, Models, Predicted
from deadpan.server.guard import SUBPROTOCOL, Guard, refusal
from deadpan.server.inference import Inference, Job, results_of
from deadpan.server.live import Live
from deadpan.server.metrics import Metrics
from deadpan.server.pictures import png, seen_and_made, way_to_rest
from deadpan.server.settings import ServeError, Settings
from deadpan.server.site import add_page
from deadpan.server.videos import (
    MEDIA_TYPE,
    MOST_RATE,
    Lines,
    StreamedLines,
    Upload,
    allow_only_containers,
    lines,
)
from deadpan.version import __version__
from deadpan.video.events import rest_of
from deadpan.video.reading import VideoSettings

ABOUT = """Recognises the expressions of faces in photographs and videos by removing them. No picture leaves the machine
that runs this server: photographs and videos are processed in memory and not stored."""

LONGEST_NAME = 255
"""Longest file name in an answer, in characters."""

SHOWN = 8
"""Only this many faces of a photograph, the largest ones, are shown at rest: that takes 60 ms per face on one thread,
while reading a face takes 27 ms."""

Model = Annotated[str | None, Query(description="a name from GET /v1/models; the first one by default")]
WithPictures = Annotated[bool, Query(description="add pictures of each face, as data URIs")]


class Server:
    """The ASGI application of one process."""

    def __init__(self, settings: Settings) -> None:
        """Open the models; the lifespan of the application starts and stops the inference thread.

        Raises ModelError for a model that cannot be opened and ServeError for two models of the same name.
        """
        self.settings = settings
        self.predictors: dict[str, Predictor] = {}
        for name in settings.model_names:
            predictor = Predictor(name)
            if predictor.name in self.predictors:
                raise ServeError(f"two models are named {predictor.name}; each must have its own name")
            self.predictors[predictor.name] = predictor
        self.metrics = Metrics()
        self.inference = Inference(settings.max_pixels, self.metrics)
        # By default Starlette writes uploads above 1 MB to a temporary file. With this setting they stay in memory.
        MultiPartParser.spool_max_size = max(settings.max_bytes, settings.max_video_bytes)
        allow_only_containers(settings.max_pixels)
        self.api = self._api()
        self.admission = Admission(self.api, settings, self.inference, self.metrics)
        self._guarded: ASGIApp = Guard(self.admission, settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle an HTTP request, a WebSocket or a lifespan message."""
        await self._guarded(scope, receive, send)

    def _api(self) -> FastAPI:
        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            self.inference.start()
            yield
            await asyncio.to_thread(self.inference.close)
            self.metrics.close()

        api = FastAPI(
            title="deadpan",
            version=__version__,
            description=ABOUT,
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            docs_url=None,  # these two pages load scripts from another site
            redoc_url=None,
            lifespan=lifespan,
            max_body_size=self.settings.max_bytes,
        )
        api.add_exception_handler(RequestValidationError, _not_as_described)
        api.include_router(self._work(), prefix="/v1")
        api.include_router(self._health())
        add_page(api)
        return api

    def _work(self) -> APIRouter:
        token = [Security(HTTPBearer(auto_error=False, description="the token of --token-file"))]
        router = APIRouter(
            dependencies=token if self.settings.token else [],
            form_limits={"max_files": self.settings.max_files, "max_fields": 4, "max_part_size": 1000},
        )
        router.add_api_route("/predict", self.predict, methods=["POST"], response_model=Predicted, responses=PROBLEMS)
        shown: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "the photograph"}}
        router.add_api_route(
            "/neutral", self.neutral, methods=["POST"], response_class=Response, responses={**PROBLEMS, **shown}
        )
        read: dict[int | str, dict[str, Any]] = {200: {"content": {MEDIA_TYPE: {}}, "description": "JSON lines"}}
        router.add_api_route(
            "/video",
            self.video,
            methods=["POST"],
            response_class=Response,
            responses={**PROBLEMS, **read},
            max_body_size=self.settings.max_video_bytes,
        )
        refused: dict[int | str, dict[str, Any]] = {number: PROBLEMS[number] for number in (400, 401, 403)}
        router.add_api_route("/models", self.models, methods=["GET"], response_model=Models, responses=refused)
        router.add_api_websocket_route("/live", self.live)
        return router

    def _health(self) -> APIRouter:
        router = APIRouter()
        busy: dict[int | str, dict[str, Any]] = {400: PROBLEMS[400], 403: PROBLEMS[403], 503: {"model": Health}}
        router.add_api_route("/healthz", self.healthy, methods=["GET"], response_model=Health, responses=busy)
        router.add_api_route("/readyz", self.ready, methods=["GET"], response_model=Health, responses=busy)
        router.add_api_route("/metrics", self.figures, methods=["GET"], include_in_schema=False)
        return router

    async def predict(
        self,
        request: Request,
        files: Annotated[list[UploadFile], File(description="photographs: JPEG, PNG, WebP, HEIC, TIFF, ...")],
        model: Model = None,
        pictures: WithPictures = False,
    ) -> Response:
        """Read every face in one or several photographs.

        The answer for each photograph has the form that `deadpan predict --json` writes. If a photograph cannot be
        read, its `error` says why. If none can be read, the status is 422.
        """
        predictor = self._predictor(model)

        def finish(photograph: RGB, found: list[Face], results: list[FaceResult]) -> dict[str, Any]:
            height, width = photograph.shape[:2]
            answer = PhotographResult("", width, height, results).as_json()
            if pictures:
                for facts, face, result in zip(answer["faces"], found, results, strict=True):
                    rest = way_to_rest(photograph, face) if face in _largest(found) else None
                    facts["pictures"] = {**seen_and_made(result), "rest": rest}
            return answer

        jobs = [Job(await file.read(), finish, predictor) for file in files]
        names = [_name(file, "photograph") for file in files]
        answers = []
        for name, answer in zip(names, await results_of(request, self.inference, jobs), strict=True):
            if isinstance(answer, PhotographError):
                answers.append(PhotographResult(name, error=_reason(answer)).as_json())
            else:
                answers.append({**answer, "path": name})
        status = 422 if all(answer["error"] is not None for answer in answers) else 200
        if status == 422:
            return refusal(422, "; ".join(f"{answer['path']}: {answer['error']}" for answer in answers))
        return JSONResponse({"model": predictor.name, "photographs": answers})

    async def neutral(
        self,
        request: Request,
        file: Annotated[UploadFile, File(description="a photograph")],
        face: Annotated[
            int | None, Query(ge=0, le=1000, description="relax only this face, counted from 0 from the left")
        ] = None,
        strength: Annotated[float, Query(ge=0, le=STRONGEST, description="0 is unchanged, 1 is at rest")] = 1.0,
    ) -> Response:
        """Relax the faces of a photograph, as `deadpan relax` does; returns a PNG of the same size, without EXIF."""
        detector = next(iter(self.predictors.values())).detector

        def finish(photograph: RGB, _: list[Face], __: list[FaceResult]) -> bytes | None:
            relaxed = relax_photograph(photograph, detector, face, strength)
            return png(relaxed.photograph, relaxed=True) if relaxed.faces else None

        (answer,) = await results_of(request, self.inference, [Job(await file.read(), finish)])
        if isinstance(answer, DeadpanError):
            return refusal(422, _reason(answer))
        if answer is None:
            return refusal(422, "no face found")
        return Response(answer, media_type="image/png")

    async def video(
        self,
        file: Annotated[UploadFile, File(description="a video: MP4, MOV, WebM, AVI, MPEG, WMV, ...")],
        model: Model = None,
        fps: Annotated[float | None, Query(ge=0.1, le=MOST_RATE, description="frames per second to read")] = None,
        rest: Annotated[str, Query(max_length=40, description="auto, none or a time range such as 0:10-0:20")] = "auto",
        smoothing: Annotated[float, Query(ge=0, le=1, description="standard deviation in seconds, 0 for none")] = 0.1,
    ) -> Response:
        """Read every face in a video, as `deadpan predict` does, by default in every frame.

        The answer consists of JSON lines: {"start": ...}, several {"progress": ...} while frames are read, one
        {"row": ...} for each row of the table that `deadpan predict` writes, and {"end": ...}.
        """
        predictor = self._predictor(model)
        try:
            settings = VideoSettings(Sampling(fps=fps or MOST_RATE), rest_of(rest), smoothing)
        except DeadpanError as error:
            return refusal(422, printable(str(error)))
        upload = Upload(file.file, _name(file, "video"), predictor, settings)
        parts = Lines(lines(upload, self.inference, self.settings, self.metrics))
        try:
            start = await parts.next()
        except PhotographError as error:
            return refusal(422, f"{upload.name}: {error}")
        return StreamedLines(start or "", parts)

    async def live(self, socket: WebSocket, model: Model = None, pictures: WithPictures = False) -> None:
        """Read pictures from a WebSocket, one after the other; see `deadpan.server.live`."""
        offered = SUBPROTOCOL in socket.scope["subprotocols"]
        predictor = self.predictors.get(model or next(iter(self.predictors)))
        if predictor is None:
            await socket.close(1008, "no such model")
            return
        await socket.accept(SUBPROTOCOL if offered else None)
        await Live(socket, self.inference, predictor, pictures=pictures).run()

    async def models(self) -> JSONResponse:
        """List the models of this server with their cards, the default first, and its limits."""
        described = [_described(predictor) for predictor in self.predictors.values()]
        limits = {"max_mb": self.settings.max_mb, "max_video_mb": self.settings.max_video_mb}
        return JSONResponse({"models": described, **limits})

    async def healthy(self) -> JSONResponse:
        """Check that the process works: 200, or 503 if the inference thread has ended."""
        works = self.inference.works()
        return JSONResponse({"status": "ok" if works else "the inference thread ended"}, 200 if works else 503)

    async def ready(self) -> JSONResponse:
        """Check that another request would be admitted: 200, or 503 if the server is busy."""
        if self.inference.works() and self.admission.has_room:
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "busy"}, 503, {"Retry-After": self.admission.retry_after})

    async def figures(self) -> Response:
        """Return the metrics for Prometheus."""
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    def _predictor(self, name: str | None) -> Predictor:
        if name is None:
            return next(iter(self.predictors.values()))
        if name not in self.predictors:
            raise HTTPException(404, f"no model of this name; expected one of {', '.join(self.predictors)}")
        return self.predictors[name]


def _name(file: UploadFile, default: str) -> str:
    return printable(file.filename or default)[:LONGEST_NAME]


def _largest(faces: list[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: (face.box[0] - face.box[2]) * (face.box[3] - face.box[1]))[:SHOWN]


def _reason(error: DeadpanError) -> str:
    return str(error).removeprefix("the given bytes: ")


def _described(predictor: Predictor) -> dict[str, Any]:
    try:
        facts = card(predictor.path)
    except ModelError:  # a model file may have no card
        facts = None
    names = ("name", "method", "expressions", "generates", "compares", "image_size")
    return {**{name: getattr(predictor, name) for name in names}, "card": facts}


async def _not_as_described(_: Request, error: Exception) -> JSONResponse:
    """Describe an invalid request in one line; FastAPI's own answer would repeat the input."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    lines = [f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in found]
    return refusal(422, "; ".join(map(printable, lines)))
