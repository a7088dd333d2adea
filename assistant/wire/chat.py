"""
Chat completions as they stand on the wire: what HTTP clients ask, what they are answered.

Knows JSON; knows no conversation and no engine. Lenient on input (unknown keys are
ignored), strict on output: every field that stock clients validate is written.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from assistant.wire import refusals
from assistant.wire.client_events import TaskPatch
from assistant.wire.items import Detail
from assistant.wire.refusals import EventRefused

FinishReason = Literal["stop", "length", "tool_calls"]
Vendor = dict[str, Any] | UnsetType
"""What our own key of an answer says; left out where that is nothing."""

DONE = b"data: [DONE]\n\n"
"""The last line of a stream."""

# --- requests --------------------------------------------------------------------------


class TextPart(msgspec.Struct, tag="text", tag_field="type"):
    text: str


class ImageUrl(msgspec.Struct):
    url: str
    detail: Detail | None = "auto"


class ImagePart(msgspec.Struct, tag="image_url", tag_field="type"):
    image_url: ImageUrl


class Recording(msgspec.Struct):
    """A sound file; ``data`` is base64 on the wire, decoded here."""

    data: bytes
    format: Literal["wav", "flac", "mp3", "ogg"]


class AudioPart(msgspec.Struct, tag="input_audio", tag_field="type"):
    input_audio: Recording


class RefusalPart(msgspec.Struct, tag="refusal", tag_field="type"):
    """What another model answered instead; plain text for ours."""

    refusal: str


Part = TextPart | ImagePart | AudioPart | RefusalPart


class CalledFunction(msgspec.Struct):
    name: str
    arguments: str


class ToolCall(msgspec.Struct):
    id: str
    function: CalledFunction
    type: Literal["function"] = "function"


class ChatMessage(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = False


class JsonSchema(msgspec.Struct):
    """A name and ``strict`` say nothing here: what is answered always fits the schema."""

    schema: dict[str, Any] | None = None


class ResponseFormat(msgspec.Struct):
    type: str
    json_schema: JsonSchema | None = None


class VendorOptions(msgspec.Struct):
    """Our vendor key."""

    task: str | TaskPatch | UnsetType | None = UNSET


class ChatRequest(msgspec.Struct, kw_only=True):
    """The keys that mean something here; ``None`` is the same as absent everywhere."""

    model: str
    messages: list[ChatMessage]
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    n: int | None = 1
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = True
    response_format: ResponseFormat | None = None
    modalities: list[str] | None = None
    logprobs: bool | None = False
    logit_bias: dict[str, float] | None = None
    presence_penalty: float | None = 0
    frequency_penalty: float | None = 0
    assistant: VendorOptions | None = None


_decoder: msgspec.json.Decoder[ChatRequest] = msgspec.json.Decoder(ChatRequest)


def decode(body: bytes) -> ChatRequest:
    """
    Read the body of a request.

    Raises:
        EventRefused: It is not JSON, or a value is missing or of a wrong type.
    """
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise refusals.misshapen(str(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise EventRefused(
            "invalid_json", "The body of the request could not be parsed as JSON."
        ) from None


# --- answers ---------------------------------------------------------------------------


class PromptDetails(msgspec.Struct):
    cached_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0


class OutputDetails(msgspec.Struct):
    reasoning_tokens: int = 0
    audio_tokens: int = 0


class Usage(msgspec.Struct, kw_only=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: OutputDetails = msgspec.field(default_factory=OutputDetails)


class FunctionDelta(msgspec.Struct):
    name: str | UnsetType = UNSET
    arguments: str = ""


class CallDelta(msgspec.Struct, kw_only=True):
    """More of a call; only its first has an id and a name."""

    index: int
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET
    function: FunctionDelta


class Delta(msgspec.Struct):
    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType = UNSET
    tool_calls: list[CallDelta] | UnsetType = UNSET


class ChunkChoice(msgspec.Struct):
    delta: Delta
    finish_reason: FinishReason | None = None
    index: int = 0
    logprobs: None = None


class Chunk(msgspec.Struct, kw_only=True):
    """One event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | UnsetType | None = UNSET
    """``null`` but in the last chunk when usage was asked for, else left out."""
    assistant: Vendor = UNSET


class AnswerMessage(msgspec.Struct):
    content: str | None
    role: Literal["assistant"] = "assistant"
    refusal: None = None
    tool_calls: list[ToolCall] | UnsetType = UNSET


class Choice(msgspec.Struct):
    message: AnswerMessage
    finish_reason: FinishReason
    index: int = 0
    logprobs: None = None


class ChatCompletion(msgspec.Struct, kw_only=True):
    """The whole answer at once."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    assistant: Vendor = UNSET


_encoder = msgspec.json.Encoder()


def encode(answer: ChatCompletion) -> bytes:
    return _encoder.encode(answer)


def event(data: Chunk | dict[str, Any]) -> bytes:
    """Return one server-sent event (WHATWG HTML, 9.2.5); JSON has no line break in it."""
    return b"data: " + _encoder.encode(data) + b"\n\n"
