from assistant.engine.background import Background
from assistant.engine.scheduler import MAX_PASSED_OVER, Decode, Encode, Prefill
from assistant.engine.sequence import Sequence, text_chunk
from assistant.wire import link
from tests.engine.counting import Bench, image, replying, words
from tests.engine.desk import FOUR, Desk, fresh_ids


def with_work(number: int) -> Sequence:
    sequence = Sequence((0, number), "speech", 100, is_background=True)
    sequence.append([text_chunk([1, 2])])
    return sequence


def test_the_one_row_goes_to_whoever_came_first_and_on_when_its_work_is_done() -> None:
    background = Background(row=7)
    first, second = with_work(1), with_work(2)
    for sequence in (first, second):
        background.update(sequence)
    assert background.admit() == []
    assert (background.next, background.holds(second)) == (first, False)
    assert background.admit() == []
    first.receive_computed(2)
    first.pop_prefilled()
    background.update(first)
    assert background.next is None
    assert background.admit() == [first]
    assert first.num_computed == 0
    assert background.next is second
    background.remove(second)
    assert (background.admit(), background.next) == ([], None)


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
