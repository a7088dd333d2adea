"""
Everybody who hears what one session says: its client, and whoever looks on.

Events are numbered and encoded here, once, in the order in which they are said; each
listener has an outbox of its own, so that a slow one holds up nobody else. What was said
lately is kept, for a client that comes back over a new connection.
"""

from collections import deque

from assistant.gateway.outbox import Entry, Outbox
from assistant.turns.timeline import Timeline
from assistant.wire import server_events as wire

MAX_KEPT_BYTES = 512 * 1024
_ID = "event_"


class Audience:
    """The outboxes of one session."""

    def __init__(self, max_outbox_bytes: int) -> None:
        self._max_outbox_bytes = max_outbox_bytes
        self._outboxes: list[Outbox] = []
        self._num_said = 0
        self._kept: deque[Entry] = deque()
        self._kept_bytes = 0
        self._is_closed = False

    def join(self) -> Outbox:
        """Return the outbox of a new listener, who hears what is said from now on."""
        outbox = Outbox(self._max_outbox_bytes)
        self._outboxes.append(outbox)
        if self._is_closed:
            outbox.close()
        return outbox

    def leave(self, outbox: Outbox) -> None:
        """Drop a listener; what waits for it is lost. Safe to call again."""
        outbox.close()
        if outbox in self._outboxes:
            self._outboxes.remove(outbox)

    def put(self, event: wire.ServerEvent, timeline: Timeline | None = None) -> None:
        """Say something to everybody. Never waits."""
        if self._is_closed:
            return
        entry = self._entry(event, timeline)
        for outbox in self._outboxes:
            outbox.put(entry)
        self._kept.append(entry)
        self._kept_bytes += entry.size
        while self._kept_bytes > MAX_KEPT_BYTES:
            self._kept_bytes -= self._kept.popleft().size

    def tell(self, outbox: Outbox, event: wire.ServerEvent) -> None:
        """Say something to one listener."""
        if not self._is_closed:
            outbox.put(self._entry(event, None))

    def repeat(self, outbox: Outbox, last_id: str) -> None:
        """Say again to one listener what was said after an event, as far as it is kept."""
        number = last_id.removeprefix(_ID)
        if not (number.isascii() and number.isdecimal() and len(number) < 12):
            return
        for entry in self._kept:
            if entry.number > int(number):
                outbox.put(entry)

    def close(self) -> None:
        """Nothing more will be said; outboxes end once they are empty."""
        self._is_closed = True
        for outbox in self._outboxes:
            outbox.close()

    def _entry(self, event: wire.ServerEvent, timeline: Timeline | None) -> Entry:
        self._num_said += 1
        event.event_id = f"{_ID}{self._num_said:06d}"
        return Entry(self._num_said, event, timeline)
