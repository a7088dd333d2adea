import pytest

from assistant.wire import link
from tests.engine.desk import FOUR, Desk, fresh_ids
from tests.engine.link_client import text

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
