"""The settings of a server; they are checked before it opens models or a socket."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

from deadpan.errors import DeadpanError
from deadpan.models import released
from deadpan.prediction.predictor import DEFAULT_MODEL

SHORTEST_TOKEN = 16
"""Fewest characters of a token."""

LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
"""The names by which a browser on this machine reaches the server; see `Settings.hosts`."""


class ServeError(DeadpanError):
    """A setting with which the server cannot start."""


@dataclass(frozen=True)
class Settings:
    """The settings of one server process; they can be pickled, for worker processes. ServeError for a bad limit."""

    models: tuple[str, ...] = ()
    """Names of released models or model files, the default first; empty: all released models."""
    token: str | None = None
    """The token that every request must contain, except those for the page, the health checks and the description."""
    hosts: tuple[str, ...] = LOCAL_NAMES
    """The host names that a request may use if there is no token. Another site can point its own name to this machine
    (DNS rebinding), but its requests then still contain that name and are refused."""
    max_mb: float = 20.0
    """Largest request body with photographs, in MB (10^6 bytes)."""
    max_video_mb: float = 200.0
    """Largest request body with a video, in MB."""
    videos: int = 2
    """Most videos that are read at the same time; each is in memory until it is read."""
    max_frames: int = 40_000
    """Most frames that are read of a video, more than an hour at ten frames a second."""
    max_pixels: int = 50_000_000
    """Largest photograph or frame that is decoded, in pixels (150 MB as RGB)."""
    max_files: int = 16
    """Most photographs in one request."""
    admitted: int = 16
    """Most requests in progress at the same time; further requests are answered 429."""
    live: int = 4
    """Most live connections at the same time."""
    patience: float = 10.0
    """Most seconds between two parts of a request body."""
    body_seconds: float = 60.0
    """Most seconds for a whole request body."""

    def __post_init__(self) -> None:
        if not self.max_mb > 0 or self.max_mb > 1000:
            raise ServeError(f"--max-mb must be above 0 and at most 1000; got {self.max_mb:g}")
        if not self.max_video_mb > 0 or self.max_video_mb > 4000:
            raise ServeError(f"--max-video-mb must be above 0 and at most 4000; got {self.max_video_mb:g}")

    @property
    def max_bytes(self) -> int:
        """Largest request body with photographs, in bytes."""
        return round(self.max_mb * 1_000_000)

    @property
    def max_video_bytes(self) -> int:
        """Largest request body with a video, in bytes."""
        return round(self.max_video_mb * 1_000_000)

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models to open, the default first."""
        return self.models or (DEFAULT_MODEL, *(name for name in released() if name != DEFAULT_MODEL))


def read_token(path: Path) -> str:
    """Read the token in the first line of a file; ServeError if it is too short or not valid in an HTTP header."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ServeError(f"{path}: expected a token of letters and digits, got bytes that are not text") from error
    token = lines[0].strip() if lines else ""
    if len(token) < SHORTEST_TOKEN:
        raise ServeError(
            f"{path}: expected a token of at least {SHORTEST_TOKEN} characters in the first line, got {len(token)}"
        )
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ServeError(f"{path}: a token must consist of ASCII letters, digits and punctuation, without spaces")
    return token


def address_of(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Look up the address family and the numeric address of a host; ServeError if there is none."""
    if not 0 <= port <= 65535:
        raise ServeError(f"--port must be 0 to 65535; got {port}")
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise ServeError(f"--host {host}: no such address ({error})") from error
    return family, (str(place[0]), int(place[1]))


def check_address(host: str, address: str, token: str | None) -> None:
    """Raise ServeError if other machines can reach the address and there is no token."""
    if token is None and not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
        raise ServeError(
            f"other machines can reach {host}, and without a token anyone on them could use the server; give a token "
            "with --token-file FILE, or omit --host to serve only this machine"
        )
