"""
Everything that may happen while an answer is held back, and what becomes of it.

Whatever it is, the client sees exactly what it sees of a session without speculation.
"""

import pytest

from assistant.wire import client_events as client, link, server_events as wire
from assistant.wire.refusals import EventRefused
from tests.turns.harness import text_item
from tests.turns.stage import Play, Stage, both


def in_pause(happen: Play) -> Play:
    """Play a turn in which something happens between the soft and the hard end."""

    def play(stage: Stage) -> None:
        stage.shows()
        stage.talk(1.0)
        stage.pause()
        stage.think(2)
        stage.deliver()
        happen(stage)
        stage.deliver()
        stage.quiet(0.5)

    return play


def update(stage: Stage) -> None:
    stage.update(type="realtime", instructions="Speak like a pirate.")


def update_and_back(stage: Stage) -> None:
    stage.update(type="realtime", instructions="Speak like a pirate.")
    stage.update(type="realtime", instructions="")


def fewer_words(stage: Stage) -> None:
    stage.update(type="realtime", max_output_tokens=1)


def no_answers(stage: Stage) -> None:
    detection = {"type": "server_vad", "create_response": False}
    stage.update(type="realtime", audio={"input": {"turn_detection": detection}})


def create_item(stage: Stage) -> None:
    stage.client(text_item("by the way"))


def new_frame(stage: Stage) -> None:
    stage.shows()


def late_frame(stage: Stage) -> None:
    stage.quiet(0.2)
    stage.shows()


def camera_off(stage: Stage) -> None:
    stage.client(client.InputImageClear())


def clear(stage: Stage) -> None:
    stage.client(client.InputAudioClear())


def commit(stage: Stage) -> None:
    stage.client(client.InputAudioCommit())


def commit_and_ask(stage: Stage) -> None:
    stage.client(client.InputAudioCommit())
    stage.client(client.ResponseCreate())


def ask(stage: Stage) -> None:
    stage.client(text_item("and this"))
    stage.client(client.ResponseCreate())


def cancel(stage: Stage) -> None:
    with pytest.raises(EventRefused, match="no active response"):
        stage.client(client.ResponseCancel())


def lose_engine(stage: Stage) -> None:
    stage.die()


def replace_engine(stage: Stage) -> None:
    stage.die()
    stage.revive()


def manual_from_now(stage: Stage) -> None:
    stage.update(type="realtime", audio={"input": {"turn_detection": None}})


EVENTS: list[Play] = [
    update, update_and_back, fewer_words, no_answers, create_item, new_frame, late_frame,
    camera_off, clear, commit, commit_and_ask, ask, cancel, replace_engine, manual_from_now,
]  # fmt: skip


@pytest.mark.parametrize("happen", EVENTS, ids=lambda happen: happen.__name__)
def test_whatever_happens_in_a_pause_the_client_sees_what_it_would_without_a_guess(
    happen: Play,
) -> None:
    stage = both(in_pause(happen))
    assert stage.num_generating() == 0


@pytest.mark.parametrize(
    ("happen", "is_promoted"),
    [
        (update, True),  # answered anew in the same pause, and that answer stands
        (update_and_back, True),
        (create_item, True),
        (new_frame, True),
        (late_frame, True),
        (camera_off, True),
        (no_answers, False),
        (clear, False),
        (commit, False),
        (ask, False),
        (replace_engine, True),
    ],
)
def test_a_guess_is_renewed_as_long_as_there_is_something_to_guess(
    happen: Play, is_promoted: bool
) -> None:
    stage = Stage()
    in_pause(happen)(stage)
    assert (stage.num_promoted == 1) is is_promoted


def test_an_engine_that_dies_in_the_pause_costs_no_turn() -> None:
    stage = Stage()
    in_pause(lose_engine)(stage)
    assert stage.types()[-1] == "response.created"
    stage.revive()
    stage.settle()
    assert stage.replies[0][0] == "completed"


def test_an_engine_that_dies_after_the_end_fails_the_response_it_was_giving() -> None:
    stage = Stage()
    stage.speak()
    stage.think()
    stage.deliver()
    stage.die()
    assert [status for status, _ in stage.replies] == ["failed"]


@pytest.mark.parametrize("of_append", [True, False])
def test_a_guess_that_the_engine_refuses_is_not_tried_again_before_the_turn_is(
    of_append: bool,
) -> None:
    stage = Stage()
    stage.talk(1.0)
    stage.pause()
    sequence, generation = stage.newest()
    number = None if of_append else generation
    stage.model.reports.clear()
    stage.report(
        link.Failed(sequence=sequence, generation=number, code="out_of_memory", message="")
    )
    stage.shows()
    stage.quiet(0.1)
    assert len(stage.orders(link.Generate)) == 1
    assert stage.types() == ["input_audio_buffer.speech_started"]
    stage.quiet(0.4)
    stage.settle()
    assert [order.is_speculative for order in stage.orders(link.Generate)] == [True, False]
    assert stage.replies[0][0] == "completed"


def test_a_barge_in_on_a_confirmed_guess_keeps_what_was_seen() -> None:
    stage = Stage()
    stage.talk(1.0)
    stage.pause()
    stage.think(1)
    stage.deliver()
    stage.quiet(0.4)
    stage.talk(0.2)
    assert [status for status, _ in stage.replies] == ["cancelled"]
    assert stage.orders(link.Cancel)[0].num_kept == 1
    stage.quiet(0.7)
    stage.settle()
    assert stage.replies[-1][0] == "completed"


def test_speech_during_an_answer_that_goes_on_is_not_guessed_at_before_it_ends() -> None:
    stage = Stage()
    detection = {"type": "server_vad", "interrupt_response": False}
    stage.update(type="realtime", audio={"input": {"turn_detection": detection}})
    stage.speak()
    stage.talk(1.0)
    stage.pause()
    assert stage.num_promoted == 1
    assert stage.num_generating() == 1
    stage.settle()
    assert stage.orders(link.Generate)[-1].is_speculative, "the pause still lasts"
    stage.quiet(0.5)
    stage.settle()
    assert [status for status, _ in stage.replies] == ["completed", "completed"]


def test_a_closed_session_leaves_nothing_behind() -> None:
    stage = Stage()
    stage.talk(1.0)
    stage.pause()
    stage.session.close()
    stage.take()
    assert stage.model.sequences == {}
    assert stage.load.allows(object(), 0.5)
    assert stage.load.total.num_speculations == 1


def test_the_conversation_is_not_touched_before_the_end() -> None:
    stage = Stage()
    stage.speak()
    stage.settle()
    items = [item.id for item in stage.session._conversation.items]
    stage.talk(1.0)
    stage.pause()
    stage.think(2)
    stage.deliver()
    assert [item.id for item in stage.session._conversation.items] == items
    with pytest.raises(EventRefused):
        stage.client(
            client.ItemRetrieve(item_id=stage.events(wire.SpeechStarted)[-1].item_id)
        )
