import pytest

from assistant.engine.core import SEQUENCES_PER_SLOT
from assistant.wire import link
from tests.engine.desk import FOUR, Desk, fresh_ids
from tests.engine.fakes import NOT_A_NUMBER
from tests.engine.link_client import text

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


def test_a_reply_that_memory_is_too_short_for_ends_alone() -> None:
    desk = Desk()
    for number in (1, 2, 3):
        desk.order(link.Open(number, "none"), link.Append(number, text("hi")))
        desk.order(link.Generate(number, 1, FOUR))
    while len(desk.ids(3)) < 1:
        desk.step()
    desk.backend.hungry_slot = 1
    desk.run()
    assert desk.failures(2) == [(1, "out_of_memory")]
    assert desk.ids(1) == desk.ids(3) == fresh_ids("hi")
    assert "check device" in desk.backend.calls
    desk.backend.hungry_slot = None
    desk.order(link.Cancel(2, 1, 0), link.Generate(2, 2, FOUR))
    desk.run()
    assert desk.ids(2, 2) == fresh_ids("hi")


def test_a_picture_too_many_is_refused_with_value_and_bound() -> None:
    desk = Desk()
    frames: list[link.Part] = [link.ImagePart(b"x", max_crops=1)] * 65
    desk.order(link.Open(1, "vision"), link.Append(1, frames[:64]))
    desk.order(link.Append(1, frames[:1]))
    desk.order(link.Open(2, "vision"), link.Append(2, frames))
    desk.run()
    for number in (1, 2):
        assert desk.failures(number) == [(None, "too_many_images")]
        report = desk.reports(number)[-1]
        assert isinstance(report, link.Failed)
        assert report.message == "sequence would have 65 pictures, the bound is 64"


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
