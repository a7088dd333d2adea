import random

from assistant.engine.background import MAX_LOSSES, Background
from assistant.engine.scheduler import MAX_PASSED_OVER, Decode, Encode, Prefill
from assistant.engine.sequence import Sequence, text_chunk
from assistant.wire import link
from tests.engine.counting import Bench, image, replying, words
from tests.engine.desk import FOUR, Desk, fresh_ids
from tests.rounds import rounds


def with_work(number: int) -> Sequence:
    sequence = Sequence((0, number), "speech", 100, is_background=True)
    sequence.append([text_chunk([1, 2])])
    return sequence


def test_the_one_row_goes_to_whoever_came_first_and_on_when_its_work_is_done() -> None:
    background = Background(row=7)
    first, second = with_work(1), with_work(2)
    for sequence in (first, second):
        background.update(sequence)
    assert background.admit(is_idle=True) == []
    assert (background.next, background.holds(second)) == (first, False)
    assert background.admit(is_idle=True) == []
    first.receive_computed(2)
    first.pop_prefilled()
    background.update(first)
    assert background.next is None
    assert background.admit(is_idle=True) == [first]
    assert first.num_computed == 0
    assert background.next is second
    background.remove(second)
    assert (background.admit(is_idle=True), background.next) == ([], None)


def done(background: Background, sequence: Sequence) -> None:
    sequence.receive_computed(sequence.num_tokens)
    sequence.pop_prefilled()
    background.update(sequence)


def test_what_is_read_ahead_is_lost_so_often_and_then_waits_for_its_reply() -> None:
    background = Background(row=7)
    unlucky = other = with_work(0)
    for number in range(1, MAX_LOSSES + 2):
        background.update(unlucky)
        other = with_work(number)
        background.update(other)
        background.admit(is_idle=False)
        if number > MAX_LOSSES:
            assert background.next is other
            done(background, other)
            assert background.admit(is_idle=False) == []
            break
        assert background.next is unlucky
        done(background, unlucky)
        assert background.admit(is_idle=False) == [unlucky]
        done(background, other)
        unlucky.append([text_chunk([3])])
    assert background.next is None
    unlucky.begin(1, link.Sampling(max_tokens=3), 0.0)
    background.update(unlucky)
    assert background.admit(is_idle=False) == [other]
    assert background.next is unlucky


def test_when_there_is_nothing_else_to_do_everybody_reads_ahead() -> None:
    background = Background(row=7)
    sequences = [with_work(number) for number in range(2)]
    for _ in range(2 * MAX_LOSSES + 2):
        for sequence in sequences:
            background.update(sequence)
            background.admit(is_idle=True)
            assert background.next is sequence
            done(background, sequence)
            sequence.append([text_chunk([3])])


def test_a_reply_goes_before_what_is_only_read_ahead() -> None:
    background = Background(row=7)
    early, late = with_work(1), with_work(2)
    late.begin(1, link.Sampling(max_tokens=3), 0.0)
    for sequence in (early, late):
        background.update(sequence)
    background.admit(is_idle=False)
    assert background.next is late


@rounds(25, 300)
def test_in_any_schedule_progress_is_lost_so_often_at_most_and_all_of_it_ends(
    rounds: int,
) -> None:
    """Sequences that come in parts take the row from each other while somebody talks."""
    most = 0
    for seed in range(rounds):
        draw = random.Random(seed)
        bench = Bench(2, shared_chunk_tokens=4, max_passed_over=2)
        talking = replying(bench, num_tokens=200)
        quiet = [bench.open(is_background=True) for _ in range(draw.randint(2, 4))]
        losses = dict.fromkeys(quiet, 0)
        asked = dict.fromkeys(quiet, False)
        for _ in range(80):
            sequence = draw.choice(quiet)
            if sequence.generation is None and not asked[sequence]:
                bench.append(sequence, words(draw.randint(1, 6)))
                if draw.random() < 0.05:
                    asked[sequence] = True
                    bench.generate(sequence, draw.randint(1, 5))
            for _ in range(draw.randrange(4)):
                before = {s: s.num_computed for s in quiet}
                bench.step()
                for s in quiet:
                    losses[s] += s.num_computed == 0 < before[s] and not asked[s]
        assert talking.generation is not None, "the load was to go on to the end"
        assert max(losses.values()) <= MAX_LOSSES, f"seed {seed}"
        most = max(most, *losses.values())
        bench.run()
        for sequence in quiet:
            assert sequence.generation is None
            assert not sequence.pending
    assert most == MAX_LOSSES, "the schedules hardly ever take a row away"


def test_everything_else_goes_first_speculation_included() -> None:
    bench = Bench(4, shared_chunk_tokens=4)
    quiet = bench.open("speech", is_background=True)
    bench.append(quiet, image(3, num_stretches=2), words(10))
    bench.generate(quiet)
    guess = replying(bench, num_tokens=5, is_speculative=True)
    reply = replying(bench, num_tokens=5)
    ahead = bench.open()
    bench.append(ahead, words(30))
    steps = bench.run()
    owners = [s.sequences if isinstance(s, Decode) else (s.sequence,) for s in steps]
    mine = [index for index, chosen in enumerate(owners) if quiet in chosen]
    assert mine == list(range(len(steps) - len(mine), len(steps)))
    assert len(mine) == len([Encode] * 2 + [Prefill] * 4 + [Decode] * 4)
    assert guess.generation is reply.generation is quiet.generation is None


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


def test_chunks_in_the_background_are_short_so_that_who_comes_waits_little() -> None:
    bench = Bench(1, shared_chunk_tokens=4)
    bench.append(bench.open(is_background=True), words(12))
    steps = bench.run()
    assert [s.stop - s.start for s in steps if isinstance(s, Prefill)] == [4, 4, 4]


def test_nobody_loses_a_row_to_the_background_and_it_loses_its_own_to_nobody() -> None:
    bench = Bench(2)
    talkers = [replying(bench, num_tokens=2) for _ in range(2)]
    bench.run()
    quiet = replying(bench, num_tokens=30, is_background=True)
    assert [bench.row(talker) for talker in talkers] == [0, 1]
    assert all(talker.num_computed for talker in talkers)
    third = bench.open()
    bench.append(third, words(3))
    bench.generate(third)
    bench.run()
    assert bench.row(third) in (0, 1)
    assert bench.row(quiet) == 2
    assert quiet.num_computed == 4 + 29


def test_a_reply_that_waits_for_the_row_of_the_background_does_not_expire() -> None:
    bench = Bench(1)
    replying(bench, num_tokens=100, is_background=True)
    other = bench.open(is_background=True)
    bench.append(other, words(4))
    bench.generate(other, 2)
    bench.step()
    assert bench.row(other) is None
    assert bench.scheduler.expired(1e9) == []
    assert bench.scheduler.deadline() is None


def test_what_is_read_in_the_background_is_answered_like_anything_else() -> None:
    desk = Desk(num_slots=1)
    text = [link.TextPart("hi")]
    desk.order(
        link.Open(1, "none"), link.Append(1, [*text]), link.Generate(1, 1, FOUR),
        link.Open(2, "none", is_background=True), link.Append(2, [*text]),
        link.Generate(2, 1, FOUR),
        link.Open(3, "none", is_background=True), link.Append(3, [*text]),
        link.Generate(3, 1, FOUR),
    )  # fmt: skip
    desk.run()
    assert desk.ids(1) == desk.ids(2) == desk.ids(3) == fresh_ids("hi")
    ends = [report.sequence for _, report in desk.sent if isinstance(report, link.Finished)]
    assert ends == [1, 2, 3]


def test_closing_what_has_the_row_frees_it() -> None:
    desk = Desk(num_slots=1)
    text = [link.TextPart("hi")]
    for number in (1, 2):
        desk.order(
            link.Open(number, "none", is_background=True),
            link.Append(number, [*text]),
            link.Generate(number, 1, FOUR),
        )
    desk.step()
    desk.order(link.Close(1))
    desk.run()
    assert desk.ids(2) == fresh_ids("hi")
