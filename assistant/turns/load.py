"""
How busy the engine is with the turns of this process, and what that leaves for guessing.

All sessions of a gateway share one Load. A confirmed answer is counted from the moment it
is ordered; speculations get a share of the slots that are left, so they run out before
the slots do and no confirmed turn ever finds them all taken by guesses. An engine that
answers nobody takes one guess, however few slots it has: it yields to the first turn.

Several gateways of one engine do not know of each other; the engine itself lets confirmed
work go first.
"""

from collections.abc import Hashable

from assistant.turns.tally import Tally


class Load:
    """Who is being answered and who is guessing."""

    def __init__(self) -> None:
        self.num_slots = 0  # of the engine, once one has said so
        self.total = Tally()
        """Of all turns of this process."""
        self._answering: set[Hashable] = set()
        self._speculating: dict[Hashable, None] = {}  # an ordered set, the oldest first

    @property
    def num_answering(self) -> int:
        return len(self._answering)

    @property
    def num_speculating(self) -> int:
        return len(self._speculating)

    def answer(self, who: Hashable) -> None:
        """Take note that a confirmed turn was ordered."""
        self._speculating.pop(who, None)
        self._answering.add(who)

    def speculate(self, who: Hashable) -> None:
        """Take note of a speculation that ``allows`` allowed."""
        self._speculating.setdefault(who)

    def rest(self, who: Hashable) -> None:
        """Take note that neither goes on."""
        self._speculating.pop(who, None)
        self._answering.discard(who)

    def allows(self, who: Hashable, share: float) -> bool:
        """
        Return whether ``who`` may begin, or go on with, a speculation.

        ``share`` is that of the free slots which speculations may take.
        """
        older = list(self._speculating)
        rank = older.index(who) if who in self._speculating else len(older)
        return rank < self._room(share)

    def _room(self, share: float) -> int:
        room = int(max(0, self.num_slots - len(self._answering)) * share)
        if share and self.num_slots and not self._answering:
            return max(1, room)
        return room
