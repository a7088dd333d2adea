"""
PURE: when a packet's content was captured, in session seconds.

A stream's timestamps start anywhere and run at its own rate. Two things tie them to the
session's clock:

* Arrival. What comes late was delayed, so the least delay of the last seconds is the best
  guess at the offset. It contains the network's shortest way, which all of a peer's
  streams share, and the encoder's, which they do not.
* Sender reports (RFC 3550, 6.4.1). They say what a timestamp is on the peer's own clock,
  which its sound and its pictures share. That clock is tied to the session by the arrival
  of *sound*: positions in the sound are counted from its arrival (``turns/clock.py``), so
  a picture placed like this stands beside the sound that was captured with it.

Reports are optional, come seconds after the first packet, and some peers invent them:
one that moves a stream more than ``MAX_DISAGREEMENT_S`` away from its arrival is not
believed.
"""

import math

from assistant.media.rtp_numbers import Timestamps

WINDOW_S = 10.0
"""The least delay is looked for in the current and the last such stretch of time, so two
crystals at 100 ppm disagree by 2 ms at most and a lasting change of route is followed."""
MAX_DISAGREEMENT_S = 0.5


class LeastDelay:
    """The smallest difference between two clocks seen lately."""

    def __init__(self) -> None:
        self._began = -math.inf
        self._current = math.inf
        self._last = math.inf

    def receive(self, offset_s: float, now: float) -> None:
        """At session time ``now`` the other clock was ``offset_s`` behind."""
        if now - self._began >= WINDOW_S:
            is_next = now - self._began < 2 * WINDOW_S
            self._last = self._current if is_next else math.inf
            self._began, self._current = now, math.inf
        self._current = min(self._current, offset_s)

    @property
    def offset_s(self) -> float | None:
        least = min(self._current, self._last)
        return least if math.isfinite(least) else None


class PeerClock:
    """Session seconds of the clock that one peer's streams share."""

    def __init__(self) -> None:
        self._by_sound = LeastDelay()
        self._by_pictures = LeastDelay()

    def receive(self, peer_s: float, now: float, *, is_sound: bool) -> None:
        """What was captured at ``peer_s`` by the peer's clock has arrived."""
        delay = self._by_sound if is_sound else self._by_pictures
        delay.receive(now - peer_s, now)

    def seconds(self, peer_s: float) -> float | None:
        """Return the session time, or None while no stream tells."""
        offset_s = self._by_sound.offset_s
        if offset_s is None:
            offset_s = self._by_pictures.offset_s
        return None if offset_s is None else peer_s + offset_s


class StreamClock:
    """Session seconds of one stream's RTP timestamps."""

    def __init__(
        self, rate_hz: int, peer: PeerClock | None = None, *, is_sound: bool = False
    ) -> None:
        self._rate_hz = rate_hz
        self._peer = peer or PeerClock()
        self._is_sound = is_sound
        self._timestamps = Timestamps()
        self._arrival = LeastDelay()
        self._report: tuple[int, float] | None = None

    def restart(self) -> None:
        """Forget the sender; a report that came before its first packet stays."""
        if self._arrival.offset_s is not None:
            self._timestamps = Timestamps()
            self._arrival = LeastDelay()
            self._report = None

    def arrived(self, timestamp: int, now: float) -> None:
        """A packet whose content was whole at this 32-bit timestamp has arrived."""
        ticks = self._timestamps.receive(timestamp)
        self._arrival.receive(now - ticks / self._rate_hz, now)
        peer_s = self._peer_seconds(timestamp)
        if peer_s is not None:
            self._peer.receive(peer_s, now, is_sound=self._is_sound)

    def reported(self, timestamp: int, ntp_s: float) -> None:
        """The peer's clock showed ``ntp_s`` at this 32-bit timestamp."""
        self._report = (timestamp, ntp_s)

    def seconds(self, timestamp: int) -> float | None:
        """Return the session time of a 32-bit timestamp; None before any packet came."""
        by_arrival = self.arrival_s(timestamp)
        if by_arrival is None:
            return None
        peer_s = self._peer_seconds(timestamp)
        by_report = None if peer_s is None else self._peer.seconds(peer_s)
        if by_report is None or abs(by_report - by_arrival) > MAX_DISAGREEMENT_S:
            return by_arrival
        return by_report

    def arrival_s(self, timestamp: int) -> float | None:
        """Return when what is whole at a timestamp would have come by the quickest way."""
        offset_s = self._arrival.offset_s
        if offset_s is None:
            return None
        return self._timestamps.near(timestamp) / self._rate_hz + offset_s

    def _peer_seconds(self, timestamp: int) -> float | None:
        if self._report is None:
            return None
        reported, ntp_s = self._report
        ticks = (timestamp - reported + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        return ntp_s + ticks / self._rate_hz
