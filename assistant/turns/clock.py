"""
One session clock for sound and pictures.

Sound is counted in samples, frames carry times of the client's own clock, and both arrive
late by an unknown and varying delay. The smallest delay seen is the best estimate of the
offset between two clocks, so that is what is kept.
"""

SAMPLE_RATE_HZ = 16_000

GAP_S = 0.25
"""Audio this much later than its clock says was not delayed: the client had stopped
sending (a muted microphone), and its clock starts anew."""

DRIFT_S_PER_S = 100e-6
"""How much a kept offset may be wrong after a second: two crystals at their tolerance."""


class AudioClock:
    """Session seconds of a sample index."""

    def __init__(self) -> None:
        self._offset_s: float | None = None

    def receive(self, end: int, now: float) -> None:
        """Samples up to index ``end`` have arrived at session time ``now``."""
        offset_s = now - end / SAMPLE_RATE_HZ
        known = self._offset_s
        if known is None or offset_s < known or offset_s > known + GAP_S:
            self._offset_s = offset_s

    def seconds(self, sample: int) -> float:
        """Session time at which that sample was captured (delay of the network left in)."""
        return sample / SAMPLE_RATE_HZ + (self._offset_s or 0.0)


class FrameClock:
    """Session seconds of a client's timestamp."""

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._last_now = 0.0

    def captured(self, timestamp_ms: float | None, now: float) -> float:
        """Return the capture time: by the client's clock if it gave one, else arrival."""
        if timestamp_ms is None:
            return now
        offset_s = now - timestamp_ms / 1000
        if self._offset_s is not None:
            self._offset_s += (now - self._last_now) * DRIFT_S_PER_S
        if (
            self._offset_s is None
            or offset_s < self._offset_s
            or offset_s > self._offset_s + 30
        ):
            # Half a minute is no network delay: the client's clock was set anew.
            self._offset_s = offset_s
        self._last_now = now
        return timestamp_ms / 1000 + self._offset_s
