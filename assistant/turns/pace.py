"""
How fast a client may send sound: as much at once as a bound says, then as it is spoken.

A recording may come at once, and a line that was held up may catch up. Sound that goes on
coming faster than anybody speaks is refused, and whoever does not stop is to be let go:
judging it would take time from everybody else.
"""

from assistant.config import LimitsConfig
from assistant.turns.clock import SAMPLE_RATE_HZ
from assistant.wire import refusals

REFILL = 1.25
"""Seconds of sound taken per second beyond the reserve, since clocks differ."""


class Pace:
    """Counts one client's sound against time."""

    def __init__(self, limits: LimitsConfig) -> None:
        self._limits = limits
        self._credit_s = self._patience_s = limits.audio_ahead_s
        self._last = 0.0

    @property
    def is_flood(self) -> bool:
        """True once as much was refused as might have come at once."""
        return self._patience_s < 0

    def check_size(self, num_bytes: int) -> None:
        """Raise EventRefused when one event has more sound than one may have."""
        limit = self._limits.audio_append_bytes
        if num_bytes > limit:
            reason = f"{num_bytes} bytes, the bound is {limit}."
            raise refusals.invalid_value("audio", reason)

    def take(self, num_samples: int, now: float) -> None:
        """
        Count sound that arrived at session time ``now``, in samples at 16 kHz.

        Raises:
            EventRefused: It is too far ahead of time; none of it is to be heard.
        """
        reserve_s, passed_s = self._limits.audio_ahead_s, max(0.0, now - self._last)
        self._last = max(now, self._last)
        self._credit_s = min(reserve_s, self._credit_s + REFILL * passed_s)
        self._patience_s = min(reserve_s, self._patience_s + passed_s)
        duration_s = num_samples / SAMPLE_RATE_HZ
        if duration_s > self._credit_s:
            self._patience_s -= duration_s
            raise refusals.audio_too_fast(reserve_s)
        self._credit_s -= duration_s
