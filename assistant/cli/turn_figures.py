"""
From the events of many sessions to the figures of their turns.

Pure: knows events and the times at which they came, no socket and no clock. What a client
sees is taken from when its events came; what only the service knows (when the turn was
over, what was computed early) from the vendor key of ``response.done``, and left out where
somebody else's service is measured.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]
Heard = Sequence[tuple[float, Event]]
"""Everything one session was sent, each with its time in seconds."""

DELTA = "response.output_text.delta"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answer."""

    status: str
    text: str
    gaps_s: tuple[float, ...]
    """Between neighbouring deltas."""
    waited_s: float | None
    """From the news that speech stopped to the first delta; None without either."""
    first_byte_s: float | None
    """From the hard end to the first token on the socket, as the service says."""
    early: dict[str, float]
    """Counts of what was computed before it was asked for; empty where not told."""


def turns_of(heard: Heard) -> list[Turn]:
    """Return the answers that one session got, in the order of their ends."""
    stopped_at: float | None = None
    deltas: dict[str, list[tuple[float, str]]] = {}
    stops: dict[str, float | None] = {}
    turns = []
    for at, event in heard:
        match event["type"]:
            case "input_audio_buffer.speech_stopped":
                stopped_at = at
            case "response.created":
                # What was said once cannot be waited for twice.
                stops[_response_id(event)], stopped_at = stopped_at, None
            case str(kind) if kind == DELTA:
                written = (at, event["delta"])
                deltas.setdefault(event.get("response_id", ""), []).append(written)
            case "response.done":
                number = _response_id(event)
                told = deltas.pop(number, [])
                turns.append(_turn(event["response"], told, stops.pop(number, None)))
    return turns


def _response_id(event: Event) -> str:
    number: str = event.get("response", {}).get("id", "")
    return number


def _turn(
    response: Event, deltas: list[tuple[float, str]], stopped_at: float | None
) -> Turn:
    times = [at for at, _ in deltas]
    vendor = response.get("assistant") or {}
    line = vendor.get("timeline") or {}
    ended, left = line.get("hard_end_ms"), line.get("first_byte_ms")
    return Turn(
        status=response.get("status", ""),
        text="".join(text for _, text in deltas),
        gaps_s=tuple(b - a for a, b in itertools.pairwise(times)),
        waited_s=times[0] - stopped_at if times and stopped_at is not None else None,
        first_byte_s=None if ended is None or left is None else (left - ended) / 1000,
        early=dict(vendor.get("early") or {}),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that ``share`` of them do not exceed; NaN of none."""
    ranked = sorted(values)
    return ranked[max(math.ceil(share * len(ranked)) - 1, 0)] if ranked else math.nan


def summary(sessions: Sequence[Sequence[Turn]]) -> dict[str, object]:
    """Return the figures of all turns of all sessions; times in milliseconds."""
    turns = [turn for session in sessions for turn in session]
    gaps = [max((g for t in s for g in t.gaps_s), default=0.0) * 1000 for s in sessions]
    figures: dict[str, object] = {
        "sessions": len(sessions),
        "turns": len(turns),
        "turns_not_completed": sum(turn.status != "completed" for turn in turns),
    }
    left = [t.first_byte_s * 1000 for t in turns if t.first_byte_s is not None]
    waited = [t.waited_s * 1000 for t in turns if t.waited_s is not None]
    # None where nothing was measured: JSON has no NaN.
    for name, values in (("hard_end_to_socket", left), ("speech_stopped_to_delta", waited)):
        for label, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0)):
            value = round(percentile(values, share), 2) if values else None
            figures[f"{name}_{label}_ms"] = value
    figures["longest_gap_ms"] = round(max(gaps, default=0.0), 2)
    figures["longest_gap_by_session_ms"] = [round(gap, 1) for gap in gaps]
    return figures | _early(turns)


def _early(turns: Sequence[Turn]) -> dict[str, object]:
    def total(key: str) -> float:
        return sum(turn.early.get(key, 0) for turn in turns)

    started, confirmed = total("speculations"), total("confirmed")
    computed = total("read_tokens") + total("written_tokens")
    return {
        "speculations_started": started,
        "speculations_confirmed": confirmed,
        "speculations_rolled_back": started - confirmed,
        "won_ms_per_turn": round(total("won_ms") / max(1, len(turns)), 1),
        "read_tokens": total("read_tokens"),
        "read_early_tokens": total("early_tokens"),
        "written_tokens": total("written_tokens"),
        "wasted_tokens": total("wasted_tokens"),
        "wasted_share": round(total("wasted_tokens") / max(1, computed), 4),
    }
