import pytest

from assistant.wire import refusals
from assistant.wire.refusals import EventRefused

CATALOGUE: list[tuple[EventRefused, str | None, str]] = [
    (refusals.invalid_json(), "invalid_json", "Invalid event: failed to parse JSON value."),
    (
        refusals.commit_empty(12),
        "input_audio_buffer_commit_empty",
        "Error committing input audio buffer: buffer too small. Expected at least 100ms of "
        "audio, but buffer only has 12.00ms of audio.",
    ),
    (
        refusals.active_response("resp_X"),
        "conversation_already_has_active_response",
        "Conversation already has an active response in progress: resp_X. Wait until the "
        "response is finished before creating a new one.",
    ),
    (
        refusals.no_active_response(),
        "response_cancel_not_active",
        "Cancellation failed: no active response found",
    ),
    (
        refusals.duplicate_item("X"),
        "item_create_duplicate_item_id",
        "Error adding item: an item with id 'X' already exists.",
    ),
    (
        refusals.not_truncatable(),
        None,
        "Only model output audio messages can be truncated",
    ),
    (
        refusals.missing_parameter("session.type"),
        "missing_required_parameter",
        "Missing required parameter: 'session.type'.",
    ),
]


@pytest.mark.parametrize(("refusal", "code", "message"), CATALOGUE)
def test_clients_can_match_on_the_code_and_the_text(
    refusal: EventRefused, code: str | None, message: str
) -> None:
    assert (refusal.code, refusal.message, str(refusal)) == (code, message, message)


@pytest.mark.parametrize("verb", ["create", "retrieve", "delete", "truncate"])
def test_an_unknown_item_has_the_code_of_what_was_tried(verb: str) -> None:
    assert refusals.unknown_item(verb, "x").code == f"item_{verb}_invalid_item_id"


def test_sound_ahead_of_time_is_told_the_bound() -> None:
    refusal = refusals.audio_too_fast(600.0)
    assert (refusal.code, refusal.param) == ("input_audio_too_fast", "audio")
    assert "600 s ahead of time" in refusal.message


def test_a_long_message_is_cut_at_its_bound() -> None:
    refusal = refusals.unknown_item("delete", "x" * 10_000)
    assert len(refusal.message) == refusals.MAX_MESSAGE_CHARS
    assert refusal.message.endswith("…")
    assert str(refusal) == refusal.message


@pytest.mark.parametrize("value", [None, 0, 0.5, 1])
def test_a_value_in_its_closed_range_passes(value: float | None) -> None:
    refusals.check_range("path", value, 0, 1)


@pytest.mark.parametrize("value", [-0.001, 1.001, float("nan"), float("inf")])
def test_a_value_outside_its_range_is_refused_with_its_path(value: float) -> None:
    with pytest.raises(EventRefused) as caught:
        refusals.check_range("path", value, 0, 1)
    assert (caught.value.code, caught.value.param) == ("invalid_value", "path")


@pytest.mark.parametrize(
    ("reason", "code", "param", "message"),
    [
        (
            "Expected `int`, got `str` - at `$.a[0].b`",
            "invalid_value",
            "a[0].b",
            "Invalid value for 'a[0].b': Expected `int`, got `str`",
        ),
        (
            "Object missing required field `c` - at `$.a`",
            "missing_required_parameter",
            "a.c",
            "Missing required parameter: 'a.c'.",
        ),
        (
            "Object missing required field `c`",
            "missing_required_parameter",
            "c",
            "Missing required parameter: 'c'.",
        ),
    ],
)
def test_a_validation_message_becomes_a_refusal_with_the_path(
    reason: str, code: str, param: str, message: str
) -> None:
    refusal = refusals.misshapen(reason)
    assert (refusal.code, refusal.param, refusal.message) == (code, param, message)
