"""Connections with time limits; without them, uvicorn waits for ever for headers and for clients that do not read."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 10.0
"""Seconds between two checks of a connection; it is closed if nothing was transferred between them."""


class Connection(H11Protocol):
    """A connection that is closed if no complete request arrives, or if the client does not read the answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to watch the connection."""
        super().connection_made(transport)
        self.loop.call_later(PATIENCE, self._look, self._waiting_since(), 0)

    def _waiting_since(self) -> Any:
        """Identify the current wait for a request; None while a request is being answered, or for a WebSocket."""
        if self.transport.get_protocol() is not self or (self.cycle and not self.cycle.response_complete):
            return None
        return (self.cycle,)

    def _look(self, waited_since: Any, unsent_before: int) -> None:
        if self.transport.get_extra_info("socket").fileno() < 0:
            return
        waits_since, unsent = self._waiting_since(), self.transport.get_write_buffer_size()
        if (waits_since is not None and waits_since == waited_since) or unsent >= unsent_before > 0:
            self.transport.abort()
        else:
            self.loop.call_later(PATIENCE, self._look, waits_since, unsent)
