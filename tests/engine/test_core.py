import random

import pytest

from assistant.config import EngineConfig
from assistant.engine.core import SEQUENCES_PER_SLOT, Engine
from assistant.wire import link
from tests.engine.fakes import NOT_A_NUMBER, FakeBackend
from tests.engine.link_client import text

NEVER = 10**9
FOUR = link.Sampling(max_tokens=4)


class Desk:
    """An engine without sockets, and everything it reported."""

    def __init__(self, num_slots: int = 4, stop_every: int = NEVER, **bounds: int) -> None:
        self.backend = FakeBackend(num_slots=num_slots, stop_every=stop_every)
        config = EngineConfig(num_slots=num_slots, **bounds)  # type: ignore[arg-type] # ints
        self.sent: list[tuple[int, link.Report]] = []
        self.engine = Engine(self.backend, config, lambda *sent: self.sent.append(sent))
        self.now = 0.0

    def order(self, *orders: link.Order, connection: int = 0) -> None:
        for order in orders:
            self.engine.receive_order(connection, order, self.now)

    def step(self) -> bool:
        return self.engine.step(self.now)

    def run(self) -> None:
        for _ in range(10_000):
            if not self.step():
                return
        raise AssertionError("the work never ends")

    def reports(self, sequence: int, connection: int = 0) -> list[link.Report]:
        return [
            report
            for number, report in self.sent
            if number == connection and getattr(report, "sequence", None) == sequence
        ]

    def ids(self, sequence: int, generation: int = 1) -> list[int]:
        return [
            token
            for report in self.reports(sequence)
            if isinstance(report, link.Token) and report.generation == generation
            for token in report.ids
        ]

    def failures(self, sequence: int) -> list[tuple[int | None, str]]:
        return [
            (report.generation, report.code)
            for report in self.reports(sequence)
            if isinstance(report, link.Failed)
        ]

    def finished(self, sequence: int, generation: int = 1) -> link.Finished:
        (report,) = [
            report
            for report in self.reports(sequence)
            if isinstance(report, link.Finished) and report.generation == generation
        ]
        return report

    def appended(self, sequence: int) -> list[int]:
        return [
            report.num_tokens
            for report in self.reports(sequence)
            if isinstance(report, link.Appended)
        ]


def fresh_ids(*contents: str | list[int], num_tokens: int = 4) -> list[int]:
    """Return what a sequence that read just this replies."""
    desk = Desk()
    parts: list[link.Part] = [
        link.TextPart(content) if isinstance(content, str) else link.TokensPart(content)
        for content in contents
    ]
    sampling = link.Sampling(max_tokens=num_tokens)
    desk.order(link.Open(1, "none"), link.Append(1, parts), link.Generate(1, 1, sampling))
    desk.run()
    return desk.ids(1)


# --- replies ---------------------------------------------------------------------------


def test_a_reply_is_admitted_then_its_append_answered_then_written_then_finished() -> None:
    desk = Desk()
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")), link.Generate(1, 1, FOUR))
    desk.run()
    kinds = [type(report).__name__ for report in desk.reports(1)]
    assert kinds == ["Admitted", "Appended", *["Token"] * 4, "Finished"]
    assert desk.finished(1).reason == "length"
    assert desk.finished(1).num_output == 4


def test_the_stop_token_ends_a_reply_and_never_enters_the_sequence() -> None:
    desk = Desk(stop_every=5)
    sampling = link.Sampling(max_tokens=200)
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")))
    desk.order(link.Generate(1, 1, sampling))
    desk.run()
    assert desk.finished(1).reason == "stop"
    assert desk.finished(1).num_output == len(desk.ids(1))
    desk.order(link.Append(1, text("!")))
    desk.run()
    assert desk.appended(1)[-1] == 2 + len(desk.ids(1)) + 1


def test_the_next_turn_reads_the_whole_reply() -> None:
    desk = Desk()
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")), link.Generate(1, 1, FOUR))
    desk.run()
    desk.order(link.Append(1, text("more")), link.Generate(1, 2, FOUR))
    desk.run()
    assert desk.ids(1, 2) == fresh_ids("hi", desk.ids(1), "more")
    finished = desk.finished(1, 2)
    assert (finished.num_prompt, finished.num_cached) == (10, 5)  # the 4th was not read yet


def test_text_held_back_by_the_detokenizer_comes_with_the_end() -> None:
    desk = Desk()
    sampling = link.Sampling(max_tokens=300)
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")))
    desk.order(link.Generate(1, 1, sampling))
    desk.run()
    written = "".join(r.text for r in desk.reports(1) if isinstance(r, link.Token))
    whole = bytes(desk.ids(1)).decode(errors="replace")
    assert written + desk.finished(1).text == whole


def test_a_reply_ends_when_the_sequence_is_full() -> None:
    desk = Desk(max_sequence_tokens=64)
    desk.order(link.Open(1, "none"), link.Append(1, text("x" * 60)))
    desk.order(link.Generate(1, 1, link.Sampling(max_tokens=99)))
    desk.run()
    assert (desk.finished(1).reason, desk.finished(1).num_output) == ("length", 4)


def test_the_seed_decides_a_sampled_reply_whatever_runs_beside_it() -> None:
    def reply(seed: int, num_others: int) -> list[int]:
        desk = Desk(num_slots=5)
        sampling = link.Sampling(max_tokens=12, temperature=3.0, top_p=0.9, seed=seed)
        for number in range(2, 2 + num_others):
            desk.order(
                link.Open(number, "none"), link.Append(number, text("other" * number))
            )
            desk.order(link.Generate(number, 1, sampling))
        desk.order(link.Open(1, "none"), link.Append(1, text("hi")))
        desk.order(link.Generate(1, 1, sampling))
        desk.run()
        return desk.ids(1)

    assert reply(1, 0) == reply(1, 3)
    assert reply(1, 0) != reply(2, 0)


@pytest.mark.parametrize(
    "sampling",
    [
        link.Sampling(max_tokens=0),
        link.Sampling(max_tokens=1, temperature=-0.1),
        link.Sampling(max_tokens=1, temperature=float("nan")),
        link.Sampling(max_tokens=1, top_p=0.0),
        link.Sampling(max_tokens=1, top_p=1.1),
        link.Sampling(max_tokens=1, seed=-1),
    ],
    ids=str,
)
def test_sampling_out_of_bounds_fails_the_generation_only(sampling: link.Sampling) -> None:
    desk = Desk()
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")))
    desk.order(link.Generate(1, 1, sampling), link.Generate(1, 2, FOUR))
    desk.run()
    assert desk.failures(1) == [(1, "invalid_sampling")]
    assert desk.finished(1, 2).num_output == 4


# --- barge-in and rollback -------------------------------------------------------------


def test_a_barge_in_at_any_step_keeps_what_was_seen_and_the_next_turn_reads_just_that() -> (
    None
):
    for num_steps in range(12):
        for num_kept in (0, 1, 3, 99):
            desk = Desk(prefill_chunk_tokens=16)
            sampling = link.Sampling(max_tokens=6)
            desk.order(link.Open(1, "none"), link.Append(1, text("x" * 40)))
            desk.order(link.Generate(1, 1, sampling))
            for _ in range(num_steps):
                desk.step()
            seen = desk.ids(1)
            desk.order(link.Cancel(1, 1, num_kept), link.Append(1, text("?")))
            desk.order(link.Generate(1, 2, FOUR))
            desk.run()
            assert desk.ids(1) == seen, "a token came after the barge-in"
            assert desk.ids(1, 2) == fresh_ids("x" * 40, seen[:num_kept], "?")
            desk.finished(1, 1)
            assert len(desk.appended(1)) == 2


def test_a_cancelled_reply_reports_what_was_kept() -> None:
    desk = Desk()
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")))
    desk.order(link.Generate(1, 1, link.Sampling(max_tokens=50)))
    for _ in range(5):
        desk.step()
    desk.order(link.Cancel(1, 1, 2))
    assert desk.finished(1).reason == "cancelled"
    assert desk.finished(1).num_output == 2
    assert desk.finished(1).text == ""


def test_cancelling_a_reply_frees_its_row_at_once() -> None:
    desk = Desk(num_slots=1)
    for number in (1, 2):
        desk.order(link.Open(number, "none"), link.Append(number, text("hi")))
        desk.order(link.Generate(number, 1, link.Sampling(max_tokens=50)))
    desk.step()
    desk.order(link.Cancel(1, 1, 0))
    desk.step()
    assert desk.ids(2)


def test_a_rollback_replies_as_a_fresh_sequence_does() -> None:
    desk = Desk()
    desk.order(link.Open(1, "none"), link.Append(1, text("hello ")), link.Mark(1, 1))
    desk.order(link.Append(1, text("wrld")), link.Generate(1, 1, FOUR))
    desk.run()
    desk.order(
        link.Rollback(1, 1), link.Append(1, text("world")), link.Generate(1, 2, FOUR)
    )
    desk.run()
    assert desk.ids(1, 2) == fresh_ids("hello world")
    assert desk.finished(1, 2).num_cached == 6


def test_a_rollback_to_the_prompt_replies_the_same_again() -> None:
    desk = Desk()
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")), link.Mark(1, 5))
    desk.order(link.Generate(1, 1, FOUR))
    desk.run()
    desk.order(link.Rollback(1, 5), link.Generate(1, 2, FOUR))
    desk.run()
    assert desk.ids(1, 1) == desk.ids(1, 2)


def test_a_rollback_ends_the_reply_under_way() -> None:
    desk = Desk()
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")), link.Mark(1, 5))
    desk.order(link.Generate(1, 1, link.Sampling(max_tokens=50)))
    desk.step()
    desk.order(link.Rollback(1, 5))
    desk.run()
    assert desk.finished(1).reason == "cancelled"
    assert len(desk.ids(1)) == 1


def test_an_append_that_is_rolled_back_before_it_was_read_is_answered_then() -> None:
    desk = Desk()
    desk.order(link.Open(1, "none"), link.Mark(1, 1), link.Append(1, text("never read")))
    desk.order(link.Rollback(1, 1))
    assert desk.appended(1) == [0]
    desk.run()
    assert desk.backend.calls == []


def test_an_evicted_sequence_goes_on_as_if_nothing_had_happened() -> None:
    desk = Desk(num_slots=1)
    picture = link.ImagePart(b"picture", max_crops=1)
    desk.order(link.Open(1, "vision"), link.Append(1, [picture, link.TextPart("what?")]))
    desk.order(link.Generate(1, 1, FOUR))
    desk.run()
    desk.order(link.Open(2, "none"), link.Append(2, text("thief")))
    desk.run()
    desk.order(link.Append(1, text("again")), link.Generate(1, 2, FOUR))
    desk.run()
    calm = Desk()
    calm.order(link.Open(1, "vision"), link.Append(1, [picture, link.TextPart("what?")]))
    calm.order(link.Append(1, [link.TokensPart(desk.ids(1)), link.TextPart("again")]))
    calm.order(link.Generate(1, 1, FOUR))
    calm.run()
    assert desk.ids(1, 2) == calm.ids(1)
    assert desk.backend.calls.count("encode") == 1, "embeddings are kept"
    assert desk.finished(1, 2).num_cached == 0


# --- failures --------------------------------------------------------------------------


def test_an_append_is_refused_whole_and_a_rollback_mends_the_sequence() -> None:
    desk = Desk()
    desk.order(link.Open(1, "vision"), link.Append(1, text("hi")), link.Mark(1, 1))
    bad: list[link.Part] = [link.TextPart("look"), link.ImagePart(b"bad", max_crops=1)]
    desk.order(link.Append(1, bad), link.Append(1, text("more")), link.Generate(1, 1, FOUR))
    desk.run()
    assert desk.failures(1) == [
        (1, "sequence_failed"),
        (None, "image_invalid"),
        (None, "sequence_failed"),
    ]
    desk.order(link.Rollback(1, 1), link.Append(1, text("!")), link.Generate(1, 2, FOUR))
    desk.run()
    assert desk.appended(1) == [2, 3]
    assert desk.finished(1, 2).num_prompt == 3


def test_an_append_over_the_budget_is_refused_with_value_and_bound() -> None:
    desk = Desk(max_sequence_tokens=64)
    desk.order(link.Open(1, "none"), link.Append(1, text("x" * 65)))
    (report,) = desk.reports(1)
    assert isinstance(report, link.Failed)
    assert (report.generation, report.code) == (None, "context_length_exceeded")
    assert "65" in report.message
    assert "64" in report.message


@pytest.mark.parametrize(
    ("data", "code"), [(b"boom", "internal_error"), (b"oom", "out_of_memory")]
)
def test_a_failing_encoder_fails_the_append_and_the_reply_that_waits(
    data: bytes, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    desk.order(link.Open(1, "vision"), link.Mark(1, 1))
    desk.order(link.Append(1, [link.ImagePart(data, max_crops=1)]))
    desk.order(link.Generate(1, 1, FOUR))
    desk.order(link.Open(2, "none"), link.Append(2, text("hi")), link.Generate(2, 1, FOUR))
    desk.run()
    assert sorted(desk.failures(1), key=str) == [(1, code), (None, code)]
    assert desk.ids(2) == fresh_ids("hi")
    assert "Traceback" in caplog.text
    desk.order(link.Rollback(1, 1), link.Append(1, text("hi")), link.Generate(1, 2, FOUR))
    desk.run()
    assert desk.finished(1, 2).num_output == 4


def test_logits_that_are_not_finite_fail_one_generation_and_emit_nothing() -> None:
    desk = Desk()
    desk.order(link.Open(1, "none"), link.Append(1, text("hi" + NOT_A_NUMBER)))
    desk.order(link.Generate(1, 1, FOUR))
    desk.order(link.Open(2, "none"), link.Append(2, text("hi")), link.Generate(2, 1, FOUR))
    desk.run()
    assert desk.failures(1) == [(1, "non_finite_logits")]
    assert desk.ids(1) == []
    assert desk.ids(2) == fresh_ids("hi")


def test_a_failing_decode_step_fails_its_batch_and_the_sequences_live_on() -> None:
    desk = Desk()
    for number in (1, 2):
        desk.order(link.Open(number, "none"), link.Append(number, text("hi")))
        desk.order(link.Generate(number, 1, FOUR))
    desk.step()
    desk.step()
    desk.backend.decode_error = RuntimeError("a kernel failed")
    desk.run()
    assert desk.failures(1) == desk.failures(2) == [(1, "internal_error")]
    assert "check device" in desk.backend.calls
    desk.backend.decode_error = None
    desk.order(link.Cancel(1, 1, 0), link.Generate(1, 2, FOUR))
    desk.run()
    assert desk.ids(1, 2) == fresh_ids("hi")


def test_a_reply_without_a_row_fails_after_the_admission_timeout() -> None:
    desk = Desk(num_slots=1)
    for number in (1, 2):
        desk.order(link.Open(number, "none"), link.Append(number, text("hi")))
        desk.order(link.Generate(number, 1, link.Sampling(max_tokens=100)))
    desk.step()
    desk.now = 19.9
    desk.step()
    assert desk.failures(2) == []
    assert desk.engine.deadline() == 20.0
    desk.now = 20.0
    desk.step()
    assert desk.failures(2) == [(1, "no_free_slot")]
    desk.run()
    assert desk.finished(1).num_output == 100
    assert desk.appended(2) == [2], "its append was read once there was a row"


def test_orders_for_a_sequence_that_is_not_open_are_refused() -> None:
    desk = Desk()
    desk.order(link.Append(9, text("hi")), link.Generate(9, 3, FOUR))
    desk.order(link.Cancel(9, 3, 0), link.Close(9))
    assert desk.failures(9) == [(None, "unknown_sequence"), (3, "unknown_sequence")]


def test_orders_that_cannot_follow_each_other_are_refused() -> None:
    desk = Desk()
    desk.order(link.Open(1, "none"), link.Generate(1, 1, FOUR))
    assert desk.failures(1) == [(1, "empty_prompt")]
    desk.order(link.Append(1, text("hi")), link.Generate(1, 2, FOUR))
    desk.order(link.Generate(1, 3, FOUR), link.Append(1, text("late")))
    desk.run()
    assert desk.failures(1)[1:] == [(3, "generation_pending"), (None, "generation_pending")]
    assert desk.finished(1, 2).num_output == 4
    desk.order(link.Rollback(1, 42))
    assert desk.failures(1)[-1] == (None, "unknown_mark")
    desk.order(link.Open(2, "none"), link.Open(2, "none"))
    assert desk.failures(2) == [(None, "sequence_exists")]


def test_an_adapter_the_model_lacks_is_refused() -> None:
    desk = Desk()
    desk.backend.adapters = frozenset({"none"})
    desk.order(link.Open(1, "vision"))
    assert desk.failures(1) == [(None, "adapter_unavailable")]


def test_open_sequences_have_a_bound_and_closing_makes_room() -> None:
    desk = Desk(num_slots=1)
    for number in range(SEQUENCES_PER_SLOT + 1):
        desk.order(link.Open(number, "none"))
    assert desk.failures(SEQUENCES_PER_SLOT) == [(None, "too_many_sequences")]
    desk.order(link.Close(0), link.Open(99, "none"))
    assert desk.failures(99) == []


# --- connections -----------------------------------------------------------------------


def test_connections_number_their_sequences_without_knowing_of_each_other() -> None:
    desk = Desk()
    for connection in (0, 1):
        desk.order(link.Open(1, "none"), connection=connection)
        content = text("hi" if connection else "hello")
        desk.order(link.Append(1, content), connection=connection)
        desk.order(link.Generate(1, 1, FOUR), connection=connection)
    desk.run()
    assert desk.ids(1) == fresh_ids("hello")
    mine = [r for r in desk.reports(1, connection=1) if isinstance(r, link.Token)]
    assert [r.ids[0] for r in mine] == fresh_ids("hi")


def test_a_connection_that_is_gone_leaves_nothing_behind() -> None:
    desk = Desk(num_slots=1)
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")), link.Generate(1, 1, FOUR))
    desk.step()
    num_sent = len(desk.sent)
    desk.engine.drop_connection(0)
    assert not desk.step()
    assert len(desk.sent) == num_sent
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")), connection=1)
    desk.run()
    assert len(desk.reports(1, connection=1)) == 1


def test_closing_ends_the_reply_under_way_once_and_says_nothing_after() -> None:
    desk = Desk()
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")), link.Generate(1, 1, FOUR))
    desk.step()
    desk.order(link.Close(1))
    desk.run()
    assert isinstance(desk.reports(1)[-1], link.Finished)
    assert desk.finished(1).reason == "cancelled"


def test_a_ping_is_answered_with_its_nonce() -> None:
    desk = Desk()
    desk.order(link.Ping(77))
    assert desk.sent == [(0, link.Pong(77))]


# --- random schedules ------------------------------------------------------------------


def test_random_orders_are_each_answered_exactly_once() -> None:
    for seed in range(120):
        draw = random.Random(seed)
        desk = Desk(draw.randint(1, 3), draw.choice([4, NEVER]), prefill_chunk_tokens=16)
        num_appends = dict.fromkeys(range(4), 0)
        generations = dict.fromkeys(range(4), 0)
        for number in range(4):
            desk.order(link.Open(number, draw.choice(["none", "speech", "vision"])))
            desk.order(link.Mark(number, 1))
        for _ in range(draw.randint(5, 60)):
            number = draw.randrange(4)
            match draw.randrange(6):
                case 0 | 1:
                    content = draw.choice(["a", "hello", "x" * 40, NOT_A_NUMBER])
                    part: link.Part = link.TextPart(content)
                    if draw.random() < 0.3:
                        data = draw.choice([b"good", b"picture", b"bad", b"oom"])
                        part = link.ImagePart(data, max_crops=1)
                    num_appends[number] += 1
                    desk.order(link.Append(number, [part]))
                case 2 | 3:
                    generations[number] += 1
                    sampling = link.Sampling(max_tokens=draw.randint(1, 8))
                    desk.order(link.Generate(number, generations[number], sampling))
                case 4:
                    kept = draw.randint(0, 4)
                    desk.order(link.Cancel(number, generations[number], kept))
                case 5 if draw.random() < 0.5:
                    desk.order(link.Mark(number, 1))
                case _:
                    desk.order(link.Rollback(number, 1))
            for _ in range(draw.randrange(4)):
                desk.step()
        desk.run()
        for number in range(4):
            reports = desk.reports(number)
            ends = [
                report.generation
                for report in reports
                if isinstance(report, link.Finished | link.Failed)
                and report.generation is not None
            ]
            assert sorted(ends) == list(range(1, generations[number] + 1))
            answers = [
                report
                for report in reports
                if isinstance(report, link.Appended)
                or (isinstance(report, link.Failed) and report.generation is None)
            ]
            assert len(answers) == num_appends[number]
