"""What is the Floor's alone; what a session makes of it is in test_session_floor."""

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from assistant.config import Config
from assistant.turns import settings as session_settings
from assistant.turns.answers import Answers
from assistant.turns.barge_in import BargeIn
from assistant.turns.conversation import Conversation
from assistant.turns.floor import Floor
from assistant.turns.input_buffer import InputBuffer
from assistant.turns.load import Load
from assistant.turns.settings import Settings
from assistant.turns.watch import QUIET_S, Room
from tests.turns.harness import FakeMedia

CONFIG = Config()


def floor(**detection: object) -> Floor:
    settings = session_settings.initial(CONFIG, "fake", hangover_ms=0)
    assert settings.turn_detection is not None
    settings = replace(
        settings,
        turn_detection=replace(settings.turn_detection, **detection),  # type: ignore[arg-type]  # of any of its fields
    )
    return with_settings(settings)


def with_settings(settings: Settings) -> Floor:
    numbers = itertools.count(1)
    answers = Answers(
        config=CONFIG,
        conversation=Conversation(10, 10_000),
        sequence_numbers=itertools.count(1),
        load=Load(),
        new_id=lambda kind: f"{kind}_{next(numbers)}",
        emit=lambda action: None,
    )
    buffer = InputBuffer(settings.effective_endpointing, 10.0)
    gate = BargeIn(CONFIG.barge_in)
    return Floor(settings, CONFIG, gate, answers, buffer, FakeMedia())


def with_extensions(**keys: object) -> Floor:
    settings = session_settings.initial(CONFIG, "fake", hangover_ms=0)
    extensions = replace(settings.extensions, **keys)  # type: ignore[arg-type]  # of any of its fields
    return with_settings(replace(settings, extensions=extensions))


def after_an_answer(made: Floor, now: float) -> None:
    """Let an answer begin and end."""
    answers = made._answers
    made._answers = SimpleNamespace(active_id="resp")  # type: ignore[assignment]  # all that is looked at
    made.look(now)
    made._answers = answers
    made.look(now)


def test_speech_without_an_answer_is_a_turn() -> None:
    empty = floor()
    empty.speech_started(1.0)
    assert empty.is_turn
    assert empty.speech_ended(2.0)


def test_nobody_is_idle_before_there_was_an_answer() -> None:
    patient = floor(idle_timeout_ms=5000)
    assert patient.idle_deadline() is None
    after_an_answer(patient, 2.0)
    assert patient.idle_deadline() == 7.0
    patient._buffer.open_utterance(0, lambda kind: "item")
    assert patient.idle_deadline() is None


def test_an_answer_is_over_when_it_has_been_spoken() -> None:
    patient = floor(idle_timeout_ms=5000)
    patient.pass_time(2.0)
    patient._barge_in.wrote(28)
    after_an_answer(patient, 2.0)
    assert patient.idle_deadline() == pytest.approx(9.0)


def test_idle_is_who_has_waited_long_enough() -> None:
    patient = floor(idle_timeout_ms=5000)
    after_an_answer(patient, 2.0)
    assert not patient.is_idle(6.9)
    assert patient.is_idle(7.0)


@pytest.mark.parametrize("what", ["speak_up", "speech_started"])
def test_speaking_ends_the_wait(what: str) -> None:
    patient = floor(idle_timeout_ms=5000)
    after_an_answer(patient, 2.0)
    if what == "speak_up":
        patient.speak_up()
    else:
        patient.speech_started(3.0)
    assert patient.idle_deadline() is None


def test_manual_turns_have_no_idle_timeout() -> None:
    patient = floor(idle_timeout_ms=5000)
    settings = session_settings.initial(CONFIG, "fake", hangover_ms=0)
    patient.configure(replace(settings, turn_detection=None))
    after_an_answer(patient, 2.0)
    assert patient.idle_deadline() is None


# --- room to speak unasked ---------------------------------------------------------------


def test_there_is_room_at_once_where_nobody_has_said_anything() -> None:
    assert floor().room(0.0, False).free_from <= 0.0


def test_who_is_heard_has_the_floor_and_leaves_it_after_a_moment() -> None:
    shared = floor()
    assert shared.room(1.0, True) == Room(math.inf, "speech")
    assert shared.room(2.0, False) == Room(2.0 + QUIET_S, "speech")
    assert shared.room(3.0, False) == Room(2.0 + QUIET_S, "speech")


def test_an_answer_has_the_floor_until_it_has_been_spoken() -> None:
    shared = with_extensions(speaks_aloud="yes")
    answers = shared._answers
    shared._answers = SimpleNamespace(is_due=True)  # type: ignore[assignment]  # all that is looked at
    assert shared.room(1.0, False) == Room(math.inf, "answer")
    shared._answers = answers
    shared._barge_in.wrote(28)
    room = shared.room(1.0, False)
    assert room == Room(4.0, "answer")
    shared.hushed()
    assert shared.room(1.5, False).free_from == 1.5 + QUIET_S


def test_speech_that_may_be_an_echo_leaves_no_room_either() -> None:
    shared = with_extensions(speaks_aloud="yes")
    for _ in range(5):
        shared._buffer.receive_probability(0.95)
    assert shared.room(1.0, False) == Room(math.inf, "speech")


def test_speaking_up_counts_as_an_answer_to_who_waits_for_one() -> None:
    patient = floor(idle_timeout_ms=5000)
    patient.spoke_up(1.0)
    assert patient.idle_deadline() is None
    after_an_answer(patient, 2.0)
    patient.spoke_up(6.0)
    assert patient.idle_deadline() == 11.0
