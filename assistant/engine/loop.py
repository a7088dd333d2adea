"""
The loop of the engine process: read sockets, apply orders, do one step, send reports.

Synchronous, single-threaded. It waits for the sockets only when there is nothing to
compute. Between two steps it applies what has arrived, up to ``MAX_ORDERS`` and one append
with a picture in it, because decoding a large picture takes as long as a step.
"""

import contextlib
import logging
import selectors
import socket
import time
from collections.abc import Iterator

from assistant.config import EngineConfig
from assistant.engine.backend import Backend
from assistant.engine.connection import Connection, GatewayGone
from assistant.engine.core import Engine
from assistant.errors import ProtocolError
from assistant.wire import link

log = logging.getLogger(__name__)

MAX_ORDERS = 256
"""Applied between two steps; some 2 ms where all of them are small."""


class Loop:
    """Serve every gateway that connects to a listening socket."""

    def __init__(
        self, listener: socket.socket, backend: Backend, config: EngineConfig
    ) -> None:
        self._listener = listener
        listener.setblocking(False)
        self._engine = Engine(backend, config, self._post)
        self._connections: dict[int, Connection] = {}
        self._num_accepted = 0
        self._next_number = 0
        self._is_stopping = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        # A signal handler calls ``stop``, which must end a wait that has no timeout.
        self._waker, self._wakened = socket.socketpair()
        self._waker.setblocking(False)
        self._selector.register(self._wakened, selectors.EVENT_READ)

    def stop(self) -> None:
        """Make ``run`` return after the present step; safe in a signal handler."""
        self._is_stopping = True
        with contextlib.suppress(BlockingIOError):
            self._waker.send(b"\0")

    def run(self) -> None:
        """Serve until ``stop`` is called."""
        try:
            has_work = False
            while not self._is_stopping:
                self._read_sockets(0.0 if has_work else self._patience())
                is_held_up = self._apply_orders()
                has_work = self._engine.step(time.monotonic()) or is_held_up
                self._flush()
        finally:
            self.close()

    def close(self) -> None:
        """Close every connection and the loop's own descriptors."""
        for connection in list(self._connections.values()):
            self._drop(connection, "the engine stops")
        self._selector.close()
        self._waker.close()
        self._wakened.close()

    def _patience(self) -> float | None:
        deadline = self._engine.deadline()
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    # --- in ----------------------------------------------------------------------------

    def _read_sockets(self, timeout_s: float | None) -> None:
        for key, events in self._selector.select(timeout_s):
            connection = key.data
            if connection is None:
                if key.fileobj is self._listener:
                    self._accept()
                continue
            with self._dropping(connection):
                if events & selectors.EVENT_WRITE:
                    connection.flush()
                    self._watch(connection)
                if events & selectors.EVENT_READ:
                    connection.receive()

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError as error:  # gone again, or out of descriptors: the rest goes on
            log.warning("accept: %s", error)
            return
        connection = Connection(self._num_accepted, sock)
        self._num_accepted += 1
        self._connections[connection.number] = connection
        self._selector.register(sock, selectors.EVENT_READ, connection)
        connection.post(self._engine.ready())
        log.info("gateway %d: connected", connection.number)

    def _apply_orders(self) -> bool:
        """Apply orders in turn; return True if some had to wait for the next round."""
        waiting = [c for c in self._connections.values() if c.has_orders]
        # Whoever is first this time is last next time.
        self._next_number += 1
        pivot = self._next_number % len(waiting) if waiting else 0
        num_applied = 0
        for connection in waiting[pivot:] + waiting[:pivot]:
            while (order := connection.next_order()) is not None:
                self._engine.receive_order(connection.number, order, time.monotonic())
                num_applied += 1
                if _has_picture(order) or num_applied == MAX_ORDERS:
                    return any(c.has_orders for c in waiting)
        return False

    # --- out ---------------------------------------------------------------------------

    def _post(self, number: int, report: link.Report) -> None:
        self._connections[number].post(report)

    def _flush(self) -> None:
        for connection in list(self._connections.values()):
            if connection.has_reports:
                with self._dropping(connection):
                    connection.flush()
                    self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        """Ask to be woken for writing exactly while something is unsent."""
        events = selectors.EVENT_READ
        if connection.has_reports:
            events |= selectors.EVENT_WRITE
        if self._selector.get_key(connection.sock).events != events:
            self._selector.modify(connection.sock, events, connection)

    @contextlib.contextmanager
    def _dropping(self, connection: Connection) -> Iterator[None]:
        """Drop this connection, and no other, when it breaks a rule or goes away."""
        try:
            yield
        except (GatewayGone, ProtocolError) as error:
            self._drop(connection, str(error))

    def _drop(self, connection: Connection, reason: str) -> None:
        if self._connections.pop(connection.number, None) is None:
            return
        log.info("gateway %d: %s", connection.number, reason)
        self._selector.unregister(connection.sock)
        connection.close()
        self._engine.drop_connection(connection.number)


def _has_picture(order: link.Order) -> bool:
    return isinstance(order, link.Append) and any(
        isinstance(part, link.ImagePart) for part in order.parts
    )
