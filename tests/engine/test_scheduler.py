from assistant.engine.scheduler import MAX_TAIL_RUN, Decode, Encode, Prefill
from tests.engine.counting import ADAPTERS, Bench, image, replying, words

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


# --- speculation -----------------------------------------------------------------------


def test_a_speculation_gets_a_step_only_when_nobody_else_has_one_to_make() -> None:
    bench = Bench(3)
    guess = replying(bench, is_speculative=True)
    reply = replying(bench, num_tokens=3)
    ahead = bench.open()
    bench.append(ahead, words(30))
    done = bench.run()
    mine = [
        index
        for index, step in enumerate(done)
        if isinstance(step, Decode) and guess in step.sequences
    ]
    assert mine == list(range(len(done) - 49, len(done)))
    assert reply.generation is None
    assert ahead.num_computed == 30


def test_speculations_take_turns_and_those_of_one_adapter_decode_together() -> None:
    bench = Bench(3)
    first = replying(bench, "speech", is_speculative=True)
    second = replying(bench, "speech", is_speculative=True)
    third = replying(bench, "vision", is_speculative=True)
    steps = [bench.step() for _ in range(4)]
    owners = [set(step.sequences) for step in steps if isinstance(step, Decode)]
    assert owners == [{first, second}, {third}, {first, second}, {third}]


def test_a_promoted_speculation_decodes_with_the_replies() -> None:
    bench = Bench(2)
    guess = replying(bench, is_speculative=True)
    reply = replying(bench)
    step = bench.step()
    assert isinstance(step, Decode)
    assert step.sequences == (reply,)
    bench.promote(guess)
    step = bench.step()
    assert isinstance(step, Decode)
    assert step.sequences == (reply, guess)


def test_speculation_takes_nobodys_row() -> None:
    bench = Bench(1)
    idle, guess = bench.open(), bench.open()
    bench.append(idle, words(3))
    bench.run()
    bench.append(guess, words(3))
    bench.generate(guess, is_speculative=True)
    assert bench.scheduler.admit() == []
    assert bench.slots.get(idle) is not None
    bench.promote(guess)
    assert bench.scheduler.admit() == [idle]


def test_a_reply_takes_the_row_of_an_idle_then_of_a_speculating_then_of_a_reading_one() -> (
    None
):
    bench = Bench(3)
    ahead, guess, idle = bench.open(), replying(bench, is_speculative=True), bench.open()
    bench.append(idle, words(2))
    while idle.pending or not idle.num_computed:
        bench.step()
    bench.append(ahead, words(50))
    bench.scheduler.admit()
    for victim in (idle, guess, ahead):
        reply = bench.open()
        bench.append(reply, words(2))
        bench.generate(reply)
        assert bench.scheduler.admit() == [victim]


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
