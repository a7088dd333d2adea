"""
What a client may set for its session, and how it is echoed.

Knows the ``session`` object of the wire; knows no audio and no clock. Settings are a
value: ``updated`` returns new ones or refuses the whole patch.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from msgspec import UNSET

from assistant.config import Config
from assistant.turns.clock import SAMPLE_RATE_HZ
from assistant.turns.endpointing import Endpointing
from assistant.wire import refusals
from assistant.wire.client_events import (
    AssistantPatch,
    AudioFormat,
    AudioInputPatch,
    SessionPatch,
    TurnDetectionPatch,
)

Eagerness = Literal["auto", "low", "medium", "high"]

SILENCE_MS_BY_EAGERNESS: dict[Eagerness, int] = {
    # ``semantic_vad`` without a semantic model is our own endpointing, more or less
    # patient: the words are the client's, the silences are chosen around the default.
    "low": 1000,
    "medium": 500,
    "auto": 500,
    "high": 300,
}

PCM_RATES_HZ = (24_000, 16_000)
G711_RATE_HZ = 8_000
_BETA_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDetection:
    """Who ends a turn and what follows; None in its place means: the client does."""

    type: Literal["server_vad", "semantic_vad"]
    threshold: float
    prefix_padding_ms: int
    silence_duration_ms: int
    eagerness: Eagerness = "auto"
    create_response: bool = True
    interrupt_response: bool = True

    def to_wire(self) -> dict[str, Any]:
        common = {
            "type": self.type,
            "create_response": self.create_response,
            "interrupt_response": self.interrupt_response,
        }
        if self.type == "semantic_vad":
            return common | {"eagerness": self.eagerness}
        return common | {
            "threshold": self.threshold,
            "prefix_padding_ms": self.prefix_padding_ms,
            "silence_duration_ms": self.silence_duration_ms,
            "idle_timeout_ms": None,
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
    """The service's defaults; ``turn_detection`` overrides three of its values."""
    noise_reduction: dict[str, Any] | None = None
    voice: str = "alloy"
    speed: float = 1.0
    truncation: str | dict[str, Any] = "auto"
    tracing: str | dict[str, Any] | None = None
    parallel_tool_calls: bool = True
    events: tuple[str, ...] = ()
    """Opt-in vendor events."""

    @property
    def effective_endpointing(self) -> Endpointing:
        detection = self.turn_detection
        if detection is None:
            return self.endpointing
        return replace(
            self.endpointing,
            threshold=detection.threshold,
            prefix_padding_ms=detection.prefix_padding_ms,
            silence_duration_ms=detection.silence_duration_ms,
        )

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
            "tools": [],
            "tool_choice": "auto",
            "parallel_tool_calls": self.parallel_tool_calls,
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
            },
        }


def initial(config: Config, model: str, hangover_ms: int) -> Settings:
    """Return what a session starts with; ``hangover_ms`` is that of the VAD in use."""
    endpointing = Endpointing.from_config(config.endpointing, hangover_ms)
    return Settings(
        model=model,
        instructions=config.reply.instructions,
        input_format=InputFormat(),
        turn_detection=_default_detection("server_vad", endpointing),
        max_output_tokens="inf",
        frames_per_turn=config.pairing.frames_per_turn,
        endpointing=endpointing,
    )


def updated(settings: Settings, patch: SessionPatch) -> Settings:
    """
    Merge a ``session.update``: absent is unchanged, ``null`` is back to the default.

    Raises:
        EventRefused: A value is out of its range; nothing is applied.
    """
    if patch.type not in (UNSET, "realtime"):
        raise refusals.invalid_value("session.type", "Supported values are: 'realtime'.")
    changes: dict[str, Any] = {}
    if patch.instructions is not UNSET:
        changes["instructions"] = patch.instructions or ""
    for limit in (patch.max_response_output_tokens, patch.max_output_tokens):
        if limit is not UNSET:
            changes["max_output_tokens"] = checked_output_limit(
                "session.max_output_tokens", limit
            )
    if isinstance(patch.truncation, str | dict):
        changes["truncation"] = patch.truncation
    if patch.tracing is not UNSET:
        changes["tracing"] = patch.tracing
    if isinstance(patch.parallel_tool_calls, bool):
        changes["parallel_tool_calls"] = patch.parallel_tool_calls
    if isinstance(patch.voice, str):
        changes["voice"] = patch.voice
    if isinstance(patch.input_audio_format, str):
        form = AudioFormat(type=_BETA_FORMATS[patch.input_audio_format])  # type: ignore[arg-type]  # the table's values are the literals
        changes["input_format"] = _checked_format(form)
    if patch.turn_detection is not UNSET:
        changes["turn_detection"] = _detection(settings, patch.turn_detection or None)
    if patch.audio:
        if patch.audio.input:
            changes |= _input_changes(settings, patch.audio.input)
        if patch.audio.output and isinstance(patch.audio.output.voice, str):
            changes["voice"] = patch.audio.output.voice
        if patch.audio.output and isinstance(patch.audio.output.speed, float):
            changes["speed"] = patch.audio.output.speed
    if patch.assistant:
        changes |= _vendor_changes(patch.assistant)
    return replace(settings, **changes)


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
        changes["turn_detection"] = _detection(settings, patch.turn_detection)
    return changes


def _vendor_changes(patch: AssistantPatch) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if patch.events is not UNSET:
        changes["events"] = tuple(patch.events)
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
        rate_hz = 24_000 if form.rate is UNSET else form.rate
        if rate_hz not in PCM_RATES_HZ:
            listed = ", ".join(str(rate) for rate in PCM_RATES_HZ)
            raise refusals.invalid_value(
                path, f"{rate_hz}. Supported values are: {listed}."
            )
        return InputFormat(form.type, rate_hz)
    if form.rate not in (UNSET, G711_RATE_HZ):
        raise refusals.invalid_value(path, f"{form.rate}. G.711 is {G711_RATE_HZ}.")
    return InputFormat(form.type, G711_RATE_HZ)


def _default_detection(
    kind: Literal["server_vad", "semantic_vad"], defaults: Endpointing
) -> TurnDetection:
    return TurnDetection(
        type=kind,
        threshold=defaults.threshold,
        prefix_padding_ms=defaults.prefix_padding_ms,
        silence_duration_ms=(
            SILENCE_MS_BY_EAGERNESS["auto"]
            if kind == "semantic_vad"
            else defaults.silence_duration_ms
        ),
    )


def _detection(
    settings: Settings, patch: TurnDetectionPatch | None
) -> TurnDetection | None:
    """Another type replaces the whole object; the same type changes only what is given."""
    if patch is None:
        return None
    current = settings.turn_detection
    kind = patch.type or (current.type if current else "server_vad")
    if current is None or kind != current.type:
        current = _default_detection(kind, settings.endpointing)
    changes: dict[str, Any] = {
        name: value
        for name in TurnDetection.__dataclass_fields__
        if name != "type" and (value := getattr(patch, name)) not in (UNSET, None)
    }
    if "eagerness" in changes and kind == "semantic_vad":
        changes["silence_duration_ms"] = SILENCE_MS_BY_EAGERNESS[patch.eagerness]  # type: ignore[index]  # set, as the line above saw
    path = "session.audio.input.turn_detection"
    _check_range(f"{path}.threshold", changes.get("threshold"), 0, 1)
    _check_range(f"{path}.prefix_padding_ms", changes.get("prefix_padding_ms"), 0, 5000)
    _check_range(
        f"{path}.silence_duration_ms", changes.get("silence_duration_ms"), 32, 10_000
    )
    return replace(current, **changes)


def _check_range(path: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise refusals.invalid_value(path, f"{value} is not from {low} to {high}.")
