"""
What a client may set under our own key of the session, and how it is echoed.

Everything here is beyond the protocol: absent, the session is as the protocol has it.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from msgspec import UNSET

from assistant.config import Config, PairingConfig
from assistant.turns import tasks, watch_settings
from assistant.turns.tasks import Task
from assistant.turns.watch_settings import WatchSettings
from assistant.wire import refusals
from assistant.wire.client_events import AssistantPatch, VideoPatch

PATH = "session.assistant"
VIDEO_RANGES = {"frames_per_turn": (0, 16), "freshness_ms": (0, 3_600_000)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Extensions:
    """The values of the vendor key."""

    events: tuple[str, ...] = ()
    """Opt-in vendor events."""
    pairing: PairingConfig = field(default_factory=PairingConfig)
    """Which frames a turn gets."""
    task: Task = tasks.ASSISTANT
    backchannels: Literal["interrupt", "ignore"] = "interrupt"
    speaks_aloud: Literal["unknown", "yes", "no"] = "unknown"
    """Whether the client speaks answers, so that a microphone may hear them."""
    watch: WatchSettings | None = None

    def to_wire(self) -> dict[str, Any]:
        return {
            "events": list(self.events),
            "video": {
                "frames_per_turn": self.pairing.frames_per_turn,
                "policy": self.pairing.policy,
                "freshness_ms": round(self.pairing.freshness_s * 1000, 3),
            },
            "task": self.task.to_wire(),
            "backchannels": self.backchannels,
            "speaks_aloud": self.speaks_aloud,
            "watch": self.watch.to_wire() if self.watch else None,
        }


def usual(config: Config) -> Extensions:
    """Return what a session has whose client says nothing."""
    return Extensions(
        pairing=config.pairing,
        backchannels=config.barge_in.backchannels,
        speaks_aloud=config.barge_in.speaks_aloud,
    )


def updated(current: Extensions, patch: AssistantPatch, config: Config) -> Extensions:
    """
    Merge a patch: absent is unchanged, ``null`` brings the service's value back.

    Raises:
        EventRefused: A value is out of its range; nothing is applied.
    """
    defaults = usual(config)
    changes: dict[str, Any] = {}
    if patch.events is not UNSET:
        changes["events"] = tuple(patch.events)
    if patch.video is not UNSET:
        changes["pairing"] = _paired(current.pairing, patch.video, defaults.pairing)
    if patch.task is not UNSET:
        changes["task"] = tasks.checked(patch.task, f"{PATH}.task")
    if patch.backchannels is not UNSET:
        changes["backchannels"] = patch.backchannels or defaults.backchannels
    if patch.speaks_aloud is not UNSET:
        changes["speaks_aloud"] = patch.speaks_aloud or defaults.speaks_aloud
    changes["watch"] = watch_settings.updated(current.watch, patch.watch, config.watch)
    return replace(current, **changes)


def _paired(
    current: PairingConfig, patch: VideoPatch | None, defaults: PairingConfig
) -> PairingConfig:
    if patch is None:
        return defaults
    for name, (low, high) in VIDEO_RANGES.items():
        value = getattr(patch, name)
        if value is not UNSET:
            refusals.check_range(f"{PATH}.video.{name}", value, low, high)
    changes: dict[str, Any] = {}
    for name in ("frames_per_turn", "policy"):
        value = getattr(patch, name)
        if value is not UNSET:
            changes[name] = getattr(defaults, name) if value is None else value
    if patch.freshness_ms is None:
        changes["freshness_s"] = defaults.freshness_s
    elif patch.freshness_ms is not UNSET:
        changes["freshness_s"] = patch.freshness_ms / 1000
    return replace(current, **changes)
