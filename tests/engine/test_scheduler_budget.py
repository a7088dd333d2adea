"""How many prompts are read at the same time."""

from assistant.engine.scheduler import Prefill
from tests.engine.counting import CHUNK_TOKENS, Bench, words


def test_prompts_beyond_the_budget_are_read_one_after_the_other() -> None:
    bench = Bench(3, max_waited_tokens=50)
    readers = []
    for arrival in range(3):
        sequence = bench.open()
        bench.append(sequence, words(3 * CHUNK_TOKENS))
        bench.generate(sequence, 1, now=float(arrival))
        readers.append(sequence)
    steps = bench.run()
    order = [readers.index(s.sequence) for s in steps if isinstance(s, Prefill)]
    assert order == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_within_the_budget_prompts_take_turns() -> None:
    bench = Bench(2, max_waited_tokens=200)
    for _ in range(2):
        sequence = bench.open()
        bench.append(sequence, words(3 * CHUNK_TOKENS))
        bench.generate(sequence, 1)
    steps = bench.run()
    order = [s.sequence.key[1] for s in steps if isinstance(s, Prefill)]
    assert order == [0, 1, 0, 1, 0, 1]


def test_what_fits_into_a_chunk_does_not_wait_for_the_budget() -> None:
    bench = Bench(2, max_waited_tokens=32)
    long, short = bench.open(), bench.open()
    bench.append(long, words(10 * CHUNK_TOKENS))
    bench.generate(long, 1, now=0.0)
    bench.append(short, words(CHUNK_TOKENS))
    bench.generate(short, 1, now=1.0)
    for _ in range(2):
        bench.step()
    assert short.generation is None, "its only chunk was the second step"
    assert long.generation is not None
