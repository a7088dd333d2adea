"""
One session clock for sound and pictures.

Sound is counted in samples, frames carry times of the client's own clock, and both arrive
late by an unknown and varying delay. The smallest delay seen is the best estimate of the
offset between two clocks, so that is what is kept.
"""

import math
from collections import deque

SAMPLE_RATE_HZ = 16_000

GAP_S = 0.25
"""Audio this much later than its clock says was not delayed: the client had stopped
sending (a muted microphone), and its clock starts anew."""

MAX_RUNS = 32
"""Gaps that are remembered; what is asked about lies in the last utterance."""

JUMP_S = 30.0
"""A frame this much later than its timestamp says was not delayed: the client's clock was
set anew."""

DRIFT_S_PER_S = 100e-6
"""How much a kept offset may be wrong after a second: two crystals at their tolerance."""


class AudioClock:
    """Session seconds of a position in the sound."""

    def __init__(self) -> None:
        # Runs of sound without a gap: the first sample, and session time less sound time.
        self._runs: deque[tuple[int, float]] = deque([(0, math.inf)], maxlen=MAX_RUNS)
        self._end = 0

    def receive(self, end: int, now: float) -> None:
        """Samples up to index ``end`` have arrived at session time ``now``."""
        offset_s = now - end / SAMPLE_RATE_HZ
        start, known_s = self._runs[-1]
        if offset_s < known_s:
            self._runs[-1] = (start, offset_s)
        elif offset_s > known_s + GAP_S:
            self._runs.append((self._end, offset_s))
        self._end = end

    def seconds(self, sample: int) -> float:
        """
        Session time of a position between two samples (delay of the network left in).

        In a gap that is the end of what came before it.
        """
        _, offset_s = next(
            (run for run in reversed(self._runs) if run[0] < sample), self._runs[0]
        )
        return sample / SAMPLE_RATE_HZ + (offset_s if math.isfinite(offset_s) else 0.0)


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
            or offset_s > self._offset_s + JUMP_S
        ):
            self._offset_s = offset_s
        self._last_now = now
        return timestamp_ms / 1000 + self._offset_s
