"""
Work that waits until there is no other: transcripts, which somebody wants, but not soon.

It has one row of the cache, behind those of the slots and for nothing else. So it never
costs a conversation what was read of it, and is done one sequence after the other, first
come first served. Knows counts and rows; which step is due, the scheduler says.
"""

from assistant.engine.sequence import Sequence

NUM_ROWS = 1
"""Rows that a backend has beside those of its slots."""


class Background:
    """The sequences in the background, and which of them has the row."""

    def __init__(self, row: int) -> None:
        self.row = row
        self._waiting: dict[Sequence, None] = {}  # an ordered set: those with work
        self._owner: Sequence | None = None

    def update(self, sequence: Sequence) -> None:
        """Take note that orders, or a reply's end, changed what a sequence needs."""
        if sequence.generation is not None or sequence.pending:
            self._waiting.setdefault(sequence)
        else:
            self._waiting.pop(sequence, None)

    def remove(self, sequence: Sequence) -> None:
        """Forget a sequence and free the row if it was its."""
        self._waiting.pop(sequence, None)
        if self._owner is sequence:
            self._owner = None

    def admit(self) -> list[Sequence]:
        """Give the row to who is next, once its owner has no work; return who lost it."""
        if not self._waiting or self._owner in self._waiting:
            return []
        loser, self._owner = self._owner, next(iter(self._waiting))
        if loser is None:
            return []
        loser.evict()
        return [loser]

    def holds(self, sequence: Sequence) -> bool:
        """Return whether the row is this sequence's."""
        return self._owner is sequence

    @property
    def next(self) -> Sequence | None:
        """Who has the row and work to do."""
        return self._owner if self._owner in self._waiting else None
