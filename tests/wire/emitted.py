"""
Every event that the tests of one run saw the server emit, kept for the strict validators.

Of events that look the same, one is kept: the same keys, kinds of values and choices. It
costs a few seconds in a whole run, so nothing is kept unless ``keep`` was called: that is
done where the test that judges them all (``test_every_event.py``) was selected.
"""

import functools
import json
from typing import Any

import pytest
from msgspec import structs

from assistant.wire import server_events as wire

CHOICES = {"type", "status", "role", "object", "reason", "code", "tool_choice"}
"""Keys of strings that clients tell apart; any other string is as good as the next."""

_kept: dict[str, str] = {}
_known: set[tuple[type, tuple[type, ...]]] = set()
"""Kinds of events without parts of their own, as sessions make them."""
_num_seen = 0
_is_keeping = False


def keep() -> None:
    """Keep from now on what sessions emit, wherever in this process they are."""
    global _is_keeping
    _is_keeping = True
    encode = wire.encode

    @functools.wraps(encode)
    def noted(event: wire.ServerEvent) -> bytes:
        data = encode(event)
        if event.event_id:  # without one, a test encodes for its own purposes
            note(data.decode())
        return data

    pytest.MonkeyPatch().setattr(wire, "encode", noted)


def note(text: str) -> None:
    """Take an event as it left, or as it came."""
    global _num_seen
    if _is_keeping:
        _num_seen += 1
        _kept.setdefault(json.dumps(_shape(json.loads(text))), text)


def note_unnumbered(event: wire.ServerEvent) -> None:
    """Take an event of a session that nobody hears: the queue would give it its id."""
    global _num_seen
    if not _is_keeping:
        return
    # Most events are deltas and the like, of which there are hundreds of thousands.
    kinds = tuple(type(getattr(event, name)) for name in event.__struct_fields__)
    if (type(event), kinds) in _known:
        _num_seen += 1
        return
    if all(kind in (str, int, float, bool, type(None)) for kind in kinds):
        _known.add((type(event), kinds))
    wire.encode(structs.replace(event, event_id="event_1"))


def of_every_shape() -> list[str]:
    """Return the events that were kept."""
    return list(_kept.values())


def summary() -> str:
    """Say how many there were; empty when none were kept."""
    return f"{_num_seen} events in {len(_kept)} shapes" if _kept else ""


def _shape(value: Any, key: str = "") -> Any:
    match value:
        case dict():
            return {name: _shape(value[name], name) for name in sorted(value)}
        case list():
            shapes = {json.dumps(_shape(entry)): _shape(entry) for entry in value}
            return [shapes[text] for text in sorted(shapes)]
        case str():
            return value if key in CHOICES else "…" if value else ""
        case _:
            return type(value).__name__
