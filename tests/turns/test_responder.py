import pytest

from assistant.config import Config, EngineConfig, ReplyConfig
from assistant.turns.conversation import Audio, Image, Item, Text
from assistant.wire import link
from tests.turns.desk import Desk

CLOSED_ITEM = [
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
]


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.ready()
    desk.user("hello")
    return desk


def test_a_response_is_announced_before_the_engine_is_there_and_ordered_then() -> None:
    desk = Desk()
    desk.user("hello")
    desk.start()
    assert desk.types() == ["response.created"]
    assert desk.told(link.Generate) == []
    desk.ready()
    assert len(desk.told(link.Generate)) == 1
    desk.ready()  # said again, ordered once
    assert len(desk.told(link.Generate)) == 1


def test_two_responses_at_once_are_a_bug_of_the_caller(desk: Desk) -> None:
    desk.start()
    with pytest.raises(AssertionError):
        desk.start()


def test_the_deadline_holds_until_the_engine_has_taken_the_turn(desk: Desk) -> None:
    assert desk.responder.deadline() is None
    desk.start(now=5.0)
    assert desk.responder.deadline() == 25.0
    desk.responder.handle_timer(24.0)
    assert desk.responder.active_id is not None
    desk.report(link.Admitted(*desk.newest()))
    assert desk.responder.deadline() is None
    desk.responder.handle_timer(1000.0)
    assert desk.responder.active_id is not None


def test_a_turn_that_is_not_taken_fails_and_frees_its_sequence(desk: Desk) -> None:
    desk.start(now=0.0)
    desk.responder.handle_timer(20.0)
    assert desk.code() == "server_overloaded"
    assert [order.sequence for order in desk.told(link.Close)] == [desk.newest()[0]]


def test_usage_counts_text_as_what_is_neither_picture_nor_sound(desk: Desk) -> None:
    desk.start()
    desk.report(
        link.Appended(sequence=1, num_tokens=9, num_text=2, num_image=3, num_audio=4)
    )
    desk.say("Hi")
    desk.finish(" there", num_prompt=10)
    usage = desk.done().usage
    assert usage is not None
    details = usage.input_token_details
    assert (details.text_tokens, details.image_tokens, details.audio_tokens) == (3, 3, 4)
    assert (details.cached_tokens, usage.output_tokens, usage.total_tokens) == (4, 2, 12)
    assert desk.conversation.items[-1].content == [Text("Hi there")]


def test_a_reply_without_text_has_no_item_and_is_complete(desk: Desk) -> None:
    desk.start()
    desk.finish()
    assert desk.types() == ["response.created", "response.done"]
    assert (desk.done().status, desk.done().output) == ("completed", [])
    assert len(desk.conversation.items) == 1


def test_tokens_of_an_unfinished_character_are_kept_without_an_item(desk: Desk) -> None:
    desk.start()
    desk.say("", "")
    assert desk.types() == ["response.created"]
    desk.say("ä")
    desk.finish()
    assert desk.conversation.items[-1].token_ids == (7, 7, 7)


def test_a_cancel_keeps_what_was_seen_and_drops_what_comes_late(desk: Desk) -> None:
    desk.start()
    desk.say("a", "b")
    desk.responder.cancel("turn_detected", 2.0)
    (cancel,) = desk.told(link.Cancel)
    assert cancel.num_kept == 2
    after = len(desk.actions)
    desk.say("c")
    desk.finish()
    desk.fail("late", desk.newest()[1])
    assert len(desk.actions) == after
    assert desk.types()[-5:] == [*CLOSED_ITEM, "response.done"]
    assert (desk.done().status, desk.conversation.items[-1].status) == (
        "cancelled",
        "incomplete",
    )


def test_a_cancel_of_what_was_never_ordered_tells_the_engine_nothing() -> None:
    desk = Desk()
    desk.start()
    desk.responder.cancel("client_cancelled", 1.0)
    assert desk.told(link.Cancel) == []
    desk.ready()
    assert desk.told(link.Generate) == []


def test_a_dead_engine_fails_what_it_was_doing_and_nothing_else(desk: Desk) -> None:
    desk.start()
    desk.say("half a")
    desk.responder.receive_engine(None, 2.0)
    assert desk.code() == "engine_gone"
    assert desk.types()[-5:-1] == CLOSED_ITEM
    desk.actions.clear()
    desk.start(now=3.0)
    desk.responder.receive_engine(None, 3.5)  # it waits for the next one
    assert desk.responder.active_id is not None
    desk.ready()
    (opened,) = desk.told(link.Open)
    assert opened.sequence == 2


def test_a_full_conversation_fails_the_reply_and_breaks_nothing() -> None:
    desk = Desk(max_items=1)
    desk.ready()
    desk.user("hello")
    desk.start()
    desk.say("Hi", now=1.0)
    assert desk.code() == "conversation_full"
    assert desk.types() == ["response.created", "response.done"]
    assert len(desk.told(link.Close)) == 1
    desk.say("late")
    desk.finish()
    assert desk.responder.active_id is None


def test_a_full_conversation_is_also_met_by_the_last_words_of_a_reply() -> None:
    desk = Desk(max_items=1)
    desk.ready()
    desk.user("hello")
    desk.start()
    desk.finish("Hi")
    assert desk.code() == "conversation_full"


def test_what_the_engine_cannot_read_leaves_the_prompt(desk: Desk) -> None:
    desk.start()
    desk.fail("image_invalid", None)
    assert desk.code() == "image_invalid"
    assert not desk.conversation.items[-1].is_in_prompt


def test_a_context_of_its_own_that_cannot_be_read_leaves_the_conversation_alone(
    desk: Desk,
) -> None:
    clip = Audio(b"sound")
    desk.conversation.items[0].content.append(clip)
    context = [Item(id="other", role="user", content=[Image(b"bad", 1)])]
    desk.start(items=context)
    desk.fail("image_invalid", None)
    assert desk.code() == "image_invalid"
    assert desk.conversation.items[0].is_in_prompt
    assert clip.samples == b"sound"


def test_a_generation_on_a_failed_sequence_waits_for_the_reason(desk: Desk) -> None:
    desk.start()
    desk.fail("sequence_failed", desk.newest()[1])
    assert desk.responder.active_id is not None
    desk.fail("image_invalid", None)
    assert desk.code() == "image_invalid"


def test_a_refusal_of_an_older_sequence_is_dropped(desk: Desk) -> None:
    desk.start()
    desk.fail("image_invalid", None, sequence=99)
    assert desk.responder.active_id is not None


def test_a_refusal_after_the_response_only_frees_the_sequence(desk: Desk) -> None:
    desk.start()
    desk.responder.cancel("client_cancelled", 1.0)
    desk.fail("image_invalid", None)
    assert len(desk.told(link.Close)) == 1
    assert desk.done().status == "cancelled"


@pytest.mark.parametrize("truncation", ["auto", "disabled"])
def test_a_prompt_the_engine_finds_too_long_loses_its_oldest_turn_if_it_may(
    desk: Desk, truncation: str
) -> None:
    desk.user("again")
    desk.start(truncation=truncation)
    first = desk.newest()
    desk.fail("context_length_exceeded", None)
    if truncation == "disabled":
        assert desk.code() == "context_length_exceeded"
        return
    assert desk.responder.active_id is not None
    assert desk.newest() == (first[0] + 1, first[1] + 1)
    assert [item.is_in_prompt for item in desk.conversation.items] == [False, True]
    desk.say("yes")
    desk.finish()
    assert desk.done().status == "completed"


def test_a_prompt_known_to_be_too_long_is_trimmed_before_it_is_sent() -> None:
    desk = Desk()
    desk.ready(budget=400)
    for number in range(6):
        desk.user(f"question {number}")
        desk.start()
        num_appends = len(desk.told(link.Append))
        desk.appended([50] * num_appends)
        desk.say("answer")
        desk.finish()
        desk.actions.clear()
    shown = [item.is_in_prompt for item in desk.conversation.items]
    assert shown[0] is False
    assert shown[-2:] == [True, True]
    assert shown == sorted(shown)  # the oldest leave first


def test_sampling_is_the_configuration_and_the_smaller_wish() -> None:
    config = Config(
        reply=ReplyConfig(max_output_tokens=100, temperature=0.5, top_p=0.9, seed=10),
        engine=EngineConfig(),
    )
    desk = Desk(config)
    desk.ready()
    desk.start()
    desk.finish()
    desk.actions.pop()
    desk.start(max_output_tokens=5)
    first, second = [order.sampling for order in desk.told(link.Generate)]
    assert (first.max_tokens, first.temperature, first.top_p) == (100, 0.5, 0.9)
    assert second.max_tokens == 5
    assert (first.seed, second.seed) == (11, 12)
