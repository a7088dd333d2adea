from collections.abc import Callable
from typing import Any, get_args

import pytest
from msgspec import UNSET

from assistant.turns.reply import TRANSITIONS, Ending, Reply, State, Step
from assistant.wire import items, server_events as wire

DETAILS: dict[Ending, dict[str, Any] | None] = {
    "completed": None,
    "cancelled": {"type": "cancelled", "reason": "turn_detected"},
    "failed": {"type": "failed", "error": {"type": "server_error", "code": "gone"}},
    "incomplete": {"type": "incomplete", "reason": "max_output_tokens"},
}
ENDINGS: tuple[Ending, ...] = get_args(Ending)


def fresh() -> Reply:
    return Reply(
        response_id="resp_1",
        item_id="item_2",
        conversation_id="conv_1",
        max_output_tokens=200,
        metadata={"client_event_id": "1"},
    )


def types(events: list[wire.ServerEvent]) -> list[str]:
    return [str(event.__struct_config__.tag).removeprefix("response.") for event in events]


STEPS: dict[Step, Callable[[Reply], list[wire.ServerEvent]]] = {
    Step.OPEN: lambda reply: reply.open(),
    Step.START_ITEM: lambda reply: reply.start_item("item_1"),
    Step.WRITE: lambda reply: reply.write("word "),
    Step.CLOSE: lambda reply: reply.close("completed"),
}


def walk(reply: Reply, *steps: Step) -> list[wire.ServerEvent]:
    return [event for step in steps for event in STEPS[step](reply)]


PATHS: dict[State, list[Step]] = {
    State.NEW: [],
    State.CREATED: [Step.OPEN],
    State.WRITING: [Step.OPEN, Step.START_ITEM],
    State.DONE: [Step.OPEN, Step.START_ITEM, Step.CLOSE],
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("num_words", [0, 1, 3])
def test_whatever_ends_it_every_scope_is_closed_in_the_documented_order(
    ending: Ending, num_words: int
) -> None:
    reply = fresh()
    events = walk(reply, Step.OPEN, Step.START_ITEM, *[Step.WRITE] * num_words)
    events += reply.close(ending, DETAILS[ending])
    assert types(events) == [
        "created",
        "output_item.added",
        "conversation.item.added",
        "content_part.added",
        *["output_text.delta"] * num_words,
        "output_text.done",
        "content_part.done",
        "conversation.item.done",
        "output_item.done",
        "done",
    ]
    text_done, part_done, item_done, output_done, done = events[-5:]
    text = "word " * num_words
    assert isinstance(text_done, wire.TextDone)
    assert isinstance(part_done, wire.ContentPartDone)
    assert isinstance(item_done, wire.ItemDone)
    assert isinstance(output_done, wire.OutputItemDone)
    assert isinstance(done, wire.ResponseDone)
    assert text_done.text == part_done.part.text == reply.text == text
    item = items.MessageItem(
        id="item_2",
        role="assistant",
        status="completed" if ending == "completed" else "incomplete",
        content=[items.OutputText(text)],
    )
    assert item_done.item == output_done.item == item
    assert done.response.output == [item]
    assert (done.response.status, done.response.status_details) == (ending, DETAILS[ending])


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ends_before_it_said_anything_has_no_item(ending: Ending) -> None:
    reply = fresh()
    events = [*reply.open(), *reply.close(ending, DETAILS[ending])]
    assert types(events) == ["created", "done"]
    assert isinstance(events[-1], wire.ResponseDone)
    assert events[-1].response.output == []


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("state", State)
def test_a_step_the_table_lacks_is_an_error_and_changes_nothing(
    state: State, step: Step
) -> None:
    reply = fresh()
    walk(reply, *PATHS[state])
    assert reply.state is state
    if (state, step) in TRANSITIONS:
        STEPS[step](reply)
        assert reply.state is TRANSITIONS[state, step]
        return
    text = reply.text
    with pytest.raises(KeyError):
        STEPS[step](reply)
    assert (reply.state, reply.text) == (state, text)


def test_the_response_begins_in_progress_and_empty() -> None:
    (created,) = fresh().open()
    assert isinstance(created, wire.ResponseCreated)
    response = created.response
    assert (response.status, response.output, response.usage) == ("in_progress", [], None)
    assert (response.conversation_id, response.max_output_tokens) == ("conv_1", 200)


def test_metadata_is_the_same_at_both_ends() -> None:
    reply = fresh()
    first, *_, last = [*reply.open(), *reply.close("completed")]
    assert isinstance(first, wire.ResponseCreated)
    assert isinstance(last, wire.ResponseDone)
    assert first.response.metadata == last.response.metadata == {"client_event_id": "1"}


def test_the_item_names_the_same_one_before_it_when_added_and_when_done() -> None:
    events = walk(fresh(), *PATHS[State.DONE])
    named = [e for e in events if isinstance(e, wire.ItemAdded | wire.ItemDone)]
    assert [event.previous_item_id for event in named] == ["item_1", "item_1"]


def test_what_was_sent_at_the_start_is_not_changed_by_the_end() -> None:
    events = walk(fresh(), *PATHS[State.DONE])
    added = next(e for e in events if isinstance(e, wire.ItemAdded))
    assert isinstance(added.item, items.MessageItem)
    assert (added.item.status, added.item.content) == ("in_progress", [])
    created = events[0]
    assert isinstance(created, wire.ResponseCreated)
    assert created.response.status == "in_progress"


def test_usage_and_the_vendor_key_are_told_once_at_the_end() -> None:
    reply = fresh()
    created, *_ = reply.open()
    usage = wire.Usage(
        total_tokens=2,
        input_tokens=1,
        output_tokens=1,
        input_token_details=wire.TokenDetails(text_tokens=1),
        output_token_details=wire.TokenDetails(text_tokens=1),
    )
    (done,) = reply.close("completed", usage=usage, vendor={"frames": []})
    assert isinstance(created, wire.ResponseCreated)
    assert isinstance(done, wire.ResponseDone)
    assert created.response.assistant is UNSET
    assert (done.response.usage, done.response.assistant) == (usage, {"frames": []})
