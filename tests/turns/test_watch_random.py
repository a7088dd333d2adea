"""
Random days of a watch: whatever happens, nobody is disturbed and no limit is exceeded.

People speak and are answered, scenes change, the model answers or does not, settings and
the engine come and go, the clock jumps. A witness knows who has the floor, and when what
was looked at and said.
"""

import math
import random
from dataclasses import dataclass, field, replace

from assistant.turns.watch import Drop, Judged, Look, Room, Sight, State, Watch
from assistant.turns.watch_settings import WatchSettings

TIMEOUT_S = 5.0
ANSWERS = ("no", "No.", "", "Yes.", "A star.", "A heart.")


@dataclass
class Witness:
    """What must hold of one watch, seen from outside."""

    looked_at: list[float] = field(default_factory=list)
    said_at: list[float] = field(default_factory=list)
    said: str | None = None
    """Since there was nothing to say."""

    def look(self, now: float, settings: WatchSettings, room: Room) -> None:
        assert room.free_from <= now, "looks while somebody has the floor"
        if self.looked_at:
            assert now - self.looked_at[-1] >= settings.interval_ms / 1000 - 1e-9
        self.looked_at.append(now)

    def judge(
        self, now: float, judged: Judged, settings: WatchSettings, room: Room
    ) -> None:
        assert room.free_from <= now, "speaks while somebody has the floor"
        if judged.verdict == "nothing":
            self.said = None
        if judged.verdict != "said":
            return
        if settings.say == "once":
            assert self.said is None, "says it again"
        assert judged.text != self.said
        self.said = judged.text
        if self.said_at:
            assert now - self.said_at[-1] >= settings.min_gap_ms / 1000 - 1e-9
        self.said_at.append(now)
        lately = [at for at in self.said_at if now - at < 60 - 1e-9]
        assert len(lately) <= settings.max_per_minute


def settings_of(draw: random.Random) -> WatchSettings:
    return WatchSettings(
        instruction="Say what you see.",
        on=draw.choice(["change", "interval"]),
        say=draw.choice(["once", "changes"]),
        interval_ms=draw.choice([250, 500, 2000]),
        still_ms=draw.choice([500, 10_000]),
        min_novelty=draw.choice([0.0, 0.01, 0.5]),
        min_gap_ms=draw.choice([0, 1000, 5000]),
        max_per_minute=draw.choice([1, 3, 6]),
    )


class Day:
    """A watch and a random hand."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.settings: WatchSettings | None = settings_of(self.draw)
        self.watch = Watch(TIMEOUT_S)
        self.watch.configure(self.settings)
        self.witness = Witness()
        self.now = 0.0
        self.room = Room()
        self.sight: Sight | None = None
        self.num_frames = 0
        self.begun_at = 0.0

    def happen(self) -> None:
        """Let one thing happen."""
        draw = self.draw
        match draw.choice(["time"] * 4 + ["frame"] * 4 + ["floor"] * 2 + ["answer"] * 4
                          + ["trouble", "settings", "off"]):  # fmt: skip
            case "time":
                self.now += draw.choice([0.05, 0.3, 1.0, 7.0])
            case "frame":
                self.num_frames += 1
                self.sight = Sight(self.num_frames, draw.choice([0.0, 0.02, 1.0]))
            case "floor":
                until = draw.choice([-math.inf, self.now + 0.5, math.inf, self.now])
                self.room = Room(until, draw.choice(["speech", "answer"]))
            case "answer" if self.watch.state is State.LOOKING:
                self.watch.receive_answer(draw.choice(ANSWERS))
            case "trouble":
                self.watch.drop(draw.choice(["failed", "engine"]))
            case "settings":
                self.configure(settings_of(draw) if draw.random() < 0.3 else self.settings)
            case "off" if draw.random() < 0.2:
                self.configure(None)

    def configure(self, settings: WatchSettings | None) -> None:
        if settings is None or self.settings is None:
            self.witness.said = None  # a watch that ended knows nothing of it
        if settings is not None and settings != self.settings:
            # Limits hold for what comes; what was before is not held against them.
            self.witness = replace(self.witness, said_at=[], looked_at=[])
        self.settings = settings
        self.watch.configure(settings)

    def step(self) -> None:
        outcome = self.watch.step(self.now, self.sight, self.room)
        match outcome:
            case Look(frame_id):
                assert self.settings is not None, "looks unasked"
                assert self.sight is not None
                assert frame_id == self.sight.id
                self.begun_at = self.now
                self.witness.look(self.now, self.settings, self.room)
            case Judged():
                assert self.settings is not None, "speaks unasked"
                self.witness.judge(self.now, outcome, self.settings, self.room)
            case Drop("speech" | "answer"):
                assert self.room.free_from > self.now, "dropped for nothing"
            case Drop("late"):
                assert self.now - self.begun_at >= TIMEOUT_S
        assert self.watch.state is not State.JUDGING, "an answer that nobody weighs"
        due = self.watch.deadline()
        assert due is None or math.isfinite(due)
        if due is not None and self.watch.state is State.WAITING:
            assert due > self.now, "wants to be woken for what it could do now"


def test_random_days_hold_every_promise() -> None:
    num_looks = num_said = num_dropped = 0
    for seed in range(2000):
        day = Day(seed)
        try:
            for _ in range(50):
                day.happen()
                day.step()
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
        tally = day.watch.tally
        num_looks += tally.num_looks
        num_said += tally.verdicts["said"]
        num_dropped += tally.dropped.total()
        judged = tally.verdicts.total() + tally.dropped.total()
        assert tally.num_looks - judged in (0, 1), f"seed {seed}: a look without an end"
    assert num_looks > 3000
    assert num_said > 500
    assert num_dropped > 300


def test_whoever_is_woken_when_they_asked_to_be_has_something_to_do() -> None:
    for seed in range(300):
        day = Day(seed)
        for _ in range(40):
            day.happen()
            day.step()
            due = day.watch.deadline()
            if due is not None and day.watch.state is State.WAITING:
                day.now = due
                outcome = day.watch.step(day.now, day.sight, day.room)
                assert isinstance(outcome, Look), f"seed {seed}"
                day.begun_at = day.now
                assert day.settings is not None
                day.witness.look(day.now, day.settings, day.room)
