"""
The input audio buffer: what was heard and not yet committed, as sample indices.

Keeps the positions of sound (arrived, judged, committed), the utterance that is open in
it, and the clock that says when a sample was spoken. The samples are elsewhere.
"""

from collections.abc import Callable

from assistant.turns.clock import SAMPLE_RATE_HZ, AudioClock
from assistant.turns.endpointing import (
    SAMPLES_PER_MS,
    Boundary,
    Endpointer,
    Endpointing,
    HardEnd,
    SoftEnd,
)
from assistant.wire import refusals

MIN_COMMIT_SAMPLES = SAMPLE_RATE_HZ // 10  # the protocol's 100 ms
RECENT_SAMPLES = 2 * SAMPLE_RATE_HZ
"""Of quiet sound that an idle timeout commits: enough to say that nobody speaks."""
TRAILING_SAMPLES = SAMPLE_RATE_HZ // 5
"""Sound after the last speech that stays in the clip, so that no soft ending is cut off;
at most as much as a soft end waits for, so that the clip is the same at both ends."""


class InputBuffer:
    """Positions of one session's sound; indices count samples at 16 kHz from its start."""

    def __init__(self, endpointing: Endpointing, limit_s: float) -> None:
        self._endpointer = Endpointer(endpointing)
        self._trailing = _trailing(endpointing)
        self._clock = AudioClock()
        self._limit_s = limit_s
        self._heard = 0
        self._start = 0  # first sample that was not committed or cleared
        self.utterance_id: str | None = None
        """Item id that was reserved when the open utterance started."""
        self._utterance_start = 0

    def configure(self, endpointing: Endpointing) -> None:
        """Use other settings from now on; an open utterance goes on."""
        self._endpointer.configure(endpointing)
        self._trailing = _trailing(endpointing)

    def check_room(self, num_samples: int) -> None:
        """Raise EventRefused when a buffer that only the client empties would overflow."""
        if self._heard - self._start + num_samples > self._limit_s * SAMPLE_RATE_HZ:
            raise refusals.buffer_full(self._limit_s)

    def receive_audio(self, num_samples: int, now: float) -> None:
        """That many samples arrived; the oldest beyond the bound are no longer offered."""
        self._heard += num_samples
        self._clock.receive(self._heard, now)
        self._start = max(self._start, self._heard - int(self._limit_s * SAMPLE_RATE_HZ))

    def receive_probability(self, probability: float) -> list[Boundary]:
        return self._endpointer.receive(probability)

    def receive_finality(self, finality: float) -> None:
        """Take how final the running pause sounds, in [0, 1]."""
        self._endpointer.receive_finality(finality)

    def open_utterance(self, at: int, new_id: Callable[[str], str]) -> tuple[str, int]:
        """Reserve the item id of an utterance; return it and where the utterance starts."""
        self.utterance_id = new_id("item")
        self._utterance_start = max(at, self._start)
        return self.utterance_id, self._utterance_start

    @property
    def is_speech(self) -> bool:
        """Whether somebody speaks as far as the detector can tell, echoes included."""
        return self._endpointer.speaking

    @property
    def heard(self) -> int:
        """Number of samples that arrived."""
        return self._heard

    @property
    def judged(self) -> int:
        """Number of samples that the detector has judged."""
        return self._endpointer.position

    @property
    def start(self) -> int:
        """Where what is not committed yet begins: the open utterance, if there is one."""
        return self._start if self.utterance_id is None else self._utterance_start

    def utterance(self, end: SoftEnd | HardEnd) -> tuple[int, int]:
        """Return the range to commit for an utterance that ended, or may have, there."""
        return self._utterance_start, min(
            end.at + self._trailing, self._endpointer.position
        )

    def uncommitted(self) -> tuple[int, int]:
        """
        Return the range that a commit by the client takes.

        Raises:
            EventRefused: It is shorter than the protocol allows.
        """
        start = self.start
        if self._heard - start < MIN_COMMIT_SAMPLES:
            raise refusals.commit_empty((self._heard - start) * 1000 / SAMPLE_RATE_HZ)
        return start, self._heard

    def recent(self) -> tuple[int, int] | None:
        """Return the latest of what was not committed; None: not enough for a commit."""
        start = max(self.start, self._heard - RECENT_SAMPLES)
        is_enough = self._heard - start >= MIN_COMMIT_SAMPLES
        return (start, self._heard) if is_enough else None

    def committed(self, stop: int) -> None:
        """Everything before ``stop`` is part of the conversation now."""
        self._start = max(self._start, stop)
        self.utterance_id = None

    def forget_speech(self) -> None:
        """Drop an open utterance; judging goes on with the sound that comes next."""
        self.utterance_id = None
        self._endpointer.reset(self._heard)

    def clear(self) -> None:
        """Drop everything that was not committed."""
        self.forget_speech()
        self._start = self._heard

    def seconds(self, sample: int) -> float:
        """Return the session time at which the sound before a position ends."""
        return self._clock.seconds(sample)

    def times(self, start: int, stop: int) -> tuple[float, float]:
        """
        Return the session times between which a range was spoken.

        Counted back from its end: its padding may be sound from before a long gap.
        """
        stop_s = self._clock.seconds(stop)
        return stop_s - (stop - start) / SAMPLE_RATE_HZ, stop_s


def _trailing(endpointing: Endpointing) -> int:
    pause_ms = min(endpointing.soft_silence_ms, endpointing.silence_duration_ms)
    return min(TRAILING_SAMPLES, pause_ms * SAMPLES_PER_MS)


def milliseconds(sample: int) -> int:
    """Return a position as the wire counts it: in milliseconds of sound."""
    return sample * 1000 // SAMPLE_RATE_HZ
