"""
What a client may set for the watch: what to speak up about, and how often to look.

Knows the ``watch`` object of the session's vendor key and what the model is told of it;
when to look and what to say is in ``watch.py``.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from assistant.config import WatchConfig
from assistant.wire import refusals
from assistant.wire.client_events import WatchPatch

PATH = "session.assistant.watch"
MAX_INSTRUCTION_CHARS = 2000
MAX_MS = 3_600_000

WISH = (
    "{instruction} Look at the picture. If it is time to speak now, say so in one short "
    "sentence. If it is not, answer with one word: no."
)
"""What a standing instruction is asked as, behind the picture. A question is asked as it
is: its answer begins with "no" by itself when there is nothing to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """A standing instruction; a session without one speaks when it is spoken to."""

    instruction: str
    on: Literal["change", "interval"] = "change"
    """Look when the scene has changed, or at every new frame; at most so often."""
    say: Literal["once", "changes"] = "once"
    """Each time it comes true; or also when something else is to be said of it."""
    interval_ms: int
    """Between two looks at least."""
    still_ms: int
    """Look again after that although nothing seems to have changed."""
    min_novelty: float
    min_gap_ms: int
    """Between two times of speaking up at least."""
    max_per_minute: int

    @property
    def words(self) -> str:
        """What the model is told behind the picture."""
        if self.instruction.endswith("?"):
            return self.instruction
        return WISH.format(instruction=self.instruction)

    def to_wire(self) -> dict[str, Any]:
        return {
            "instruction": self.instruction,
            "on": self.on,
            "say": self.say,
            "interval_ms": self.interval_ms,
            "still_ms": self.still_ms,
            "min_novelty": self.min_novelty,
            "min_gap_ms": self.min_gap_ms,
            "max_per_minute": self.max_per_minute,
        }


def updated(
    current: WatchSettings | None,
    patch: WatchPatch | UnsetType | None,
    config: WatchConfig,
) -> WatchSettings | None:
    """
    Merge a patch: absent is unchanged, ``null`` ends the watch; of a key, its default.

    Raises:
        EventRefused: A value is out of its range, there is no instruction, or the service
            does not watch.
    """
    if patch is UNSET:
        return current
    if patch is None:
        return None
    if not config.enabled:
        raise refusals.invalid_value(PATH, "this service does not watch.")
    usual = WatchSettings(
        instruction="",
        interval_ms=config.interval_ms,
        still_ms=config.still_ms,
        min_novelty=config.min_novelty,
        min_gap_ms=config.min_gap_ms,
        max_per_minute=config.max_per_minute,
    )
    changes: dict[str, Any] = {}
    for name in WatchSettings.__dataclass_fields__:
        value = getattr(patch, name)
        if value is not UNSET:
            changes[name] = getattr(usual, name) if value is None else value
    if "instruction" in changes:
        changes["instruction"] = changes["instruction"].strip()
    changed = replace(current or usual, **changes)
    _check(changed, config)
    return changed


def _check(settings: WatchSettings, config: WatchConfig) -> None:
    if not settings.instruction:
        raise refusals.missing_parameter(f"{PATH}.instruction")
    num_chars = len(settings.instruction)
    if num_chars > MAX_INSTRUCTION_CHARS:
        reason = f"{num_chars} characters, the bound is {MAX_INSTRUCTION_CHARS}."
        raise refusals.invalid_value(f"{PATH}.instruction", reason)
    ranges = {
        "interval_ms": (config.least_interval_ms, MAX_MS),
        "still_ms": (config.least_interval_ms, MAX_MS),
        "min_novelty": (0, 1),
        "min_gap_ms": (0, MAX_MS),
        "max_per_minute": (1, config.max_per_minute),
    }
    for name, (low, high) in ranges.items():
        refusals.check_range(f"{PATH}.{name}", getattr(settings, name), low, high)
