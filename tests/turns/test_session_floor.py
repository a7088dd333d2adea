"""Speech while an answer is out, and nobody speaking at all."""

import pytest

from assistant.config import BargeInConfig, Config, EarlyConfig, VadConfig
from assistant.turns.actions import JudgePause
from assistant.wire import client_events as client, link, server_events as wire
from tests.turns.harness import VAD_TURN, WINDOW_S, Bench

IGNORING = Config(
    barge_in=BargeInConfig(backchannels="ignore"), early=EarlyConfig(speculation=False)
)
PLAIN = Config(early=EarlyConfig(speculation=False))


def answering(config: Config = PLAIN) -> Bench:
    """Return a bench in the middle of an answer to a spoken turn."""
    bench = Bench(config)
    bench.speak()
    bench.answer("one ", "two ")
    bench.forget_events()
    return bench


def test_an_interruption_stops_the_answer_within_a_quarter_of_a_second() -> None:
    bench = answering()
    onset = bench.now
    while not bench.events(wire.ResponseDone):
        bench.hear(0.95, WINDOW_S)
    assert bench.now - onset <= 0.2
    assert bench.types()[0] == "input_audio_buffer.speech_started"


def test_an_echo_of_the_answer_neither_stops_it_nor_becomes_a_turn() -> None:
    bench = answering()
    bench.update(assistant={"speaks_aloud": "yes"})
    bench.answer("It takes some two seconds, more or less.")
    bench.forget_events()
    bench.media.loudness_db -= 20
    bench.hear(0.95, 2.5)
    bench.hear(0.02, 0.7)
    assert bench.types() == []
    bench.answer("three ")
    assert bench.types() == ["response.output_text.delta"]
    bench.finish()
    bench.hear(0.02, 5.0)
    assert bench.events(wire.SpeechStarted) == []
    assert bench.orders(link.Generate)[1:] == []


def test_quiet_words_do_not_stop_an_answer_and_are_answered_after_it() -> None:
    bench = answering()
    bench.media.loudness_db -= 20
    onset_ms = bench.session._buffer.heard // 16
    bench.hear(0.95, 1.0)
    bench.hear(0.02, 0.7)
    assert bench.types() == []
    bench.answer("three.")
    bench.finish()
    assert bench.done().status == "completed"
    bench.forget_events()
    bench.timer(bench.session.deadline())
    assert bench.types() == VAD_TURN
    (started,) = bench.events(wire.SpeechStarted)
    (stopped,) = bench.events(wire.SpeechStopped)
    assert onset_ms - 400 <= started.audio_start_ms <= onset_ms
    assert stopped.audio_end_ms == pytest.approx(onset_ms + 1000, abs=64)


def test_who_still_speaks_quietly_when_the_answer_is_over_is_heard_from_the_start() -> None:
    bench = answering()
    bench.media.loudness_db -= 20
    onset_ms = bench.session._buffer.heard // 16
    bench.hear(0.95, 1.0)
    bench.finish()
    bench.hear(0.95, 0.1)
    (started,) = bench.events(wire.SpeechStarted)
    assert started.audio_start_ms <= onset_ms
    bench.hear(0.02, 0.7)
    assert len(bench.events(wire.Committed)) == 1


def test_quiet_words_stop_an_answer_that_nobody_speaks_aloud() -> None:
    bench = answering()
    bench.update(assistant={"speaks_aloud": "no"})
    bench.media.loudness_db -= 20
    bench.hear(0.95, 0.3)
    assert bench.done().status == "cancelled"


def test_a_long_answer_that_is_only_read_is_over_when_it_is_written() -> None:
    bench = answering()
    bench.answer("x" * 400)
    bench.finish()
    bench.forget_events()
    bench.media.loudness_db -= 20
    bench.hear(0.95, 0.1)
    assert len(bench.events(wire.SpeechStarted)) == 1


def test_a_client_that_falls_silent_says_so() -> None:
    bench = answering()
    bench.update(assistant={"speaks_aloud": "yes"})
    bench.answer("x" * 400)
    bench.finish()
    bench.client(client.OutputAudioClear())
    bench.forget_events()
    bench.media.loudness_db -= 20
    bench.hear(0.95, 0.1)
    assert len(bench.events(wire.SpeechStarted)) == 1


def test_a_cough_does_not_stop_an_answer() -> None:
    bench = answering()
    bench.hear(0.95, 0.07)
    bench.hear(0.02, 0.7)
    assert bench.types() == []


def test_a_backchannel_lets_the_answer_go_on_where_it_is_ignored() -> None:
    bench = answering(IGNORING)
    bench.hear(0.95, 0.3)
    assert bench.types() == ["input_audio_buffer.speech_started"]
    bench.answer("three ")
    assert len(bench.types()) == 1, "held while the user speaks"
    bench.hear(0.02, 0.7)
    assert bench.types()[1:] == [
        "response.output_text.delta",
        "input_audio_buffer.speech_stopped",
    ]
    bench.finish()
    assert bench.done().status == "completed"


def test_a_backchannel_is_in_no_later_turn() -> None:
    bench = answering(IGNORING)
    bench.hear(0.95, 0.3)
    bench.hear(0.02, 0.7)
    bench.finish()
    bench.hear(0.02, 9.0)
    heard = bench.session._buffer.heard
    bench.forget_events()
    bench.speak()
    parts = [part for order in bench.orders(link.Append) for part in order.parts]
    clip = [part for part in parts if isinstance(part, link.AudioPart)][-1]
    assert int(clip.samples.split(b":")[0]) > heard - 16_000
    assert len(bench.events(wire.Committed)) == 1


def test_more_than_a_backchannel_ends_the_answer_and_is_a_turn() -> None:
    bench = answering(IGNORING)
    bench.hear(0.95, 0.5)
    assert bench.events(wire.ResponseDone) == []
    bench.hear(0.95, 0.2)
    assert bench.done().status == "cancelled"
    bench.hear(0.02, 0.7)
    assert len(bench.events(wire.Committed)) == 1
    assert len(bench.events(wire.ResponseCreated)) == 1


def test_who_goes_on_after_a_backchannel_is_heard_as_a_whole() -> None:
    bench = answering(IGNORING)
    bench.hear(0.95, 0.3)
    bench.hear(0.02, 0.3)
    bench.answer("three ")
    assert len(bench.events(wire.TextDelta)) == 1, "the answer went on in the pause"
    bench.hear(0.95, 0.6)
    assert bench.done().status == "cancelled"
    bench.hear(0.02, 0.7)
    assert len(bench.events(wire.SpeechStarted)) == 1
    assert len(bench.events(wire.Committed)) == 1


def test_an_answer_that_was_finished_while_held_is_given_whole() -> None:
    bench = answering(IGNORING)
    bench.hear(0.95, 0.3)
    bench.answer("three.")
    bench.finish()
    assert bench.events(wire.ResponseDone) == []
    bench.hear(0.02, 0.3)
    assert bench.done().status == "completed"


def test_what_was_held_when_the_answer_was_ended_was_never_said() -> None:
    bench = answering(IGNORING)
    bench.hear(0.95, 0.3)
    bench.answer("three ")
    bench.hear(0.95, 0.5)
    (cancel,) = bench.orders(link.Cancel)
    assert cancel.num_kept == 2
    assert bench.events(wire.TextDelta) == []


@pytest.mark.parametrize("detail", ["clear", "commit", "cancel", "death", "manual"])
def test_whatever_ends_a_held_answer_or_the_speech_nothing_stays_held(detail: str) -> None:
    bench = answering(IGNORING)
    bench.hear(0.95, 0.3)
    bench.answer("three ")
    match detail:
        case "clear":
            bench.client(client.InputAudioClear())
        case "commit":
            bench.client(client.InputAudioCommit())
        case "cancel":
            bench.client(client.ResponseCancel())
        case "death":
            bench.engine(None)
        case "manual":
            bench.update(audio={"input": {"turn_detection": None}})
    bench.hear(0.02, 1.0)
    is_over = detail in ("cancel", "death")
    assert len(bench.events(wire.ResponseDone)) == is_over
    assert len(bench.events(wire.TextDelta)) == (not is_over)


def test_manual_turns_are_not_judged_during_an_answer() -> None:
    bench = Bench(IGNORING)
    bench.update(audio={"input": {"turn_detection": None}})
    bench.hear(0.95, 0.3)
    bench.client(client.InputAudioCommit())
    bench.client(client.ResponseCreate())
    bench.answer("one ")
    bench.forget_events()
    bench.hear(0.95, 0.3)
    bench.client(client.InputAudioCommit())
    assert len(bench.events(wire.Committed)) == 1
    bench.answer("two ")
    assert len(bench.events(wire.TextDelta)) == 1


# --- nobody speaks -----------------------------------------------------------------------


def idle(config: Config = PLAIN) -> Bench:
    """Return a bench whose client wants to be spoken to after 5 s of silence."""
    bench = Bench(config)
    bench.update(audio={"input": {"turn_detection": {"idle_timeout_ms": 5000}}})
    bench.speak()
    bench.answer("one ", "two ")
    bench.finish()
    bench.forget_events()
    return bench


def test_after_the_idle_timeout_the_quiet_sound_is_answered() -> None:
    bench = idle()
    bench.hear(0.02, 6.0)
    due = bench.session.deadline()
    assert 4.5 < due < bench.now + 0.1, "5 s after the answer has been spoken"
    bench.timer(max(due, bench.now))
    assert bench.types() == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    (event,) = bench.events(wire.TimeoutTriggered)
    assert event.audio_end_ms - event.audio_start_ms == 2000
    assert event.item_id == bench.events(wire.Committed)[0].item_id


def test_the_assistant_speaks_up_once_for_each_answer() -> None:
    bench = idle()
    bench.hear(0.02, 6.0)
    bench.timer(bench.now)
    bench.forget_events()
    bench.timer(bench.now + 60)
    assert bench.events(wire.TimeoutTriggered) == []
    bench.answer("Hello?")
    bench.finish()
    bench.hear(0.02, 6.0)
    bench.timer(bench.now)
    assert len(bench.events(wire.TimeoutTriggered)) == 1


def test_who_speaks_in_time_is_not_spoken_to() -> None:
    bench = idle()
    bench.hear(0.02, 4.0)
    bench.hear(0.95, 3.0)
    bench.timer(bench.now)
    assert bench.events(wire.TimeoutTriggered) == []


def test_without_sound_there_is_nothing_to_answer() -> None:
    bench = idle()
    bench.client(client.InputAudioClear())
    bench.timer(bench.now + 60)
    assert bench.events(wire.TimeoutTriggered) == []


def test_without_a_timeout_nobody_is_spoken_to() -> None:
    bench = Bench(PLAIN)
    bench.speak()
    bench.answer("one ")
    bench.finish()
    assert bench.session.deadline() == PLAIN.server.session_max_s


# --- how final a pause sounds ------------------------------------------------------------

JUDGED = Config(early=EarlyConfig(speculation=False), vad=VadConfig(turn_model="x"))


def semantic(config: Config = JUDGED) -> Bench:
    bench = Bench(config)
    bench.update(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    bench.forget()
    return bench


def questions(bench: Bench) -> list[JudgePause]:
    return [action for action in bench.actions if isinstance(action, JudgePause)]


def test_a_pause_is_judged_over_the_utterance_and_itself() -> None:
    bench = semantic()
    bench.hear(0.95, 1.0)
    while not questions(bench):
        bench.hear(0.02, WINDOW_S)
    (question,) = questions(bench)
    assert (question.number, question.start) == (1, 0)
    assert question.stop == bench.session._buffer.judged


@pytest.mark.parametrize(
    ("finality", "least_s", "most_s"), [(1.0, 0.2, 0.4), (0.5, 0.45, 0.6), (0.0, 3.9, 4.1)]
)
def test_how_final_it_sounds_decides_how_long_is_waited(
    finality: float, least_s: float, most_s: float
) -> None:
    bench = semantic()
    bench.hear(0.95, 1.0)
    ended = bench.now
    bench.hear(0.02, 0.24)
    (question,) = questions(bench)
    bench.session.receive_finality(question.number, finality)
    while not bench.events(wire.SpeechStopped):
        bench.hear(0.02, WINDOW_S)
    assert least_s <= bench.now - ended <= most_s


def test_an_answer_about_an_earlier_pause_counts_for_nothing() -> None:
    bench = semantic()
    bench.hear(0.95, 0.5)
    bench.hear(0.02, 0.25)
    bench.hear(0.95, 0.5)
    bench.hear(0.02, 0.35)
    first, _second = questions(bench)
    bench.session.receive_finality(first.number, 0.0)
    bench.hear(0.02, 0.4)
    assert bench.events(wire.SpeechStopped) != []


def test_nobody_is_asked_without_a_model_or_where_the_silence_is_exact() -> None:
    without = semantic(PLAIN)
    exact = Bench(JUDGED)
    for bench in (without, exact):
        bench.speak()
        assert questions(bench) == []
