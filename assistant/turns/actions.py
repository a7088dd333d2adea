"""What a session asks of its driver, to be carried out in order."""

from dataclasses import dataclass
from typing import Literal

from assistant.turns.settings import InputFormat, Settings
from assistant.turns.timeline import Timeline
from assistant.wire import link
from assistant.wire.server_events import ServerEvent


@dataclass(frozen=True, slots=True)
class Send:
    """Send an event to the client."""

    event: ServerEvent
    timeline: Timeline | None = None
    """Of the turn it belongs to; the driver notes when the first text left."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Send an order to the engine."""

    order: link.Order


@dataclass(frozen=True, slots=True)
class SetInputFormat:
    """Read the client's audio in another format from now on."""

    format: InputFormat


@dataclass(frozen=True, slots=True)
class SetDistance:
    """Expect voices that are near or far from the microphone; None: either."""

    distance: Literal["near_field", "far_field"] | None


@dataclass(frozen=True, slots=True)
class JudgePause:
    """
    Have it judged how final a range of sound is; say so with ``receive_finality``.

    That takes a while: a pause that is over when the answer comes is told by its number.
    """

    number: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class ResetVad:
    """Forget the sound that the voice activity detector remembers."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Close the connection after what was sent before."""

    code: int
    reason: str


def to_follow(before: Settings, after: Settings) -> "list[Action]":
    """Return what a change of the settings asks of the driver."""
    actions: list[Action] = []
    if after.input_format != before.input_format:
        actions.append(SetInputFormat(after.input_format))
    if after.distance != before.distance:
        actions.append(SetDistance(after.distance))
    return actions


Action = Send | Tell | SetInputFormat | SetDistance | JudgePause | ResetVad | Hang
