import random

from assistant.engine.scheduler import (
    MAX_TAIL_RUN,
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
    """A scheduler whose steps are carried out by counting."""

    def __init__(self, num_slots: int) -> None:
        self.slots: Slots[Sequence] = Slots(num_slots)
        self.scheduler = Scheduler(self.slots, CHUNK_TOKENS, admission_timeout_s=10.0)
        self.sequences: list[Sequence] = []
        self.num_ended = 0

    def open(self, adapter: Adapter = "none") -> Sequence:
        sequence = Sequence((0, len(self.sequences)), adapter, max_tokens=400)
        self.sequences.append(sequence)
        return sequence

    def append(self, sequence: Sequence, *chunks: Chunk) -> None:
        sequence.append(chunks)
        sequence.pop_prefilled()
        self.scheduler.update(sequence)

    def generate(self, sequence: Sequence, num_tokens: int = 5, now: float = 0.0) -> None:
        sequence.begin(1, Sampling(max_tokens=num_tokens), now)
        self.scheduler.update(sequence)

    def end(self, sequence: Sequence) -> None:
        sequence.end()
        self.num_ended += 1
        self.scheduler.update(sequence)

    def step(self) -> Step | None:
        self.scheduler.admit()
        self.check_rows()
        step = self.scheduler.next_step()
        if step is not None:
            self.check(step)
            self.carry_out(step)
        return step

    def carry_out(self, step: Step) -> None:
        match step:
            case Encode():
                step.chunk.is_encoded = True
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
        for sequence in self.sequences:
            if self.slots.get(sequence) is None:
                assert sequence.num_computed == 0, "computed without a row"

    def check(self, step: Step) -> None:
        match step:
            case Encode():
                assert not step.chunk.is_encoded
                assert step.chunk in step.sequence.chunks
            case Prefill():
                assert step.slot == self.slots.get(step.sequence)
                assert step.start == step.sequence.num_computed
                assert 0 < step.stop - step.start <= CHUNK_TOKENS
                pieces = step.sequence.pieces(step.start, step.stop)
                assert all(piece.chunk.is_encoded for piece in pieces)
                assert sum(p.high - p.low for p in pieces) == step.stop - step.start
            case Decode():
                assert step.slots == tuple(self.slots.get(s) for s in step.sequences)
                assert {s.adapter for s in step.sequences} == {step.adapter}
                assert all(s.can_decode for s in step.sequences)


def words(num_tokens: int) -> Chunk:
    return text_chunk([1] * num_tokens)


def image(num_tokens: int) -> Chunk:
    return Chunk(kind="image", num_tokens=num_tokens, is_encoded=False)


def replying(bench: Bench, adapter: Adapter = "none", num_tokens: int = 50) -> Sequence:
    """Return a sequence that is decoding."""
    sequence = bench.open(adapter)
    bench.append(sequence, words(4))
    bench.generate(sequence, num_tokens)
    while not sequence.num_output:
        bench.step()
    return sequence


# --- steps -----------------------------------------------------------------------------


def test_nothing_to_do_is_no_step() -> None:
    assert Bench(2).step() is None


def test_a_prompt_is_prefilled_in_bounded_chunks() -> None:
    bench = Bench(1)
    bench.append(bench.open(), words(40))
    steps = bench.run()
    assert [(s.start, s.stop) for s in steps if isinstance(s, Prefill)] == [
        (0, 16),
        (16, 32),
        (32, 40),
    ]


def test_media_are_encoded_before_the_chunk_that_needs_them() -> None:
    bench = Bench(1)
    bench.append(bench.open(), words(2), image(3), words(1), image(2), words(40))
    kinds = [type(step) for step in bench.run()]
    assert kinds == [Encode, Encode, Prefill, Prefill, Prefill]


def test_replies_of_one_adapter_decode_together_and_adapters_take_turns() -> None:
    bench = Bench(4)
    for adapter in ADAPTERS[1:] * 2:
        replying(bench, adapter)
    steps = [bench.step() for _ in range(4)]
    decodes = [step for step in steps if isinstance(step, Decode)]
    assert {step.adapter for step in decodes[:2]} == {"speech", "vision"}
    assert decodes[2:] == decodes[:2]
    assert [len(step.sequences) for step in decodes] == [2, 2, 2, 2]


def test_no_token_waits_longer_than_one_chunk() -> None:
    bench = Bench(3)
    first, second = replying(bench, "speech"), replying(bench, "vision")
    other = bench.open()
    bench.append(other, words(100))
    steps = [bench.step() for _ in range(12)]
    kinds = [
        step.adapter if isinstance(step, Decode) else "chunk" for step in steps if step
    ]
    for index in range(len(kinds) - 2):
        assert sorted(kinds[index : index + 3]) == ["chunk", "speech", "vision"]
    assert first.generation is not None
    assert second.generation is not None


def test_a_waiting_reply_goes_before_reading_ahead() -> None:
    bench = Bench(2)
    ahead, tail = bench.open(), bench.open()
    bench.append(ahead, words(100))
    bench.append(tail, words(30))
    bench.generate(tail)
    first = bench.step()
    assert isinstance(first, Prefill)
    assert first.sequence is tail


def test_reading_ahead_gets_its_share_among_many_waiting_replies() -> None:
    bench = Bench(5)
    ahead = bench.open()
    bench.append(ahead, words(30))
    for _ in range(4):
        tail = bench.open()
        bench.append(tail, words(100))
        bench.generate(tail)
    steps = [bench.step() for _ in range(2 * (MAX_TAIL_RUN + 1))]
    mine = [s for s in steps if isinstance(s, Prefill) and s.sequence is ahead]
    assert len(mine) == 2


def test_sequences_with_prompts_to_read_take_turns() -> None:
    bench = Bench(3)
    for _ in range(3):
        sequence = bench.open()
        bench.append(sequence, words(30))
        bench.generate(sequence)
    owners = [s.sequence.key[1] for s in bench.run() if isinstance(s, Prefill)]
    assert owners == [0, 1, 2, 0, 1, 2]


# --- rows ------------------------------------------------------------------------------


def test_an_idle_sequence_keeps_its_row_until_somebody_needs_it() -> None:
    bench = Bench(2)
    old, recent = bench.open(), bench.open()
    for sequence in (old, recent):
        bench.append(sequence, words(3))
        bench.run()
    bench.append(old, words(1))
    bench.run()
    newcomer = bench.open()
    bench.append(newcomer, words(2))
    assert bench.scheduler.admit() == [recent]
    assert recent.num_computed == 0
    assert old.num_computed == 4


def test_reading_ahead_does_not_take_the_row_of_one_who_reads_ahead() -> None:
    bench = Bench(1)
    first, second = bench.open(), bench.open()
    bench.append(first, words(40))
    bench.append(second, words(40))
    bench.step()
    assert bench.slots.get(second) is None
    bench.run()
    assert second.num_computed == 40  # after the first was done


def test_a_reply_takes_the_row_of_one_who_reads_ahead_and_of_no_other_reply() -> None:
    bench = Bench(2)
    busy = replying(bench)
    ahead = bench.open()
    bench.append(ahead, words(40))
    bench.step()
    late = bench.open()
    bench.append(late, words(2))
    bench.generate(late)
    assert bench.scheduler.admit() == [ahead]
    assert bench.slots.get(busy) is not None
    another = bench.open()
    bench.append(another, words(2))
    bench.generate(another)
    assert bench.scheduler.admit() == []


def test_a_reply_waits_for_a_row_only_so_long() -> None:
    bench = Bench(1)
    replying(bench)
    late = bench.open()
    bench.append(late, words(2))
    bench.generate(late, now=100.0)
    bench.scheduler.admit()
    assert bench.scheduler.deadline() == 110.0
    assert bench.scheduler.expired(109.0) == []
    assert bench.scheduler.expired(110.0) == [late]


def test_an_evicted_sequence_computes_everything_again_for_its_next_reply() -> None:
    bench = Bench(1)
    first, second = bench.open(), bench.open()
    bench.append(first, words(20))
    bench.run()
    bench.append(second, words(2))
    bench.run()
    assert first.num_computed == 0
    bench.generate(first)
    steps = bench.run()
    assert [(s.start, s.stop) for s in steps if isinstance(s, Prefill)] == [
        (0, 16),
        (16, 20),
    ]


def test_a_removed_sequence_leaves_its_row_and_no_work() -> None:
    bench = Bench(1)
    sequence = replying(bench)
    bench.scheduler.remove(sequence)
    assert bench.scheduler.next_step() is None
    assert bench.slots.num_free == 1


# --- random schedules ------------------------------------------------------------------


def do_something(bench: Bench, draw: random.Random) -> None:
    """Give a random order that a gateway may give."""
    sequence = draw.choice(bench.sequences)
    match draw.randrange(8):
        case 0 | 1 if sequence.generation is None:
            num_tokens = draw.randint(1, 30)
            if sequence.num_tokens + num_tokens < 300:
                part = image(num_tokens) if draw.random() < 0.3 else words(num_tokens)
                bench.append(sequence, part)
        case 2 | 3 if sequence.generation is None and 0 < sequence.num_tokens < 380:
            bench.generate(sequence, draw.randint(1, 12))
        case 4:
            if sequence.generation is not None:
                num_kept = draw.randint(0, sequence.num_output)
                bench.end(sequence)
                sequence.keep(1, num_kept)
                sequence.pop_prefilled()
                bench.scheduler.update(sequence)
        case 5 if sequence.generation is None:
            sequence.mark(0)
        case 6 if sequence.generation is None and 0 in sequence.marks:
            sequence.rollback(0)
            sequence.pop_prefilled()
            bench.scheduler.update(sequence)
        case 7 if draw.random() < 0.1:
            bench.num_ended += sequence.generation is not None
            bench.scheduler.remove(sequence)
            bench.sequences.remove(sequence)
            bench.open(draw.choice(ADAPTERS))


def test_random_schedules_keep_the_invariants_and_starve_nobody() -> None:
    # Steps in which somebody with a row and one token to compute may wait: one chunk,
    # and one step of each other adapter before and after it.
    patience = 1 + 2 * (len(ADAPTERS) - 1)
    for seed in range(300):
        draw = random.Random(seed)
        bench = Bench(draw.randint(1, 4))
        for _ in range(draw.randint(1, 6)):
            bench.open(draw.choice(ADAPTERS))
        waited: dict[Sequence, int] = {}
        num_begun = 0
        for _ in range(draw.randint(10, 80)):
            before = sum(s.generation is not None for s in bench.sequences)
            num_ended = bench.num_ended
            do_something(bench, draw)
            now = sum(s.generation is not None for s in bench.sequences)
            num_begun += now - before + bench.num_ended - num_ended
            for _ in range(draw.randrange(4)):
                step = bench.step()
                done = set(step.sequences) if isinstance(step, Decode) else set()
                for sequence in bench.sequences:
                    is_ready = sequence.can_decode and bench.slots.get(sequence) is not None
                    is_late = is_ready and sequence not in done
                    waited[sequence] = waited.get(sequence, 0) + 1 if is_late else 0
                    assert waited[sequence] <= patience, "a token waits too long"
        bench.run()
        assert bench.num_ended == num_begun, "a generation did not end, or ended twice"
        for sequence in bench.sequences:
            assert sequence.generation is None
            assert not sequence.pending, "an append was never answered"
