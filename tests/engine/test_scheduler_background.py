"""Work that nobody waits for, and how many prompts are read at the same time."""

from assistant.engine.scheduler import MAX_PASSED_OVER, Decode, Prefill
from tests.engine.counting import CHUNK_TOKENS, Bench, replying, words


def test_the_background_is_computed_when_there_is_nothing_else() -> None:
    bench = Bench(2)
    transcript = bench.open(is_background=True)
    bench.append(transcript, words(4))
    bench.generate(transcript, 3)
    bench.run()
    assert bench.num_ended == 1


def test_the_background_comes_after_a_guess_and_after_reading_ahead() -> None:
    bench = Bench(3)
    transcript = bench.open(is_background=True)
    bench.append(transcript, words(4))
    ahead, guess = bench.open(), bench.open()
    bench.append(ahead, words(20))
    bench.append(guess, words(4))
    bench.generate(guess, 2, is_speculative=True)
    steps = bench.run()
    (at,) = [
        index
        for index, step in enumerate(steps)
        if isinstance(step, Prefill) and step.sequence is transcript
    ]
    assert at == len(steps) - 1


def test_under_a_load_that_never_ends_the_background_still_gets_steps() -> None:
    bench = Bench(2)
    talking = replying(bench, num_tokens=300)
    transcript = bench.open(is_background=True)
    bench.append(transcript, words(4))
    bench.generate(transcript, 2)
    steps = [bench.step() for _ in range(3 * (MAX_PASSED_OVER + 1))]
    assert bench.num_ended == 1
    assert talking.generation is not None
    others = [s for s in steps if isinstance(s, Decode) and talking in s.sequences]
    assert len(steps) - len(others) == 2


def test_a_row_of_the_background_goes_to_whoever_needs_one() -> None:
    bench = Bench(1)
    transcript = bench.open(is_background=True)
    bench.append(transcript, words(4))
    bench.generate(transcript, 50)
    bench.step()
    for _ in range(2):
        speaker = bench.open()
        bench.append(speaker, words(4))
        bench.generate(speaker, 2)
        assert bench.scheduler.admit() == [transcript]
        while speaker.generation is not None:
            bench.step()
        bench.step()  # the background takes the row back from a sequence without work
        assert bench.slots.get(transcript) is not None
    bench.run()
    assert bench.num_ended == 3


def test_a_background_reply_without_a_row_does_not_expire() -> None:
    bench = Bench(1)
    replying(bench, num_tokens=100)
    transcript = bench.open(is_background=True)
    bench.append(transcript, words(4))
    bench.generate(transcript, 2)
    bench.step()
    assert bench.scheduler.expired(1e9) == []
    assert bench.scheduler.deadline() is None


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
