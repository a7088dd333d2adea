"""
The configuration: frozen dataclasses, defaults in one place, TOML states differences.

Every key has its unit in its name. An unknown key, a wrong type or a value out of its
bounds is a ConfigError that names the key; nothing is adjusted silently. Secrets come
from the environment only. ``configs/default.toml`` lists every key with its meaning.
"""

import dataclasses
import os
import tomllib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from assistant.config_values import Bounds, checked
from assistant.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """The one port: page, HTTP routes and WebSocket."""

    host: str = "127.0.0.1"
    port: Annotated[int, Bounds(0, 65535)] = 8000
    tls: Literal["off", "self-signed"] = "off"
    allowed_origins: tuple[str, ...] = ()
    max_sessions: Annotated[int, Bounds(1, 10_000)] = 64
    session_max_s: Annotated[float, Bounds(1, 86_400)] = 3600.0
    send_deadline_s: Annotated[float, Bounds(0.1, 60)] = 5.0
    max_outbox_bytes: Annotated[int, Bounds(65_536)] = 2 * 2**20
    max_message_bytes: Annotated[int, Bounds(65_536, 2**28)] = 24 * 2**20
    drain_s: Annotated[float, Bounds(0, 600)] = 10.0
    max_requests: Annotated[int, Bounds(1, 10_000)] = 16
    request_body_s: Annotated[float, Bounds(0.1, 600)] = 30.0
    completion_max_s: Annotated[float, Bounds(1, 86_400)] = 600.0
    kept_completions: Annotated[int, Bounds(0, 1000)] = 4
    max_client_secrets: Annotated[int, Bounds(1, 1_000_000)] = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """The engine process: which model, where, and how much of the machine."""

    model: str = "demo"
    backend: Literal["native", "transformers"] = "native"
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    quantization: Literal["none", "int8", "fp8"] = "none"
    threads: Annotated[int, Bounds(0, 1024)] = 0
    cuda_graphs: bool = True
    triton_attention: bool = True
    adapters: str = ""
    num_slots: Annotated[int, Bounds(1, 4096)] = 8
    max_sequence_tokens: Annotated[int, Bounds(64, 4096)] = 4096
    prefill_chunk_tokens: Annotated[int, Bounds(16, 4096)] = 512
    max_waited_tokens: Annotated[int, Bounds(16)] = 8192
    max_chunk_ms: Annotated[float, Bounds(1, 60_000)] = 150.0
    max_audio_s: Annotated[float, Bounds(1, 1800)] = 1800.0
    max_image_pixels: Annotated[int, Bounds(4096)] = 24_000_000
    start_timeout_s: Annotated[float, Bounds(1)] = 600.0
    hang_timeout_s: Annotated[float, Bounds(0.5)] = 60.0
    admission_timeout_s: Annotated[float, Bounds(0.1)] = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VadConfig:
    """Which networks judge 32 ms windows of audio, and whole pauses."""

    engine: Literal["silero", "webrtc"] = "silero"
    webrtc_aggressiveness: Annotated[int, Bounds(0, 3)] = 2
    turn_model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointingConfig:
    """When an utterance starts and when it is over (defaults a session may override)."""

    threshold: Annotated[float, Bounds(0, 1)] = 0.5
    hysteresis: Annotated[float, Bounds(0, 0.5)] = 0.15
    start_ms: Annotated[int, Bounds(0, 1000)] = 64
    prefix_padding_ms: Annotated[int, Bounds(0, 5000)] = 300
    soft_silence_ms: Annotated[int, Bounds(32, 5000)] = 200
    silence_duration_ms: Annotated[int, Bounds(32, 10_000)] = 500
    max_utterance_s: Annotated[float, Bounds(1, 1800)] = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BargeInConfig:
    """What interrupts an answer that is being written or spoken."""

    backchannels: Literal["interrupt", "ignore"] = "interrupt"
    backchannel_ms: Annotated[int, Bounds(0, 5000)] = 600
    min_speech_ms: Annotated[int, Bounds(0, 1000)] = 128
    echo_margin_db: Annotated[float, Bounds(0, 100)] = 12.0
    speaks_aloud: Literal["unknown", "yes", "no"] = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyConfig:
    """What is computed before the end of a turn, at the risk that it is in vain."""

    speculation: bool = True
    speculation_share: Annotated[float, Bounds(0, 1)] = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PairingConfig:
    """Which camera frames an utterance gets."""

    frames_per_turn: Annotated[int, Bounds(0, 16)] = 1
    policy: Literal["latest", "change", "uniform"] = "uniform"
    freshness_s: Annotated[float, Bounds(0, 3600)] = 3.0
    after_end_s: Annotated[float, Bounds(0, 5)] = 0.25
    min_sharpness: Annotated[float, Bounds(0)] = 0.0
    min_novelty: Annotated[float, Bounds(0, 1)] = 0.04
    ring_frames: Annotated[int, Bounds(1, 256)] = 32
    live_max_crops: Annotated[int, Bounds(1, 36)] = 1
    photo_max_crops: Annotated[int, Bounds(1, 36)] = 4
    max_prompt_images: Annotated[int, Bounds(1, 64)] = 4
    keep_prompt_images: Annotated[int, Bounds(0, 64)] = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchConfig:
    """Speaking up about what the camera shows, for sessions that ask for it."""

    enabled: bool = True
    interval_ms: Annotated[int, Bounds(50, 3_600_000)] = 500
    least_interval_ms: Annotated[int, Bounds(50, 3_600_000)] = 250
    still_ms: Annotated[int, Bounds(50, 3_600_000)] = 10_000
    min_novelty: Annotated[float, Bounds(0, 1)] = 0.01
    min_gap_ms: Annotated[int, Bounds(0, 3_600_000)] = 5000
    max_per_minute: Annotated[int, Bounds(1, 60)] = 6
    max_output_tokens: Annotated[int, Bounds(1, 512)] = 48
    timeout_s: Annotated[float, Bounds(0.1, 60)] = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyConfig:
    """How replies are drawn (defaults a session may override)."""

    instructions: str = ""
    max_output_tokens: Annotated[int, Bounds(1, 4096)] = 512
    temperature: Annotated[float, Bounds(0, 2)] = 0.0
    top_p: Annotated[float, Bounds(0.01, 1)] = 1.0
    seed: Annotated[int, Bounds(0, 2**63 - 1)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptsConfig:
    """What the user said, in writing, for sessions that ask for it."""

    enabled: bool = True
    timeout_s: Annotated[float, Bounds(0.1, 3600)] = 60.0
    max_waiting: Annotated[int, Bounds(1, 256)] = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """Bounds of what one client may send; every one has a clear error."""

    audio_buffer_s: Annotated[float, Bounds(1, 1800)] = 120.0
    audio_append_bytes: Annotated[int, Bounds(1024, 2**28)] = 15 * 2**20
    audio_ahead_s: Annotated[float, Bounds(1, 7200)] = 600.0
    image_bytes: Annotated[int, Bounds(1024, 2**28)] = 8 * 2**20
    image_pixels: Annotated[int, Bounds(4096)] = 24_000_000
    image_side_ratio: Annotated[float, Bounds(1)] = 40.0
    conversation_items: Annotated[int, Bounds(2)] = 2000
    conversation_bytes: Annotated[int, Bounds(100_000)] = 64 * 2**20
    text_chars: Annotated[int, Bounds(16)] = 100_000
    request_media: Annotated[int, Bounds(1, 256)] = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class RtcConfig:
    """WebRTC: where its media comes in, and how long a connection may take or be silent."""

    enabled: bool = True
    max_calls: Annotated[int, Bounds(1, 10_000)] = 32
    addresses: tuple[str, ...] = ()
    announced_address: str = ""
    min_port: Annotated[int, Bounds(0, 65535)] = 0
    max_port: Annotated[int, Bounds(0, 65535)] = 0
    setup_timeout_s: Annotated[float, Bounds(1, 120)] = 15.0
    vanished_s: Annotated[float, Bounds(1, 60)] = 5.0
    return_s: Annotated[float, Bounds(0, 600)] = 4.0
    video_kbps: Annotated[int, Bounds(50, 10_000)] = 800
    frames_per_s: Annotated[float, Bounds(0.1, 10)] = 2.0
    stun_urls: tuple[str, ...] = ()
    turn_urls: tuple[str, ...] = ()
    turn_credential_s: Annotated[int, Bounds(60, 86_400)] = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The effective configuration of one service."""

    server: ServerConfig = field(default_factory=ServerConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    vad: VadConfig = field(default_factory=VadConfig)
    endpointing: EndpointingConfig = field(default_factory=EndpointingConfig)
    barge_in: BargeInConfig = field(default_factory=BargeInConfig)
    early: EarlyConfig = field(default_factory=EarlyConfig)
    pairing: PairingConfig = field(default_factory=PairingConfig)
    watch: WatchConfig = field(default_factory=WatchConfig)
    reply: ReplyConfig = field(default_factory=ReplyConfig)
    transcripts: TranscriptsConfig = field(default_factory=TranscriptsConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    rtc: RtcConfig = field(default_factory=RtcConfig)
    log: LogConfig = field(default_factory=LogConfig)


SECTIONS: dict[str, type] = {f.name: f.default_factory for f in dataclasses.fields(Config)}  # type: ignore[misc]  # every field has a class as its factory

API_KEYS_VARIABLE = "ASSISTANT_API_KEYS"
TURN_SECRET_VARIABLE = "ASSISTANT_TURN_SECRET"


def api_keys(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the accepted bearer keys (comma-separated); none means: accept anyone."""
    value = environment.get(API_KEYS_VARIABLE, "")
    return tuple(key for key in (part.strip() for part in value.split(",")) if key)


def turn_secret(environment: Mapping[str, str] = os.environ) -> str:
    """Return what the TURN server and we share, "" for nothing."""
    return environment.get(TURN_SECRET_VARIABLE, "")


@dataclass(frozen=True, slots=True)
class Effective:
    """A configuration and where each of its values came from."""

    config: Config
    origins: dict[str, str]
    """``"section.key"`` to ``"default"``, a file's path or a command-line option."""

    def rows(self) -> Iterator[tuple[str, object, str]]:
        """Yield (key, value, origin) for every key."""
        for section in dataclasses.fields(self.config):
            values = getattr(self.config, section.name)
            for key in dataclasses.fields(values):
                name = f"{section.name}.{key.name}"
                yield name, getattr(values, key.name), self.origins[name]


def load(
    file: Path | None = None, options: Mapping[str, tuple[str, object]] | None = None
) -> Effective:
    """
    Build the effective configuration: defaults, then the file, then options.

    Args:
        file: A TOML file, or None for the defaults.
        options: ``"section.key"`` to (option name as typed, value).

    Raises:
        ConfigError: The file cannot be read, or a key or value in it is wrong.
    """
    values: dict[str, tuple[object, str]] = {}
    if file is not None:
        for name, value in _read_toml(file):
            values[name] = (value, str(file))
    for name, (option, value) in (options or {}).items():
        values[name] = (value, option)

    origins: dict[str, str] = {}
    sections: dict[str, Any] = {}
    for section, kind in SECTIONS.items():
        hints = typing.get_type_hints(kind, include_extras=True)
        given: dict[str, Any] = {}
        for key in dataclasses.fields(kind):
            name = f"{section}.{key.name}"
            if name in values:
                value, origin = values.pop(name)
                given[key.name] = checked(name, value, hints[key.name], origin)
                origins[name] = origin
            else:
                origins[name] = "default"
        sections[section] = kind(**given)
    for name, (_, origin) in values.items():
        raise ConfigError(f"{origin}: unknown key {name!r}")
    config = Config(**sections)
    _check_together(config)
    return Effective(config, origins)


def _read_toml(file: Path) -> Iterator[tuple[str, object]]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    for section, table in document.items():
        if section not in SECTIONS or not isinstance(table, dict):
            raise ConfigError(f"{file}: unknown key {section!r}")
        for key, value in table.items():
            yield f"{section}.{key}", value


def _check_together(config: Config) -> None:
    """Refuse values that are fine alone and wrong together."""
    if config.pairing.keep_prompt_images > config.pairing.max_prompt_images:
        raise ConfigError(
            f"pairing.keep_prompt_images = {config.pairing.keep_prompt_images}, must not "
            f"exceed pairing.max_prompt_images = {config.pairing.max_prompt_images}"
        )
    rtc = config.rtc
    if rtc.min_port > rtc.max_port or (rtc.min_port == 0) != (rtc.max_port == 0):
        raise ConfigError(
            f"rtc.min_port = {rtc.min_port} and rtc.max_port = {rtc.max_port}, must be a "
            "range of ports, or both 0"
        )
    if config.watch.least_interval_ms > config.watch.interval_ms:
        raise ConfigError(
            f"watch.least_interval_ms = {config.watch.least_interval_ms}, must not exceed "
            f"watch.interval_ms = {config.watch.interval_ms}"
        )
    if config.reply.max_output_tokens >= config.engine.max_sequence_tokens:
        raise ConfigError(
            f"reply.max_output_tokens = {config.reply.max_output_tokens}, must be below "
            f"engine.max_sequence_tokens = {config.engine.max_sequence_tokens}"
        )
