"""
What a session asks of the world of samples and pixels.

A session works with sample indices and frame ids; the bytes behind them are somewhere
else, and this is the whole of what is asked of that place.
"""

from typing import Protocol

from assistant.turns import input_items
from assistant.turns.turn import Frames


class Media(input_items.Checks, Frames, Protocol):
    """The bytes behind the indices and ids that a session works with."""

    def clip(self, start: int, stop: int) -> bytes:
        """Return float32 samples of that range, as far as the ring still has them."""

    def level_db(self, start: int, stop: int) -> float:
        """Return how loud that range is: its RMS, in dB of full scale."""

    def add_frame(self, data: bytes, captured_s: float, timestamp_ms: float | None) -> None:
        """Keep one camera frame; raises MediaError."""

    def clear_frames(self) -> None:
        """Forget all frames."""
