"""
The one queue between a session and its socket.

Events leave in the order they were put; ``event_id`` is stamped here and nowhere else.
The queue is bounded in bytes: while it is over its bound its owner reads nothing more
from the client, and a client that does not read at all is closed by the send deadline.
"""

import asyncio
from collections import deque
from typing import NamedTuple

from assistant.turns.timeline import Timeline
from assistant.wire import server_events as wire


class Outgoing(NamedTuple):
    text: str
    timeline: Timeline | None
    """Of the turn whose first visible text this is, until it has left."""


class Outbox:
    """Encoded events, in order, with a bound on their bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting: deque[tuple[wire.ServerEvent | bytes, int, Timeline | None]] = (
            deque()
        )
        self._num_bytes = 0
        self._num_stamped = 0
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_closed = False

    def put(self, event: wire.ServerEvent, timeline: Timeline | None = None) -> None:
        """
        Add one event. Never waits: what a session has decided to say is said.

        After ``close`` it is dropped: a client that goes on asking must not keep a
        connection open that is to end once the queue is empty.
        """
        if self._is_closed:
            return
        self._num_stamped += 1
        event.event_id = f"event_{self._num_stamped:06d}"
        if isinstance(event, wire.ResponseDone):
            # Encoded when it leaves: its timeline learns until then when the text left.
            self._add(event, 4096, timeline)
        else:
            encoded = wire.encode(event)
            is_text = isinstance(event, wire.TextDelta)
            self._add(encoded, len(encoded), timeline if is_text else None)

    def close(self) -> None:
        """Nothing more will be put; ``get`` returns None once the rest has left."""
        self._is_closed = True
        self._changed.set()
        self._has_room.set()

    async def get(self) -> Outgoing | None:
        """Return the next event as text. Cancelling loses nothing."""
        while not self._waiting:
            if self._is_closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        entry, size, timeline = self._waiting.popleft()
        self._num_bytes -= size
        if self._num_bytes <= self._max_bytes:
            self._has_room.set()
        if isinstance(entry, bytes):
            return Outgoing(entry.decode(), timeline)
        if timeline is not None and isinstance(entry, wire.ResponseDone):
            vendor = entry.response.assistant
            if isinstance(vendor, dict):
                vendor["timeline"] = timeline.to_wire()
        return Outgoing(wire.encode(entry).decode(), None)

    async def room(self) -> None:
        """Wait until the queue is within its bound. Cancelling loses nothing."""
        await self._has_room.wait()

    def _add(
        self, entry: wire.ServerEvent | bytes, size: int, timeline: Timeline | None
    ) -> None:
        self._waiting.append((entry, size, timeline))
        self._num_bytes += size
        if self._num_bytes > self._max_bytes:
            self._has_room.clear()
        self._changed.set()
