"""
What stock clients accept from a server: the typed models of two of them, as one check.

A third one (pipecat) is stricter at three places of the session, which are written out
here: it cannot be installed beside the others in a small environment.

Importing those packages takes seconds, so only tests with the ``clients`` (or
``service``) marker may import this module.
"""

import json
from typing import Any

from agents.realtime.openai_realtime import get_server_event_type_adapter
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter, ValidationError

VENDOR_TYPES = frozenset({"input_image_buffer.cleared"})
"""Sent only to clients that use our extension; no stock client knows them."""

_openai: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
_agents: TypeAdapter[Any] = get_server_event_type_adapter()


def validate_server_event(json_text: str | bytes) -> None:
    """
    Check one text frame that the server sent.

    Raises:
        AssertionError: A client would reject it; the message says which and why.
    """
    event = json.loads(json_text)
    assert isinstance(event, dict), f"not an object: {event!r:.100}"
    if event.get("type") in VENDOR_TYPES:
        assert event.get("event_id"), "an event has no event_id"
        return
    for name, adapter in (("openai", _openai), ("openai-agents", _agents)):
        try:
            # Not from JSON text in strict mode: numbers of the wrong kind must not pass.
            parsed = adapter.validate_python(event, strict=True)
        except ValidationError as error:
            raise AssertionError(f"{name} rejects {event!r:.300}: {error}") from None
        # Both models are unions of events that share field names; the one that matched
        # must be the one that was meant.
        assert getattr(parsed, "type", event["type"]) == event["type"], name
    assert event["event_id"], "event_id is empty"
    if "session" in event:
        _check_session(event["session"])


def _check_session(session: dict[str, Any]) -> None:
    assert type(session["expires_at"]) is int, "pipecat: expires_at is not an integer"
    transcription = session["audio"]["input"]["transcription"] or {}
    assert transcription.keys() <= {"model", "language", "prompt"}, "pipecat: transcription"
    if session["type"] == "transcription":
        return
    voice = session["audio"]["output"]["voice"]
    assert isinstance(voice, str), "pipecat: the voice is not a string"
    turn_detection = session["audio"]["input"]["turn_detection"]
    # Both agents SDKs cancel by themselves unless they read an explicit true or false.
    assert turn_detection is None or "interrupt_response" in turn_detection
