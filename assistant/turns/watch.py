"""
When to look at the camera unasked, and whether what was seen is worth a word.

Moved by what happens and by the time; what is to be done comes out as data. Knows ids of
frames and the words of answers; who carries it out is ``watching.py``.

    OFF ──set──► WAITING ──there is something to look at──► LOOKING ──answer──► JUDGING
                    ▲                                          │                   │
                    ├──────── floor taken, late, failed ───────┘                   │
                    └──────── said; nothing to say; said before; too often ────────┘

* A frame is looked at when it is new, ``interval_ms`` after the look before at the
  earliest: with ``on = "change"`` only if it differs from the frame judged last, or if
  ``still_ms`` have passed.
* Nobody is disturbed: a look neither begins nor goes on while the user speaks or is being
  answered, nor ``QUIET_S`` after that, and what it found out by then is dropped. The same
  scene is looked at again when the floor is free.
* There is nothing to say when the answer is empty or begins with one of ``NOTHING``.
* What was said is not said again until there was nothing to say in between; with
  ``say = "changes"`` also when the answer has become another one.
* Two times of speaking up are ``min_gap_ms`` apart, and ``max_per_minute`` bounds them.
  What would come too soon is looked at again when it may be said, and may be over then.
"""

import math
import re
from collections import Counter, deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Literal

from assistant.turns.watch_settings import WatchSettings

QUIET_S = 0.5
"""After the user or an answer, before the assistant speaks up: who typed or committed
something is about to ask."""
RETRY_S = 5.0
"""After a look that failed or was late: the engine is not to be kept busy."""
MINUTE_S = 60.0
MAX_SPOKE = 60
"""Times of speaking up that are remembered: as many as a minute may have."""
NOTHING = frozenset({"no", "nope", "not", "none", "nothing"})
"""How an answer begins that there is nothing to say."""


class State(Enum):
    OFF = auto()
    WAITING = auto()
    LOOKING = auto()
    """The engine is asked about a frame."""
    JUDGING = auto()
    """It has answered, and nobody has heard of it."""


class Sign(Enum):
    """What can happen to a watch."""

    SET = auto()
    CLEAR = auto()
    LOOK = auto()
    ANSWER = auto()
    DROP = auto()
    JUDGE = auto()


TRANSITIONS: dict[tuple[State, Sign], State] = {
    (State.OFF, Sign.SET): State.WAITING,
    (State.WAITING, Sign.SET): State.WAITING,
    (State.OFF, Sign.CLEAR): State.OFF,
    (State.WAITING, Sign.CLEAR): State.OFF,
    (State.WAITING, Sign.LOOK): State.LOOKING,
    (State.LOOKING, Sign.ANSWER): State.JUDGING,
    (State.LOOKING, Sign.DROP): State.WAITING,
    (State.JUDGING, Sign.DROP): State.WAITING,
    (State.JUDGING, Sign.JUDGE): State.WAITING,
}

Taker = Literal["speech", "answer"]
Lost = Literal["speech", "answer", "late", "failed", "engine", "settings"]
Verdict = Literal["said", "nothing", "repeated", "limited"]


@dataclass(frozen=True, slots=True)
class Sight:
    """The newest frame that is worth a look."""

    id: int
    novelty: float
    """How different it is from the frame judged last, in [0, 1]; 1 without one."""


@dataclass(frozen=True, slots=True)
class Room:
    """Whether the assistant may speak unasked."""

    free_from: float = -math.inf
    """Session seconds; infinite while somebody has the floor."""
    taken_by: Taker = "answer"
    """Who has it, or had it last."""


@dataclass(frozen=True, slots=True)
class Look:
    """Have the model look at a frame; tell what it answers with ``receive_answer``."""

    frame_id: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Stop the look under way, or forget what it found out."""

    reason: Lost


@dataclass(frozen=True, slots=True)
class Judged:
    """The answer was weighed; it is to be said, or nobody is to hear of it."""

    verdict: Verdict
    text: str


Outcome = Look | Drop | Judged


@dataclass(slots=True)
class WatchTally:
    """What came of looking."""

    num_looks: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    dropped: Counter[Lost] = field(default_factory=Counter)

    def to_wire(self) -> dict[str, Any]:
        judged: dict[str, int] = {name: self.verdicts[name] for name in _VERDICTS}
        return {"looks": self.num_looks, **judged, "dropped": dict(self.dropped)}

    def __str__(self) -> str:
        """Return what is worth a place in a log line."""
        judged = ", ".join(f"{self.verdicts[name]} {name}" for name in _VERDICTS)
        dropped = ", ".join(f"{count} {name}" for name, count in self.dropped.items())
        lost = f"; dropped: {dropped}" if dropped else ""
        return f"{self.num_looks} looks, {judged}{lost}"


_VERDICTS: tuple[Verdict, ...] = ("said", "nothing", "repeated", "limited")


def says_nothing(answer: str) -> bool:
    """Return whether an answer is the model's way to say that there is nothing to say."""
    words = re.findall(r"\w+", answer.casefold())
    return not words or words[0] in NOTHING


class Watch:
    """One standing instruction at most."""

    def __init__(self, timeout_s: float) -> None:
        self.settings: WatchSettings | None = None
        self.state = State.OFF
        self.tally = WatchTally()
        self.judged_id: int | None = None
        """The frame judged last, that others are compared with."""
        self._timeout_s = timeout_s
        self._now = 0.0
        self._frame_id = 0  # of the look under way
        self._answer = ""
        self._looked_at = -math.inf  # when the latest look began
        self._next_look = -math.inf
        self._judged_at = -math.inf
        self._again_at: float | None = None  # when what came too soon may be said
        self._said: str | None = None  # and nothing else was seen since
        self._spoke_at: deque[float] = deque(maxlen=MAX_SPOKE)
        self._wake: float | None = None

    # --- what happened ------------------------------------------------------------------

    def configure(self, settings: WatchSettings | None) -> Drop | None:
        """Watch for that from now on; what is known of the same instruction holds."""
        before = self.settings
        if settings == before:
            return None
        dropped = self.drop("settings")
        self.settings = settings
        self._wake = None
        self._go(Sign.CLEAR if settings is None else Sign.SET)
        is_same = before and settings and before.words == settings.words
        if not is_same:
            self.judged_id = self._said = self._again_at = None
        return dropped

    def receive_answer(self, answer: str) -> None:
        """Take what the model says of the frame; ``step`` judges it."""
        assert self.state is State.LOOKING, "an answer to nothing"
        self._answer = answer.strip()
        self._go(Sign.ANSWER)

    def drop(self, reason: Lost) -> Drop | None:
        """Stop the look under way, if there is one."""
        if self.state not in (State.LOOKING, State.JUDGING):
            return None
        self._go(Sign.DROP)
        self.tally.dropped[reason] += 1
        if reason in ("late", "failed"):
            self._next_look = max(self._next_look, self._now + RETRY_S)
        return Drop(reason)

    def step(self, now: float, sight: Sight | None, room: Room) -> Outcome | None:
        """
        Say what is to be done now; ask again after whatever came of it.

        Args:
            now: Session seconds; an earlier time than before counts as that.
            sight: What the camera shows, None: nothing fresh.
            room: Whether the assistant may speak.
        """
        now = self._now = max(now, self._now)
        is_free = room.free_from <= now
        match self.state:
            case State.LOOKING | State.JUDGING if not is_free:
                return self.drop(room.taken_by)
            case State.LOOKING if now >= self._looked_at + self._timeout_s:
                return self.drop("late")
            case State.JUDGING:
                return self._judge(now)
            case State.WAITING:
                return self._look(now, sight, room)
        return None

    def deadline(self) -> float | None:
        """Return when ``step`` wants to be called, if nothing happens before."""
        if self.state is State.LOOKING:
            return self._looked_at + self._timeout_s
        return self._wake if self.state is State.WAITING else None

    # --- inside -------------------------------------------------------------------------

    def _look(self, now: float, sight: Sight | None, room: Room) -> Look | None:
        self._wake = None
        reason_at = None if sight is None else self._reason_at(sight)
        if sight is None or reason_at is None:
            return None
        due = max(reason_at, self._next_look, room.free_from)
        if due > now:
            self._wake = due if math.isfinite(due) else None
            return None
        assert self.settings is not None
        self._go(Sign.LOOK)
        self.tally.num_looks += 1
        self._frame_id = sight.id
        self._looked_at = now
        self._next_look = now + self.settings.interval_ms / 1000
        return Look(sight.id)

    def _reason_at(self, sight: Sight) -> float | None:
        """Return from when on there is a reason to look at a frame, if ever."""
        settings = self.settings
        assert settings is not None
        if self.judged_id is None:
            return -math.inf
        reasons = [] if self._again_at is None else [self._again_at]
        if sight.id != self.judged_id:
            has_changed = sight.novelty >= settings.min_novelty
            if settings.on == "interval" or has_changed:
                return -math.inf
            reasons.append(self._judged_at + settings.still_ms / 1000)
        return min(reasons, default=None)

    def _judge(self, now: float) -> Judged:
        text = self._answer
        self._go(Sign.JUDGE)
        self.judged_id, self._judged_at = self._frame_id, now
        self._again_at = None
        verdict = self._weigh(text, now)
        self.tally.verdicts[verdict] += 1
        return Judged(verdict, text)

    def _weigh(self, text: str, now: float) -> Verdict:
        assert self.settings is not None
        if says_nothing(text):
            self._said = None
            return "nothing"
        if self._said is not None and (
            self.settings.say == "once" or _same(text, self._said)
        ):
            return "repeated"
        may_at = self._may_speak_at(self.settings)
        if may_at > now:
            self._again_at = may_at
            return "limited"
        self._said = text
        self._spoke_at.append(now)
        return "said"

    def _may_speak_at(self, settings: WatchSettings) -> float:
        if not self._spoke_at:
            return -math.inf
        may_at = self._spoke_at[-1] + settings.min_gap_ms / 1000
        if len(self._spoke_at) >= settings.max_per_minute:
            may_at = max(may_at, self._spoke_at[-settings.max_per_minute] + MINUTE_S)
        return may_at

    def _go(self, sign: Sign) -> None:
        self.state = TRANSITIONS[self.state, sign]


def _same(one: str, other: str) -> bool:
    return re.findall(r"\w+", one.casefold()) == re.findall(r"\w+", other.casefold())
