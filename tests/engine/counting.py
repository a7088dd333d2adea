"""A scheduler whose steps are carried out by counting, and what must hold of each."""

from assistant.engine.scheduler import (
    MAX_PASSED_OVER,
    Decode,
    Encode,
    Prefill,
    Scheduler,
    Step,
)
from assistant.engine.sequence import Chunk, Sequence, text_chunk
from assistant.engine.slots import Slots
from assistant.wire.link import Adapter, Sampling

CHUNK_TOKENS = 16
ADAPTERS: tuple[Adapter, ...] = ("none", "speech", "vision")


class Bench:
    """Some sequences and their scheduler."""

    def __init__(
        self,
        num_slots: int,
        shared_chunk_tokens: int | None = None,
        max_waited_tokens: int | None = None,
        max_passed_over: int = MAX_PASSED_OVER,
    ) -> None:
        self.slots: Slots[Sequence] = Slots(num_slots)
        self.scheduler = Scheduler(
            self.slots,
            CHUNK_TOKENS,
            10.0,
            shared_chunk_tokens,
            max_waited_tokens,
            max_passed_over,
        )
        self.max_waited_tokens = max_waited_tokens
        self.max_passed_over = max_passed_over
        self.num_passed_over = 0
        self.sequences: list[Sequence] = []
        self.num_ended = 0

    def open(self, adapter: Adapter = "none", *, is_background: bool = False) -> Sequence:
        key = 0, len(self.sequences)
        sequence = Sequence(key, adapter, max_tokens=400, is_background=is_background)
        self.sequences.append(sequence)
        return sequence

    def append(self, sequence: Sequence, *chunks: Chunk) -> None:
        sequence.append(chunks)
        sequence.pop_prefilled()
        self.scheduler.update(sequence)

    def generate(
        self,
        sequence: Sequence,
        num_tokens: int = 5,
        now: float = 0.0,
        *,
        is_speculative: bool = False,
    ) -> None:
        sampling = Sampling(max_tokens=num_tokens)
        sequence.begin(1, sampling, now, is_speculative=is_speculative)
        self.scheduler.update(sequence)

    def promote(self, sequence: Sequence, now: float = 0.0) -> None:
        sequence.promote(1, now)
        self.scheduler.update(sequence)

    def end(self, sequence: Sequence) -> None:
        sequence.end()
        self.num_ended += 1
        self.scheduler.update(sequence)

    def step(self) -> Step | None:
        for victim in self.scheduler.admit():
            assert victim.generation is None or is_speculative(victim)
            has_work = victim.generation is not None or bool(victim.pending)
            assert not (victim.is_background and has_work), "the background lost its row"
        self.check_rows()
        step = self.scheduler.next_step()
        if step is None:
            assert not any(self.is_able(s) for s in self.sequences), "idle beside work"
            self.num_passed_over = 0
        else:
            self.check(step)
            self.check_priority(step)
            self.check_budget(step)
            self.carry_out(step)
        return step

    def carry_out(self, step: Step) -> None:
        match step:
            case Encode():
                assert isinstance(step.chunk.media, int)
                step.chunk.media -= 1
                step.chunk.is_encoded = step.chunk.media == 0
            case Prefill():
                step.sequence.receive_computed(step.stop)
                if step.stop == step.sequence.num_tokens:
                    self.receive_token(step.sequence)
            case Decode():
                for sequence in step.sequences:
                    sequence.receive_computed(sequence.num_tokens)
                    self.receive_token(sequence)

    def receive_token(self, sequence: Sequence) -> None:
        sequence.pop_prefilled()
        if sequence.generation is not None:
            sequence.append_token(7)
            if sequence.num_output == sequence.generation.sampling.max_tokens:
                self.end(sequence)
        self.scheduler.update(sequence)

    def run(self, limit: int = 10_000) -> list[Step]:
        steps: list[Step] = []
        while (step := self.step()) is not None:
            steps.append(step)
            assert len(steps) < limit, "the work never ends"
        return steps

    # --- invariants --------------------------------------------------------------------

    def check_rows(self) -> None:
        held = [self.slots.get(s) for s in self.sequences if self.slots.get(s) is not None]
        assert len(set(held)) == len(held), "a row has two owners"
        assert len(held) + self.slots.num_free == self.slots.num_slots, "a row is lost"
        behind = [s for s in self.sequences if self.row(s) == self.slots.num_slots]
        assert len(behind) <= 1, "two in the one row of the background"
        assert all(s.is_background for s in behind)
        assert not any(s.is_background for s in self.slots.owners()), "took one's row"
        for sequence in self.sequences:
            if self.row(sequence) is None:
                assert sequence.num_computed == 0, "computed without a row"

    def row(self, sequence: Sequence) -> int | None:
        return self.scheduler._row(sequence)

    def is_able(self, sequence: Sequence) -> bool:
        """Return whether a step could be made for this sequence now."""
        has_work = sequence.generation is not None or bool(sequence.pending)
        return has_work and self.row(sequence) is not None

    def check_priority(self, step: Step) -> None:
        chosen = step.sequences if isinstance(step, Decode) else (step.sequence,)
        speculates = [is_speculative(sequence) for sequence in chosen]
        are_background = [sequence.is_background for sequence in chosen]
        assert len(set(are_background)) == 1, "the background makes a step longer"
        able = [s for s in self.sequences if self.is_able(s)]
        if all(are_background):
            assert len(chosen) == 1, "two in the one row of the background"
            if isinstance(step, Prefill):
                num_tokens = step.stop - step.start
                assert num_tokens <= self.scheduler.shared_chunk_tokens, "not a short one"
            is_its_turn = self.num_passed_over >= self.max_passed_over
            is_alone = all(sequence.is_background for sequence in able)
            assert is_its_turn or is_alone, "the background goes first"
            self.num_passed_over = 0
            return
        waits = any(sequence.is_background for sequence in able)
        self.num_passed_over = self.num_passed_over + 1 if waits else 0
        assert self.num_passed_over <= self.max_passed_over, "the background starves"
        if any(speculates):
            assert all(speculates), "a speculation makes a reply's step longer"
            others = [s for s in able if not is_speculative(s) and not s.is_background]
            assert not others, "a speculation goes first"

    def check_budget(self, step: Step) -> None:
        """Whoever is being read fits into the budget with those begun before."""
        if self.max_waited_tokens is None or isinstance(step, Decode):
            return
        sequence = step.sequence
        if sequence.generation is None or is_speculative(sequence):
            return
        if sequence.is_background or sequence.num_owed <= CHUNK_TOKENS:
            return
        begun = self.scheduler.being_read()
        assert sequence in begun
        owed = sum(other.num_owed for other in begun)
        assert owed <= self.max_waited_tokens or len(begun) == 1, "over the budget"

    def check(self, step: Step) -> None:
        match step:
            case Encode():
                assert not step.chunk.is_encoded
                assert step.chunk in step.sequence.chunks
            case Prefill():
                assert step.slot == self.row(step.sequence)
                assert step.start == step.sequence.num_computed
                assert 0 < step.stop - step.start <= CHUNK_TOKENS
                pieces = step.sequence.pieces(step.start, step.stop)
                assert all(piece.chunk.is_encoded for piece in pieces)
                assert sum(p.high - p.low for p in pieces) == step.stop - step.start
            case Decode():
                assert step.slots == tuple(self.row(s) for s in step.sequences)
                assert {s.adapter for s in step.sequences} == {step.adapter}
                assert all(s.can_decode for s in step.sequences)


def is_speculative(sequence: Sequence) -> bool:
    return sequence.generation is not None and sequence.generation.is_speculative


def words(num_tokens: int) -> Chunk:
    return text_chunk([1] * num_tokens)


def image(num_tokens: int, num_stretches: int = 1) -> Chunk:
    """Return a picture that takes so many steps to encode."""
    return Chunk(kind="image", num_tokens=num_tokens, media=num_stretches, is_encoded=False)


def replying(
    bench: Bench,
    adapter: Adapter = "none",
    num_tokens: int = 50,
    *,
    is_speculative: bool = False,
    is_background: bool = False,
) -> Sequence:
    """Return a sequence that is decoding."""
    sequence = bench.open(adapter, is_background=is_background)
    bench.append(sequence, words(4))
    bench.generate(sequence, num_tokens, is_speculative=is_speculative)
    while not sequence.num_output:
        bench.step()
    return sequence
