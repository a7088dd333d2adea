"""
Where a reply ends because it wrote one of the strings that its client named.

Tokens cut strings anywhere, so the end of what was written is held back for as long as it
may be the beginning of a stop string. A stop string itself is never shown.
"""

from collections.abc import Sequence


class StopScan:
    """Pass text on until a stop string is complete."""

    def __init__(self, stops: Sequence[str]) -> None:
        assert all(stops), "an empty string stops everything"
        self._stops = tuple(stops)
        self._held = ""
        self.is_stopped = False

    def receive(self, text: str) -> str:
        """Take what was written; return what may be shown of it and of what was held."""
        if self.is_stopped:
            return ""
        written = self._held + text
        places = [at for stop in self._stops if (at := written.find(stop)) >= 0]
        if places:
            self.is_stopped = True
            self._held = ""
            return written[: min(places)]
        num_held = self._num_undecided(written)
        self._held = written[len(written) - num_held :]
        return written[: len(written) - num_held]

    def flush(self) -> str:
        """Return what is held: nothing follows that could make it a stop string."""
        held, self._held = self._held, ""
        return held

    def _num_undecided(self, written: str) -> int:
        """Length of the longest end of ``written`` that begins a stop string."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        for length in range(min(longest, len(written)), 0, -1):
            if any(stop.startswith(written[-length:]) for stop in self._stops):
                return length
        return 0
