"""
What the server sends, and that stock clients accept it.

The cases that must be rejected are the ones that were seen to break a client; without
them a check that lets everything pass would go unnoticed.
"""

import copy
import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from assistant.wire import items, server_events as wire
from tests.wire import samples


@pytest.fixture(scope="module")
def validate() -> Callable[[bytes], None]:
    # Here and not at the top: the import takes seconds, also for those who skip the tests.
    from tests.wire.validators import validate_server_event

    return validate_server_event


def descendants(
    kind: type[msgspec.Struct],
) -> Iterator[type[msgspec.Struct]]:
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


def encoded(event: wire.ServerEvent) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(wire.encode(event))
    return value


def named(type_: str) -> dict[str, Any]:
    """Return a fresh sample of that type as JSON."""
    return next(e for e in map(encoded, samples.EVENTS) if e["type"] == type_)


def test_there_is_a_sample_of_every_event_and_of_every_item() -> None:
    assert {type(event) for event in samples.EVENTS} == set(descendants(wire.ServerEvent))
    assert {type(item) for item in samples.ITEMS} == set(items.Item.__args__)


def test_no_two_events_share_a_name_and_none_has_a_beta_name() -> None:
    names = [kind.__struct_config__.tag for kind in descendants(wire.ServerEvent)]
    assert len(set(names)) == len(names)
    assert not {"conversation.item.created", "response.text.delta"} & set(names)


def test_a_null_is_written_where_clients_look_for_the_key() -> None:
    committed = encoded(wire.Committed(previous_item_id=None, item_id="i"))
    assert committed["previous_item_id"] is None
    item = encoded(wire.ItemRetrieved(item=samples.USER))["item"]
    assert item["content"] == [{"type": "input_audio", "transcript": None}]
    assert item["object"] == "realtime.item"
    response = encoded(wire.ResponseCreated(response=samples.response("in_progress")))
    assert response["response"]["usage"] is None
    assert response["response"]["status_details"] is None


def test_what_is_unset_is_left_out() -> None:
    image = encoded(
        wire.ItemRetrieved(
            item=items.MessageItem(role="user", content=[items.InputImage(detail="low")])
        )
    )["item"]
    assert image["content"] == [{"type": "input_image", "detail": "low"}]
    assert "id" not in image
    done = samples.response("completed")
    done.assistant = msgspec.UNSET
    assert "assistant" not in encoded(wire.ResponseDone(response=done))["response"]


def test_an_error_has_every_key_even_when_there_is_nothing_to_say() -> None:
    body = encoded(wire.error(None, "Wrong."))["error"]
    assert body == {
        "type": "invalid_request_error",
        "code": None,
        "message": "Wrong.",
        "param": None,
        "event_id": None,
    }


@pytest.mark.clients
@pytest.mark.parametrize(
    "event", samples.EVENTS, ids=lambda event: f"{type(event).__name__}-{event.event_id}"
)
def test_stock_clients_accept_every_event(
    event: wire.ServerEvent, validate: Callable[[bytes], None]
) -> None:
    validate(wire.encode(event))


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(event: dict[str, Any]) -> None:
        keys: list[Any] = [int(k) if k.isdigit() else k for k in path.split(".")]
        *parents, last = keys
        holder = functools.reduce(lambda at, key: at[key], parents, event)
        holder[last] = value

    return apply


def _drop(path: str) -> Callable[[dict[str, Any]], None]:
    def apply(event: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        del functools.reduce(lambda at, key: at[key], parents, event)[last]

    return apply


UPDATED = "session.updated"
ITEM_DONE = "conversation.item.done"
BREAKING: dict[str, tuple[str, Callable[[dict[str, Any]], None]]] = {
    "a rate of 16 kHz": (UPDATED, _set("session.audio.input.format.rate", 16000)),
    "a session without type": (UPDATED, _drop("session.type")),
    "an invented turn detection": (
        UPDATED,
        _set("session.audio.input.turn_detection.type", "own_vad"),
    ),
    "a float for milliseconds": (
        "input_audio_buffer.speech_started",
        _set("audio_start_ms", 1.5),
    ),
    "an invented content part": (ITEM_DONE, _set("item.content.0.type", "own_part")),
    "an invented item": (ITEM_DONE, _set("item.type", "own_item")),
    "the output name in a part": (
        "response.content_part.done",
        _set("part.type", "output_text"),
    ),
    "metadata that are no strings": ("response.done", _set("response.metadata", {"a": 1})),
    "an own reason": (
        "response.done",
        _set("response.status_details", {"type": "cancelled", "reason": "bored"}),
    ),
    "an error without message": ("error", _drop("error.message")),
    "an error of an event without id": ("error", _drop("event_id")),
    "no event id": ("response.output_text.delta", _drop("event_id")),
    "an empty event id": ("response.output_text.delta", _set("event_id", "")),
    "a delta without its index": ("response.output_text.delta", _drop("content_index")),
    "a beta event": ("response.output_text.delta", _set("type", "response.text.delta")),
    "a vendor event": ("response.output_text.delta", _set("type", "assistant.metrics")),
    "a float for a time": (UPDATED, _set("session.expires_at", 1795219801.5)),
    "a voice that is no string": (UPDATED, _set("session.audio.output.voice", {"id": "v"})),
    "a key of transcription that is newer than a client": (
        UPDATED,
        _set("session.audio.input.transcription", {"model": "m", "delay": "low"}),
    ),
    "an own truncation": (UPDATED, _set("session.truncation", "newest")),
    "an own tracing": (UPDATED, _set("session.tracing", "loud")),
    "sound in a system item": (
        ITEM_DONE,
        _set("item", {"type": "message", "role": "system", "id": "i", "content": [
            {"type": "input_audio", "transcript": None}]}),
    ),
    "a response without status that is known": (
        "response.done",
        _set("response.status", "interrupted"),
    ),
}  # fmt: skip


@pytest.mark.clients
@pytest.mark.parametrize("name", BREAKING)
def test_what_breaks_a_client_is_rejected(
    name: str, validate: Callable[[bytes], None]
) -> None:
    type_, spoil = BREAKING[name]
    event = named(type_)
    validate(json.dumps(event).encode())
    spoiled = copy.deepcopy(event)
    spoil(spoiled)
    with pytest.raises(AssertionError):
        validate(json.dumps(spoiled).encode())


@pytest.mark.clients
def test_an_assistants_beta_text_is_rejected(validate: Callable[[bytes], None]) -> None:
    item = items.MessageItem(
        id="i", role="assistant", status="completed", content=[items.BetaText("Red.")]
    )
    with pytest.raises(AssertionError):
        # Not through ``encode``: what we never send is not to be judged with the rest.
        validate(msgspec.json.encode(wire.ItemRetrieved(event_id="event_1", item=item)))


@pytest.mark.clients
def test_extra_keys_are_tolerated_where_ours_stand(
    validate: Callable[[bytes], None],
) -> None:
    for type_, path in (
        ("response.done", "response.assistant"),
        (UPDATED, "session.assistant"),
        (ITEM_DONE, "item.assistant"),
        ("response.output_text.delta", "assistant"),
    ):
        event = named(type_)
        _set(path, {"anything": [1, None]})(event)
        validate(json.dumps(event).encode())


@pytest.mark.clients
@pytest.mark.parametrize("text", ["[]", "null", "{}", '{"type": 5, "event_id": "e"}'])
def test_what_is_no_event_is_rejected(text: str, validate: Callable[[bytes], None]) -> None:
    with pytest.raises(AssertionError):
        validate(text.encode())
