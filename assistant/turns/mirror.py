"""
What the engine holds for one session, as the gateway knows it without asking.

The mirror compares the prompt a turn needs with what the sequence already contains and
asks only for the difference: a rollback to the last common mark, then the rest. History,
barge-in, deleted items, aged pictures, a restarted engine and a wrong guess are all this
one rule.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from assistant.turns.prompt import REPLY_HEADER, Segment
from assistant.turns.tally import Tally
from assistant.wire import link, server_events as wire


@dataclass(slots=True)
class Cost:
    """Tokens of one segment, by kind, as the engine counted them."""

    num_text: int = 0
    num_image: int = 0
    num_audio: int = 0

    @property
    def total(self) -> int:
        return self.num_text + self.num_image + self.num_audio


@dataclass(slots=True)
class _Read:
    """A segment whose Appended is still to come."""

    key: Hashable
    is_again: bool
    is_wasted: bool = False


class Mirror:
    """The session's sequence in the engine: its number, adapter and segment keys."""

    def __init__(self, numbers: Iterator[int], *, is_background: bool = False) -> None:
        self._numbers = numbers
        self._is_background = is_background
        self.sequence: int | None = None
        self.adapter: link.Adapter = "none"
        self.tally = Tally()
        """What was read since it was last taken."""
        self._held: list[Hashable] = []
        self._awaited: list[_Read] = []
        self._costs: dict[Hashable, Cost] = {}
        self._served: set[Hashable] = set()  # segments that an answer was built on
        self._num_cached = 0  # segments that were held when the latest reply ended
        self._num_generations = 0

    def orders(
        self,
        adapter: link.Adapter,
        wanted: Sequence[Segment],
        reply_key: Hashable | None = None,
    ) -> list[link.Order]:
        """
        Return what makes the sequence hold ``wanted``, and the header of a reply if one
        is to follow. Nothing when that is what it holds, unless a reply follows.
        """
        orders: list[link.Order] = []
        if self.sequence is None or adapter != self.adapter:
            orders += self.close()
            self.sequence, self.adapter = next(self._numbers), adapter
            orders.append(link.Open(self.sequence, adapter, self._is_background))
        sequence = self.sequence
        common = self._common(wanted)
        if common < len(self._held):
            orders.append(link.Rollback(sequence, common))
            self._cut(common)
        added = list(wanted[common:])
        if reply_key is not None:
            added.append(Segment(reply_key, (REPLY_HEADER,)))
        for segment in added:
            orders.append(link.Mark(sequence, len(self._held)))
            orders.append(link.Append(sequence, list(segment.parts)))
            self._held.append(segment.key)
            self._awaited.append(_Read(segment.key, segment.key in self._served))
        return orders

    def num_common(self, wanted: Sequence[Segment]) -> int:
        """Return how many segments of a prompt are held already."""
        return self._common(wanted)

    def next_generation(self) -> int:
        """Return a number that no reply of the sequence has had."""
        self._num_generations += 1
        return self._num_generations

    def serve(self) -> None:
        """Take note that an answer is built on what is held: it was not read in vain."""
        self._served.update(self._held)

    def close(self) -> list[link.Order]:
        """Return what frees the sequence; the next ``orders`` begins a new one."""
        orders: list[link.Order] = (
            [] if self.sequence is None else [link.Close(self.sequence)]
        )
        self._cut(0)
        self.forget()
        return orders

    def forget(self) -> None:
        """The sequence is no longer there: the engine died or lost it."""
        self.sequence = None
        self._num_cached = 0
        self._held.clear()
        self._awaited.clear()

    def receive_appended(self, report: link.Appended) -> None:
        """Learn what the oldest unanswered segment cost."""
        if report.sequence == self.sequence and self._awaited:
            read = self._awaited.pop(0)
            cost = Cost(report.num_text, report.num_image, report.num_audio)
            self._costs[read.key] = cost
            self.tally.num_read += cost.total
            self.tally.num_reread += cost.total if read.is_again else 0
            self.tally.num_wasted += cost.total if read.is_wasted else 0

    def receive_reply(self, num_tokens: int) -> None:
        """Learn how many tokens the reply added to the segment that is its header."""
        cost = self._costs.get(self._held[-1]) if self._held else None
        if cost is not None:
            cost.num_text += num_tokens
        self._num_cached = len(self._held)

    def known_cost(self, segments: Sequence[Segment]) -> int:
        """
        Tokens of those segments that an answer was ever built on; others count nothing.

        Not even when they were read ahead: what a guess found out must change nothing.
        """
        keys = [s.key for s in segments if s.key in self._costs and s.key in self._served]
        return sum(self._costs[key].total for key in keys)

    def held_cost(self) -> Cost:
        """Tokens of everything held, by kind."""
        return self._cost_of(self._held)

    def _cost_of(self, keys: Sequence[Hashable]) -> Cost:
        total = Cost()
        for key in keys:
            cost = self._costs.get(key, Cost())
            total.num_text += cost.num_text
            total.num_image += cost.num_image
            total.num_audio += cost.num_audio
        return total

    def usage(self, report: link.Finished) -> wire.Usage:
        """Return what a reply took, by kind; text is what is neither picture nor sound."""
        return self._usage(report.num_prompt, report.num_cached, report.num_output)

    def usage_so_far(self, num_output: int) -> wire.Usage:
        """
        Return what a reply took that is ended here, before the engine says that it is.

        Counted is what the engine has told of: what it was still reading is not.
        """
        cached = self._cost_of(self._held[: self._num_cached])
        return self._usage(self.held_cost().total, cached.total, num_output)

    def _usage(self, num_prompt: int, num_cached: int, num_output: int) -> wire.Usage:
        cost = self.held_cost()
        return wire.Usage(
            total_tokens=num_prompt + num_output,
            input_tokens=num_prompt,
            output_tokens=num_output,
            input_token_details=wire.TokenDetails(
                text_tokens=max(0, num_prompt - cost.num_image - cost.num_audio),
                audio_tokens=cost.num_audio,
                image_tokens=cost.num_image,
                cached_tokens=num_cached,
            ),
            output_token_details=wire.TokenDetails(text_tokens=num_output),
        )

    def prune_costs(self, segments: Sequence[Segment]) -> None:
        """Forget the costs of segments that are not in the prompt any more."""
        wanted = {segment.key for segment in segments} | set(self._held)
        self._costs = {key: cost for key, cost in self._costs.items() if key in wanted}
        self._served &= wanted

    def _common(self, wanted: Sequence[Segment]) -> int:
        common = 0
        for key, segment in zip(self._held, wanted, strict=False):
            if key != segment.key:
                break
            common += 1
        return common

    def _cut(self, length: int) -> None:
        """Let go of what is held beyond that many segments."""
        for key in self._held[length:]:
            if key in self._served:
                continue
            read = next(
                (r for r in self._awaited if r.key == key and not r.is_wasted), None
            )
            if read is not None:
                read.is_wasted = True
            else:
                self.tally.num_wasted += self._costs.get(key, Cost()).total
        del self._held[length:]
        self._num_cached = min(self._num_cached, length)
