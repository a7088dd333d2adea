"""What one response is asked with."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from assistant.turns import tasks
from assistant.turns.conversation import Item
from assistant.turns.settings import Settings
from assistant.turns.tasks import Task
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
    task: Task = tasks.ASSISTANT
    is_asked: bool = False
    """The client asked for it, and waits for its end."""
    is_plain: bool = False
    """It did so without a wish of its own, as the end of a turn does."""
    frames: list[dict[str, Any]] = field(default_factory=list)
    """Every frame that was offered to the turn, for the vendor key."""
    timeline: Timeline = field(default_factory=Timeline)

    def for_task(self, items: Sequence[Item]) -> "Request":
        """Return the same with what its task reads of these, if there is a task to do."""
        alone = tasks.context(self.task, items)
        if alone is None:
            return replace(self, task=tasks.ASSISTANT)
        return replace(self, items=alone, instructions="", tools=NO_TOOLS)


def ask(
    settings: Settings,
    turn: Turn,
    metadata: dict[str, str] | None = None,
    items: list[Item] | None = None,
    *,
    is_asked: bool = False,
) -> Request:
    """Freeze what a response is asked with; the turn is used up by that."""
    request = Request(
        instructions=settings.instructions,
        max_output_tokens=settings.max_output_tokens,
        truncation=settings.truncation,
        metadata=metadata,
        items=items,
        tools=settings.tools,
        task=settings.extensions.task,
        is_asked=is_asked,
        frames=turn.frames,
        timeline=turn.timeline,
    )
    return request if items is None else request.for_task(items)
