"""Start a server with given settings, in one process or several, and run it until it is stopped."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from tempfile import TemporaryDirectory

import uvicorn
from uvicorn.supervisors import Multiprocess

from deadpan.prediction.predictor import Predictor
from deadpan.server.app import Server
from deadpan.server.connections import Connection
from deadpan.server.metrics import SHARED
from deadpan.server.settings import LOCAL_NAMES, ServeError, Settings, address_of, check_address

DRAIN = 30
"""Seconds that admitted requests have to finish after SIGTERM or Ctrl-C."""

OPEN_AFTER = 30.0
"""The page is opened only if the server answers within this many seconds."""


def hosts_of(host: str) -> tuple[str, ...]:
    """The host names that a server without a token accepts in requests if it listens on `host`."""
    return (*LOCAL_NAMES, f"[{host}]" if ":" in host else host)


def listen(host: str, port: int, token: str | None) -> socket.socket:
    """Bind a socket; ServeError if the address is unknown or in use, or public although there is no token."""
    family, (address, number) = address_of(host, port)
    check_address(host, address, token)
    try:
        return socket.create_server((address, number), family=family, backlog=256)
    except OSError as error:
        raise ServeError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error


def url_of(listening: socket.socket, host: str) -> str:
    """The address of the page, for a browser."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/"


def configuration(settings: Settings) -> uvicorn.Config:
    """The settings of uvicorn: no request log, no header that names the server, no compression of live pictures."""
    return uvicorn.Config(
        partial(Server, settings),
        factory=True,
        http=Connection,
        ws_max_size=settings.max_bytes,
        ws_per_message_deflate=False,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN,
    )


def serve(settings: Settings, listening: socket.socket, workers: int = 1) -> None:
    """Serve until SIGTERM or Ctrl-C, then finish the admitted requests; more than one `workers` are separate processes.

    Raises ModelError or ServeError, before any request is answered, if the models cannot be opened.
    """
    config = configuration(settings)
    with listening, ExitStack() as stack:
        if workers == 1:
            config.load()  # raises the error of a model here; otherwise uvicorn would only log it
            uvicorn.Server(config).run([listening])
            return
        config.workers = workers
        os.environ[SHARED] = stack.enter_context(TemporaryDirectory(prefix="deadpan-"))
        stack.callback(os.environ.pop, SHARED)
        for name in settings.model_names:
            Predictor(name)  # otherwise uvicorn would restart a worker that cannot open its model again and again
        Multiprocess(config, [listening]).run()


def when_it_listens(listening: socket.socket, act: Callable[[], object]) -> None:
    """Call `act` in a thread as soon as the server answers a request, if it does within OPEN_AFTER seconds."""
    address = listening.getsockname()[:2]

    def wait() -> None:
        ends = time.monotonic() + OPEN_AFTER
        while time.monotonic() < ends:
            try:
                with socket.create_connection(address, timeout=1) as asking:
                    asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                    asking.settimeout(OPEN_AFTER)
                    if asking.recv(1):
                        act()
                        return
            except OSError:
                time.sleep(0.1)

    threading.Thread(target=wait, daemon=True).start()
