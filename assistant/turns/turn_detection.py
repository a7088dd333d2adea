"""
Who ends a turn: the ``turn_detection`` object of a session.

Knows its keys, defaults and ranges; the policy itself is in ``endpointing``.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from msgspec import UNSET

from assistant.turns.endpointing import Endpointing
from assistant.wire import refusals
from assistant.wire.client_events import TurnDetectionPatch

Eagerness = Literal["auto", "low", "medium", "high"]

SILENCE_MS_BY_EAGERNESS: dict[Eagerness, int] = {
    # ``semantic_vad`` without a semantic model is our own endpointing, more or less
    # patient: the words are the client's, the silences are chosen around the default.
    "low": 1000,
    "medium": 500,
    "auto": 500,
    "high": 300,
}

RANGES = {
    "threshold": (0, 1),
    "prefix_padding_ms": (0, 5000),
    "silence_duration_ms": (32, 10_000),
}


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


def default(
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


def updated(
    current: TurnDetection | None,
    patch: TurnDetectionPatch | None,
    endpointing: Endpointing,
) -> TurnDetection | None:
    """Another type replaces the whole object; the same type changes only what is given."""
    if patch is None:
        return None
    kind = patch.type or (current.type if current else "server_vad")
    defaults = default(kind, endpointing)
    if current is None or kind != current.type:
        current = defaults
    changes: dict[str, Any] = {}
    for name in TurnDetection.__dataclass_fields__.keys() - {"type"}:
        value = getattr(patch, name)
        if value is not UNSET:
            changes[name] = getattr(defaults, name) if value is None else value
    if "eagerness" in changes and kind == "semantic_vad":
        changes["silence_duration_ms"] = SILENCE_MS_BY_EAGERNESS[changes["eagerness"]]
    for name, (low, high) in RANGES.items():
        path = f"session.audio.input.turn_detection.{name}"
        refusals.check_range(path, changes.get(name), low, high)
    return replace(current, **changes)
