"""
The one queue between a session and one socket.

Events leave in the order they were put. The queue is bounded in bytes: while it is over its
bound its owner reads nothing more from the client, and a client that does not read at all
is closed by the send deadline.
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


class Entry:
    """One numbered event, encoded once for all queues that it waits in."""

    __slots__ = ("_encoded", "_event", "number", "size", "timeline")

    def __init__(
        self, number: int, event: wire.ServerEvent, timeline: Timeline | None
    ) -> None:
        self.number = number
        self.timeline = timeline
        self._event = event
        self._encoded: bytes | None = None
        # That one is encoded when it leaves: its timeline learns until then when the text
        # left.
        if not isinstance(event, wire.ResponseDone):
            self._encoded = wire.encode(event)
        self.size = 4096 if self._encoded is None else len(self._encoded)

    def outgoing(self) -> Outgoing:
        """Return the event as it leaves now."""
        event, timeline = self._event, self.timeline
        if self._encoded is None:
            if timeline is not None and isinstance(event, wire.ResponseDone):
                vendor = event.response.assistant
                if isinstance(vendor, dict):
                    vendor["timeline"] = timeline.to_wire()
            self._encoded = wire.encode(event)
        is_text = isinstance(event, wire.TextDelta)
        return Outgoing(self._encoded.decode(), timeline if is_text else None)


class Outbox:
    """Events on their way to one socket, in order, with a bound on their bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting: deque[Entry] = deque()
        self._num_bytes = 0
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_closed = False

    def put(self, entry: Entry) -> None:
        """
        Add one event. Never waits: what a session has decided to say is said.

        After ``close`` it is dropped: a client that goes on asking must not keep a
        connection open that is to end once the queue is empty.
        """
        if self._is_closed:
            return
        self._waiting.append(entry)
        self._num_bytes += entry.size
        if self._num_bytes > self._max_bytes:
            self._has_room.clear()
        self._changed.set()

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
        entry = self._waiting.popleft()
        self._num_bytes -= entry.size
        if self._num_bytes <= self._max_bytes:
            self._has_room.set()
        return entry.outgoing()

    async def room(self) -> None:
        """Wait until the queue is within its bound. Cancelling loses nothing."""
        await self._has_room.wait()
