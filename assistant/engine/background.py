"""
Work that waits until there is no other: transcripts, which somebody wants, but not soon.

It has one row of the cache, behind those of the slots and for nothing else. So it never
costs a conversation what was read of it, and is done one sequence after the other, first
come first served, replies before what is only read ahead. Knows counts and rows; which
step is due, the scheduler says.

Whoever has the row keeps it until his work is done; a reply is thus written in one go.
What is read ahead may be lost to somebody else and be read again ``MAX_LOSSES`` times.
After that it is read when its reply is asked for, or when nobody has any other work.
"""

from itertools import chain

from assistant.engine.sequence import Sequence

NUM_ROWS = 1
"""Rows that a backend has beside those of its slots."""
MAX_LOSSES = 2


class Background:
    """The sequences in the background, and which of them has the row."""

    def __init__(self, row: int) -> None:
        self.row = row
        self._waiting: dict[Sequence, None] = {}  # an ordered set: those with work
        self._owner: Sequence | None = None
        self._losses: dict[Sequence, int] = {}
        """How often each lost the row since its latest reply."""

    def update(self, sequence: Sequence) -> None:
        """Take note that orders, or a reply's end, changed what a sequence needs."""
        if sequence.generation is not None or sequence.pending:
            self._waiting.setdefault(sequence)
        else:
            self._waiting.pop(sequence, None)

    def remove(self, sequence: Sequence) -> None:
        """Forget a sequence and free the row if it was its."""
        self._waiting.pop(sequence, None)
        self._losses.pop(sequence, None)
        if self._owner is sequence:
            self._owner = None

    def admit(self, *, is_idle: bool) -> list[Sequence]:
        """
        Give the row to who is next, once its owner has no work; return who lost it.

        ``is_idle`` says that there is no work but that of the background.
        """
        if self._owner in self._waiting:
            return []
        replying = (s for s in self._waiting if s.generation is not None)
        reading = (
            s for s in self._waiting if is_idle or self._losses.get(s, 0) < MAX_LOSSES
        )
        chosen = next(chain(replying, reading), None)
        if chosen is None:
            return []
        if chosen.generation is not None:
            self._losses.pop(chosen, None)
        loser, self._owner = self._owner, chosen
        if loser is None:
            return []
        self._losses[loser] = self._losses.get(loser, 0) + 1
        loser.evict()
        return [loser]

    def holds(self, sequence: Sequence) -> bool:
        """Return whether the row is this sequence's."""
        return self._owner is sequence

    @property
    def next(self) -> Sequence | None:
        """Who has the row and work to do."""
        return self._owner if self._owner in self._waiting else None
