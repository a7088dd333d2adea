"""
Pairing: which camera frames an utterance gets, and why the others were not taken.

Frames are ids with a capture time and a sharpness here; pixels never pass through. Times
are session seconds, on the same clock as the audio.

         freshness_s           utterance        after_end_s
      ├───────────────┼───────────────────────┼────┤
    stale        candidates: the newest wins        after_window

Rules, in this order; every offered frame gets exactly one decision:

* Captured more than ``freshness_s`` before the utterance: ``stale``.
* Captured more than ``after_end_s`` after it: ``after_window``.
* Less sharp than ``min_sharpness``: ``blurred``.
* Of the rest, with ``frames_per_turn = 1``: the newest; the others are ``superseded``.
  If another one was prefilled while the user spoke and the newest differs from it by less
  than ``min_novelty``, the prefilled one is used and the newest is ``unchanged``.
* With more than one frame per turn: the newest and, by ``policy``, others. ``latest``: the
  ones before it. ``change``: the ones that differ most from the frame before them.
  ``uniform``: the ones nearest to evenly spaced times over the candidates. What finds no
  place is ``over_limit``, and what shows less than ``min_novelty`` that is new is
  ``unchanged``: compared with the used frame after it, or under ``change`` with the
  candidate before it.

The first frame of a turn is never left out for being unchanged: a small thing held up
changes few pixels, and "what is this?" must not be answered from an older picture.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from assistant.config import PairingConfig

Reason = Literal[
    "used", "stale", "blurred", "unchanged", "superseded", "over_limit", "after_window"
]


@dataclass(frozen=True, slots=True)
class FrameMeta:
    """What the decision needs to know of a frame."""

    id: int
    captured_s: float
    sharpness: float
    # What the record of a turn repeats; no decision looks at it.
    timestamp_ms: float | None = None
    """Capture time as the client gave it."""
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one offered frame."""

    id: int
    captured_s: float
    used: bool
    reason: Reason


@dataclass(frozen=True, slots=True)
class Pairing:
    """The frames of one turn."""

    used: list[int]
    """Ids in order of capture."""
    decisions: list[Decision]
    """One for every offered frame, in the order offered."""


def pair(
    frames: Sequence[FrameMeta],
    start_s: float,
    end_s: float,
    config: PairingConfig,
    novelty: Callable[[int, int], float],
    prefilled: int | None = None,
) -> Pairing:
    """
    Choose the frames of an utterance.

    Args:
        frames: The offered frames; ids are unique.
        start_s: Start of the utterance.
        end_s: Its end, or the present while the user still speaks.
        config: The bounds of the window and the limits.
        novelty: How different two frames (ids) are, in [0, 1].
        prefilled: The frame that the engine has read already for this turn.
    """
    reasons: dict[int, Reason] = {}
    candidates = []
    for frame in frames:
        if frame.captured_s < start_s - config.freshness_s:
            reasons[frame.id] = "stale"
        elif frame.captured_s > end_s + config.after_end_s:
            reasons[frame.id] = "after_window"
        elif frame.sharpness < config.min_sharpness:
            reasons[frame.id] = "blurred"
        else:
            candidates.append(frame)
    candidates.sort(key=lambda frame: (frame.captured_s, frame.id))

    if config.frames_per_turn == 1:
        reasons |= _newest(candidates, config.min_novelty, novelty, prefilled)
    else:
        reasons |= _POLICIES[config.policy](
            candidates, config.frames_per_turn, config.min_novelty, novelty
        )
    return Pairing(
        used=[frame.id for frame in candidates if reasons[frame.id] == "used"],
        decisions=[
            Decision(f.id, f.captured_s, reasons[f.id] == "used", reasons[f.id])
            for f in frames
        ],
    )


def _newest(
    candidates: list[FrameMeta],
    min_novelty: float,
    novelty: Callable[[int, int], float],
    prefilled: int | None,
) -> dict[int, Reason]:
    """Take the newest, or the prefilled one if the newest shows nothing new."""
    reasons: dict[int, Reason] = {frame.id: "superseded" for frame in candidates}
    if not candidates:
        return reasons
    newest = candidates[-1].id
    if (
        prefilled in reasons
        and prefilled != newest
        and novelty(prefilled, newest) < min_novelty
    ):
        reasons[prefilled] = "used"
        reasons[newest] = "unchanged"
    else:
        reasons[newest] = "used"
    return reasons


def _latest(
    candidates: list[FrameMeta],
    num_frames: int,
    min_novelty: float,
    novelty: Callable[[int, int], float],
) -> dict[int, Reason]:
    """Take the newest and then the next newest that shows something else, and so on."""
    reasons: dict[int, Reason] = {frame.id: "over_limit" for frame in candidates}
    later: FrameMeta | None = None
    for frame in reversed(candidates):
        if num_frames == 0:
            break
        if later is not None and novelty(frame.id, later.id) < min_novelty:
            reasons[frame.id] = "unchanged"
            continue
        reasons[frame.id] = "used"
        later, num_frames = frame, num_frames - 1
    return reasons


def _changes(
    candidates: list[FrameMeta],
    num_frames: int,
    min_novelty: float,
    novelty: Callable[[int, int], float],
) -> dict[int, Reason]:
    """Take the newest and the frames after the greatest changes; the first one is one."""
    reasons: dict[int, Reason] = {frame.id: "over_limit" for frame in candidates}
    if not candidates or num_frames == 0:
        return reasons
    changes = [(1.0, candidates[0])]
    for before, frame in itertools.pairwise(candidates):
        change = novelty(before.id, frame.id)
        if change < min_novelty:
            reasons[frame.id] = "unchanged"
        else:
            changes.append((change, frame))
    newest = candidates[-1]
    greatest = sorted(changes, key=lambda change: change[0], reverse=True)
    others = [frame for _, frame in greatest if frame.id != newest.id]
    for frame in [newest, *others[: num_frames - 1]]:
        reasons[frame.id] = "used"
    return reasons


def _uniform(
    candidates: list[FrameMeta],
    num_frames: int,
    min_novelty: float,
    novelty: Callable[[int, int], float],
) -> dict[int, Reason]:
    """Take the newest and frames evenly spaced in time that show something new."""
    reasons: dict[int, Reason] = {frame.id: "over_limit" for frame in candidates}
    if not candidates or num_frames == 0:
        return reasons
    newest = candidates[-1]
    reasons[newest.id] = "used"
    first_s = candidates[0].captured_s
    step_s = (newest.captured_s - first_s) / max(1, num_frames - 1)
    places = [first_s + step_s * place for place in range(num_frames - 1)]
    free = candidates[:-1]
    chosen: list[FrameMeta] = []
    for place_s in places:
        if free:
            best = min(free, key=lambda frame: abs(frame.captured_s - place_s))
            free.remove(best)
            chosen.append(best)
    # From the newest backwards, so that of two alike the newer one is kept.
    later = newest
    for frame in sorted(chosen, key=lambda frame: frame.captured_s, reverse=True):
        if novelty(frame.id, later.id) < min_novelty:
            reasons[frame.id] = "unchanged"
        else:
            reasons[frame.id] = "used"
            later = frame
    return reasons


_POLICIES = {"latest": _latest, "change": _changes, "uniform": _uniform}
