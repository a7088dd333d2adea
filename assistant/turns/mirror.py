"""
What the engine holds for one session, as the gateway knows it without asking.

The mirror compares the prompt a turn needs with what the sequence already contains and
asks only for the difference: a rollback to the last common mark, then the rest. History,
barge-in, deleted items, aged pictures and a restarted engine are all this one rule.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from assistant.turns.prompt import REPLY_HEADER, Segment
from assistant.wire import link


@dataclass(slots=True)
class Cost:
    """Tokens of one segment, by kind, as the engine counted them."""

    num_text: int = 0
    num_image: int = 0
    num_audio: int = 0

    @property
    def total(self) -> int:
        return self.num_text + self.num_image + self.num_audio


class Mirror:
    """The session's sequence in the engine: its number, adapter and segment keys."""

    def __init__(self, numbers: Iterator[int]) -> None:
        self._numbers = numbers
        self.sequence: int | None = None
        self._adapter: link.Adapter = "none"
        self._held: list[Hashable] = []
        self._awaited: list[Hashable] = []  # segments whose Appended is still to come
        self._costs: dict[Hashable, Cost] = {}

    def orders(
        self, adapter: link.Adapter, wanted: Sequence[Segment], reply_key: Hashable
    ) -> list[link.Order]:
        """Return what makes the sequence hold ``wanted`` and the header of a reply."""
        orders: list[link.Order] = []
        if self.sequence is None or adapter != self._adapter:
            orders += self.close()
            self.sequence, self._adapter = next(self._numbers), adapter
            orders.append(link.Open(self.sequence, adapter))
        sequence = self.sequence
        common = self._common(wanted)
        if common < len(self._held):
            orders.append(link.Rollback(sequence, common))
            del self._held[common:]
        for segment in [*wanted[common:], Segment(reply_key, (REPLY_HEADER,))]:
            orders.append(link.Mark(sequence, len(self._held)))
            orders.append(link.Append(sequence, list(segment.parts)))
            self._held.append(segment.key)
            self._awaited.append(segment.key)
        return orders

    def close(self) -> list[link.Order]:
        """Return what frees the sequence; the next ``orders`` begins a new one."""
        orders: list[link.Order] = (
            [] if self.sequence is None else [link.Close(self.sequence)]
        )
        self.forget()
        return orders

    def forget(self) -> None:
        """The sequence is no longer there: the engine died or lost it."""
        self.sequence = None
        self._held.clear()
        self._awaited.clear()

    def receive_appended(self, report: link.Appended) -> None:
        """Learn what the oldest unanswered segment cost."""
        if report.sequence == self.sequence and self._awaited:
            key = self._awaited.pop(0)
            self._costs[key] = Cost(report.num_text, report.num_image, report.num_audio)

    def receive_reply(self, num_tokens: int) -> None:
        """Learn how many tokens the reply added to the segment that is its header."""
        cost = self._costs.get(self._held[-1]) if self._held else None
        if cost is not None:
            cost.num_text += num_tokens

    def known_cost(self, segments: Sequence[Segment]) -> int:
        """Tokens of those segments that were ever appended; unknown ones count nothing."""
        return sum(self._costs[s.key].total for s in segments if s.key in self._costs)

    def held_cost(self) -> Cost:
        """Tokens of everything held, by kind."""
        total = Cost()
        for key in self._held:
            cost = self._costs.get(key, Cost())
            total.num_text += cost.num_text
            total.num_image += cost.num_image
            total.num_audio += cost.num_audio
        return total

    def prune_costs(self, segments: Sequence[Segment]) -> None:
        """Forget the costs of segments that are not in the prompt any more."""
        wanted = {segment.key for segment in segments} | set(self._held)
        self._costs = {key: cost for key, cost in self._costs.items() if key in wanted}

    def _common(self, wanted: Sequence[Segment]) -> int:
        common = 0
        for key, segment in zip(self._held, wanted, strict=False):
            if key != segment.key:
                break
            common += 1
        return common
