"""
Who ends a turn: the ``turn_detection`` object of a session.

Knows its keys, defaults and ranges; the policy itself is in ``endpointing``.

``server_vad`` is exactly what it says: the turn is over after ``silence_duration_ms``, for
everybody. ``semantic_vad`` adapts: its ``eagerness`` says how little silence is enough, up
to where the silence adapts to a speaker's pauses, and how long a turn is held open whose
words do not sound final, if there is a model that judges them.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from msgspec import UNSET

from assistant.turns.endpointing import Endpointing
from assistant.wire import refusals
from assistant.wire.client_events import TurnDetectionPatch

Eagerness = Literal["auto", "low", "medium", "high"]

SILENCE_MS_BY_EAGERNESS: dict[Eagerness, int] = {
    # The words are the client's, the silences are chosen around the default.
    "low": 1000,
    "medium": 500,
    "auto": 500,
    "high": 300,
}
LONGEST_SILENCE_FACTOR = 2
"""Pauses vary; one that is twice what is enough for most is an end for nearly everybody."""
VETO_MS_BY_EAGERNESS: dict[Eagerness, int] = {
    # The most that the protocol lets each of them wait.
    "low": 8000,
    "medium": 4000,
    "auto": 4000,
    "high": 2000,
}

RANGES = {
    "threshold": (0, 1),
    "prefix_padding_ms": (0, 5000),
    "silence_duration_ms": (32, 10_000),
    "idle_timeout_ms": (5000, 30_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnDetection:
    """Who ends a turn and what follows; None in its place means: the client does."""

    type: Literal["server_vad", "semantic_vad"]
    threshold: float
    prefix_padding_ms: int
    silence_duration_ms: int
    idle_timeout_ms: int | None = None
    """Silence after a response, after which the assistant speaks up by itself."""
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
            "idle_timeout_ms": self.idle_timeout_ms,
        }

    def applied_to(self, endpointing: Endpointing) -> Endpointing:
        """Return the service's settings with what is set here."""
        adapts = self.type == "semantic_vad"
        silence_ms = self.silence_duration_ms
        return replace(
            endpointing,
            threshold=self.threshold,
            prefix_padding_ms=self.prefix_padding_ms,
            silence_duration_ms=silence_ms,
            longest_silence_ms=silence_ms * LONGEST_SILENCE_FACTOR if adapts else 0,
            veto_ms=VETO_MS_BY_EAGERNESS[self.eagerness] if adapts else 0,
        )


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
    if kind == "semantic_vad":
        changes.pop("idle_timeout_ms", None)  # it has none
    for name, (low, high) in RANGES.items():
        path = f"session.audio.input.turn_detection.{name}"
        refusals.check_range(path, changes.get(name), low, high)
    return replace(current, **changes)
