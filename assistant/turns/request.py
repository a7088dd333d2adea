"""What one response is asked with."""

from dataclasses import dataclass, field
from typing import Any, Literal

from assistant.turns.conversation import Item
from assistant.turns.settings import Settings
from assistant.turns.timeline import Timeline
from assistant.turns.tools import NO_TOOLS, Tools
from assistant.turns.turn import Turn


@dataclass(slots=True, kw_only=True)
class Request:
    """What a response was asked with; the session's settings at that moment."""

    instructions: str
    max_output_tokens: int | Literal["inf"]
    truncation: str | dict[str, Any] = "auto"
    metadata: dict[str, str] | None = None
    items: list[Item] | None = None
    """Context instead of the conversation, or None."""
    tools: Tools = NO_TOOLS
    is_asked: bool = False
    """The client asked for it, and waits for its end."""
    frames: list[dict[str, Any]] = field(default_factory=list)
    """Every frame that was offered to the turn, for the vendor key."""
    timeline: Timeline = field(default_factory=Timeline)


def ask(
    settings: Settings,
    turn: Turn,
    metadata: dict[str, str] | None = None,
    items: list[Item] | None = None,
    *,
    is_asked: bool = False,
) -> Request:
    """Freeze what a response is asked with; the turn is used up by that."""
    return Request(
        instructions=settings.instructions,
        max_output_tokens=settings.max_output_tokens,
        truncation=settings.truncation,
        metadata=metadata,
        items=items,
        tools=settings.tools,
        is_asked=is_asked,
        frames=turn.frames,
        timeline=turn.timeline,
    )
