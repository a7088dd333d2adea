"""
uvicorn's WebSocket connection, corrected; the only place that reaches into uvicorn.

uvicorn 0.54 closes a connection only once everything written has left, so one whose
client never reads stays for ever, with its memory. ASGI has no word for cutting it off;
this class puts one into the scope's extensions. Remove that when ASGI or uvicorn can
abort a connection.

It also logs the whole target of every handshake, so a secret that somebody put in the
query, and an ERROR for every handshake that the application answers with a refusal.
"""

from collections.abc import Callable
from typing import cast

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

ABORT = "assistant.abort"


class Connection(WebSocketsSansIOProtocol):
    """A connection whose application can abort it."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        scope = getattr(self, "scope", None)  # not there when the handshake was refused
        if scope is not None:
            scope["extensions"][ABORT] = self.transport.abort
            scope["query_string"] = b""  # nothing here uses it

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            # A refusal is an answer; without this uvicorn takes it for a missing one.
            self.handshake_complete = not message.get("more_body", False)


def aborter(extensions: dict[str, object] | None) -> Callable[[], None]:
    """Return what drops the connection at once, whatever is still to be written."""
    assert extensions is not None, "the application runs on a Connection"
    return cast(Callable[[], None], extensions[ABORT])
