"""
The error catalogue of the Realtime protocol: every way a client event can be refused.

A refusal is raised where the fault is found and becomes one ``error`` event; the session
goes on. Codes and the messages that clients match on are those of the GA service; codes
of our own are marked.
"""

import re
from collections.abc import Iterable

from assistant.errors import AssistantError

MAX_MESSAGE_CHARS = 2000
"""Messages quote the client; without a bound it could have megabytes sent back."""

_PATH = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]+)`")
"""How msgspec says where a value is wrong, and that one is missing."""


class EventRefused(AssistantError):
    """
    A client event cannot be carried out; nothing of it was applied.

    ``param`` is the path of the offending field, as in ``session.audio.input.format``.
    """

    def __init__(self, code: str | None, message: str, param: str | None = None) -> None:
        if len(message) > MAX_MESSAGE_CHARS:
            message = message[: MAX_MESSAGE_CHARS - 1] + "…"
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


def invalid_json() -> EventRefused:
    return EventRefused("invalid_json", "Invalid event: failed to parse JSON value.")


def binary_frame() -> EventRefused:
    return EventRefused(
        "invalid_event", "Invalid event: expected a text frame, got binary."
    )


def unknown_type(value: object, supported: Iterable[str]) -> EventRefused:
    listed = ", ".join(f"'{name}'" for name in supported)
    return EventRefused(
        "invalid_value",
        f"Invalid value: '{value}'. Supported values are: {listed}.",
        "type",
    )


def missing_parameter(param: str) -> EventRefused:
    return EventRefused(
        "missing_required_parameter", f"Missing required parameter: '{param}'.", param
    )


def invalid_value(param: str, message: str) -> EventRefused:
    return EventRefused("invalid_value", f"Invalid value for '{param}': {message}", param)


def below_minimum(param: str, value: int, minimum: int) -> EventRefused:
    return EventRefused(
        "integer_below_min_value",
        f"Invalid '{param}': integer below minimum value. Expected a value >= {minimum}, "
        f"but got {value} instead.",
        param,
    )


def misshapen(reason: str) -> EventRefused:
    """Turn a validation message of msgspec into the refusal of what it complains about."""
    found = _PATH.search(reason)
    path = found["path"] if found else ""
    missing = _MISSING.match(reason)
    if missing:
        return missing_parameter(".".join(filter(None, (path, missing["name"]))))
    return invalid_value(path, _PATH.sub("", reason))


def check_range(path: str, value: float | None, low: float, high: float) -> None:
    """Raise EventRefused when a value is given and outside its closed range."""
    if value is not None and not low <= value <= high:
        raise invalid_value(path, f"{value} is not from {low} to {high}.")


def commit_empty(duration_ms: float) -> EventRefused:
    return EventRefused(
        "input_audio_buffer_commit_empty",
        "Error committing input audio buffer: buffer too small. Expected at least 100ms of "
        f"audio, but buffer only has {duration_ms:.2f}ms of audio.",
    )


def buffer_full(limit_s: float) -> EventRefused:
    """Our own code: the live service has no stated bound."""
    return EventRefused(
        "input_audio_buffer_full",
        f"Input audio buffer holds {limit_s:g} s, which is its bound; commit or clear it.",
        "audio",
    )


def audio_too_fast(ahead_s: float) -> EventRefused:
    """Our own code, as above."""
    return EventRefused(
        "input_audio_too_fast",
        f"Sound came more than {ahead_s:g} s ahead of time, which is the bound; send it as "
        "fast as it is spoken.",
        "audio",
    )


def active_response(response_id: str) -> EventRefused:
    return EventRefused(
        "conversation_already_has_active_response",
        f"Conversation already has an active response in progress: {response_id}. Wait "
        "until the response is finished before creating a new one.",
    )


def no_responses() -> EventRefused:
    """Our own code: what the live service says is not known."""
    return EventRefused(
        "transcription_session", "A transcription session gives no responses.", "type"
    )


def no_active_response() -> EventRefused:
    return EventRefused(
        "response_cancel_not_active", "Cancellation failed: no active response found"
    )


def duplicate_item(item_id: str) -> EventRefused:
    return EventRefused(
        "item_create_duplicate_item_id",
        f"Error adding item: an item with id '{item_id}' already exists.",
    )


def unknown_item(verb: str, item_id: str, param: str = "item_id") -> EventRefused:
    """``verb`` is create, retrieve, delete or truncate."""
    return EventRefused(
        f"item_{verb}_invalid_item_id", f"Item with id '{item_id}' not found.", param
    )


def not_truncatable() -> EventRefused:
    return EventRefused(None, "Only model output audio messages can be truncated")


def not_by_this_transport(event_type: str) -> EventRefused:
    """Our own code: the live service says nothing of it."""
    return EventRefused(
        "invalid_event_for_transport",
        f"'{event_type}' is not taken while the sound comes from a media track.",
        "type",
    )
