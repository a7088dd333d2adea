from collections.abc import Sequence
from typing import Literal

import pytest

from assistant.config import BargeInConfig
from assistant.turns.barge_in import (
    CHARS_PER_S,
    LEAD_SAMPLES,
    LONGEST_OUT_S,
    TAIL_S,
    VOICE_DELAY_S,
    BargeIn,
)
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

    def __init__(
        self,
        speaks_aloud: Literal["unknown", "yes", "no"] = "unknown",
        config: BargeInConfig | None = None,
    ) -> None:
        self.gate = BargeIn(config or BargeInConfig())
        self.gate.configure(speaks_aloud)
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

    def spoken(self) -> list[Boundary]:
        """Be quiet until what was shown has been spoken; return what is passed on."""
        passed: list[Boundary] = []
        while self.gate.spoken_s > 0:
            passed += self.hear(speech=False)
        return passed

    def echoes(self, level_db: float) -> list[Boundary]:
        """Let an answer be spoken that comes back as loud as that."""
        self.gate.wrote(int(3 * CHARS_PER_S))
        for _ in range(int(VOICE_DELAY_S / WINDOW_S)):
            self.hear(speech=False)
        passed = self.says(level_db, num_windows=int(3 / WINDOW_S))
        return passed + self.spoken() + list(self.hear(speech=False))


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
    assert ear.hear(speech=False) == []
    assert ear.begin() != []


def test_an_interruption_is_told_within_a_quarter_of_a_second() -> None:
    ear = Ear()
    ear.is_answering = True
    passed = ear.begin()
    while not passed:
        passed = ear.hear()
    assert ear.position / 16_000 <= 0.2, "what is left is for the way"


@pytest.mark.parametrize(("level_db", "is_heard"), [(-40, False), (-31, True), (-20, True)])
@pytest.mark.parametrize("speaks_aloud", ["unknown", "yes"])
def test_what_is_far_below_the_users_voice_does_not_interrupt(
    speaks_aloud: Literal["unknown", "yes"], level_db: float, is_heard: bool
) -> None:
    ear = Ear(speaks_aloud)
    ear.says(-20)
    ear.is_answering = True
    assert bool(ear.says(level_db)) == is_heard


def test_before_the_user_has_said_anything_every_voice_may_be_theirs() -> None:
    ear = Ear()
    ear.is_answering = True
    assert ear.says(-50) != []


def test_where_answers_are_spoken_the_first_voice_may_be_their_echo() -> None:
    ear = Ear("yes")
    ear.is_answering = True
    assert ear.says(-20) == []


def test_where_answers_are_only_read_every_voice_interrupts() -> None:
    ear = Ear("no")
    ear.says(-20)
    ear.is_answering = True
    assert ear.says(-60) != []


def test_a_backchannel_is_brief() -> None:
    ear = Ear(config=BargeInConfig(backchannel_ms=320))
    ear.begin()
    assert ear.gate.is_backchannel(9 * W)
    assert not ear.gate.is_backchannel(10 * W)


# --- somebody quiet ----------------------------------------------------------------------


def test_quiet_words_during_an_answer_are_a_turn_when_it_is_written() -> None:
    ear = Ear()
    ear.says(-20)
    ear.is_answering = True
    start = ear.position
    assert ear.says(-40) == []
    stop = ear.position - W
    assert [b for _ in range(50) for b in ear.hear(speech=False)] == []
    ear.is_answering = False
    assert ear.hear(speech=False) == [SpeechStarted(start, start), HardEnd(stop, "silence")]
    assert ear.hear(speech=False) == []


def test_a_quiet_backchannel_is_no_turn_where_they_are_ignored() -> None:
    for ignores, num_passed in ((True, 0), (False, 2)):
        ear = Ear()
        ear.gate.configure("unknown", ignores_backchannels=ignores)
        ear.says(-20)
        ear.is_answering = True
        ear.says(-40)
        ear.is_answering = False
        assert len(ear.hear(speech=False)) == num_passed


def test_quiet_words_in_several_pieces_are_one_turn() -> None:
    ear = Ear()
    ear.says(-20)
    ear.is_answering = True
    start = ear.position
    assert ear.says(-40) + ear.says(-38) == []
    stop = ear.position - W
    ear.is_answering = False
    assert ear.hear(speech=False) == [SpeechStarted(start, start), HardEnd(stop, "silence")]


def test_who_is_quiet_and_then_loud_interrupts_with_all_they_said() -> None:
    ear = Ear()
    ear.says(-20)
    ear.is_answering = True
    start = ear.position
    assert ear.says(-40) == []
    (started, ended) = ear.says(-20)
    assert started == SpeechStarted(start, start)
    assert isinstance(ended, HardEnd)
    ear.is_answering = False
    assert ear.hear(speech=False) == []


def test_who_still_speaks_when_the_answer_is_over_is_heard_from_the_beginning() -> None:
    ear = Ear()
    ear.says(-20)
    ear.is_answering = True
    ear.level_db = -40
    start = ear.position
    assert ear.begin() == []
    assert [b for _ in range(20) for b in ear.hear()] == []
    ear.is_answering = False
    assert ear.hear() == [SpeechStarted(start, start)]


def test_an_answer_that_is_only_read_is_out_as_long_as_it_is_written() -> None:
    for speaks_aloud in ("unknown", "no"):
        ear = Ear(speaks_aloud)
        ear.says(-20)
        ear.gate.wrote(500)
        assert ear.says(-40) != []


def test_quiet_words_are_waited_for_until_the_answer_is_out_no_more() -> None:
    ear = Ear("yes")
    ear.says(-20)
    ear.gate.wrote(int(9 * CHARS_PER_S))
    assert ear.gate.deadline(is_answering=False) is None
    ear.says(-40)
    assert ear.gate.has_doubts
    assert ear.gate.deadline(is_answering=True) is None
    due = ear.gate.deadline(is_answering=False)
    assert due is not None
    assert ear.gate.settled(is_answering=False, now=due - 0.1) == []
    assert len(ear.gate.settled(is_answering=False, now=due + 0.1)) == 2
    assert not ear.gate.has_doubts


def test_dropped_speech_leaves_no_doubt_behind() -> None:
    ear = Ear()
    ear.says(-20)
    ear.is_answering = True
    ear.says(-40)
    ear.begin()
    ear.gate.forget_speech()
    assert [b for _ in range(20) for b in ear.hear()] == []
    ear.is_answering = False
    assert ear.hear(speech=False) == []


# --- answers that are spoken aloud -------------------------------------------------------


def test_an_echo_of_a_spoken_answer_is_no_turn() -> None:
    ear = Ear("yes")
    ear.says(-20)
    assert ear.echoes(-40) == []
    assert not ear.gate.has_doubts


def test_a_quiet_word_in_a_room_without_echo_is_a_turn_when_the_answer_was_spoken() -> None:
    ear = Ear("yes")
    ear.says(-20)
    ear.gate.wrote(int(3 * CHARS_PER_S))
    assert ear.says(-40) == []
    assert [type(boundary) for boundary in ear.spoken()] == [SpeechStarted, HardEnd]


def echoing() -> tuple[Ear, list[Boundary]]:
    """Hear a quiet voice for as long as an answer is spoken; return also what passed."""
    ear = Ear("yes")
    ear.says(-20)
    ear.gate.wrote(int(3 * CHARS_PER_S))
    ear.level_db = -40
    passed = list(ear.begin())
    while ear.gate.spoken_s > 0:
        passed += ear.hear()
    return ear, passed


def test_a_slow_voice_is_an_echo_for_a_little_longer() -> None:
    ear, passed = echoing()
    for _ in range(int(0.8 * TAIL_S / WINDOW_S)):
        passed += ear.hear()
    passed += ear.hear(HardEnd(ear.position, "silence"), speech=False)
    assert passed == []


def test_who_goes_on_after_an_echo_is_heard_from_their_first_word() -> None:
    ear, passed = echoing()
    ear.hear(SoftEnd(ear.position), speech=False)
    resumed = ear.position
    passed += ear.hear(SpeechResumed(resumed))
    assert passed == []
    while not passed:
        passed += ear.hear()
    assert passed == [SpeechStarted(resumed - LEAD_SAMPLES, resumed)]
    assert ear.position - resumed <= 1.1 * TAIL_S * 16_000


def test_a_user_who_speaks_over_an_echo_is_heard_from_there() -> None:
    ear = Ear("yes")
    ear.says(-20)
    ear.gate.wrote(1000)
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
    ear = Ear("yes")
    ear.says(-20)
    assert ear.echoes(-33) == []
    ear.is_answering = True
    assert ear.says(-29) == [], "over the margin below the user, not over the echo"
    assert ear.says(-24) != []


def test_who_is_far_away_interrupts_when_they_are_louder_than_the_known_echo() -> None:
    ear = Ear("yes")
    ear.says(-20)
    assert ear.echoes(-48) == []
    ear.is_answering = True
    assert ear.says(-40) != []


def test_no_echo_is_so_loud_that_it_shuts_the_user_out() -> None:
    ear = Ear("yes")
    assert ear.echoes(-15) == []
    ear.says(-20)
    ear.is_answering = True
    assert ear.says(-20) != []


def test_the_longest_answer_is_not_out_for_ever() -> None:
    ear = Ear()
    ear.gate.wrote(10**6)
    assert ear.gate.out_s == LONGEST_OUT_S
    ear.gate.interrupted()
    assert ear.gate.out_s == 0


def test_only_who_speaks_answers_is_still_speaking_them() -> None:
    for speaks_aloud, spoken_s in (("unknown", 0.0), ("no", 0.0), ("yes", 3.0)):
        ear = Ear(speaks_aloud)  # type: ignore[arg-type]  # literals, one after the other
        ear.gate.wrote(int(2 * CHARS_PER_S))
        assert ear.gate.spoken_s == spoken_s
        ear.gate.pass_time(1.0)
        ear.gate.pass_time(0.5)
        assert ear.gate.spoken_s == max(0.0, spoken_s - 1.0)
