"""
What the engine computes next. Knows counts and rows; no tensor, no socket, no clock.

Work comes in three kinds of step: encode one bounded stretch of a picture or clip, prefill
one bounded range of one sequence, decode one token for every ready sequence of one adapter.

* Between two steps of the first two kinds every adapter with ready sequences decodes
  once, so nobody's next token waits longer than one chunk (and one step of each adapter).
  Chunks are shorter while somebody decodes.
* The rest of a prompt whose reply is waited for goes before reading ahead, but of
  ``MAX_TAIL_RUN`` + 1 chunks one is reading ahead, so that neither starves.
* Within each of the two, sequences take turns, one chunk each.
* Prompts of replies are read together as long as they owe no more than
  ``max_waited_tokens``: whoever came first is answered sooner than if all took turns. What
  fits into one chunk never waits for that.
* A speculative reply gets a step when nobody else has one to make, so it holds up others
  by the one step under way at most. It pauses, and goes on where it stopped.
* A sequence in the background comes after everything else, and gets the step after
  ``max_passed_over`` steps of others, so that it ends under any load.

A sequence needs a row of the cache while it has work. When none is free, the row used
least recently by a sequence without work is taken; for a reply that is waited for also
that of one that speculates, or of one that only reads ahead. Speculation takes nobody's
row, and the background has one of its own. What is taken is computed again when its owner
has work: the owner loses time, never content. A reply waits while all rows belong to
replies, first come first served, and gives up after ``admission_timeout_s``.
"""

from dataclasses import dataclass

from assistant.config import EngineConfig
from assistant.engine.background import Background
from assistant.engine.sequence import Chunk, Sequence
from assistant.engine.slots import Slots
from assistant.wire.link import Adapter

MAX_TAIL_RUN = 3
MAX_PASSED_OVER = 64
"""At 30 ms a step the background goes on every two seconds."""
MIN_CHUNK_TOKENS = 16
"""Fewer would read all weights for next to nothing."""


def shared_chunk_tokens(config: EngineConfig, tokens_per_s: float) -> int:
    """Return how many tokens are read within ``max_chunk_ms``, within bounds."""
    affordable = tokens_per_s * config.max_chunk_ms / 1000
    return int(min(config.prefill_chunk_tokens, max(affordable, MIN_CHUNK_TOKENS)))


@dataclass(frozen=True, slots=True)
class Encode:
    """Run the encoder over the next stretch of one picture or clip."""

    sequence: Sequence
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Prefill:
    """Compute positions ``[start, stop)`` of one sequence in its row."""

    sequence: Sequence
    slot: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Decode:
    """Compute the last position of several sequences of one adapter."""

    adapter: Adapter
    sequences: tuple[Sequence, ...]
    slots: tuple[int, ...]


Step = Encode | Prefill | Decode


class Scheduler:
    """Choose steps for the sequences it was told about."""

    def __init__(
        self,
        slots: Slots[Sequence],
        prefill_chunk_tokens: int,
        admission_timeout_s: float,
        shared_chunk_tokens: int | None = None,
        max_waited_tokens: int | None = None,
        max_passed_over: int = MAX_PASSED_OVER,
    ) -> None:
        """Read ``shared_chunk_tokens`` at once while replies are written, if given."""
        self.slots = slots
        self.prefill_chunk_tokens = prefill_chunk_tokens
        self.shared_chunk_tokens = shared_chunk_tokens or prefill_chunk_tokens
        self.max_waited_tokens = max_waited_tokens
        self.max_passed_over = max_passed_over
        self.admission_timeout_s = admission_timeout_s
        # Dictionaries serve as ordered sets: who comes first is served first.
        self._replying: dict[Sequence, None] = {}
        self._reading: dict[Sequence, None] = {}
        self._speculating: dict[Sequence, None] = {}
        self._admitted: dict[Sequence, None] = {}
        """Of those replying, the ones whose prompts are being read."""
        self._num_passed_over = 0
        """Steps since the background had one while it could have used it."""
        self._owed: set[Adapter] = set()
        """Adapters that decode before the next chunk may run."""
        self._turns: dict[Adapter, None] = {}
        """Adapters that decoded, the one longest ago first."""
        self._num_tail_run = 0
        self._background = Background(slots.num_slots)

    # --- what changed ------------------------------------------------------------------

    def update(self, sequence: Sequence) -> None:
        """Take note that orders, or a reply's end, changed what a sequence needs."""
        if sequence.is_background:
            self._background.update(sequence)
            return
        wanted: dict[Sequence, None] | None
        if sequence.generation is not None:
            is_speculative = sequence.generation.is_speculative
            wanted = self._speculating if is_speculative else self._replying
        else:
            wanted = self._reading if sequence.pending else None
            if sequence in self._replying or sequence in self._speculating:
                self.slots.touch(sequence)
        for ring in self._rings():
            if ring is not wanted:
                ring.pop(sequence, None)
        if wanted is not None:
            wanted.setdefault(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Forget a sequence and free its row."""
        for ring in self._rings():
            ring.pop(sequence, None)
        self._admitted.pop(sequence, None)
        self._background.remove(sequence)
        self.slots.give_back(sequence)

    def _rings(self) -> tuple[dict[Sequence, None], ...]:
        """Return those with work by what it is for, the most urgent first."""
        return self._replying, self._reading, self._speculating

    # --- rows --------------------------------------------------------------------------

    def admit(self) -> list[Sequence]:
        """Give rows to those with work; return the sequences that lost theirs."""
        evicted = self._background.admit(is_idle=not any(self._rings()))
        for waiting in self._rings():
            for sequence in waiting:
                if self.slots.get(sequence) is not None:
                    continue
                if not self.slots.num_free:
                    victim = self._find_victim(waiting)
                    if victim is None:
                        break
                    self.slots.give_back(victim)
                    victim.evict()
                    evicted.append(victim)
                self.slots.take(sequence)
        return evicted

    def _find_victim(self, waiting: dict[Sequence, None]) -> Sequence | None:
        """Return who gives up the row that somebody of this ring needs."""
        if waiting is self._speculating:
            return None
        reading = speculating = None
        for owner in self.slots.owners():
            if owner in self._speculating:
                speculating = speculating or owner
            elif owner in self._reading:
                reading = reading or owner
            elif owner not in self._replying:
                return owner
        return (speculating or reading) if waiting is self._replying else None

    def expired(self, now: float) -> list[Sequence]:
        """Return those whose reply has waited too long for a row."""
        return [
            sequence
            for sequence in self._replying
            if self.slots.get(sequence) is None
            and now - self._received_at(sequence) >= self.admission_timeout_s
        ]

    def deadline(self) -> float | None:
        """Return when ``expired`` has something to say at the earliest, if ever."""
        times = [
            self._received_at(sequence)
            for sequence in self._replying
            if self.slots.get(sequence) is None
        ]
        return min(times) + self.admission_timeout_s if times else None

    @staticmethod
    def _received_at(sequence: Sequence) -> float:
        assert sequence.generation is not None
        return sequence.generation.received_at

    # --- steps -------------------------------------------------------------------------

    def next_step(self) -> Step | None:
        """Return what to compute now; None when nobody with a row has work."""
        waiting = self._background.next
        if waiting is None:
            self._num_passed_over = 0
            return self._next_urgent_step()
        step = None
        if self._num_passed_over < self.max_passed_over:
            step = self._next_urgent_step()
        self._num_passed_over = 0 if step is None else self._num_passed_over + 1
        return step or self._do_background(waiting)

    def _next_urgent_step(self) -> Step | None:
        ready: dict[Adapter, list[Sequence]] = {}
        tails: list[Sequence] = []
        for sequence in self._with_rows(self._replying):
            if sequence.can_decode:
                ready.setdefault(sequence.adapter, []).append(sequence)
            else:
                tails.append(sequence)

        self._owed &= ready.keys()
        if not self._owed:
            chosen = self._choose_chunk(tails)
            if chosen is not None:
                self._owed = set(ready)
                return self._chunk_of(chosen, is_shared=bool(ready))
        if ready:
            return self._decode(ready)
        return self._speculate()

    def _with_rows(self, ring: dict[Sequence, None]) -> list[Sequence]:
        return [sequence for sequence in ring if self.slots.get(sequence) is not None]

    def _speculate(self) -> Step | None:
        """Return a step of whoever speculates and had none for the longest time."""
        waiting = self._with_rows(self._speculating)
        if not waiting:
            return None
        chosen = waiting[0]
        if not chosen.can_decode:
            self._take_turn(chosen, self._speculating)
            return self._chunk_of(chosen, is_shared=False)
        mates = [s for s in waiting if s.can_decode and s.adapter == chosen.adapter]
        for mate in mates:
            self._take_turn(mate, self._speculating)
        return self._decode_together(chosen.adapter, mates)

    def _do_background(self, sequence: Sequence) -> Step:
        if sequence.can_decode:
            return self._decode_together(sequence.adapter, [sequence])
        return self._chunk_of(sequence, is_shared=True)

    def _row(self, sequence: Sequence) -> int | None:
        if self._background.holds(sequence):
            return self._background.row
        return self.slots.get(sequence)

    def _take_turn(self, sequence: Sequence, ring: dict[Sequence, None]) -> None:
        del ring[sequence]
        ring[sequence] = None
        self.slots.touch(sequence)

    def being_read(self) -> list[Sequence]:
        """Return those whose prompts share ``max_waited_tokens``."""
        return list(self._admitted)

    def _within_budget(self, tails: list[Sequence]) -> list[Sequence]:
        """Return whose prompts are read now, in the order of their turns."""
        if self.max_waited_tokens is None:
            return tails
        self._admitted = {s: None for s in self._admitted if s in tails}
        num_owed = sum(sequence.num_owed for sequence in self._admitted)
        for sequence in sorted(tails, key=self._received_at):
            fits = num_owed + sequence.num_owed <= self.max_waited_tokens
            if sequence not in self._admitted and (fits or not self._admitted):
                self._admitted[sequence] = None
                num_owed += sequence.num_owed
        limit = self.prefill_chunk_tokens
        return [s for s in tails if s in self._admitted or s.num_owed <= limit]

    def _choose_chunk(self, tails: list[Sequence]) -> Sequence | None:
        tails = self._within_budget(tails)
        others = self._with_rows(self._reading)
        if tails and (not others or self._num_tail_run < MAX_TAIL_RUN):
            self._num_tail_run += 1
            chosen, ring = tails[0], self._replying
        elif others:
            self._num_tail_run = 0
            chosen, ring = others[0], self._reading
        else:
            return None
        self._take_turn(chosen, ring)
        return chosen

    def _chunk_of(self, sequence: Sequence, *, is_shared: bool) -> Encode | Prefill:
        slot = self._row(sequence)
        assert slot is not None
        start = sequence.num_computed
        limit = self.shared_chunk_tokens if is_shared else self.prefill_chunk_tokens
        stop = min(sequence.num_tokens, start + limit)
        for piece in sequence.pieces(start, stop):
            if not piece.chunk.is_encoded:
                return Encode(sequence, piece.chunk)
        return Prefill(sequence, slot, start, stop)

    def _decode(self, ready: dict[Adapter, list[Sequence]]) -> Decode:
        # Who is owed a step goes first, then whoever decoded longest ago.
        waiting = self._owed or ready.keys()
        never = [adapter for adapter in waiting if adapter not in self._turns]
        past = [adapter for adapter in self._turns if adapter in waiting]
        adapter = (never + past)[0]
        self._turns.pop(adapter, None)
        self._turns[adapter] = None
        self._owed.discard(adapter)
        return self._decode_together(adapter, ready[adapter])

    def _decode_together(self, adapter: Adapter, sequences: list[Sequence]) -> Decode:
        slots = tuple(self._row(sequence) for sequence in sequences)
        return Decode(adapter, tuple(sequences), slots)  # type: ignore[arg-type]  # all hold a row
