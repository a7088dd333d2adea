from assistant.wire import link
from tests.engine.desk import FOUR, Desk, fresh_ids
from tests.engine.link_client import text

LONG = link.Sampling(max_tokens=12)


def test_a_promoted_reply_goes_on_where_it_was_without_computing_anything_again() -> None:
    desk = Desk()
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")))
    desk.order(link.Generate(1, 1, LONG, is_speculative=True))
    for _ in range(5):
        desk.step()
    written = desk.ids(1)
    assert len(written) == 5
    desk.order(link.Promote(1, 1))
    desk.run()
    assert desk.ids(1) == fresh_ids("hi", num_tokens=12)
    assert desk.ids(1)[:5] == written
    assert desk.backend.calls == ["prefill 2", *["decode 1"] * 11]
    assert desk.finished(1).num_output == 12


def test_a_speculation_pauses_while_somebody_is_answered_and_loses_nothing() -> None:
    desk = Desk()
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")))
    desk.order(link.Generate(1, 1, LONG, is_speculative=True))
    desk.step()
    desk.order(
        link.Open(2, "none"), link.Append(2, text("wait")), link.Generate(2, 1, FOUR)
    )
    while len(desk.ids(2)) < 4:
        before = len(desk.ids(2))
        desk.step()
        assert len(desk.ids(2)) == before + 1  # every step is for whoever waits
    assert len(desk.ids(1)) == 1
    desk.run()
    assert desk.ids(1) == fresh_ids("hi", num_tokens=12)
    assert desk.ids(2) == fresh_ids("wait")


def test_a_speculation_whose_row_was_needed_goes_on_when_one_is_free() -> None:
    desk = Desk(num_slots=1)
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")))
    desk.order(link.Generate(1, 1, LONG, is_speculative=True))
    for _ in range(3):
        desk.step()
    desk.order(
        link.Open(2, "none"), link.Append(2, text("wait")), link.Generate(2, 1, FOUR)
    )
    desk.run()
    assert desk.ids(2) == fresh_ids("wait")
    assert len(desk.ids(1)) == 3  # the row is the other's, who might go on
    desk.order(link.Promote(1, 1))
    desk.run()
    assert desk.ids(1) == fresh_ids("hi", num_tokens=12)


def test_a_promotion_that_comes_late_or_for_another_reply_changes_nothing() -> None:
    desk = Desk()
    desk.order(link.Promote(9, 1))
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")))
    desk.order(link.Generate(1, 1, FOUR, is_speculative=True))
    desk.run()
    desk.order(link.Promote(1, 1), link.Promote(1, 2))
    desk.run()
    assert desk.finished(1).num_output == 4
    assert [type(report).__name__ for report in desk.reports(1)][-1] == "Finished"
    assert desk.failures(9) == []


def test_resumed_speech_takes_a_speculation_back_within_a_step() -> None:
    desk = Desk()
    desk.order(link.Open(1, "none"), link.Append(1, text("hel")), link.Mark(1, 1))
    desk.order(link.Append(1, text("l?")), link.Generate(1, 1, LONG, is_speculative=True))
    for _ in range(6):
        desk.step()
    num_written = len(desk.ids(1))
    desk.order(link.Rollback(1, 1), link.Append(1, text("lo")), link.Generate(1, 2, FOUR))
    desk.run()
    assert len(desk.ids(1)) == num_written
    assert desk.finished(1).reason == "cancelled"
    assert desk.ids(1, 2) == fresh_ids("hel", "lo")


def test_a_promoted_reply_waits_for_a_row_from_its_promotion_on() -> None:
    desk = Desk(num_slots=1, admission_timeout_s=10)
    desk.order(link.Open(2, "none"), link.Append(2, text("a")))
    desk.order(link.Generate(2, 1, link.Sampling(max_tokens=2000)))
    desk.step()
    desk.order(link.Open(1, "none"), link.Append(1, text("hi")))
    desk.order(link.Generate(1, 1, FOUR, is_speculative=True))
    desk.now = 100.0
    desk.step()
    assert desk.failures(1) == []
    desk.order(link.Promote(1, 1))
    desk.now = 109.0
    desk.step()
    assert desk.failures(1) == []
    desk.now = 110.0
    desk.step()
    assert (1, "no_free_slot") in desk.failures(1)
