"""
PURE: RTP packets of a camera to encoded frames, in order.

A frame is the packets of one timestamp, in a row, up to the marker. Frames build on each
other, so one comes out only if it follows the last one or is a key frame. Behind a
missing packet everything waits ``MAX_WAIT_S`` for it to be sent again; then, or as soon
as a whole key frame has come, what was before is forgotten. While ``is_broken`` only a
key frame helps.

Bounded: at most ``MAX_PACKETS`` and ``MAX_BYTES`` wait; beyond that all of them are
forgotten, and a key frame is needed.
"""

from collections.abc import Callable
from dataclasses import dataclass

from assistant.media.rtp_numbers import Numbered, SequenceNumbers

MAX_WAIT_S = 0.3
MAX_PACKETS = 2048
MAX_BYTES = 4 * 2**20
"""A key frame of 1920x1080 takes a tenth of that."""
MAX_PACKETS_WITHOUT_KEY = 128
"""Kept while nothing helps but a key frame whose first packet has not come."""
MAX_KEY_STARTS = 16


DAMAGED = (0, 0)
"""The size of a frame that says something impossible of it."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """What one packet contributes to a frame: its payload without the RTP wrapping."""

    data: bytes
    """Goes behind that of the packet before; empty if the packet only fills bandwidth."""
    starts: bool
    """A frame begins here, even if the packet before is not known."""
    is_key: bool
    """It seems to be of a frame that needs no other one to be decoded."""


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One frame as the camera's encoder wrote it."""

    timestamp: int
    """As it was sent, 32 bits."""
    data: bytes
    is_key: bool
    """It needs no other frame."""
    follows: bool
    """Nothing is missing between the frame before and this one."""
    arrived: float
    """Session seconds at which its last packet came."""


@dataclass(frozen=True, slots=True)
class _Packet:
    timestamp: int
    marker: bool
    fragment: Fragment
    arrived: float


class FrameAssembler:
    """Puts one camera's frames together."""

    def __init__(self, depacketise: Callable[[bytes], Fragment | None]) -> None:
        self.num_packets = 0
        self.num_malformed = 0
        """Packets that are none of this codec; they count as missing."""
        self.num_unbelieved = 0
        self.num_forgotten = 0
        """Packets that came to nothing."""
        self.is_broken = True
        self._depacketise = depacketise
        self._numbers = SequenceNumbers()
        self._next = 0
        """The number at which the next frame begins."""
        self._scanned = 0
        """[_next, _scanned) are there and of one frame."""
        self._end = 0
        """One past the highest number received."""
        self._waiting: dict[int, _Packet] = {}
        self._num_bytes = 0
        self._key_starts: list[int] = []
        """Numbers in ``_waiting`` at which a key frame may begin."""
        self._stuck_since: float | None = None

    def receive(
        self, sequence: int, timestamp: int, marker: bool, payload: bytes, now: float
    ) -> tuple[Numbered | None, list[EncodedFrame]]:
        """Take a packet; return its number, if it is believed, and what is whole by it."""
        self.num_packets += 1
        numbered = self._numbers.receive(sequence)
        if numbered is None:
            self.num_unbelieved += 1
            return None, []
        if numbered.restarted:
            self._forget()
        number = numbered.number
        if number in self._waiting or (not self.is_broken and number < self._next):
            return numbered, []
        fragment = self._depacketise(payload)
        if fragment is None:
            self.num_malformed += 1
            return numbered, []
        self._waiting[number] = _Packet(timestamp, marker, fragment, now)
        self._num_bytes += len(fragment.data)
        self._end = max(self._end, number + 1)
        if fragment.starts and fragment.is_key:
            self._key_starts = sorted([*self._key_starts, number])[-MAX_KEY_STARTS:]
        if len(self._waiting) > MAX_PACKETS or self._num_bytes > MAX_BYTES:
            self._forget()
        return numbered, self._whole(now)

    def restart(self) -> None:
        """The next packet is the first of another sender (a new SSRC)."""
        self._numbers.forget()

    def _whole(self, now: float) -> list[EncodedFrame]:
        frames = []
        while (frame := self._following() or self._key_frame()) is not None:
            frames.append(frame)
        if frames or not self._has_hole():
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = now
        elif now - self._stuck_since > MAX_WAIT_S:
            self.is_broken = True
        if self.is_broken:
            self._prune()
        return frames

    def _has_hole(self) -> bool:
        return not self.is_broken and self._scanned < self._end

    def _following(self) -> EncodedFrame | None:
        """Return the frame that follows the last one, if all of it is there."""
        if self.is_broken:
            return None
        while (packet := self._waiting.get(self._next)) and not packet.fragment.data:
            self._take(self._next, self._next + 1, follows=True)
        if packet is None:
            return None
        self._scanned, is_whole = self._scan(self._next, max(self._next, self._scanned))
        return self._take(self._next, self._scanned, follows=True) if is_whole else None

    def _key_frame(self) -> EncodedFrame | None:
        """Return a whole key frame, if one has come behind what is missing."""
        if not self.is_broken and not self._has_hole():
            return None
        for first in self._key_starts:
            end, is_whole = self._scan(first, first)
            if is_whole:
                self._drop_before(first)
                self.is_broken = False
                return self._take(first, end, follows=False)
        return None

    def _scan(self, first: int, at: int) -> tuple[int, bool]:
        """Return where the frame from ``first`` on ends, or how far of it is there."""
        timestamp = self._waiting[first].timestamp
        while (packet := self._waiting.get(at)) is not None:
            if packet.timestamp != timestamp:
                return at, True
            at += 1
            if packet.marker:
                return at, True
        return at, False

    def _take(self, first: int, end: int, *, follows: bool) -> EncodedFrame:
        packets = [self._waiting.pop(number) for number in range(first, end)]
        data = b"".join(packet.fragment.data for packet in packets)
        self._num_bytes -= len(data)
        self._next = self._scanned = end
        self._key_starts = [start for start in self._key_starts if start >= end]
        return EncodedFrame(
            packets[0].timestamp,
            data,
            any(packet.fragment.is_key for packet in packets),
            follows,
            max(packet.arrived for packet in packets),
        )

    def _drop_before(self, number: int) -> None:
        for old in [old for old in self._waiting if old < number]:
            self._num_bytes -= len(self._waiting.pop(old).fragment.data)
            self.num_forgotten += 1
        self._key_starts = [start for start in self._key_starts if start >= number]

    def _prune(self) -> None:
        """Keep only what a key frame may be made of."""
        if self._key_starts:
            self._drop_before(self._key_starts[0])
        elif len(self._waiting) > MAX_PACKETS_WITHOUT_KEY:
            self._drop_before(sorted(self._waiting)[-MAX_PACKETS_WITHOUT_KEY])

    def _forget(self) -> None:
        self._drop_before(self._end)
        self._stuck_since = None
        self.is_broken = True
