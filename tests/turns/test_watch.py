import math
from dataclasses import replace

import pytest

from assistant.turns.watch import (
    MAX_SPOKE,
    QUIET_S,
    RETRY_S,
    TRANSITIONS,
    Drop,
    Judged,
    Look,
    Outcome,
    Room,
    Sight,
    Sign,
    State,
    Verdict,
    Watch,
    WatchTally,
    says_nothing,
)
from assistant.turns.watch_settings import WatchSettings

STAR = WatchSettings(
    instruction="Do you see a star?",
    interval_ms=500,
    still_ms=10_000,
    min_novelty=0.01,
    min_gap_ms=5000,
    max_per_minute=6,
)
TIMEOUT_S = 5.0
FREE = Room()
SPEECH = Room(math.inf, "speech")


class Eye:
    """A watch, a clock and a camera that shows one frame after the other."""

    def __init__(self, settings: WatchSettings | None = STAR) -> None:
        self.watch = Watch(TIMEOUT_S)
        self.watch.configure(settings)
        self.now = 0.0
        self.sight: Sight | None = None
        self.room = FREE

    def show(self, frame_id: int, novelty: float = 1.0) -> Outcome | None:
        self.sight = Sight(frame_id, novelty)
        return self.step()

    def step(self, after_s: float = 0.0) -> Outcome | None:
        self.now += after_s
        return self.watch.step(self.now, self.sight, self.room)

    def sees(self, frame_id: int, answer: str) -> Verdict:
        """Show a new scene long after the one before, and answer about it."""
        self.now += 1.0
        assert self.show(frame_id) == Look(frame_id)
        return self.answers(answer)

    def answers(self, answer: str) -> Verdict:
        self.watch.receive_answer(answer)
        judged = self.step()
        assert isinstance(judged, Judged)
        assert judged.text == answer.strip()
        return judged.verdict


# --- when to look ------------------------------------------------------------------------


def test_who_watches_for_nothing_looks_at_nothing() -> None:
    eye = Eye(None)
    assert eye.show(1) is None
    assert eye.watch.deadline() is None


def test_the_first_frame_is_looked_at_and_nothing_else_meanwhile() -> None:
    eye = Eye()
    assert eye.step() is None
    assert eye.show(1) == Look(1)
    assert eye.show(2) is None
    assert eye.watch.state is State.LOOKING


def test_a_change_is_looked_at_and_a_scene_that_stays_only_now_and_then() -> None:
    eye = Eye()
    eye.sees(1, "no")
    eye.now += 1.0
    assert eye.show(2, 0.009) is None
    assert eye.watch.deadline() == pytest.approx(1.0 + 10.0)
    assert eye.show(3, 0.01) == Look(3)
    eye.answers("no")
    assert eye.show(4, 0.0) is None
    assert eye.step(9.9) is None
    assert eye.step(0.2) == Look(4)


def test_at_intervals_every_new_frame_is_looked_at_and_none_twice() -> None:
    eye = Eye(replace(STAR, on="interval"))
    eye.sees(1, "no")
    assert eye.show(2, 0.0) is None
    assert eye.watch.deadline() == pytest.approx(1.5)
    assert eye.step(0.5) == Look(2)
    eye.answers("no")
    assert eye.step(60.0) is None
    assert eye.watch.deadline() is None, "a camera that shows nothing new"


def test_no_look_follows_another_before_the_interval_has_passed() -> None:
    eye = Eye()
    eye.sees(1, "no")
    assert eye.show(2) is None
    assert eye.step(0.49) is None
    assert eye.watch.deadline() == pytest.approx(1.5)
    assert eye.step(0.02) == Look(2)


def test_nothing_fresh_is_nothing_to_look_at() -> None:
    eye = Eye()
    eye.sees(1, "no")
    eye.sight = None
    assert eye.step(60.0) is None
    assert eye.watch.deadline() is None


def test_a_clock_that_goes_back_does_not_hasten_anything() -> None:
    eye = Eye()
    eye.sees(1, "no")
    eye.sight = Sight(2, 1.0)
    assert eye.step(-100.0) is None
    assert eye.step(100.4) is None
    assert eye.step(0.2) == Look(2)


# --- never over anybody ------------------------------------------------------------------


@pytest.mark.parametrize("room", [SPEECH, Room(math.inf, "answer"), Room(9.0, "speech")])
def test_while_somebody_has_the_floor_nothing_is_looked_at(room: Room) -> None:
    eye = Eye()
    eye.room = room
    assert eye.show(1) is None
    due = eye.watch.deadline()
    assert due == (None if math.isinf(room.free_from) else 9.0)
    eye.room = FREE
    assert eye.step() == Look(1)


@pytest.mark.parametrize("room", [SPEECH, Room(math.inf, "answer"), Room(9.0, "speech")])
def test_a_look_is_dropped_when_somebody_takes_the_floor_and_made_again(room: Room) -> None:
    eye = Eye()
    eye.show(1)
    eye.room = room
    assert eye.step(0.1) == Drop(room.taken_by)
    assert eye.step(0.1) is None
    eye.room = FREE
    assert eye.step(1.0) == Look(1)
    assert eye.watch.tally.dropped == {room.taken_by: 1}


def test_what_was_seen_is_not_said_once_somebody_has_the_floor() -> None:
    eye = Eye()
    eye.show(1)
    eye.watch.receive_answer("Yes, I see a star.")
    eye.room = SPEECH
    assert eye.step() == Drop("speech")
    eye.room = FREE
    assert eye.step(1.0) == Look(1)
    assert eye.answers("Yes, I see a star.") == "said"


# --- what is said ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    ["", " ", "...", "no", "No.", " no!", '"No"', "No, it is green.", "Nothing changed.",
     "None", "Not yet.", "NOPE", "no."],
)  # fmt: skip
def test_these_say_nothing(answer: str) -> None:
    assert says_nothing(answer)


@pytest.mark.parametrize(
    "answer", ["Yes.", "Yes, I see a star.", "It is green.", "Now!", "I see nothing."]
)
def test_these_say_something(answer: str) -> None:
    assert not says_nothing(answer)


def test_what_comes_true_is_said_once_until_it_has_been_over() -> None:
    eye = Eye(replace(STAR, min_gap_ms=0))
    assert eye.sees(1, "No, I see no star.") == "nothing"
    assert eye.sees(2, "Yes, I see a star.") == "said"
    assert eye.sees(3, "Yes, I see a star.") == "repeated"
    assert eye.sees(4, "Yes, there is a big star.") == "repeated"
    assert eye.sees(5, "No, I see no star.") == "nothing"
    assert eye.sees(6, "Yes, I see a star.") == "said"


def test_where_changes_are_to_be_said_other_words_are_said() -> None:
    eye = Eye(replace(STAR, say="changes", min_gap_ms=0))
    assert eye.sees(1, "A red star.") == "said"
    assert eye.sees(2, "a red star") == "repeated"
    assert eye.sees(3, "A blue circle.") == "said"
    assert eye.sees(4, "A red star.") == "said"


def test_what_comes_too_soon_is_looked_at_again_when_it_may_be_said() -> None:
    eye = Eye()
    eye.sees(1, "Yes.")
    spoke_at = eye.now
    eye.sees(2, "no")
    assert eye.sees(3, "Yes.") == "limited"
    assert eye.step(0.6) is None
    assert eye.watch.deadline() == pytest.approx(spoke_at + 5.0)
    assert eye.step(5.0) == Look(3)
    assert eye.answers("Yes.") == "said"


def test_what_is_over_when_it_may_be_said_is_not_said() -> None:
    eye = Eye()
    eye.sees(1, "Yes.")
    eye.sees(2, "no")
    eye.sees(3, "Yes.")
    assert eye.sees(4, "no") == "nothing"
    assert eye.step(60.0) is None


def test_no_more_is_said_in_a_minute_than_may_be() -> None:
    eye = Eye(replace(STAR, min_gap_ms=0, max_per_minute=3))
    said = 0
    for number in range(60):
        said += eye.sees(number + 1, "Yes." if number % 2 else "no") == "said"
    assert said == 3
    assert eye.sees(61, "no") == "nothing"
    assert eye.sees(62, "Yes.") == "said"


def test_a_minute_is_remembered_however_often_one_may_speak() -> None:
    eye = Eye(replace(STAR, min_gap_ms=0, interval_ms=250, max_per_minute=MAX_SPOKE))
    said = []
    for number in range(200):
        eye.now += 0.25
        assert eye.show(number + 1) == Look(number + 1)
        said.append(eye.answers("Yes." if number % 2 else "no"))
    assert said.count("said") == MAX_SPOKE
    assert "limited" in said


# --- what goes wrong ---------------------------------------------------------------------


def test_a_late_look_is_given_up_and_the_engine_is_left_alone_for_a_while() -> None:
    eye = Eye()
    eye.show(1)
    assert eye.watch.deadline() == TIMEOUT_S
    assert eye.step(TIMEOUT_S) == Drop("late")
    assert eye.step(RETRY_S - 0.1) is None
    assert eye.step(0.2) == Look(1)


def test_a_look_that_failed_is_tried_again_after_a_while() -> None:
    eye = Eye()
    eye.show(1)
    assert eye.watch.drop("failed") == Drop("failed")
    assert eye.watch.drop("failed") is None
    assert eye.step(1.0) is None
    assert eye.step(RETRY_S) == Look(1)


def test_an_engine_that_died_is_asked_again_at_once() -> None:
    eye = Eye()
    eye.show(1)
    eye.watch.drop("engine")
    assert eye.step(0.5) == Look(1)


# --- settings ----------------------------------------------------------------------------


def test_the_same_settings_again_change_nothing() -> None:
    eye = Eye()
    eye.show(1)
    assert eye.watch.configure(replace(STAR)) is None
    assert eye.watch.state is State.LOOKING


def test_other_limits_drop_the_look_and_keep_what_was_said() -> None:
    eye = Eye()
    eye.sees(1, "Yes.")
    eye.now += 1.0
    eye.show(2)
    assert eye.watch.configure(replace(STAR, min_gap_ms=0)) == Drop("settings")
    assert eye.sees(3, "Yes.") == "repeated"


def test_another_instruction_begins_anew_and_may_not_speak_more_often() -> None:
    eye = Eye()
    assert eye.sees(1, "Yes.") == "said"
    eye.watch.configure(replace(STAR, instruction="Do you see a heart?"))
    assert eye.sees(1, "Yes.") == "limited"


def test_a_watch_that_ends_drops_its_look() -> None:
    eye = Eye()
    eye.show(1)
    assert eye.watch.configure(None) == Drop("settings")
    assert eye.watch.state is State.OFF
    assert eye.step(60.0) is None


# --- what came of it ---------------------------------------------------------------------


def test_what_came_of_looking_is_counted() -> None:
    eye = Eye()
    for number, answer in enumerate(["no", "Yes.", "Yes.", "no", "Yes."]):
        eye.sees(number + 1, answer)
    eye.now += 1.0
    eye.show(9)
    eye.room = SPEECH
    eye.step()
    assert eye.watch.tally.to_wire() == {
        "looks": 6,
        "said": 1,
        "nothing": 2,
        "repeated": 1,
        "limited": 1,
        "dropped": {"speech": 1},
    }
    assert str(eye.watch.tally) == (
        "6 looks, 1 said, 2 nothing, 1 repeated, 1 limited; dropped: 1 speech"
    )
    assert str(WatchTally()) == "0 looks, 0 said, 0 nothing, 0 repeated, 0 limited"


def test_every_state_can_be_left_and_none_by_a_sign_that_means_nothing_to_it() -> None:
    assert {state for state, _ in TRANSITIONS} == set(State)
    assert {sign for _, sign in TRANSITIONS} == set(Sign)
    assert (State.JUDGING, Sign.LOOK) not in TRANSITIONS
    assert (State.OFF, Sign.LOOK) not in TRANSITIONS
    assert QUIET_S < 1.0, "what changes is to be said within a second"
