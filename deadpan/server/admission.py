"""Limit the load: middleware that answers 429 before it reads the body, and disconnects slow clients."""

from __future__ import annotations

import asyncio
import math
import time

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deadpan.server.guard import refusal, refuse
from deadpan.server.inference import Inference
from deadpan.server.metrics import Metrics
from deadpan.server.settings import Settings
from deadpan.server.site import FILES

VIDEO = "/v1/video"
WORK = ("/v1/predict", "/v1/neutral", VIDEO)
KNOWN = (*WORK, *FILES, "/v1/models", "/healthz", "/readyz", "/metrics", "/openapi.json")
"""Paths that have their own label in the metrics; all others share one, because clients can request any path."""


class Admission:
    """ASGI middleware that limits the number of requests and live connections, and counts requests."""

    def __init__(self, app: ASGIApp, settings: Settings, inference: Inference, metrics: Metrics) -> None:
        self.app = app
        self.running = 0
        self.videos = 0
        self.live = 0
        self._settings = settings
        self._inference = inference
        self._metrics = metrics

    @property
    def has_room(self) -> bool:
        """Whether another request would be admitted."""
        return self.running < self._settings.admitted

    @property
    def retry_after(self) -> str:
        """Estimated seconds until there is room, 1 to 60, from the mean time per photograph."""
        photographs = max(self._inference.waiting, self.running)
        return str(min(60, max(1, math.ceil(photographs * self._inference.seconds))))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 429."""
        if scope["type"] == "websocket":
            await self._live(scope, receive, send)
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"] if scope["path"] in KNOWN else "other"
        is_work = path in WORK and scope["method"] == "POST"
        started, status = time.perf_counter(), 499  # 499: the client disconnected before the answer

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if is_work and (busy := self._busy(path)) is not None:
                await refuse(busy, scope, receive, send_counted)
                return
            self.running += is_work
            self.videos += is_work and path == VIDEO
            self._metrics.running.inc(is_work)
            try:
                await self.app(scope, self._in_time(receive), send_counted)
            finally:
                self.running -= is_work
                self.videos -= is_work and path == VIDEO
                self._metrics.running.dec(is_work)
        finally:
            method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD") else "other"
            self._metrics.requests.labels(path, method, str(status)).inc()
            if is_work:
                self._metrics.request_seconds.labels(path).observe(time.perf_counter() - started)

    def _busy(self, path: str) -> JSONResponse | None:
        """The refusal of a request for which there is no room; None if there is room."""
        if not self.has_room:
            response = refusal(429, "too many requests are waiting; try again")
            response.headers["Retry-After"] = self.retry_after
        elif path == VIDEO and self.videos >= self._settings.videos:
            response = refusal(429, f"{self.videos} videos are being read; try again")
            response.headers["Retry-After"] = "10"
        else:
            return None
        return response

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.live >= self._settings.live:
            response = refusal(429, "too many live connections; try again")
            response.headers["Retry-After"] = "10"
            await refuse(response, scope, receive, send)
            return
        self.live += 1
        self._metrics.live.inc()
        try:
            await self.app(scope, receive, send)
        finally:
            self.live -= 1
            self._metrics.live.dec()

    def _in_time(self, receive: Receive) -> Receive:
        """Wrap `receive`: if the body does not arrive in time, answer 408 and close the connection."""
        settings, ends, is_whole = self._settings, time.monotonic() + self._settings.body_seconds, False

        async def receive_in_time() -> Message:
            nonlocal is_whole
            if is_whole:  # the only message left is the client's disconnect, which has no time limit
                return await receive()
            left = min(settings.patience, ends - time.monotonic())
            try:
                message = await asyncio.wait_for(receive(), max(0.0, left))
            except asyncio.TimeoutError as error:
                raise HTTPException(408, "the body did not arrive in time", {"Connection": "close"}) from error
            is_whole = not message.get("more_body", False)
            return message

        return receive_in_time
