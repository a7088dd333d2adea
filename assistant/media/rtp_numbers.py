"""
PURE: RTP's short numbers as long ones.

Sequence numbers wrap at 2^16 (every 22 minutes of 20 ms audio) and timestamps at 2^32.
Whoever orders packets wants numbers that only grow, and wants to be told when a sender
began anew instead of seeing thousands of packets as lost.
"""

from dataclasses import dataclass

MAX_DROPOUT = 3000
"""A sequence number further ahead than this is no loss (RFC 3550, A.1): a minute."""
MAX_MISORDER = 100
"""One further behind than this is no late packet (RFC 3550, A.1): two seconds."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """What a 16-bit sequence number stands for."""

    number: int
    """Counts on without wrapping."""
    restarted: bool
    """The sender has begun anew: nothing before this packet belongs to it."""


class SequenceNumbers:
    """
    Continue 16-bit sequence numbers.

    A number far from the newest is not believed until the one after it follows, as RFC
    3550 A.1 has it, so that one stray packet does not throw away a stream.
    """

    def __init__(self) -> None:
        self._newest = -1
        self._suspect: int | None = None
        self._is_new = True

    def receive(self, sequence: int) -> Numbered | None:
        """Return the number, or None for a packet that is not believed (yet)."""
        sequence &= 0xFFFF
        step = (sequence - self._newest + 0x8000 & 0xFFFF) - 0x8000
        if not self._is_new and -MAX_MISORDER <= step < MAX_DROPOUT:
            number = self._newest + step
            self._newest = max(self._newest, number)
            self._suspect = None
            return Numbered(number, restarted=False)
        if not self._is_new and sequence != self._suspect:
            self._suspect = sequence + 1 & 0xFFFF
            return None
        self._is_new, self._suspect = False, None
        # From the next multiple of 2^16 on, so that numbers grow over a restart, too.
        self._newest = (self._newest // 0x10000 + 1) * 0x10000 + sequence
        return Numbered(self._newest, restarted=True)

    def forget(self) -> None:
        """Take the next packet as the first of a new sender (another SSRC)."""
        self._is_new = True


class Timestamps:
    """Continue 32-bit timestamps; each is taken as the nearest to the one before it."""

    def __init__(self) -> None:
        self._last: int | None = None

    def receive(self, timestamp: int) -> int:
        """Return the timestamp without wrap."""
        self._last = self.near(timestamp)
        return self._last

    def near(self, timestamp: int) -> int:
        """Return what ``receive`` would, and remember nothing."""
        timestamp &= 0xFFFFFFFF
        if self._last is None:
            return timestamp
        return self._last + (timestamp - self._last + 0x80000000 & 0xFFFFFFFF) - 0x80000000
