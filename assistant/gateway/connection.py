"""
uvicorn's connections, made to end well.

Three things that uvicorn 0.54 does not do are added here, and nowhere else is reached into
it; a test fails when the methods move. Remove each when uvicorn has it.

* A connection whose client never reads can be cut off, of WebSocket and of HTTP. uvicorn
  closes one only when all that was written has left, so it would stay for ever, with its
  memory; ASGI has no word for it, so the scope's extensions get one.
* A message over the bound is answered with close code 1009 that the client really sees.
  Closing a socket with unread data makes the kernel reset it and throw the answer away:
  here the rest of the message is read and dropped first.
* A refused handshake is an answer; uvicorn would log an ERROR for each.
"""

from collections.abc import Callable
from typing import cast

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

ABORT = "assistant.abort"
DISCARD_S = 5.0
"""How long a client may go on sending after its connection was refused."""


class Connection(WebSocketsSansIOProtocol):
    """A connection whose application can abort it, and that says why it ends."""

    _is_discarding = False

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        scope = getattr(self, "scope", None)  # not there when the handshake was refused
        if scope is not None:
            scope["extensions"][ABORT] = self.transport.abort

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            # A refusal is an answer; without this uvicorn takes it for a missing one.
            self.handshake_complete = not message.get("more_body", False)

    def data_received(self, data: bytes) -> None:
        if not self._is_discarding:
            super().data_received(data)

    def handle_parser_exception(self) -> None:
        """The client broke the protocol or a bound; the machine has its answer ready."""
        closing = self.conn.close_sent
        assert closing is not None
        self._is_discarding = True
        self.close_sent = True
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": closing.code, "reason": closing.reason}
        )
        self.transport.write(b"".join(self.conn.data_to_send()))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        # With this timer set, the end of the application does not close the transport.
        self.close_timer = self.loop.call_later(DISCARD_S, self.transport.abort)


class HttpConnection(HttpToolsProtocol):
    """An HTTP connection whose application can abort it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions = cast(dict[str, dict[object, object]], {ABORT: self.transport.abort})
        self.scope["extensions"] = extensions


def aborter(extensions: dict[str, object] | None) -> Callable[[], None]:
    """Return what drops the connection at once, whatever is still to be written."""
    assert extensions is not None, "the application runs on a Connection"
    return cast(Callable[[], None], extensions[ABORT])
