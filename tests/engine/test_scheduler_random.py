import random

import pytest

from assistant.engine.scheduler import Decode
from assistant.engine.sequence import Sequence
from tests.engine.counting import ADAPTERS, Bench, image, is_speculative, words


def do_something(bench: Bench, draw: random.Random) -> None:
    """Give a random order that a gateway may give."""
    sequence = draw.choice(bench.sequences)
    match draw.randrange(9):
        case 0 | 1 if sequence.generation is None:
            num_tokens = draw.randint(1, 30)
            if sequence.num_tokens + num_tokens < 300:
                picture = image(num_tokens, draw.randint(1, 3))
                part = picture if draw.random() < 0.3 else words(num_tokens)
                bench.append(sequence, part)
        case 2 | 3 if sequence.generation is None and 0 < sequence.num_tokens < 380:
            guess = draw.random() < 0.4
            bench.generate(sequence, draw.randint(1, 12), is_speculative=guess)
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
        case 7:
            bench.promote(sequence)
        case 8 if draw.random() < 0.1:
            bench.num_ended += sequence.generation is not None
            bench.scheduler.remove(sequence)
            bench.sequences.remove(sequence)
            open_some(bench, draw)


def open_some(bench: Bench, draw: random.Random) -> None:
    bench.open(draw.choice(ADAPTERS), is_background=draw.random() < 0.2)


# Steps in which somebody with a row and one token to compute may wait: one chunk, and one
# step of each other adapter before and after it, and one of the background.
PATIENCE = 2 + 2 * (len(ADAPTERS) - 1)


def live_through(seed: int) -> None:
    """Give random orders between the steps; check every step, and that all work ends."""
    draw = random.Random(seed)
    bench = Bench(
        draw.randint(1, 4),
        shared_chunk_tokens=draw.choice([None, 4]),
        max_waited_tokens=draw.choice([None, 16, 40, 120]),
        max_passed_over=draw.choice([PATIENCE, 64]),
    )
    for _ in range(draw.randint(1, 6)):
        open_some(bench, draw)
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
                is_wanted = not is_speculative(sequence) and not sequence.is_background
                is_late = is_ready and is_wanted and sequence not in done
                waited[sequence] = waited.get(sequence, 0) + 1 if is_late else 0
                assert waited[sequence] <= PATIENCE, "a token waits too long"
    # A guess may lack a row that nobody else needs; somebody has to want its reply.
    for sequence in bench.sequences:
        bench.promote(sequence)
    bench.run()
    assert bench.num_ended == num_begun, "a generation did not end, or ended twice"
    for sequence in bench.sequences:
        assert sequence.generation is None
        assert not sequence.pending, "an append was never answered"


def test_random_schedules_keep_the_invariants_and_starve_nobody() -> None:
    for seed in range(60):
        live_through(seed)


@pytest.mark.parity
def test_ten_thousand_random_schedules_do_too() -> None:
    for seed in range(10_000):
        live_through(seed)
