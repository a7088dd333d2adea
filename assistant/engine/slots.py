"""
Rows of the KV cache, and which sequence holds which.

A sequence keeps its row between turns, because what is computed in it is what makes its
next reply fast; a row changes hands only when somebody needs one and none is free. Knows
nothing of tensors: a slot is an integer.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Owner = TypeVar("Owner", bound=Hashable)


class Slots(Generic[Owner]):
    """Hand out ``num_slots`` rows; remember who used theirs least recently."""

    def __init__(self, num_slots: int) -> None:
        self.num_slots = num_slots
        # The lowest row goes first: it is the one most likely to be warm already.
        self._free = list(range(num_slots - 1, -1, -1))
        self._held: dict[Owner, int] = {}  # least recently used first

    @property
    def num_free(self) -> int:
        return len(self._free)

    def get(self, owner: Owner) -> int | None:
        """Return the row this owner holds, if it holds one."""
        return self._held.get(owner)

    def take(self, owner: Owner) -> int | None:
        """Give the owner a free row and return it; None when there is none."""
        assert owner not in self._held, "an owner holds one row at most"
        if not self._free:
            return None
        slot = self._free.pop()
        self._held[owner] = slot
        return slot

    def give_back(self, owner: Owner) -> None:
        """Free the owner's row, if it holds one."""
        slot = self._held.pop(owner, None)
        if slot is not None:
            self._free.append(slot)

    def touch(self, owner: Owner) -> None:
        """Take note that the owner uses its row now."""
        if owner in self._held:
            self._held[owner] = self._held.pop(owner)

    def owners(self) -> Iterator[Owner]:
        """Yield those who hold a row, least recently used first."""
        return iter(self._held)
