"""What is the Floor's alone; what a session makes of it is in test_session_floor."""

import itertools
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
