"""
How well endpointing does on a recording whose speech is labelled.

Knows labels, probabilities and settings; neither files nor sound. Spans are in seconds.

    labels     ████ ██   ███            ██████
    turns     ╰──────1──────╯          ╰──2───╯      gaps of turn_gap_s part them
    pauses         ▔  ▔▔▔                            from MIN_PAUSE_S on
    decisions            ↑cut-off  ↑                ↑
                                ╰──╯ delay of 1     ╰╯ delay of 2

A pause in a turn is where an assistant should have gone on listening, the end of a turn
where it should answer. The two rates pull against each other, so they are always given
together, after the way of LiveKit's eot-bench: the share of pauses at which a user is cut
off, and the time from the end of speech to the decision.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from assistant.turns.clock import SAMPLE_RATE_HZ
from assistant.turns.endpointing import (
    WINDOW_SAMPLES,
    Endpointer,
    Endpointing,
    HardEnd,
    SpeechStarted,
)

Span = tuple[float, float]
"""Start and end in seconds."""

MIN_PAUSE_S = 0.1
"""Shorter gaps between labels belong to the articulation of words."""
WINDOW_S = WINDOW_SAMPLES / SAMPLE_RATE_HZ
BOUNDARY_S = 0.2
"""What a boundary may be wrong by and still be right."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One recording as a detector heard it."""

    name: str
    probabilities: Sequence[float]
    """Of speech, per window of 512 samples at 16 kHz."""
    labels: Sequence[Span]
    """Where people speak, in order, not overlapping."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What one person says, until there is a gap long enough to be an end."""

    start_s: float
    end_s: float
    pauses: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """An utterance as endpointing saw it."""

    onset_s: float
    end_s: float
    decided_s: float
    """When it was known to be over."""


@dataclass(slots=True)
class Score:
    """Counts over any number of recordings."""

    num_pauses: int = 0
    num_cut_off: int = 0
    """Decisions that fell before the turn was over."""
    delays_s: list[float] = field(default_factory=list)
    """From the labelled end of every turn to the decision; a turn that was taken for one
    with the next counts with the whole gap between them."""
    num_merged: int = 0
    num_turns: int = 0

    @property
    def cut_off_share(self) -> float:
        return self.num_cut_off / max(1, self.num_pauses)

    @property
    def delay_ms(self) -> float:
        """The median."""
        return 1000 * median(self.delays_s) if self.delays_s else 0.0


@dataclass(slots=True)
class Detection:
    """How much of the labelled speech was found, and how exactly."""

    num_spoken: int = 0
    num_found: int = 0
    errors_s: list[float] = field(default_factory=list)
    """Of every boundary of what was found: found less labelled, starts and ends."""

    @property
    def found_share(self) -> float:
        return self.num_found / max(1, self.num_spoken)

    @property
    def close_share(self) -> float:
        """Of the boundaries, how many are right."""
        close = sum(abs(error) <= BOUNDARY_S for error in self.errors_s)
        return close / max(1, len(self.errors_s))


def spoken_turns(labels: Sequence[Span], turn_gap_s: float) -> list[Spoken]:
    """Part labels where they are ``turn_gap_s`` or more from each other."""
    turns: list[Spoken] = []
    for start_s, end_s in labels:
        if turns and start_s - turns[-1].end_s < turn_gap_s:
            last = turns.pop()
            gap = (last.end_s, start_s)
            is_pause = start_s - last.end_s >= MIN_PAUSE_S
            pauses = (*last.pauses, gap) if is_pause else last.pauses
            turns.append(Spoken(last.start_s, max(end_s, last.end_s), pauses))
        else:
            turns.append(Spoken(start_s, end_s, ()))
    return turns


def found_utterances(probabilities: Sequence[float], settings: Endpointing) -> list[Found]:
    """Run endpointing over a recording; silence follows it until all is decided."""
    endpointer = Endpointer(settings)
    patience_s = max(settings.silence_duration_ms, settings.longest_silence_ms) / 1000
    num_silent = int(2 * patience_s / WINDOW_S) + 20
    found, onset = [], 0
    for probability in (*probabilities, *(0.0,) * num_silent):
        for boundary in endpointer.receive(probability):
            if isinstance(boundary, SpeechStarted):
                onset = boundary.onset
            elif isinstance(boundary, HardEnd):
                place = (onset, boundary.at, endpointer.position)
                found.append(Found(*(sample / SAMPLE_RATE_HZ for sample in place)))
    return found


def score(recordings: Sequence[Judged], settings: Endpointing, turn_gap_s: float) -> Score:
    """Count cut-offs and delays; every recording is a new speaker."""
    result = Score()
    for recording in recordings:
        decisions = [
            found.decided_s for found in found_utterances(recording.probabilities, settings)
        ]
        turns = spoken_turns(recording.labels, turn_gap_s)
        nexts = [turn.start_s for turn in turns[1:]]
        for turn, next_s in zip(turns, [*nexts, float("inf")], strict=True):
            result.num_turns += 1
            result.num_pauses += len(turn.pauses)
            result.num_cut_off += sum(turn.start_s < d < turn.end_s for d in decisions)
            after = [d for d in decisions if turn.end_s <= d < next_s]
            if after:
                result.delays_s.append(after[0] - turn.end_s)
            else:
                result.num_merged += 1
                result.delays_s.append(next_s - turn.end_s)
    return result


def detect(recordings: Sequence[Judged], settings: Endpointing) -> Detection:
    """
    Count which labelled utterances are found: at least half of one must be.

    Labels closer to each other than the silence that ends a turn are one utterance.
    """
    result = Detection()
    for recording in recordings:
        found = found_utterances(recording.probabilities, settings)
        for turn in spoken_turns(recording.labels, settings.silence_duration_ms / 1000):
            result.num_spoken += 1
            there = [f for f in found if _overlap_s(f, turn) > 0]
            if sum(_overlap_s(f, turn) for f in there) < (turn.end_s - turn.start_s) / 2:
                continue
            result.num_found += 1
            result.errors_s.append(there[0].onset_s - turn.start_s)
            result.errors_s.append(there[-1].end_s - turn.end_s)
    return result


@dataclass(frozen=True, slots=True)
class Point:
    """What one setting of a policy does."""

    silence_ms: int
    cut_off_share: float
    delay_ms: float


def delay_at(points: Sequence[Point], cut_off_share: float) -> float | None:
    """Return the shortest delay, ms, of those that cut off no more than that share."""
    return min(
        (p.delay_ms for p in points if p.cut_off_share <= cut_off_share), default=None
    )


def cut_offs_at(points: Sequence[Point], delay_ms: float) -> float | None:
    """Return the least cut-offs of those that decide within that delay."""
    return min((p.cut_off_share for p in points if p.delay_ms <= delay_ms), default=None)


def _overlap_s(found: Found, turn: Spoken) -> float:
    return max(0.0, min(found.end_s, turn.end_s) - max(found.onset_s, turn.start_s))
