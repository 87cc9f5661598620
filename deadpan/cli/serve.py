"""`deadpan serve` and `deadpan live`."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from deadpan.printable import printable

if TYPE_CHECKING:
    import socket

    from deadpan.server.settings import Settings

ModelNames = Annotated[
    list[str] | None,
    Parameter(help="Released models or model files to offer; the first is the default. Default: all released models."),
]


def serve(
    *,
    host: Annotated[
        str, Parameter(help="Address to listen on; an address that other machines can reach needs --token-file.")
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on; 0 chooses a free one.")] = 8000,
    token_file: Annotated[
        Path | None, Parameter(help="File with the token that every request must send, at least 16 characters.")
    ] = None,
    max_mb: Annotated[float, Parameter(help="Largest request body with photographs, in MB.")] = 20.0,
    max_video_mb: Annotated[float, Parameter(help="Largest request body with a video, in MB.")] = 200.0,
    workers: Annotated[int, Parameter(help="Number of processes; each loads the models and has its own queue.")] = 1,
    model: ModelNames = None,
) -> None:
    """Start a server that reads photographs and videos over HTTP, with a web page."""
    from deadpan.server.run import hosts_of, listen
    from deadpan.server.settings import ServeError, Settings, read_token

    if not 1 <= workers <= 64:
        raise ServeError(f"--workers must be 1 to 64; got {workers}")
    token = None if token_file is None else read_token(token_file)
    settings = Settings(tuple(model or ()), token, hosts_of(host), max_mb, max_video_mb)
    _run(settings, listen(host, port, token), host, workers)


def live(
    *,
    port: Annotated[int, Parameter(help="Port to listen on; 0 chooses a free one.")] = 0,
    model: ModelNames = None,
) -> None:
    """Start a server that only this machine can reach, and open its page in the browser to read the webcam."""
    import webbrowser

    from deadpan.server.run import listen, url_of, when_it_listens
    from deadpan.server.settings import Settings

    host = "127.0.0.1"
    listening = listen(host, port, None)
    url = f"{url_of(listening, host)}#live"
    when_it_listens(listening, lambda: webbrowser.open(url))
    _run(Settings(tuple(model or ())), listening, host)


def _run(settings: Settings, listening: socket.socket, host: str, workers: int = 1) -> None:
    """Serve until Ctrl-C or SIGTERM, which end the command normally."""
    from deadpan.server.run import serve as run
    from deadpan.server.run import url_of

    print(printable(f"deadpan listens on {url_of(listening, host)} (press Ctrl-C to stop)"), file=sys.stderr)
    with contextlib.suppress(KeyboardInterrupt):  # SIGTERM too, see deadpan.interruption
        run(settings, listening, workers)
