"""
One gateway's socket: bytes in to orders, reports to bytes out, never blocking.

Knows framing and bounds; knows no sequence.
"""

import socket
import time
from collections import deque

from assistant.errors import EngineError
from assistant.wire import link

RECEIVE_BYTES = 8 * 2**20
"""What is read from one gateway between two steps."""
MAX_INBOX_BYTES = 2 * link.MAX_MESSAGE_BYTES
"""Orders kept for a busy engine; beyond it the socket fills and the gateway waits."""
MAX_OUTBOX_BYTES = 64 * 2**20
"""A gateway that leaves this much unread is stuck, or as good as gone."""


class GatewayGone(EngineError):
    """The connection is over: closed, reset, or beyond its bounds."""


class Connection:
    """The engine's end of one connection."""

    def __init__(self, number: int, sock: socket.socket) -> None:
        self.number = number
        self.sock = sock
        sock.setblocking(False)
        self._deframer = link.Deframer()
        self._inbox: deque[tuple[link.Order, int]] = deque()
        self._num_inbox_bytes = 0
        self._outbox = bytearray()

    # --- in ----------------------------------------------------------------------------

    def receive(self) -> None:
        """
        Read what has arrived; answer pings at once, keep other orders in order.

        Raises:
            GatewayGone: The peer closed or reset the connection.
            ProtocolError: The peer sent something that is not an order.
        """
        # A Unix socket holds some 200 kB; a clip needs it emptied several times, and a
        # whole step may pass before the next chance.
        num_received = 0
        while num_received < RECEIVE_BYTES and self._num_inbox_bytes < MAX_INBOX_BYTES:
            try:
                data = self.sock.recv(2**20)
            except BlockingIOError:
                return
            except OSError as error:
                raise GatewayGone(f"receive: {error}") from error
            if not data:
                raise GatewayGone("closed by the gateway")
            num_received += len(data)
            self._receive_data(data)

    def _receive_data(self, data: bytes) -> None:
        for payload in self._deframer.receive_data(data):
            order = link.decode_order(payload)
            if isinstance(order, link.Ping):
                # Overtakes: it asks whether the loop turns, not how long the queue is.
                self.post(link.Pong(order.nonce))
                continue
            self._inbox.append((order, len(payload)))
            self._num_inbox_bytes += len(payload)

    def next_order(self) -> link.Order | None:
        """Return the oldest order not returned yet."""
        if not self._inbox:
            return None
        order, num_bytes = self._inbox.popleft()
        self._num_inbox_bytes -= num_bytes
        return order

    @property
    def has_orders(self) -> bool:
        return bool(self._inbox)

    # --- out ---------------------------------------------------------------------------

    def post(self, report: link.Report) -> None:
        """Put a report behind those not sent yet; ``flush`` sends."""
        if isinstance(report, link.Token):
            report.written_at = time.monotonic()
        self._outbox += link.encode(report)

    @property
    def has_reports(self) -> bool:
        return bool(self._outbox)

    def flush(self) -> None:
        """
        Send as much as the socket takes.

        Raises:
            GatewayGone: The peer is gone, or reads too slowly to be served.
        """
        try:
            while self._outbox:
                num_sent = self.sock.send(self._outbox)
                del self._outbox[:num_sent]
        except BlockingIOError:
            if len(self._outbox) > MAX_OUTBOX_BYTES:
                raise GatewayGone(
                    f"the gateway left {len(self._outbox)} bytes unread, "
                    f"the bound is {MAX_OUTBOX_BYTES}"
                ) from None
        except OSError as error:
            raise GatewayGone(f"send: {error}") from error

    def close(self) -> None:
        self.sock.close()
