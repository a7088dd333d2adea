"""
What was computed before anybody could know that it is needed, and what came of it.

One tally covers a turn: from the end of the response before to the end of its own. Tokens
are counted as the engine reports them; sums of tallies are what the log and the metrics
show of a session and of the service.
"""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(slots=True)
class Tally:
    """Counts of one turn, or of many."""

    num_speculations: int = 0
    """Answers begun at a pause."""
    num_confirmed: int = 0
    """Of these, the ones that were given; the others were taken back."""
    won_s: float = 0.0
    """How much later the first token would have come without the speculation."""
    num_read: int = 0
    """Tokens of prompts that the engine was given to read."""
    num_early: int = 0
    """Of these, the ones read before the answer was asked for."""
    num_reread: int = 0
    """Of those read, the ones it had read for an earlier answer: after a change of
    adapter, a trimmed or edited history, or a new engine."""
    num_written: int = 0
    """Tokens of replies, of speculations too."""
    num_wasted: int = 0
    """Tokens read or written that no answer was built on."""

    def add(self, other: "Tally") -> None:
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))

    def take(self) -> "Tally":
        """Return the counts and begin anew."""
        taken = Tally()
        taken.add(self)
        for f in fields(self):
            setattr(self, f.name, f.default)
        return taken

    @property
    def wasted_share(self) -> float:
        """Of all tokens computed, in [0, 1]."""
        return self.num_wasted / max(1, self.num_read + self.num_written)

    def to_wire(self) -> dict[str, Any]:
        """Return what ``response.done`` says under its vendor key."""
        return {
            "speculations": self.num_speculations,
            "confirmed": self.num_confirmed,
            "won_ms": round(self.won_s * 1000, 2),
            "read_tokens": self.num_read,
            "early_tokens": self.num_early,
            "reread_tokens": self.num_reread,
            "written_tokens": self.num_written,
            "wasted_tokens": self.num_wasted,
        }

    def __str__(self) -> str:
        """Return what is worth a place in a log line."""
        return (
            f"{self.num_confirmed} of {self.num_speculations} speculations confirmed, "
            f"won {self.won_s * 1000:.0f} ms, wasted {self.num_wasted} of "
            f"{self.num_read + self.num_written} tokens, {self.num_reread} read again"
        )
