import itertools
from collections.abc import Iterable
from typing import Any, get_args

import pytest
from msgspec import UNSET

from assistant.turns.conversation import Conversation, Item, Text
from assistant.turns.reply import TRANSITIONS, Ending, Reply, State, Step
from assistant.turns.tools import Function, Tools
from assistant.wire import items, server_events as wire
from assistant.wire.refusals import EventRefused

DETAILS: dict[Ending, dict[str, Any] | None] = {
    "completed": None,
    "cancelled": {"type": "cancelled", "reason": "turn_detected"},
    "failed": {"type": "failed", "error": {"type": "server_error", "code": "gone"}},
    "incomplete": {"type": "incomplete", "reason": "max_output_tokens"},
}
ENDINGS: tuple[Ending, ...] = get_args(Ending)
TOOLS = Tools(functions=(Function("look"),))
CALL = '<|tool_call|>[{"name": "look", "arguments": {"at": 1}}]<|/tool_call|>'
OPENED = ["output_item.added", "conversation.item.added"]
CLOSED = ["conversation.item.done", "output_item.done"]
MESSAGE = [*OPENED, "content_part.added"]
SAID = ["output_text.done", "content_part.done", *CLOSED]


def conversation(max_items: int = 9) -> Conversation:
    held = Conversation(max_items, max_bytes=100)
    held.insert(Item(id="item_1", role="user", content=[Text("Hi")]))
    return held


def fresh(held: Conversation | None = None, **keys: Any) -> Reply:
    numbers = itertools.count(3)
    arguments: dict[str, Any] = {
        "response_id": "resp_1",
        "item_id": "item_2",
        "conversation_id": "conv_1",
        "max_output_tokens": 200,
        "metadata": {"client_event_id": "1"},
        "conversation": held or conversation(),
        "new_id": lambda kind: f"{kind}_{next(numbers)}",
        "tools": TOOLS,
    }
    return Reply(**(arguments | keys))


def types(events: Iterable[wire.ServerEvent]) -> list[str]:
    return [str(event.__struct_config__.tag).removeprefix("response.") for event in events]


def done_of(events: list[wire.ServerEvent]) -> wire.Response:
    assert isinstance(events[-1], wire.ResponseDone)
    return events[-1].response


PATHS: dict[State, list[Step]] = {
    State.NEW: [],
    State.CREATED: [Step.OPEN],
    State.WRITING: [Step.OPEN, Step.START_MESSAGE],
    State.CALLING: [Step.OPEN, Step.START_CALL],
    State.DONE: [Step.OPEN, Step.CLOSE],
}


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("state", State)
def test_a_step_the_table_lacks_is_an_error_and_changes_nothing(
    state: State, step: Step
) -> None:
    reply = fresh()
    for earlier in PATHS[state]:
        reply._step(earlier)
    assert reply.state is state
    if (state, step) in TRANSITIONS:
        reply._step(step)
        assert reply.state is TRANSITIONS[state, step]
        return
    with pytest.raises(KeyError):
        reply._step(step)
    assert reply.state is state


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("num_words", [1, 3])
def test_whatever_ends_it_every_scope_is_closed_in_the_documented_order(
    ending: Ending, num_words: int
) -> None:
    reply = fresh()
    events = list(reply.open())
    for _ in range(num_words):
        events += reply.write("word ")
    events += reply.close(ending, DETAILS[ending])
    deltas = ["output_text.delta"] * num_words
    assert types(events) == ["created", *MESSAGE, *deltas, *SAID, "done"]
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
    assert done_of(events).output == []


def test_words_and_calls_become_items_of_their_own_one_behind_the_other() -> None:
    held = conversation()
    reply = fresh(held)
    events = [*reply.open(), *reply.write(f"Wait.{CALL}")]
    held.insert(Item(id="between", role="user", content=[Text("And?")]))
    events += reply.write(f"{CALL} Done.")
    events += [*reply.end_text(is_whole=True), *reply.close("completed", token_ids=[1, 2])]
    arguments = ["function_call_arguments.delta", "function_call_arguments.done"]
    call = [*OPENED, *arguments, *CLOSED]
    words = [*MESSAGE, "output_text.delta", *SAID]
    assert types(events) == ["created", *words, *call, *call, *words, "done"]
    ids = ["item_1", "item_2", "item_4", "item_6", "item_7", "between"]
    assert [item.id for item in held.items] == ids
    added = [e for e in events if isinstance(e, wire.ItemAdded)]
    assert [e.previous_item_id for e in added] == ids[:4]
    indexes = [e.output_index for e in events if isinstance(e, wire.OutputItemDone)]
    assert indexes == [0, 1, 2, 3]
    done = next(e for e in events if isinstance(e, wire.ArgumentsDone))
    assert (done.name, done.arguments, done.call_id) == ("look", '{"at": 1}', "call_3")
    output = done_of(events).output
    assert [item.id for item in output] == ids[1:5]
    assert output[1] == items.FunctionCallItem(
        id="item_4", name="look", arguments='{"at": 1}', call_id="call_3",
        status="completed",
    )  # fmt: skip
    first, *others = held.items[1:5]
    assert (first.token_ids, first.followers) == ((1, 2), tuple(others))


def test_a_call_that_was_announced_is_closed_whatever_ends_it() -> None:
    for ending in ENDINGS:
        reply = fresh()
        events = [*reply.open(), *reply.write(CALL[:50])]
        events += reply.end_text(is_whole=False)
        events += reply.close(ending, DETAILS[ending])
        assert types(events)[-4:] == ["function_call_arguments.done", *CLOSED, "done"]
        (item,) = done_of(events).output
        assert item.status == ("completed" if ending == "completed" else "incomplete")


def test_what_ends_within_a_call_is_not_kept_as_it_was_written() -> None:
    for written in ("Wait." + CALL[:50], "Wait." + CALL[:20]):
        held = conversation()
        reply = fresh(held)
        list(reply.open())
        list(reply.write(written))
        list(reply.end_text(is_whole=False))
        list(reply.close("cancelled", token_ids=[1, 2]))
        assert [item.token_ids for item in held.items] == [None] * len(held.items)


def test_a_broken_call_is_given_as_text_and_warned_of_in_the_vendor_key() -> None:
    reply = fresh()
    events = [*reply.open(), *reply.write("<|tool_call|>[{]<|/tool_call|>")]
    events += [*reply.end_text(is_whole=True), *reply.close("completed", vendor={"a": 1})]
    assert reply.text == "[{]"
    vendor = done_of(events).assistant
    assert isinstance(vendor, dict)
    assert vendor["a"] == 1
    assert len(vendor["warnings"]) == 1


def test_without_tools_a_call_is_text_like_any_other() -> None:
    reply = fresh(tools=Tools())
    list(reply.open())
    list(reply.write(CALL))
    assert reply.text == CALL


def test_out_of_band_items_are_output_and_nothing_else() -> None:
    reply = fresh(conversation_id=None)
    events = [*reply.open(), *reply.write(f"Wait.{CALL}"), *reply.close("completed")]
    assert not any(isinstance(e, wire.ItemAdded | wire.ItemDone) for e in events)
    assert len(done_of(events).output) == 2
    assert done_of(events).conversation_id is None


def test_what_was_yielded_before_the_conversation_was_full_holds() -> None:
    reply = fresh(conversation(max_items=2))
    events = list(reply.open())
    with pytest.raises(EventRefused, match="2 items"):
        events.extend(reply.write(f"Wait.{CALL}"))
    events += reply.close("failed", DETAILS["failed"])
    assert types(events) == ["created", *MESSAGE, "output_text.delta", *SAID, "done"]


def test_an_item_whose_predecessor_was_deleted_names_the_one_before_that() -> None:
    held = conversation()
    held.insert(Item(id="gone", role="user", content=[Text("?")]))
    reply = fresh(held)
    list(reply.open())
    added = [e for e in reply.write("Hi") if isinstance(e, wire.ItemAdded)]
    held.delete("gone")
    done = [e for e in reply.close("completed") if isinstance(e, wire.ItemDone)]
    assert [added[0].previous_item_id, done[0].previous_item_id] == ["gone", "item_1"]


def test_a_deleted_item_ends_under_the_name_it_had_and_the_next_goes_to_the_end() -> None:
    held = conversation()
    reply = fresh(held)
    events = [*reply.open(), *reply.write("Hi")]
    held.delete("item_2")
    events += [*reply.write(CALL), *reply.close("completed")]
    assert [item.id for item in held.items] == ["item_1", "item_4"]
    added = [e for e in events if isinstance(e, wire.ItemAdded)]
    assert [e.previous_item_id for e in added] == ["item_1", "item_1"]


def test_an_item_under_way_holds_what_was_said_so_far() -> None:
    held = conversation()
    reply = fresh(held)
    for text in ("Hello", " there"):
        list(reply.open() if reply.state is State.NEW else ())
        list(reply.write(text))
    assert held.get("item_2").to_wire() == items.MessageItem(
        id="item_2",
        role="assistant",
        status="in_progress",
        content=[items.OutputText("Hello there")],
    )


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


def test_what_was_sent_at_the_start_is_not_changed_by_the_end() -> None:
    reply = fresh()
    events = [*reply.open(), *reply.write(f"Hi{CALL}"), *reply.close("completed")]
    message, call = (e.item for e in events if isinstance(e, wire.ItemAdded))
    assert isinstance(message, items.MessageItem)
    assert isinstance(call, items.FunctionCallItem)
    assert (message.status, message.content) == ("in_progress", [])
    assert (call.status, call.arguments) == ("in_progress", "")
    assert isinstance(events[0], wire.ResponseCreated)
    assert events[0].response.status == "in_progress"


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
