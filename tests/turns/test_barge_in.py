from collections.abc import Sequence

import pytest

from assistant.config import BargeInConfig
from assistant.turns.barge_in import CHARS_PER_S, LEAD_SAMPLES, LONGEST_OUT_S, BargeIn
from assistant.turns.endpointing import (
    WINDOW_SAMPLES,
    Boundary,
    HardEnd,
    SoftEnd,
    SpeechResumed,
    SpeechStarted,
)

W = WINDOW_SAMPLES
WINDOW_S = W / 16_000


class Ear:
    """A gate whose world has one level at a time."""

    def __init__(self, config: BargeInConfig | None = None) -> None:
        self.gate = BargeIn(config or BargeInConfig())
        self.position = 0
        self.level_db = -20.0
        self.is_answering = False

    def hear(self, *boundaries: Boundary, speech: bool = True) -> Sequence[Boundary]:
        """Let one window pass that settled these."""
        self.position += W
        return self.gate.sift(
            boundaries,
            position=self.position,
            is_speech=speech,
            is_answering=self.is_answering,
            level_db=lambda start, stop: self.level_db,
            now=self.position / 16_000,
        )

    def begin(self) -> Sequence[Boundary]:
        """Speech begins with this window."""
        return self.hear(SpeechStarted(self.position, self.position))

    def says(self, level_db: float, *, num_windows: int = 10) -> list[Boundary]:
        """Let somebody say something as loud as that; return what is passed on."""
        self.level_db = level_db
        passed = list(self.begin())
        for _ in range(num_windows):
            passed += self.hear()
        passed += self.hear(HardEnd(self.position, "silence"), speech=False)
        return passed


def test_without_an_answer_everything_is_passed_on_as_it_comes() -> None:
    ear = Ear()
    boundaries: list[Boundary] = [
        SoftEnd(2 * W),
        SpeechResumed(3 * W),
        HardEnd(4 * W, "silence"),
    ]
    assert list(ear.begin()) == [SpeechStarted(0, 0)]
    assert [b for one in boundaries for b in ear.hear(one)] == boundaries


def test_during_an_answer_speech_must_last() -> None:
    ear = Ear()
    ear.is_answering = True
    assert ear.begin() == []
    assert [list(ear.hear()) for _ in range(3)] == [[], [], [SpeechStarted(0, 0)]]


def test_a_cough_during_an_answer_is_never_heard_of() -> None:
    ear = Ear()
    ear.is_answering = True
    assert ear.says(-20, num_windows=1) == []
    ear.is_answering = False
    assert ear.begin() != []


def test_an_interruption_is_told_within_a_quarter_of_a_second() -> None:
    ear = Ear()
    ear.is_answering = True
    passed = ear.begin()
    while not passed:
        passed = ear.hear()
    assert ear.position / 16_000 <= 0.2, "what is left is for the way"


@pytest.mark.parametrize(("level_db", "is_heard"), [(-40, False), (-31, True), (-20, True)])
def test_what_is_far_below_the_users_voice_does_not_interrupt(
    level_db: float, is_heard: bool
) -> None:
    ear = Ear()
    ear.says(-20)
    ear.is_answering = True
    assert bool(ear.says(level_db)) == is_heard


def test_before_the_user_has_said_anything_every_voice_may_be_theirs() -> None:
    ear = Ear()
    ear.is_answering = True
    assert ear.says(-50) != []


def test_a_user_who_speaks_over_an_echo_is_heard_from_there() -> None:
    ear = Ear()
    ear.says(-20)
    ear.is_answering = True
    ear.level_db = -40
    start = ear.position
    assert ear.begin() == []
    assert [b for _ in range(50) for b in ear.hear()] == []
    ear.level_db = -22
    (started,) = ear.hear()
    assert isinstance(started, SpeechStarted)
    assert started.onset > start + 40 * W
    assert started.onset - started.at == LEAD_SAMPLES
    assert ear.hear(SoftEnd(ear.position)) != []


def test_known_echoes_must_be_exceeded() -> None:
    ear = Ear()
    ear.says(-20)
    ear.is_answering = True
    ear.says(-33)
    assert ear.says(-29) == [], "over the margin below the user, not over the echo"
    assert ear.says(-24) != []


def test_no_echo_is_so_loud_that_it_shuts_the_user_out() -> None:
    ear = Ear(BargeInConfig(min_speech_ms=500))
    ear.says(-20)
    ear.is_answering = True
    for _ in range(9):
        ear.says(-15, num_windows=3)
    assert ear.says(-20, num_windows=30) != []


def test_an_answer_is_out_as_long_as_it_takes_to_say_it() -> None:
    ear = Ear()
    ear.says(-20)
    ear.gate.wrote(int(CHARS_PER_S))
    assert ear.says(-40) == [], "a third of a second of it"
    while ear.gate.out_s > 0:
        ear.hear(speech=False)
    assert ear.begin() != []


def test_the_longest_answer_is_not_out_for_ever() -> None:
    ear = Ear()
    ear.gate.wrote(10**6)
    assert ear.gate.out_s == LONGEST_OUT_S
    ear.gate.interrupted()
    assert ear.gate.out_s == 0


def test_doubts_end_with_the_answer() -> None:
    ear = Ear()
    ear.says(-20)
    ear.is_answering = True
    ear.level_db = -40
    assert ear.begin() == []
    ear.is_answering = False
    assert len(ear.hear()) == 1


def test_dropped_speech_leaves_no_doubt_behind() -> None:
    ear = Ear()
    ear.is_answering = True
    ear.begin()
    ear.gate.forget_speech()
    assert [b for _ in range(20) for b in ear.hear()] == []


def test_a_backchannel_is_brief() -> None:
    ear = Ear(BargeInConfig(backchannel_ms=320))
    ear.begin()
    assert ear.gate.is_backchannel(9 * W)
    assert not ear.gate.is_backchannel(10 * W)
