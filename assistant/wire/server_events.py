"""
What the server sends: the GA events of a text session with audio and image input.

Strict on output: every struct writes exactly the fields its clients validate, so nothing
here is optional that a stock client needs. ``event_id`` is empty until the event takes
its place in the outgoing queue, which numbers them.
"""

from typing import Any, Literal, Self

import msgspec
from msgspec import UNSET, UnsetType

from assistant.wire.items import Item


class ServerEvent(msgspec.Struct, tag_field="type", kw_only=True):
    """Base of everything the server sends."""

    event_id: str = ""


class SessionCreated(ServerEvent, tag="session.created"):
    session: dict[str, Any]


class SessionUpdated(ServerEvent, tag="session.updated"):
    session: dict[str, Any]


class SpeechStarted(ServerEvent, tag="input_audio_buffer.speech_started"):
    audio_start_ms: int
    item_id: str


class SpeechStopped(ServerEvent, tag="input_audio_buffer.speech_stopped"):
    audio_end_ms: int
    item_id: str


class TimeoutTriggered(ServerEvent, tag="input_audio_buffer.timeout_triggered"):
    audio_start_ms: int
    audio_end_ms: int
    item_id: str


class Committed(ServerEvent, tag="input_audio_buffer.committed"):
    previous_item_id: str | None
    item_id: str


class Cleared(ServerEvent, tag="input_audio_buffer.cleared"):
    pass


class ImageBufferCleared(ServerEvent, tag="input_image_buffer.cleared"):
    """Our extension: answers ``input_image_buffer.clear`` and nothing else."""


class ItemAdded(ServerEvent, tag="conversation.item.added"):
    previous_item_id: str | None
    item: Item


class ItemDone(ServerEvent, tag="conversation.item.done"):
    previous_item_id: str | None
    item: Item


class ItemRetrieved(ServerEvent, tag="conversation.item.retrieved"):
    item: Item


class ItemDeleted(ServerEvent, tag="conversation.item.deleted"):
    item_id: str


# --- transcripts of what the user said -------------------------------------------------


class TranscriptDelta(ServerEvent, tag="conversation.item.input_audio_transcription.delta"):
    item_id: str
    content_index: int
    delta: str


class TranscriptTokenDetails(msgspec.Struct, kw_only=True):
    text_tokens: int
    audio_tokens: int


class TranscriptUsage(msgspec.Struct, kw_only=True):
    """Tokens as the model counted them; apart from those of any response."""

    type: Literal["tokens"] = "tokens"
    total_tokens: int
    input_tokens: int
    output_tokens: int
    input_token_details: TranscriptTokenDetails

    @classmethod
    def of(cls, usage: "Usage") -> Self:
        details = usage.input_token_details
        return cls(
            total_tokens=usage.total_tokens,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            input_token_details=TranscriptTokenDetails(
                text_tokens=details.text_tokens, audio_tokens=details.audio_tokens
            ),
        )


class TranscriptCompleted(
    ServerEvent, tag="conversation.item.input_audio_transcription.completed"
):
    item_id: str
    content_index: int
    transcript: str
    usage: TranscriptUsage


class TranscriptError(msgspec.Struct, kw_only=True):
    type: str = "server_error"
    code: str
    message: str
    param: str | UnsetType = UNSET
    """Left out: the JavaScript agents SDK takes no null here."""


class TranscriptFailed(
    ServerEvent, tag="conversation.item.input_audio_transcription.failed"
):
    """No ``error`` event is sent with it: some clients hang up on one."""

    item_id: str
    content_index: int
    error: TranscriptError


# --- responses --------------------------------------------------------------------------


class TokenDetails(msgspec.Struct, kw_only=True):
    text_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int | UnsetType = UNSET
    cached_tokens: int | UnsetType = UNSET


class Usage(msgspec.Struct, kw_only=True):
    """Tokens as the model counted them."""

    total_tokens: int
    input_tokens: int
    output_tokens: int
    input_token_details: TokenDetails
    output_token_details: TokenDetails


ResponseStatus = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]


class Response(msgspec.Struct, kw_only=True):
    id: str
    object: str = "realtime.response"
    status: ResponseStatus
    status_details: dict[str, Any] | None = None
    output: list[Item]
    conversation_id: str | None
    output_modalities: list[str]
    max_output_tokens: int | Literal["inf"]
    usage: Usage | None = None
    metadata: dict[str, str] | None = None
    assistant: dict[str, Any] | UnsetType = UNSET
    """Our vendor key: the frames the model saw and the turn's timeline."""


class ResponseCreated(ServerEvent, tag="response.created"):
    response: Response


class ResponseDone(ServerEvent, tag="response.done"):
    response: Response


class OutputItemAdded(ServerEvent, tag="response.output_item.added"):
    response_id: str
    output_index: int
    item: Item


class OutputItemDone(ServerEvent, tag="response.output_item.done"):
    response_id: str
    output_index: int
    item: Item


class Part(msgspec.Struct):
    """A content part inside a response: ``text`` here, not ``output_text``."""

    text: str
    type: Literal["text"] = "text"


class ContentPartAdded(ServerEvent, tag="response.content_part.added"):
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    part: Part


class ContentPartDone(ServerEvent, tag="response.content_part.done"):
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    part: Part


class TextDelta(ServerEvent, tag="response.output_text.delta"):
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    delta: str


class TextDone(ServerEvent, tag="response.output_text.done"):
    response_id: str
    item_id: str
    output_index: int
    content_index: int
    text: str


class ArgumentsDelta(ServerEvent, tag="response.function_call_arguments.delta"):
    response_id: str
    item_id: str
    output_index: int
    call_id: str
    delta: str


class ArgumentsDone(ServerEvent, tag="response.function_call_arguments.done"):
    response_id: str
    item_id: str
    output_index: int
    call_id: str
    name: str
    arguments: str


class ErrorBody(msgspec.Struct, kw_only=True):
    type: Literal["invalid_request_error", "server_error"]
    code: str | None
    message: str
    param: str | None
    event_id: str | None
    """Of the client event that caused it."""


class Error(ServerEvent, tag="error"):
    error: ErrorBody


def error(
    code: str | None, message: str, *, param: str | None = None, event_id: str | None = None
) -> Error:
    """Return the event for a request that was refused."""
    return Error(
        error=ErrorBody(
            type="invalid_request_error",
            code=code,
            message=message,
            param=param,
            event_id=event_id,
        )
    )


def session_expired(max_s: float) -> Error:
    """Return the event for a session that has lasted as long as it may."""
    message = f"Your session hit the maximum duration of {max_s / 60:g} minutes."
    return error("session_expired", message)


def timeout_triggered(start_ms: int, end_ms: int, item_id: str) -> TimeoutTriggered:
    """Return the event for sound in which nobody spoke."""
    return TimeoutTriggered(audio_start_ms=start_ms, audio_end_ms=end_ms, item_id=item_id)


_encoder = msgspec.json.Encoder()


def encode(event: ServerEvent) -> bytes:
    """Return the UTF-8 JSON of one event."""
    return _encoder.encode(event)
