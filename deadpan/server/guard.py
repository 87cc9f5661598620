"""Access control: middleware that refuses other sites and requests without the token, and adds security headers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deadpan.server.settings import Settings
from deadpan.server.site import FILES

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
        "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), display-capture=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""Headers of every answer: other sites cannot embed the page, load its files or see its address, and no browser caches
an answer."""

OPEN = (*FILES, "/healthz", "/readyz", "/openapi.json")
"""Paths that need no token, because they contain no personal data."""

SUBPROTOCOL = "deadpan"

TOKEN_PROTOCOL = "deadpan.token."
"""Prefix of a subprotocol with the token in base64url: pages cannot give a WebSocket an Authorization header."""


class Guard:
    """ASGI middleware that checks Host, Origin and token before the body is read."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._token = None if settings.token is None else _digest(settings.token.encode())
        self._hosts = {name.lower() for name in settings.hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 400 (Host), 403 (Origin) or 401 (token)."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self.app(scope, receive, send_with_headers)
        else:
            await refuse(refusal, scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        host = hosts[0].lower() if len(hosts) == 1 else ""
        if self._token is None and re.sub(r":\d+$", "", host) not in self._hosts:
            return refusal(400, f"expected one of {', '.join(sorted(self._hosts))} in the Host header")
        origins = headers.getlist("origin")
        if origins and [each.lower().partition("://")[2] for each in origins] != [host]:
            return refusal(403, "this request comes from a page of another site")
        if self._token is None or scope["path"] in OPEN or hmac.compare_digest(self._token, _digest(_token(headers))):
            return None
        response = refusal(401, "expected the token of this server: Authorization: Bearer TOKEN")
        response.headers["WWW-Authenticate"] = 'Bearer realm="deadpan"'
        return response


def refusal(status: int, detail: str) -> JSONResponse:
    """An error answer in the form that the whole API uses."""
    return JSONResponse({"detail": detail}, status)


async def refuse(response: JSONResponse, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a refused request or WebSocket without reading its body."""
    if scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
        await response(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008})


def _token(headers: Headers) -> bytes:
    """The token in the request; empty if it has none."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip().encode("utf-8", "surrogateescape")
    for offered in ",".join(headers.getlist("sec-websocket-protocol")).split(","):
        if offered.strip().startswith(TOKEN_PROTOCOL):
            encoded = offered.strip().removeprefix(TOKEN_PROTOCOL)
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            except (binascii.Error, ValueError):
                return b""
    return b""


def _digest(token: bytes) -> bytes:
    """Hash a token, so that the time of a comparison does not reveal the length of the right one."""
    return hashlib.sha256(token).digest()
