"""
Sequences that answered a chat completion, kept for the next request of its conversation.

A client sends all of a conversation with each request; what the engine has read of it
need not be read again. Segments are told apart by what is in them and by whose they are,
so that nobody learns by the clock what others have sent. A sequence serves one request at
a time, and those that have served longest ago go first.
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from assistant.turns.mirror import Mirror
from assistant.turns.prompt import Segment
from assistant.wire import link

_encoder = msgspec.msgpack.Encoder()


def by_content(segments: Iterable[Segment], owner: str) -> list[Segment]:
    """
    Return segments with keys that are equal when owner and content are.

    Takes a millisecond for a megabyte of media: to be done in a thread.
    """
    found = []
    for segment in segments:
        digest = hashlib.blake2b(owner.encode(), digest_size=24)
        for part in segment.parts:
            encoded = _encoder.encode(part)
            digest.update(len(encoded).to_bytes(8, "little"))
            digest.update(encoded)
        found.append(Segment(digest.digest(), segment.parts))
    return found


class Kept:
    """The sequences that nobody uses now, of one engine at a time."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._engine: object = None
        self._mirrors: dict[Mirror, float] = {}  # when each was put here, oldest first

    def take(
        self, engine: object, adapter: link.Adapter, segments: Sequence[Segment]
    ) -> Mirror | None:
        """
        Return, and forget here, the one that has read most of a prompt; None if none has.

        ``engine`` stands for a life of the engine: what another one held is gone.
        """
        self._serve(engine)
        fitting = [mirror for mirror in self._mirrors if mirror.adapter == adapter]
        best = max(fitting, key=lambda mirror: mirror.num_common(segments), default=None)
        if best is None or not best.num_common(segments):
            return None
        del self._mirrors[best]
        return best

    def put(
        self, engine: object, mirror: Mirror, now: float, most: int
    ) -> list[link.Order]:
        """Keep a sequence; return what closes those that are more than may be kept."""
        self._serve(engine)
        self._mirrors[mirror] = now
        return self._close(len(self._mirrors) - max(0, most))

    def expire(self, now: float) -> list[link.Order]:
        """Return what closes those that nobody has come back for."""
        times = list(self._mirrors.values())
        return self._close(sum(now - put >= self._keep_s for put in times))

    def _serve(self, engine: object) -> None:
        if engine is not self._engine:
            self._engine = engine
            self._mirrors.clear()

    def _close(self, count: int) -> list[link.Order]:
        """Return what closes the oldest ones."""
        orders: list[link.Order] = []
        for mirror in list(self._mirrors)[: max(0, count)]:
            del self._mirrors[mirror]
            orders += mirror.close()
        return orders
