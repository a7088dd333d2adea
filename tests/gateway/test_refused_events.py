"""
Every way in which a client's event can be refused, as the client sees it.

One ``error`` event with the code, the path of what is wrong and the id of the event that
was; the session goes on as if it had not come.
"""

import json
from typing import Any

import pytest

from assistant.config import Config, LimitsConfig, VadConfig
from assistant.gateway.call import Call
from assistant.gateway.engine_client import EngineClient
from tests.gateway.fakes import run

CONFIG = Config(
    vad=VadConfig(engine="webrtc"),
    limits=LimitsConfig(audio_buffer_s=1, conversation_items=4),
)
Event = dict[str, Any]


def item(item_id: str, **keys: Any) -> Event:
    content = [{"type": "input_text", "text": "Hi."}]
    message = {"type": "message", "role": "user", "id": item_id, "content": content}
    return {"type": "conversation.item.create", "item": message, **keys}


def about(verb: str, item_id: str, **keys: Any) -> Event:
    return {"type": f"conversation.item.{verb}", "item_id": item_id, **keys}


def update(**session: Any) -> Event:
    return {"type": "session.update", "session": {"type": "realtime", **session}}


def hearing(**audio_input: Any) -> Event:
    return update(audio={"input": audio_input})


CREATE: Event = {"type": "response.create"}
ASIDE: Event = {**CREATE, "response": {"conversation": "none"}}
COMMIT: Event = {"type": "input_audio_buffer.commit"}
MANUAL = hearing(turn_detection=None)
SILENCE = "AAAA" * 8000  # half a second
APPEND: Event = {"type": "input_audio_buffer.append", "audio": SILENCE}
PICTURE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
NO_PICTURE = item("p")
NO_PICTURE["item"]["content"] = [PICTURE]
HTTP_PICTURE = item("p")
HTTP_PICTURE["item"]["content"] = [{**PICTURE, "image_url": "https://example.com/a.jpg"}]
IMAGE_PATH = "item.content[0].image_url"

REFUSED: list[tuple[str | None, str | None, list[Event], Event]] = [
    ("invalid_value", "type", [], {"type": "session.explode"}),
    ("invalid_value", "audio", [], {**APPEND, "audio": "not base64!"}),
    ("invalid_value", "response.max_output_tokens", [], {
        **CREATE, "response": {"max_output_tokens": 0}}),
    ("invalid_value", IMAGE_PATH, [], HTTP_PICTURE),
    ("unsupported_image_type", None, [], NO_PICTURE),
    ("missing_required_parameter", "type", [], {}),
    ("missing_required_parameter", "session", [], {"type": "session.update"}),
    ("missing_required_parameter", "item_id", [], {"type": "conversation.item.delete"}),
    ("integer_below_min_value", "session.audio.input.format.rate", [],
     hearing(format={"type": "audio/pcm", "rate": 8000})),
    ("input_audio_buffer_commit_empty", None, [MANUAL], COMMIT),
    ("input_audio_buffer_full", "audio", [MANUAL, APPEND, APPEND], APPEND),
    ("conversation_already_has_active_response", None, [item("a"), CREATE], CREATE),
    ("response_cancel_not_active", None, [], {"type": "response.cancel"}),
    ("item_create_duplicate_item_id", None, [item("a")], item("a")),
    ("item_create_invalid_item_id", "previous_item_id", [],
     item("a", previous_item_id="gone")),
    ("item_retrieve_invalid_item_id", "item_id", [], about("retrieve", "gone")),
    ("item_delete_invalid_item_id", "item_id", [], about("delete", "gone")),
    ("item_truncate_invalid_item_id", "item_id", [],
     about("truncate", "gone", content_index=0, audio_end_ms=0)),
    (None, None, [item("a")], about("truncate", "a", content_index=0, audio_end_ms=0)),
    ("conversation_full", None, [item(name) for name in "abcd"], item("e")),
    ("too_many_responses", None, [item("a"), *[ASIDE] * 4], ASIDE),
    ("transcription_session", "type",
     [{"type": "session.update", "session": {"type": "transcription"}}], CREATE),
]  # fmt: skip


class Line:
    """A call without an engine, and what it says."""

    def __init__(self, config: Config = CONFIG) -> None:
        self.call = Call(config, EngineClient(), "fake")
        self.outbox = self.call.open()

    async def send(self, event: Event) -> None:
        await self.call.receive_text(json.dumps(event), self.outbox)

    async def said(self) -> list[Event]:
        """Close the call; return everything that it has said."""
        self.call.close()
        events = []
        while (outgoing := await self.outbox.get()) is not None:
            events.append(json.loads(outgoing.text))
        return events


def names(events: list[Event]) -> list[str]:
    return [event["type"] for event in events]


@pytest.mark.parametrize(
    ("code", "param", "before", "event"),
    REFUSED,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refusal_names_its_code_its_path_and_its_event_and_changes_nothing(
    code: str | None, param: str | None, before: list[Event], event: Event
) -> None:
    async def scenario() -> None:
        line, untouched = Line(), Line()
        for earlier in before:
            await line.send(earlier)
            await untouched.send(earlier)
        await line.send({**event, "event_id": "mine"})
        for each in (line, untouched):
            await each.send({"type": "input_audio_buffer.clear"})
        events = await line.said()
        (refusal,) = [event for event in events if event["type"] == "error"]
        error = refusal["error"]
        assert (error["code"], error["param"], error["event_id"]) == (code, param, "mine")
        assert error["type"] == "invalid_request_error"
        assert error["message"]
        assert refusal["event_id"]
        events.remove(refusal)
        assert names(events) == names(await untouched.said())

    run(scenario())


def test_what_is_no_event_is_refused_without_an_id_and_the_session_goes_on() -> None:
    async def scenario() -> None:
        line = Line()
        await line.call.receive_text(
            '{"type": "session.update", "event_id": "mine"', line.outbox
        )
        line.call.receive_binary(line.outbox)
        await line.send({"type": "input_audio_buffer.clear"})
        _, broken, binary, cleared = await line.said()
        assert [broken["error"]["code"], binary["error"]["code"]] == [
            "invalid_json",
            "invalid_event",
        ]
        assert broken["error"]["event_id"] is binary["error"]["event_id"] is None
        assert cleared["type"] == "input_audio_buffer.cleared"

    run(scenario())


def test_what_is_merely_unknown_is_no_error() -> None:
    async def scenario() -> None:
        line = Line()
        await line.send({**update(foo=1, prompt={"id": "p"}), "bar": 2})
        await line.send({"type": "output_audio_buffer.clear"})
        assert names(await line.said()) == ["session.created", "session.updated"]

    run(scenario())
