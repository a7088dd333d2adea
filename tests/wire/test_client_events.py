import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st
from msgspec import UNSET

from assistant.wire import client_events as client, items
from assistant.wire.refusals import EventRefused

GA_TYPES = {
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "output_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.retrieve",
    "conversation.item.delete",
    "conversation.item.truncate",
    "response.create",
    "response.cancel",
}


def decode(type_: str, **fields: Any) -> client.AnyClientEvent:
    return client.decode(json.dumps({"type": type_, **fields}))


def refusal(text: str | bytes) -> EventRefused:
    with pytest.raises(EventRefused) as caught:
        client.decode(text)
    return caught.value


def patch(**session: Any) -> client.SessionPatch:
    event = decode("session.update", session=session)
    assert isinstance(event, client.SessionUpdate)
    return event.session


def created(**item: Any) -> items.Item:
    event = decode("conversation.item.create", item=item)
    assert isinstance(event, client.ItemCreate)
    return event.item


def test_all_eleven_events_and_the_camera_extension_are_known() -> None:
    assert set(client.TYPES) == GA_TYPES | {
        "input_image_buffer.append",
        "input_image_buffer.clear",
    }


@pytest.mark.parametrize(
    "type_",
    [t for t in client.TYPES if t.endswith((".commit", ".clear", ".cancel", "e.create"))],
)
def test_an_event_may_have_nothing_but_its_type(type_: str) -> None:
    assert decode(type_).event_id is UNSET


def test_sound_is_decoded_from_base64() -> None:
    event = decode(
        "input_audio_buffer.append", audio=base64.b64encode(b"\x01\x02").decode()
    )
    assert isinstance(event, client.InputAudioAppend)
    assert event.audio == b"\x01\x02"


def test_unknown_keys_are_ignored_at_every_level() -> None:
    found = patch(
        type="realtime",
        include=["item.input_audio_transcription.logprobs"],
        prompt={"id": "p"},
        reasoning={"effort": "low"},
        temperature=0.8,
        output_audio_format="pcm16",
        input_audio_transcription={"model": "whisper-1"},
        audio={"extra": 1, "input": {"extra": 1, "turn_detection": {"extra": [1]}}},
    )
    assert found.audio
    assert found.audio.input
    assert found.audio.input.turn_detection == client.TurnDetectionPatch()


def test_absent_and_null_are_told_apart() -> None:
    assert patch().instructions is UNSET
    assert patch(instructions=None).instructions is None


@pytest.mark.parametrize("null", ["event_id", "previous_item_id"])
def test_null_stands_for_an_absent_field_of_an_event(null: str) -> None:
    item = {"type": "message", "role": "user", "content": []}
    event = decode("conversation.item.create", item=item, **{null: None})
    assert isinstance(event, client.ItemCreate)


def test_null_stands_for_an_absent_field_of_an_item() -> None:
    nulls = {"id": None, "status": None, "object": None}
    message = created(
        type="message",
        role="user",
        content=[
            {"type": "input_audio", "audio": None, "transcript": None},
            {"type": "input_image", "image_url": "data:", "detail": None},
        ],
        **nulls,
    )
    assert isinstance(message, items.MessageItem)
    created(type="function_call", name="f", arguments="{}", call_id=None, **nulls)
    created(type="function_call_output", call_id="c", output="", **nulls)


def test_a_null_parameter_of_a_response_counts_as_absent() -> None:
    names = client.ResponseParams.__struct_fields__
    event = decode("response.create", response=dict.fromkeys(names))
    assert isinstance(event, client.ResponseCreate)
    assert decode("response.create", response=None) == client.ResponseCreate(response=None)


def test_beta_content_names_are_read() -> None:
    message = created(
        type="message",
        role="assistant",
        content=[{"type": "text", "text": "a"}, {"type": "audio", "transcript": "b"}],
    )
    assert isinstance(message, items.MessageItem)
    assert message.content == [items.BetaText("a"), items.BetaAudio("b")]


def test_a_context_of_items_and_references_is_read() -> None:
    event = decode(
        "response.create",
        response={
            "input": [
                {"type": "item_reference", "id": "item_1"},
                {"type": "message", "role": "user", "content": []},
            ]
        },
    )
    assert isinstance(event, client.ResponseCreate)
    assert event.response
    assert event.response.input
    assert event.response.input[0] == items.ItemReference("item_1")


@pytest.mark.parametrize(
    "text", ["", "{", "nonsense", '{"type":', "[1]", "5", "null", b"\xff"]
)
def test_what_is_not_a_json_object_is_invalid_json(text: str | bytes) -> None:
    error = refusal(text)
    assert (error.code, error.param) == ("invalid_json", None)
    assert error.message == "Invalid event: failed to parse JSON value."


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"session.update","session":5',
        '{"type":"response.cancel","response_id":5}}',
        '{"type":"session.update","session":5,"x":' + "[" * 100_000,
        b'{"type":"response.cancel","response_id":5,"x":"\xff"}',
    ],
    ids=["cut off", "trailing", "too deep", "not UTF-8"],
)
def test_a_wrong_value_before_broken_json_is_refused_too(text: str | bytes) -> None:
    """The decoder stops at the value; looking for the type then met the broken rest."""
    assert refusal(text).code in ("invalid_json", "invalid_value")


def test_an_unknown_type_is_named_beside_the_supported_ones() -> None:
    error = refusal('{"type":"session.close"}')
    assert (error.code, error.param) == ("invalid_value", "type")
    assert error.message.startswith(
        "Invalid value: 'session.close'. Supported values are: "
    )
    assert "'input_audio_buffer.append'" in error.message


@pytest.mark.parametrize("text", ["{}", '{"type":null}', '{"event_id":"e"}'])
def test_a_missing_type_is_said_to_be_missing(text: str) -> None:
    assert (refusal(text).code, refusal(text).param) == (
        "missing_required_parameter",
        "type",
    )


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "?"}, "invalid_value", "audio"),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        (
            {"type": "session.update", "session": {"audio": {"input": {"format": {}}}}},
            "missing_required_parameter",
            "session.audio.input.format.type",
        ),
        (
            {"type": "session.update", "session": {"truncation": "newest"}},
            "invalid_value",
            "session.truncation",
        ),
        (
            {"type": "session.update", "session": {"tracing": "loud"}},
            "invalid_value",
            "session.tracing",
        ),
        (
            {"type": "conversation.item.create", "item": {"role": "user"}},
            "missing_required_parameter",
            "item.type",
        ),
        (
            {"type": "response.create", "response": {"metadata": {"a": 1}}},
            "invalid_value",
            "response.metadata[...]",
        ),
        ({"type": "response.cancel", "event_id": 5}, "invalid_value", "event_id"),
    ],
)
def test_a_refusal_names_the_path(event: dict[str, Any], code: str, param: str) -> None:
    error = refusal(json.dumps(event))
    assert (error.code, error.param) == (code, param)


def test_the_id_is_found_in_events_that_are_wrong_otherwise() -> None:
    assert client.event_id_of('{"type":"nonsense","event_id":"mine"}') == "mine"
    assert client.event_id_of('{"event_id":"mine","session":5}') == "mine"


@pytest.mark.parametrize(
    "text", ['{"event_id":5}', "{}", "[]", "{", b"\xff", '{"event_id":"%s"}' % ("x" * 513)]
)
def test_no_usable_id_is_none(text: str | bytes) -> None:
    """An id over the protocol's 512 characters is not sent back either."""
    assert client.event_id_of(text) is None


def test_a_huge_value_is_not_sent_back_whole() -> None:
    error = refusal(json.dumps({"type": "x" * 1_000_000}))
    assert len(error.message) <= 2000


WORDS = st.sampled_from(["", "realtime", "user", "é", "\ud800", "AA=="])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS
KEYS = st.sampled_from(
    ["type", "session", "item", "response", "audio", "image", "item_id", "event_id", "role"]
)
JSON = LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(KEYS, LEAVES, max_size=3)


@given(
    event=st.dictionaries(KEYS, JSON, max_size=4),
    type_=st.sampled_from(client.TYPES) | JSON,
    cut=st.integers(0, 40),
)
def test_any_text_is_an_event_or_a_refusal(
    event: dict[str, Any], type_: Any, cut: int
) -> None:
    text = json.dumps({**event, "type": type_})
    for tried in (text, text[: len(text) - cut], text[cut:].encode()):
        client.event_id_of(tried)
        with contextlib.suppress(EventRefused):
            client.decode(tried)
