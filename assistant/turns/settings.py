"""
What a client may set for its session, and how it is echoed.

Knows the ``session`` object of the wire; knows no audio and no clock. Settings are a
value: ``updated`` returns new ones or refuses the whole patch.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from msgspec import UNSET, UnsetType, to_builtins

from assistant.config import Config
from assistant.turns import (
    extensions,
    input_format,
    tools,
    transcription,
    truncation,
    turn_detection,
)
from assistant.turns.endpointing import Endpointing
from assistant.turns.extensions import Extensions
from assistant.turns.input_format import InputFormat as InputFormat
from assistant.turns.tools import NO_TOOLS, Tools
from assistant.turns.transcription import Transcription
from assistant.turns.turn_detection import TurnDetection
from assistant.wire import refusals
from assistant.wire.client_events import (
    AudioInputPatch,
    AudioOutputPatch,
    ResponseParams,
    SessionPatch,
    TranscriptionPatch,
    Voice,
)

TYPES = ("realtime", "transcription")
VOICE = "alloy"
"""Replies are text; a name of a voice is only kept to be echoed."""
SPEED_RANGE = (0.25, 1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a client can set; frozen, so that a response keeps what it began with."""

    type: Literal["realtime", "transcription"] = "realtime"
    """A session for transcripts gives no responses."""
    is_typed: bool = False
    """The client has said which type it is; it stays that."""
    model: str
    instructions: str
    input_format: InputFormat
    turn_detection: TurnDetection | None
    max_output_tokens: int | Literal["inf"]
    endpointing: Endpointing
    """The service's defaults; ``turn_detection`` overrides some of its values."""
    transcription: Transcription | None = None
    may_transcribe: bool = True
    noise_reduction: dict[str, Any] | None = None
    voice: str = VOICE
    speed: float = 1.0
    truncation: str | dict[str, Any] = "auto"
    tracing: str | dict[str, Any] | None = None
    tools: Tools = NO_TOOLS
    max_text_chars: int = 100_000
    """Bound of the instructions, and of all tools together."""
    extensions: Extensions
    """What is beyond the protocol."""
    config: Config
    """Of the service: what it does where a client says nothing."""

    @property
    def distance(self) -> Literal["near_field", "far_field"] | None:
        """From where the microphone hears people, if the client has said so."""
        reduction = self.noise_reduction or {}
        distance: Literal["near_field", "far_field"] | None = reduction.get("type")
        return distance

    @property
    def answers_turns(self) -> bool:
        """A response follows the end of a turn by itself."""
        detection = self.turn_detection
        is_asked_for = detection is not None and detection.create_response
        return self.type == "realtime" and is_asked_for

    @property
    def interrupts(self) -> bool:
        """Speech ends the response under way."""
        return self.turn_detection is not None and self.turn_detection.interrupt_response

    @property
    def reads_ahead(self) -> bool:
        """The next prompt is known in part; that of a task, when the turn is over."""
        return self.type == "realtime" and not self.extensions.task.needs_sound

    @property
    def effective_endpointing(self) -> Endpointing:
        detection = self.turn_detection
        return detection.applied_to(self.endpointing) if detection else self.endpointing

    def to_wire(self, session_id: str, expires_at: int) -> dict[str, Any]:
        """Return the full ``session`` object; every stock client validates this shape."""
        detection = self.turn_detection
        audio_input = {
            "format": self.input_format.to_wire(),
            "transcription": self.transcription.to_wire() if self.transcription else None,
            "noise_reduction": self.noise_reduction,
            "turn_detection": detection.to_wire() if detection else None,
        }
        if self.type == "transcription":
            return {
                "type": "transcription",
                "object": "realtime.transcription_session",
                "id": session_id,
                "expires_at": expires_at,
                "include": None,
                "audio": {"input": audio_input},
            }
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": self.model,
            "output_modalities": ["text"],
            "instructions": self.instructions,
            **self.tools.to_wire(),
            "max_output_tokens": self.max_output_tokens,
            "truncation": self.truncation,
            "tracing": self.tracing,
            "prompt": None,
            "include": None,
            "expires_at": expires_at,
            "audio": {
                "input": audio_input,
                "output": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "voice": self.voice,
                    "speed": self.speed,
                },
            },
            "assistant": self.extensions.to_wire(),
        }


def initial(config: Config, model: str, hangover_ms: int) -> Settings:
    """Return what a session starts with; ``hangover_ms`` is that of the VAD in use."""
    endpointing = Endpointing.from_config(config.endpointing, hangover_ms)
    return Settings(
        model=model,
        instructions=config.reply.instructions,
        input_format=InputFormat(),
        turn_detection=turn_detection.default("server_vad", endpointing),
        max_output_tokens="inf",
        endpointing=endpointing,
        max_text_chars=config.limits.text_chars,
        may_transcribe=config.transcripts.enabled,
        extensions=extensions.usual(config),
        config=config,
    )


def updated(settings: Settings, patch: SessionPatch) -> Settings:
    """
    Merge a ``session.update``: absent is unchanged, ``null`` clears.

    What is cleared has its default again; cleared instructions are empty.

    Raises:
        EventRefused: A value is out of its range; nothing is applied.
    """
    changes = _type_changes(settings, patch)
    if patch.instructions is not UNSET:
        changes["instructions"] = _checked_instructions(
            patch.instructions or "", "session", settings
        )
    for limit in (patch.max_response_output_tokens, patch.max_output_tokens):
        if limit is not UNSET:
            changes["max_output_tokens"] = checked_output_limit(
                "session.max_output_tokens", limit
            )
    if patch.truncation is not UNSET:
        changes["truncation"] = truncation.checked(patch.truncation)
    if patch.tracing is not UNSET:
        changes["tracing"] = to_builtins(patch.tracing)
    changes["tools"] = tools.updated(
        settings.tools,
        path="session",
        declared=patch.tools,
        choice=patch.tool_choice,
        parallel=patch.parallel_tool_calls,
        max_chars=settings.max_text_chars,
    )
    if patch.voice is not UNSET:
        changes["voice"] = patch.voice or VOICE
    if patch.input_audio_format is not UNSET:
        changes["input_format"] = input_format.BETA[patch.input_audio_format or "pcm16"]
    if patch.turn_detection is not UNSET:
        changes["turn_detection"] = turn_detection.updated(
            settings.turn_detection, patch.turn_detection, settings.endpointing
        )
    if patch.input_audio_transcription is not UNSET:
        changes |= _transcription_change(settings, patch.input_audio_transcription)
    if patch.audio:
        if patch.audio.input:
            changes |= _input_changes(settings, patch.audio.input)
        if patch.audio.output:
            changes |= _output_changes(patch.audio.output)
    if patch.assistant:
        changes["extensions"] = extensions.updated(
            settings.extensions, patch.assistant, settings.config
        )
    return replace(settings, **changes)


def _type_changes(settings: Settings, patch: SessionPatch) -> dict[str, Any]:
    """Take the type of a session, chosen once; transcripts come with the second one."""
    if patch.type is UNSET or patch.type is None:
        return {}
    if patch.type not in TYPES:
        listed = ", ".join(f"'{kind}'" for kind in TYPES)
        reason = f"'{patch.type}'. Supported values are: {listed}."
        raise refusals.invalid_value("session.type", reason)
    if settings.is_typed and patch.type != settings.type:
        reason = f"a session of type '{settings.type}' stays one."
        raise refusals.invalid_value("session.type", reason)
    changes: dict[str, Any] = {"type": patch.type, "is_typed": True}
    if patch.type == "transcription" and not settings.is_typed:
        changes |= _transcription_change(settings, TranscriptionPatch())
    return changes


def _transcription_change(
    settings: Settings, patch: TranscriptionPatch | UnsetType | None
) -> dict[str, Any]:
    if not settings.may_transcribe:
        return {}  # not promised, so not echoed
    changed = transcription.updated(
        settings.transcription,
        patch,
        model=settings.model,
        max_chars=settings.max_text_chars,
    )
    return {"transcription": changed}


def for_response(settings: Settings, params: ResponseParams) -> Settings:
    """
    Return the settings of one response: the session's, where it has none of its own.

    Raises:
        EventRefused: An override is out of its range, or is one we do not have; or the
            session is one for transcripts.
    """
    if settings.type == "transcription":
        raise refusals.no_responses()
    changes: dict[str, Any] = {}
    if params.instructions is not UNSET and params.instructions is not None:
        changes["instructions"] = _checked_instructions(
            params.instructions, "response", settings
        )
    for limit in (params.max_response_output_tokens, params.max_output_tokens):
        if limit is not UNSET and limit is not None:
            path = "response.max_output_tokens"
            changes["max_output_tokens"] = checked_output_limit(path, limit)
    changes["tools"] = tools.updated(
        settings.tools,
        path="response",
        declared=UNSET if params.tools is None else params.tools,
        choice=UNSET if params.tool_choice is None else params.tool_choice,
        parallel=UNSET
        if params.parallel_tool_calls is None
        else params.parallel_tool_calls,
        max_chars=settings.max_text_chars,
    )
    return replace(settings, **changes)


def _checked_instructions(text: str, path: str, settings: Settings) -> str:
    if len(text) > settings.max_text_chars:
        reason = f"{len(text)} characters, the bound is {settings.max_text_chars}."
        raise refusals.invalid_value(f"{path}.instructions", reason)
    return text


def checked_output_limit(param: str, limit: int | str | None) -> int | Literal["inf"]:
    """Return a token limit of 1 to 4096 or ``"inf"``; raises EventRefused."""
    if limit is None or limit == "inf":
        return "inf"
    assert isinstance(limit, int)
    if not 1 <= limit <= 4096:
        raise refusals.invalid_value(param, f"{limit} is not from 1 to 4096.")
    return limit


def _input_changes(settings: Settings, patch: AudioInputPatch) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if patch.format is not UNSET:
        changes["input_format"] = (
            InputFormat() if patch.format is None else input_format.checked(patch.format)
        )
    if patch.noise_reduction is not UNSET:
        reduction = patch.noise_reduction
        changes["noise_reduction"] = {"type": reduction.type} if reduction else None
    if patch.transcription is not UNSET:
        changes |= _transcription_change(settings, patch.transcription)
    if patch.turn_detection is not UNSET:
        changes["turn_detection"] = turn_detection.updated(
            settings.turn_detection, patch.turn_detection, settings.endpointing
        )
    return changes


def _output_changes(patch: AudioOutputPatch) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if patch.voice is not UNSET:
        voice = patch.voice.id if isinstance(patch.voice, Voice) else patch.voice
        changes["voice"] = voice or VOICE
    if patch.speed is not UNSET:
        refusals.check_range("session.audio.output.speed", patch.speed, *SPEED_RANGE)
        changes["speed"] = 1.0 if patch.speed is None else patch.speed
    return changes
