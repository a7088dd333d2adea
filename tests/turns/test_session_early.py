"""
What is done before the end of a turn, and every way in which it can turn out wrong.

The model's words follow from its prompt alone (``tests.turns.stage``), so a reply is right
when it says what a session without speculation makes the same model say.
"""

import pytest

from assistant.config import Config, EarlyConfig, EndpointingConfig
from assistant.turns.windows import windows_end
from assistant.wire import client_events as client, link, server_events as wire
from tests.turns.harness import ANSWER, CLOSING, READY, VAD_TURN, Bench, prompt_of
from tests.turns.stage import Stage, both

# --- reading ahead ----------------------------------------------------------------------


def test_at_the_end_of_a_turn_only_its_sound_is_left_to_read() -> None:
    stage = Stage(speculation=False)
    stage.shows()
    stage.update(type="realtime", instructions="Be brief.")
    stage.talk(1.0)
    assert prompt_of(stage) == "<system> Be brief. <end> <user> [frame 1 x1]"
    stage.forget()
    stage.quiet(0.7)
    words = prompt_of(stage).split()
    assert words[0] == "[audio"
    assert words[2:] == ["<end>", "<assistant>"]


def test_a_frame_that_shows_something_new_replaces_the_one_that_was_read() -> None:
    stage = Stage(speculation=False)
    stage.shows()
    stage.talk(0.5)
    stage.forget()
    stage.shows()
    assert [type(order) for order in stage.orders_after(0)] == [
        link.Rollback, link.Mark, link.Append
    ]  # fmt: skip
    assert prompt_of(stage) == "<user> [frame 2 x1]"
    stage.talk(0.5)
    stage.forget()
    stage.quiet(0.7)
    assert "[frame" not in prompt_of(stage), "the new frame was read while they spoke"


def test_a_frame_that_shows_nothing_new_is_not_read() -> None:
    stage = Stage(speculation=False)
    stage.media.novelty = lambda one, other: 0.0  # type: ignore[method-assign]  # a still scene
    stage.shows()
    stage.talk(0.5)
    stage.forget()
    stage.shows()
    stage.talk(0.5)
    assert stage.orders_after(0) == []
    stage.quiet(0.7)
    stage.settle()
    vendor = stage.done().assistant
    assert isinstance(vendor, dict)
    assert [frame["reason"] for frame in vendor["frames"]] == ["used", "unchanged"]


def test_a_manual_turn_is_read_ahead_from_its_first_sound_and_not_guessed_at() -> None:
    stage = Stage()
    stage.update(
        type="realtime", instructions="Hi.", audio={"input": {"turn_detection": None}}
    )
    stage.shows()
    stage.forget()
    stage.talk(0.3)
    assert prompt_of(stage).endswith("[frame 1 x1]")
    stage.quiet(1.0)
    assert stage.orders(link.Generate) == []
    stage.forget()
    stage.client(client.InputAudioCommit())
    stage.client(client.ResponseCreate())
    assert prompt_of(stage).startswith("[audio 0:")
    assert stage.orders(link.Generate)[0].is_speculative is False


def test_of_a_long_turn_what_is_said_for_good_is_read_while_it_goes_on() -> None:
    stage = Stage()
    stage.update(type="realtime", audio={"input": {"turn_detection": None}})
    stage.talk(39.9)
    assert stage.orders(link.Append) == []
    stage.talk(0.2)
    assert prompt_of(stage) == f"<user> [audio 0:{windows_end(1)}]"


def test_switching_the_camera_on_reads_the_history_again_before_anybody_speaks() -> None:
    stage = Stage()
    stage.speak()
    stage.settle()
    stage.forget()
    stage.shows()
    assert stage.orders(link.Open) == [link.Open(2, "vision")]
    assert prompt_of(stage).startswith("<user> [audio")
    stage.deliver()
    stage.forget()
    stage.speak()
    assert stage.orders(link.Open) == []
    stage.settle()
    assert stage.early["reread_tokens"] > 0, "invisible, but counted"
    stage.speak()
    stage.settle()
    assert stage.early["reread_tokens"] == 0


def test_a_restarted_engine_reads_the_history_again_before_anybody_speaks() -> None:
    stage = Stage()
    stage.speak()
    stage.settle()
    held = list(stage.held())
    stage.die()
    stage.revive()
    assert stage.held() == held
    stage.deliver()
    stage.speak()
    stage.settle()
    assert stage.early["reread_tokens"] > 0


def test_turn_ten_orders_no_more_than_turn_two() -> None:
    stage = Stage()
    counts = []
    for _ in range(10):
        before = stage.model.num_read
        stage.speak()
        stage.settle()
        counts.append(stage.model.num_read - before)
    assert len(set(counts[1:])) == 1


def test_a_full_history_is_trimmed_when_a_turn_is_over_and_not_in_the_next() -> None:
    stage = Stage(max_tokens=260)
    ready = link.Ready(
        model=READY.model,
        device=READY.device,
        dtype=READY.dtype,
        max_sequence_tokens=260,
        num_slots=2,
        is_meaningless=True,
    )
    stage.engine(ready)
    rollbacks_in_turns = 0
    rollbacks_between = 0
    for _ in range(40):
        stage.forget()
        stage.speak()
        rollbacks_in_turns += len(stage.orders(link.Rollback))
        stage.forget()
        stage.settle()
        rollbacks_between += len(stage.orders(link.Rollback))
    assert rollbacks_in_turns == 0
    assert rollbacks_between > 0


# --- speculation ------------------------------------------------------------------------


def test_the_answer_begins_at_the_pause_and_shows_at_the_end() -> None:
    stage = Stage()
    stage.talk(1.0)
    stage.pause()
    (generate,) = stage.orders(link.Generate)
    assert generate.is_speculative
    stage.think(2)
    stage.deliver()
    assert stage.types() == ["input_audio_buffer.speech_started"]
    stage.quiet(0.4)
    assert stage.types() == [*VAD_TURN, *ANSWER], "two words at once, in the same window"
    assert stage.orders(link.Promote) == [link.Promote(1, generate.generation)]
    assert len(stage.orders(link.Generate)) == 1
    stage.settle()
    assert stage.types()[-5:] == CLOSING


def test_an_answer_that_was_finished_in_the_pause_is_given_whole() -> None:
    def play(stage: Stage) -> None:
        stage.talk(1.0)
        stage.pause()
        stage.settle()
        stage.quiet(0.4)

    stage = both(play)
    assert stage.early["confirmed"] == 1


def test_the_clip_at_both_ends_of_a_pause_is_the_same() -> None:
    """Also where the configured pause is shorter than the sound kept after speech."""
    for soft_ms in (64, 200, 400):
        stage = Stage(Config(endpointing=EndpointingConfig(soft_silence_ms=soft_ms)))
        stage.speak()
        assert stage.num_promoted == 1
        assert len(stage.orders(link.Generate)) == 1


def test_resumed_speech_rolls_back_and_frees_the_compute_in_the_same_window() -> None:
    stage = Stage()
    stage.shows()
    stage.talk(1.0)
    before = list(stage.held())
    stage.pause()
    stage.think(3)
    stage.deliver()
    mark = len(stage.actions)
    stage.talk(0.032)
    assert [type(order) for order in stage.orders_after(mark)] == [link.Rollback]
    assert stage.held() == before
    assert stage.num_generating() == 0
    assert stage.shown_after(mark) == []


@pytest.mark.parametrize("num_words", [0, 1, 9])
def test_nothing_of_a_rolled_back_speculation_is_ever_visible(num_words: int) -> None:
    def play(stage: Stage) -> None:
        stage.talk(1.0)
        stage.pause()
        stage.think(num_words)
        stage.deliver(2)  # and the rest while the user goes on
        stage.talk(0.5)
        stage.deliver()
        stage.pause()
        stage.think(num_words)
        stage.deliver()
        stage.quiet(0.5)

    stage = both(play)
    early = stage.early
    assert (early["speculations"], early["confirmed"]) == (2, 1)
    assert early["wasted_tokens"] >= min(num_words, 1)


def test_what_was_won_is_what_the_pause_took_up_to_the_first_word() -> None:
    stage = Stage()
    stage.talk(1.0)
    stage.pause()
    stage.deliver()
    stage.now += 0.1
    stage.think()
    stage.deliver()
    stage.quiet(0.4)
    stage.settle()
    assert stage.early["won_ms"] == pytest.approx(100, abs=35)


def test_a_speculation_that_the_engine_never_took_up_won_nothing() -> None:
    stage = Stage()
    stage.talk(1.0)
    stage.quiet(0.7)  # no report is let through
    stage.settle()
    assert (stage.early["confirmed"], stage.early["won_ms"]) == (1, 0)


def test_turned_off_nothing_is_answered_before_the_end() -> None:
    stage = Stage(Config(early=EarlyConfig(speculation=False)))
    stage.talk(1.0)
    stage.pause()
    assert stage.orders(link.Generate) == []
    assert "[audio" not in prompt_of(stage)
    stage.quiet(0.4)
    assert [order.is_speculative for order in stage.orders(link.Generate)] == [False]


def test_a_session_that_does_not_answer_by_itself_does_not_guess() -> None:
    stage = Stage()
    detection = {"type": "server_vad", "create_response": False}
    stage.update(type="realtime", audio={"input": {"turn_detection": detection}})
    stage.speak()
    assert stage.orders(link.Generate) == []
    assert prompt_of(stage).startswith("<user> [audio"), "but what was said is read"


def test_others_answers_take_the_room_of_guesses_away_within_a_window() -> None:
    stage = Stage()
    stage.talk(1.0)
    stage.pause()
    stage.think()
    others = [object(), object()]
    for other in others:
        stage.load.answer(other)
    stage.quiet(0.032)
    assert stage.num_generating() == 0
    for other in others:
        stage.load.rest(other)
    stage.quiet(0.1)
    assert stage.num_generating() == 0, "one attempt a pause"
    stage.quiet(0.4)
    stage.settle()
    assert stage.replies[0][0] == "completed"


def test_only_a_confirmed_answer_calls_functions() -> None:
    bench = Bench()
    bench.update(tools=[{"type": "function", "name": "look", "parameters": {}}])
    bench.forget()
    call = '<|tool_call|>[{"name": "look", "arguments": {}}]<|/tool_call|>'
    for _ in range(2):
        bench.hear(0.95, 0.5)
        bench.hear(0.02, 0.45)
        bench.answer(call)
        bench.finish()
        assert bench.types() == ["input_audio_buffer.speech_started"]
    assert len(bench.orders(link.Generate)) == 2
    bench.hear(0.02, 0.1)
    calls = bench.events(wire.ArgumentsDone)
    assert [call.name for call in calls] == ["look"]
    (done,) = bench.events(wire.ResponseDone)
    assert done.response.status == "completed"
