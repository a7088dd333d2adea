"""
What arrived of one RTP stream, counted as RTCP reports it (RFC 3550, appendix A).

Pure: packets and times come in, numbers go out. Sequence numbers are extended past their
16 bits here and nowhere else; the order and the timing of the media are the business of
the receivers.
"""

from dataclasses import dataclass

MAX_MISSING = 64
"""Packets asked for again at once. More is an outage: what they held is too late."""

MAX_JUMP = 3000
"""A sequence number this far from the last one begins the stream anew (RFC 3550 A.1)."""

NTP_FRACTION = 1 << 16


@dataclass(frozen=True, slots=True)
class Report:
    """One block of a receiver report."""

    fraction_lost: int
    """Since the report before, in 1/256."""
    num_lost: int
    highest_sequence: int
    jitter: int
    """In ticks of the stream's clock."""
    last_sender_report: int
    delay: int
    """Since that sender report, in 1/65536 s."""


class Reception:
    """Statistics of one synchronisation source."""

    def __init__(self, clock_hz: int) -> None:
        self._clock_hz = clock_hz
        self._start()
        self._sender_report: tuple[int, float] | None = None

    def _start(self) -> None:
        self._first: int | None = None
        self._highest = 0  # extended: sequence number and cycles
        self._num_received = 0
        self._jitter = 0.0
        self._transit: float | None = None
        self._reported = (0, 0)  # expected and received at the last report
        self._missing: set[int] = set()  # extended

    def packet(self, sequence: int, timestamp: int, now: float) -> bool:
        """Count a packet; return whether ones before it are missing since it came."""
        if self._first is None:
            self._first = self._highest = sequence
        step = _signed16(sequence - self._highest)
        if abs(step) > MAX_JUMP:
            self._start()
            return self.packet(sequence, timestamp, now)
        extended = self._highest + step
        self._num_received += 1
        if step <= 0:
            self._missing.discard(extended)
            return False
        gap = range(max(self._highest + 1, extended - MAX_MISSING), extended)
        self._missing.update(gap)
        self._missing = {number for number in self._missing if number > extended - 512}
        self._highest = extended
        self._measure(timestamp, now)
        return len(gap) > 0

    def missing(self) -> list[int]:
        """Return the newest sequence numbers that have not come, oldest first."""
        return [number & 0xFFFF for number in sorted(self._missing)[-MAX_MISSING:]]

    def give_up(self) -> None:
        """Ask for nothing of what is missing now any more."""
        self._missing.clear()

    def sender_report(self, ntp_timestamp: int, now: float) -> None:
        """The sender said what time it was: 32 bits of seconds, 32 of fraction."""
        self._sender_report = ((ntp_timestamp >> 16) & 0xFFFFFFFF, now)

    @property
    def num_received(self) -> int:
        return self._num_received

    @property
    def num_lost(self) -> int:
        """Packets that were expected and did not come; duplicates count against it."""
        return self._num_expected - self._num_received

    @property
    def jitter_s(self) -> float:
        return self._jitter / self._clock_hz

    def report(self, now: float) -> Report:
        """Return the next report; each covers what came since the one before."""
        expected = self._num_expected - self._reported[0]
        lost = expected - (self._num_received - self._reported[1])
        self._reported = self._num_expected, self._num_received
        last, since = self._sender_report or (0, now)
        return Report(
            fraction_lost=min(255, 256 * lost // expected) if lost > 0 else 0,
            num_lost=max(-(1 << 23), min((1 << 23) - 1, self.num_lost)),
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=min(0xFFFFFFFF, int(self._jitter)),
            last_sender_report=last,
            delay=min(0xFFFFFFFF, int((now - since) * NTP_FRACTION)),
        )

    @property
    def _num_expected(self) -> int:
        return 0 if self._first is None else self._highest - self._first + 1

    def _measure(self, timestamp: int, now: float) -> None:
        # RFC 3550 A.8; the difference of transit times is taken modulo 32 bits.
        transit = now * self._clock_hz - timestamp
        if self._transit is not None:
            change = abs((transit - self._transit + 2**31) % 2**32 - 2**31)
            self._jitter += (change - self._jitter) / 16
        self._transit = transit


def _signed16(value: int) -> int:
    return ((value + 0x8000) & 0xFFFF) - 0x8000
