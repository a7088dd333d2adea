"""
What a client may send: the eleven GA client events and our camera extension, as structs.

Lenient on input: unknown keys are ignored and beta field names are understood. A frame
that cannot be read raises ``EventRefused`` with the code and the text of the GA service.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from assistant.wire import refusals
from assistant.wire.items import Item, ItemReference
from assistant.wire.refusals import EventRefused


class ClientEvent(msgspec.Struct, tag_field="type", kw_only=True):
    """Base of everything a client sends."""

    event_id: str | UnsetType | None = UNSET


# --- session.update --------------------------------------------------------------------


class AudioFormat(msgspec.Struct):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: int | UnsetType | None = UNSET


class TurnDetectionPatch(msgspec.Struct):
    """Keys of ``server_vad`` and ``semantic_vad`` together; absent means unchanged."""

    type: Literal["server_vad", "semantic_vad"] | UnsetType | None = UNSET
    threshold: float | UnsetType | None = UNSET
    prefix_padding_ms: int | UnsetType | None = UNSET
    silence_duration_ms: int | UnsetType | None = UNSET
    idle_timeout_ms: int | UnsetType | None = UNSET
    eagerness: Literal["auto", "low", "medium", "high"] | UnsetType | None = UNSET
    create_response: bool | UnsetType | None = UNSET
    interrupt_response: bool | UnsetType | None = UNSET


class NoiseReduction(msgspec.Struct):
    type: Literal["near_field", "far_field"]


class TranscriptionPatch(msgspec.Struct):
    model: str | UnsetType | None = UNSET
    language: str | UnsetType | None = UNSET
    prompt: str | UnsetType | None = UNSET


class AudioInputPatch(msgspec.Struct):
    format: AudioFormat | UnsetType | None = UNSET
    noise_reduction: NoiseReduction | UnsetType | None = UNSET
    transcription: TranscriptionPatch | UnsetType | None = UNSET
    turn_detection: TurnDetectionPatch | UnsetType | None = UNSET


class Voice(msgspec.Struct):
    id: str


class AudioOutputPatch(msgspec.Struct):
    format: AudioFormat | UnsetType | None = UNSET
    voice: str | Voice | UnsetType | None = UNSET
    speed: float | UnsetType | None = UNSET


class AudioPatch(msgspec.Struct):
    input: AudioInputPatch | UnsetType | None = UNSET
    output: AudioOutputPatch | UnsetType | None = UNSET


class VideoPatch(msgspec.Struct):
    frames_per_turn: int | UnsetType | None = UNSET
    policy: Literal["latest", "change", "uniform"] | UnsetType | None = UNSET
    freshness_ms: float | UnsetType | None = UNSET


class WatchPatch(msgspec.Struct):
    """What to speak up about, unasked, when the camera shows it."""

    instruction: str | UnsetType = UNSET
    on: Literal["change", "interval"] | UnsetType | None = UNSET
    say: Literal["once", "changes"] | UnsetType | None = UNSET
    interval_ms: int | UnsetType | None = UNSET
    still_ms: int | UnsetType | None = UNSET
    min_novelty: float | UnsetType | None = UNSET
    min_gap_ms: int | UnsetType | None = UNSET
    max_per_minute: int | UnsetType | None = UNSET


TaskKind = Literal[
    "assistant", "transcribe", "translate", "transcribe_translate", "summarise"
]


class TaskPatch(msgspec.Struct):
    """A task; its name alone does for one that needs no language."""

    type: str
    language: str | UnsetType | None = UNSET


class AssistantPatch(msgspec.Struct):
    """Our vendor key: opt-in extensions."""

    events: list[Literal["metrics"]] | UnsetType = UNSET
    backchannels: Literal["interrupt", "ignore"] | UnsetType | None = UNSET
    task: str | TaskPatch | UnsetType | None = UNSET
    speaks_aloud: Literal["unknown", "yes", "no"] | UnsetType | None = UNSET
    video: VideoPatch | UnsetType | None = UNSET
    watch: WatchPatch | UnsetType | None = UNSET


class TokenLimits(msgspec.Struct):
    post_instructions: int | UnsetType | None = UNSET


class RetentionRatio(msgspec.Struct, tag="retention_ratio", tag_field="type"):
    retention_ratio: float
    token_limits: TokenLimits | UnsetType | None = UNSET


class Tracing(msgspec.Struct):
    workflow_name: str | UnsetType | None = UNSET
    group_id: str | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET


class SessionPatch(msgspec.Struct):
    type: str | UnsetType | None = UNSET
    model: str | UnsetType | None = UNSET
    instructions: str | UnsetType | None = UNSET
    output_modalities: list[Literal["text", "audio"]] | UnsetType | None = UNSET
    audio: AudioPatch | UnsetType | None = UNSET
    tools: list[dict[str, Any]] | UnsetType | None = UNSET
    tool_choice: str | dict[str, Any] | UnsetType | None = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET
    max_output_tokens: int | Literal["inf"] | UnsetType | None = UNSET
    truncation: Literal["auto", "disabled"] | RetentionRatio | UnsetType | None = UNSET
    tracing: Literal["auto"] | Tracing | UnsetType | None = UNSET
    assistant: AssistantPatch | UnsetType = UNSET
    # Beta names of the same settings.
    modalities: list[Literal["text", "audio"]] | UnsetType | None = UNSET
    voice: str | UnsetType | None = UNSET
    input_audio_format: Literal["pcm16", "g711_ulaw", "g711_alaw"] | UnsetType | None = (
        UNSET
    )
    input_audio_transcription: TranscriptionPatch | UnsetType | None = UNSET
    turn_detection: TurnDetectionPatch | UnsetType | None = UNSET
    max_response_output_tokens: int | Literal["inf"] | UnsetType | None = UNSET


class SessionUpdate(ClientEvent, tag="session.update"):
    session: SessionPatch


# --- the other events ------------------------------------------------------------------


class InputAudioAppend(ClientEvent, tag="input_audio_buffer.append"):
    audio: bytes
    """Base64 on the wire, decoded here."""


class InputAudioCommit(ClientEvent, tag="input_audio_buffer.commit"):
    pass


class InputAudioClear(ClientEvent, tag="input_audio_buffer.clear"):
    pass


class OutputAudioClear(ClientEvent, tag="output_audio_buffer.clear"):
    pass


class ItemCreate(ClientEvent, tag="conversation.item.create"):
    item: Item
    previous_item_id: str | UnsetType | None = UNSET


class ItemRetrieve(ClientEvent, tag="conversation.item.retrieve"):
    item_id: str


class ItemDelete(ClientEvent, tag="conversation.item.delete"):
    item_id: str


class ItemTruncate(ClientEvent, tag="conversation.item.truncate"):
    item_id: str
    content_index: int = 0
    audio_end_ms: int = 0


class ResponseParams(msgspec.Struct):
    """Overrides for one response; absent means the session's value."""

    output_modalities: list[Literal["text", "audio"]] | UnsetType | None = UNSET
    modalities: list[Literal["text", "audio"]] | UnsetType | None = UNSET
    instructions: str | UnsetType | None = UNSET
    conversation: Literal["auto", "none"] | UnsetType | None = UNSET
    input: list[Item | ItemReference] | UnsetType | None = UNSET
    tools: list[dict[str, Any]] | UnsetType | None = UNSET
    tool_choice: str | dict[str, Any] | UnsetType | None = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET
    max_output_tokens: int | Literal["inf"] | UnsetType | None = UNSET
    max_response_output_tokens: int | Literal["inf"] | UnsetType | None = UNSET
    metadata: dict[str, str] | UnsetType | None = UNSET


class ResponseCreate(ClientEvent, tag="response.create"):
    response: ResponseParams | UnsetType | None = UNSET


class ResponseCancel(ClientEvent, tag="response.cancel"):
    response_id: str | UnsetType | None = UNSET


class InputImageAppend(ClientEvent, tag="input_image_buffer.append"):
    """Our extension: one camera frame, base64 of a JPEG, PNG or WebP."""

    image: bytes
    timestamp_ms: float | UnsetType | None = UNSET
    """Capture time on any clock of the client's that does not jump."""


class InputImageClear(ClientEvent, tag="input_image_buffer.clear"):
    pass


AnyClientEvent = (
    SessionUpdate
    | InputAudioAppend
    | InputAudioCommit
    | InputAudioClear
    | OutputAudioClear
    | ItemCreate
    | ItemRetrieve
    | ItemDelete
    | ItemTruncate
    | ResponseCreate
    | ResponseCancel
    | InputImageAppend
    | InputImageClear
)

MAX_EVENT_ID_CHARS = 512

TYPES: tuple[str, ...] = tuple(
    str(kind.__struct_config__.tag) for kind in AnyClientEvent.__args__
)


class _Header(msgspec.Struct):
    """What can be said about an event that is otherwise wrong."""

    type: Any = None
    event_id: Any = None


_decoder: msgspec.json.Decoder[AnyClientEvent] = msgspec.json.Decoder(AnyClientEvent)
_header_decoder = msgspec.json.Decoder(_Header)


def decode(text: str | bytes) -> AnyClientEvent:
    """
    Read one text frame.

    Raises:
        EventRefused: It is not an event; ``event_id_of`` may still find its id.
    """
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError as error:
        raise _refusal(text, str(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise refusals.invalid_json() from None


def event_id_of(text: str | bytes) -> str | None:
    """Return the ``event_id`` of a frame that may be wrong in every other way."""
    try:
        event_id = _header_decoder.decode(text).event_id
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if not isinstance(event_id, str) or len(event_id) > MAX_EVENT_ID_CHARS:
        return None
    return event_id


def _refusal(text: str | bytes, reason: str) -> EventRefused:
    """Turn a validation message into the error the GA service gives."""
    try:
        kind = _header_decoder.decode(text).type
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        # Not an object, or broken JSON behind the value that was found wrong first.
        return refusals.invalid_json()
    if kind is None:
        return refusals.missing_parameter("type")
    if kind not in TYPES:
        return refusals.unknown_type(kind, TYPES)
    return refusals.misshapen(reason)
