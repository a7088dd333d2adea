"""
How much of a conversation a prompt may keep when it grows too long.

Knows the ``truncation`` object of a session; the items themselves leave elsewhere.
"""

from dataclasses import dataclass
from typing import Any, Literal

from msgspec import to_builtins

from assistant.wire import refusals
from assistant.wire.client_events import RetentionRatio

TRIMMED_SHARE = 0.75
"""Of the budget, what trimming leaves: each one costs a new prefill of all that stays, so
several turns leave at once and the next ones fit as they are."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """In tokens of the whole prompt."""

    most: int
    """Beyond this it is trimmed,"""
    kept: int
    """down to this."""


def checked(
    asked: Literal["auto", "disabled"] | RetentionRatio | None,
) -> str | dict[str, Any]:
    """Return the policy of a session that was asked for; raises EventRefused."""
    if isinstance(asked, RetentionRatio):
        path = "session.truncation.retention_ratio"
        refusals.check_range(path, asked.retention_ratio, 0, 1)
        return dict(to_builtins(asked))
    return asked or "auto"


def bounds(policy: str | dict[str, Any], budget: int, num_instructions: int) -> Bounds:
    """
    Return when and how far to trim under a policy.

    Args:
        policy: ``auto``, ``disabled`` or a ``retention_ratio`` as the client gave it.
        budget: Tokens a prompt may have.
        num_instructions: Those of instructions and tools, which are never trimmed.
    """
    if isinstance(policy, str):
        return Bounds(budget, int(budget * TRIMMED_SHARE))
    limits = policy.get("token_limits") or {}
    asked = limits.get("post_instructions")
    most = budget - num_instructions
    if asked is not None:
        most = min(most, asked)
    kept = int(most * policy["retention_ratio"])
    return Bounds(num_instructions + most, num_instructions + kept)
