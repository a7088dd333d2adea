"""
What a client may set for its session, and how it is echoed.

Knows the ``session`` object of the wire; knows no audio and no clock. Settings are a
value: ``updated`` returns new ones or refuses the whole patch.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from msgspec import UNSET, to_builtins

from assistant.config import Config
from assistant.turns import tasks, tools, turn_detection
from assistant.turns.clock import SAMPLE_RATE_HZ
from assistant.turns.endpointing import Endpointing
from assistant.turns.tasks import Task
from assistant.turns.tools import NO_TOOLS, Tools
from assistant.turns.turn_detection import TurnDetection
from assistant.wire import refusals
from assistant.wire.client_events import (
    AssistantPatch,
    AudioFormat,
    AudioInputPatch,
    AudioOutputPatch,
    ResponseParams,
    RetentionRatio,
    SessionPatch,
    Voice,
)

VOICE = "alloy"
"""Replies are text; a name of a voice is only kept to be echoed."""
SPEED_RANGE = (0.25, 1.5)
PCM_RATES_HZ = (24_000, 16_000)
G711_RATE_HZ = 8_000


@dataclass(frozen=True, slots=True)
class InputFormat:
    """How the client's audio bytes are to be read."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate_hz: int = 24_000

    def num_samples(self, num_bytes: int) -> int:
        """Return how many samples at 16 kHz that many bytes become, about."""
        bytes_per_s = self.rate_hz * (2 if self.type == "audio/pcm" else 1)
        return num_bytes * SAMPLE_RATE_HZ // bytes_per_s

    def to_wire(self) -> dict[str, Any]:
        if self.type == "audio/pcm":
            return {"type": self.type, "rate": self.rate_hz}
        return {"type": self.type}


_BETA_FORMATS = {
    "pcm16": InputFormat(),
    "g711_ulaw": InputFormat("audio/pcmu", G711_RATE_HZ),
    "g711_alaw": InputFormat("audio/pcma", G711_RATE_HZ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a client can set; frozen, so that a response keeps what it began with."""

    model: str
    instructions: str
    input_format: InputFormat
    turn_detection: TurnDetection | None
    max_output_tokens: int | Literal["inf"]
    frames_per_turn: int
    endpointing: Endpointing
    """The service's defaults; ``turn_detection`` overrides some of its values."""
    noise_reduction: dict[str, Any] | None = None
    voice: str = VOICE
    speed: float = 1.0
    truncation: str | dict[str, Any] = "auto"
    tracing: str | dict[str, Any] | None = None
    tools: Tools = NO_TOOLS
    max_text_chars: int = 100_000
    """Bound of the instructions, and of all tools together."""
    events: tuple[str, ...] = ()
    """Opt-in vendor events."""
    task: Task = tasks.ASSISTANT
    backchannels: Literal["interrupt", "ignore"] = "interrupt"
    usual_backchannels: Literal["interrupt", "ignore"] = "interrupt"
    """What the service does where a client says nothing."""

    @property
    def distance(self) -> Literal["near_field", "far_field"] | None:
        """From where the microphone hears people, if the client has said so."""
        distance: Literal["near_field", "far_field"] | None = None
        if self.noise_reduction:
            distance = self.noise_reduction["type"]
        return distance

    @property
    def effective_endpointing(self) -> Endpointing:
        detection = self.turn_detection
        return detection.applied_to(self.endpointing) if detection else self.endpointing

    def to_wire(self, session_id: str, expires_at: int) -> dict[str, Any]:
        """Return the full ``session`` object; every stock client validates this shape."""
        detection = self.turn_detection
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
                "input": {
                    "format": self.input_format.to_wire(),
                    "transcription": None,
                    "noise_reduction": self.noise_reduction,
                    "turn_detection": detection.to_wire() if detection else None,
                },
                "output": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "voice": self.voice,
                    "speed": self.speed,
                },
            },
            "assistant": {
                "events": list(self.events),
                "video": {"frames_per_turn": self.frames_per_turn},
                "task": self.task.to_wire(),
                "backchannels": self.backchannels,
            },
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
        frames_per_turn=config.pairing.frames_per_turn,
        endpointing=endpointing,
        max_text_chars=config.limits.text_chars,
        backchannels=config.barge_in.backchannels,
        usual_backchannels=config.barge_in.backchannels,
    )


def updated(settings: Settings, patch: SessionPatch) -> Settings:
    """
    Merge a ``session.update``: absent is unchanged, ``null`` clears.

    What is cleared has its default again; cleared instructions are empty.

    Raises:
        EventRefused: A value is out of its range; nothing is applied.
    """
    if patch.type not in (UNSET, None, "realtime"):
        raise refusals.invalid_value("session.type", "Supported values are: 'realtime'.")
    changes: dict[str, Any] = {}
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
        changes["truncation"] = _checked_truncation(patch.truncation)
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
        changes["input_format"] = _BETA_FORMATS[patch.input_audio_format or "pcm16"]
    if patch.turn_detection is not UNSET:
        changes["turn_detection"] = turn_detection.updated(
            settings.turn_detection, patch.turn_detection, settings.endpointing
        )
    if patch.audio:
        if patch.audio.input:
            changes |= _input_changes(settings, patch.audio.input)
        if patch.audio.output:
            changes |= _output_changes(patch.audio.output)
    if patch.assistant:
        changes |= _vendor_changes(settings, patch.assistant)
    return replace(settings, **changes)


def for_response(settings: Settings, params: ResponseParams) -> Settings:
    """
    Return the settings of one response: the session's, where it has none of its own.

    Raises:
        EventRefused: An override is out of its range, or is one we do not have.
    """
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
            InputFormat() if patch.format is None else _checked_format(patch.format)
        )
    if patch.noise_reduction is not UNSET:
        reduction = patch.noise_reduction
        changes["noise_reduction"] = {"type": reduction.type} if reduction else None
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


def _checked_truncation(
    truncation: Literal["auto", "disabled"] | RetentionRatio | None,
) -> str | dict[str, Any]:
    if isinstance(truncation, RetentionRatio):
        path = "session.truncation.retention_ratio"
        refusals.check_range(path, truncation.retention_ratio, 0, 1)
        return dict(to_builtins(truncation))
    return truncation or "auto"


def _vendor_changes(settings: Settings, patch: AssistantPatch) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if patch.backchannels is not UNSET:
        changes["backchannels"] = patch.backchannels or settings.usual_backchannels
    if patch.events is not UNSET:
        changes["events"] = tuple(patch.events)
    if patch.task is not UNSET:
        changes["task"] = tasks.checked(patch.task, "session.assistant.task")
    if patch.video is not UNSET and patch.video.frames_per_turn is not UNSET:
        count = patch.video.frames_per_turn
        if not 0 <= count <= 16:
            raise refusals.invalid_value(
                "session.assistant.video.frames_per_turn", f"{count} is not from 0 to 16."
            )
        changes["frames_per_turn"] = count
    return changes


def _checked_format(form: AudioFormat) -> InputFormat:
    path = "session.audio.input.format.rate"
    if form.type == "audio/pcm":
        rate_hz = 24_000 if form.rate is UNSET or form.rate is None else form.rate
        if rate_hz not in PCM_RATES_HZ:
            listed = ", ".join(str(rate) for rate in PCM_RATES_HZ)
            raise refusals.invalid_value(
                path, f"{rate_hz}. Supported values are: {listed}."
            )
        return InputFormat(form.type, rate_hz)
    if form.rate not in (UNSET, None, G711_RATE_HZ):
        raise refusals.invalid_value(path, f"{form.rate}. G.711 is {G711_RATE_HZ}.")
    return InputFormat(form.type, G711_RATE_HZ)
