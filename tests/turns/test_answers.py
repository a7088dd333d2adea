import pytest

from assistant.config import BargeInConfig, Config, LimitsConfig
from assistant.turns.actions import Tell
from assistant.wire import client_events as client, items, link, server_events as wire
from assistant.wire.refusals import EventRefused
from tests.turns.harness import CLOSING, VAD_TURN, Bench, prompt_of, text_item

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object"}}
CALL = '<|tool_call|>[{"name": "look", "arguments": {"at": 1}}]<|/tool_call|>'
CALLED = [
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
]


def result(call_id: str = "call_1") -> client.ItemCreate:
    output = items.FunctionCallOutputItem(call_id=call_id, output="a cup")
    return client.ItemCreate(item=output)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.update(tools=[TOOL], instructions="Help.")
    bench.forget_events()
    return bench


def test_a_call_and_its_result_make_the_documented_round_trip(bench: Bench) -> None:
    bench.client(text_item("what is it?"))
    bench.client(client.ResponseCreate())
    told = '[{"name": "look", "parameters": {"type": "object"}}]'
    system = f"<system> Help. <tool> {told} <tool_end> <end>"
    assert prompt_of(bench) == f"{system} <user> what is it? <end> <assistant>"
    bench.forget_events()
    bench.answer(CALL)
    bench.finish()
    assert bench.types() == [*CALLED, "response.done"]
    (call,) = bench.done().output
    assert isinstance(call, items.FunctionCallItem)
    bench.forget_events()
    orders = len(bench.orders(link.Append))
    bench.client(result(str(call.call_id)))
    bench.client(client.ResponseCreate())
    parts = [p for o in bench.orders(link.Append)[orders:] for p in o.parts]
    assert [p for p in parts if isinstance(p, link.TextPart)] == [link.TextPart("a cup")]
    assert "response.created" in bench.types()


def test_a_response_asked_for_with_the_result_waits_for_the_end_of_the_call(
    bench: Bench,
) -> None:
    bench.client(text_item("what is it?"))
    bench.client(client.ResponseCreate())
    bench.answer(CALL)
    bench.client(result())
    bench.forget_events()
    bench.client(client.ResponseCreate())
    assert bench.types() == []
    with pytest.raises(EventRefused, match="already has an active response"):
        bench.client(client.ResponseCreate())
    bench.finish()
    assert bench.types() == ["response.done", "response.created"]


def test_speech_ends_what_waits_as_well(bench: Bench) -> None:
    bench.client(text_item("what is it?"))
    bench.client(client.ResponseCreate())
    bench.answer(CALL)
    bench.client(result())
    bench.client(client.ResponseCreate())
    bench.forget_events()
    bench.speak()
    done = [event.response for event in bench.events(wire.ResponseDone)]
    assert [(r.id, r.status) for r in done] == [
        ("resp_1", "cancelled"),
        ("resp_2", "cancelled"),
    ]
    assert bench.types()[-5:] == VAD_TURN[1:]


def test_items_put_in_while_a_reply_streams_come_behind_the_whole_of_it(
    bench: Bench,
) -> None:
    bench.client(text_item("look", id="u"))
    bench.client(client.ResponseCreate())
    bench.answer("I look.")
    bench.client(text_item("and then?", id="v"))
    bench.answer(CALL)
    bench.finish()
    kinds = [item.id for item in bench.session._conversation.items]
    assert (kinds[0], kinds[-1]) == ("u", "v")
    added = bench.events(wire.ItemAdded)
    assert added[-1].previous_item_id == kinds[1]


def test_a_reply_is_read_back_token_by_token_until_a_part_of_it_is_deleted(
    bench: Bench,
) -> None:
    bench.client(text_item("look"))
    bench.client(client.ResponseCreate())
    bench.answer("I look.", CALL)
    bench.finish()
    call = bench.done().output[1]
    bench.client(result())
    before = len(bench.actions)
    bench.client(client.ResponseCreate())
    told = [a.order for a in bench.actions[before:] if isinstance(a, Tell)]
    assert not any(isinstance(order, link.Rollback) for order in told)
    bench.finish()
    bench.forget_events()
    bench.client(client.ItemDelete(item_id=str(call.id)))
    before = len(bench.actions)
    bench.client(client.ResponseCreate())
    told = [a.order for a in bench.actions if isinstance(a, Tell)]
    parts = [p for order in told if isinstance(order, link.Append) for p in order.parts]
    assert link.TextPart("I look.") in parts


def test_a_call_is_seen_when_it_is_retrieved_while_it_streams(bench: Bench) -> None:
    bench.client(client.ResponseCreate())
    bench.answer(CALL[:48])
    (added,) = bench.events(wire.OutputItemAdded)
    bench.client(client.ItemRetrieve(item_id=str(added.item.id)))
    (retrieved,) = bench.events(wire.ItemRetrieved)
    assert isinstance(retrieved.item, items.FunctionCallItem)
    assert (retrieved.item.status, retrieved.item.arguments[:4]) == ("in_progress", '{"at')


def test_a_response_may_have_tools_of_its_own_and_must_call_what_it_names(
    bench: Bench,
) -> None:
    params = client.ResponseParams(
        tools=[{"name": "stop"}], tool_choice={"type": "function", "name": "stop"}
    )
    bench.client(client.ResponseCreate(response=params))
    constraint = bench.orders(link.Generate)[-1].sampling.constraint
    assert constraint is not None
    assert constraint.is_required
    assert [f.name for f in constraint.functions] == ["stop"]
    assert '<tool> [{"name": "stop"}] <tool_end>' in prompt_of(bench)
    echoed = bench.session.settings.to_wire("s", 0)
    assert (echoed["tools"], echoed["tool_choice"]) == ([TOOL], "auto")


def test_a_cancelled_call_is_incomplete_and_nothing_follows_its_done(bench: Bench) -> None:
    bench.client(client.ResponseCreate())
    bench.answer(CALL[:48])
    bench.forget_events()
    bench.client(client.ResponseCancel())
    bench.answer(CALL[48:])
    assert bench.types() == [*CALLED[3:], "response.done"]
    assert bench.done().output[0].status == "incomplete"


def test_plain_words_close_as_they_always_did(bench: Bench) -> None:
    bench.client(client.ResponseCreate())
    bench.answer("Hi")
    bench.forget_events()
    bench.finish()
    assert bench.types() == CLOSING


# --- across a barge-in -------------------------------------------------------------------


def interrupted(bench: Bench) -> None:
    """Have an answer with a call interrupted; its result is there, nobody has asked."""
    bench.client(text_item("what is it?"))
    bench.client(client.ResponseCreate())
    bench.answer(CALL)
    bench.client(result())
    bench.hear(0.95, 0.5)
    assert bench.done().status == "cancelled"
    bench.forget_events()


def wish(**fields: object) -> client.ResponseCreate:
    return client.ResponseCreate(response=client.ResponseParams(**fields))  # type: ignore[arg-type]  # any of them


def test_what_was_held_back_until_a_barge_in_is_answered_with_what_the_user_says(
    bench: Bench,
) -> None:
    interrupted(bench)
    bench.client(wish())
    assert bench.types() == []
    bench.hear(0.02, 0.7)
    assert bench.types() == VAD_TURN[1:]
    bench.finish()
    assert bench.types().count("response.created") == 1
    assert "error" not in bench.types()


def test_what_was_held_back_may_come_when_the_user_is_being_answered(bench: Bench) -> None:
    interrupted(bench)
    bench.hear(0.02, 0.7)
    bench.answer("Well")
    bench.client(client.ResponseCreate())
    bench.finish()
    assert bench.types().count("response.created") == 1
    bench.client(client.ResponseCreate())
    assert bench.types().count("response.created") == 2


def test_with_a_wish_of_its_own_it_is_given_after_that(bench: Bench) -> None:
    for is_early in (True, False):
        bench.forget_events()
        interrupted(bench)
        for at in (True, False):
            if at == is_early:
                bench.client(wish(metadata={"number": "1"}))
            if at:
                bench.hear(0.02, 0.7)
        with pytest.raises(EventRefused, match="already has an active response"):
            bench.client(client.ResponseCreate())
        bench.finish()
        metadata = [e.response.metadata for e in bench.events(wire.ResponseCreated)]
        assert metadata == [None, {"number": "1"}]
        bench.finish()
        assert [e.response.status for e in bench.events(wire.ResponseDone)] == [
            "completed",
            "completed",
        ]


def test_the_result_of_a_call_in_that_answer_is_answered_too(bench: Bench) -> None:
    interrupted(bench)
    bench.hear(0.02, 0.7)
    bench.answer(CALL)
    bench.client(result("call_2"))
    bench.client(client.ResponseCreate())
    bench.finish()
    assert bench.types().count("response.created") == 2


def test_it_is_given_at_once_when_what_the_user_said_will_not_be_answered(
    bench: Bench,
) -> None:
    interrupted(bench)
    bench.client(client.ResponseCreate())
    bench.client(client.InputAudioClear())
    assert bench.types() == ["input_audio_buffer.cleared", "response.created"]


def test_without_a_barge_in_a_second_response_is_refused_as_ever(bench: Bench) -> None:
    bench.speak()
    with pytest.raises(EventRefused, match="already has an active response"):
        bench.client(client.ResponseCreate())


def test_a_cancelled_response_says_what_it_took(bench: Bench) -> None:
    bench.client(text_item("hello"))
    bench.client(client.ResponseCreate())
    sequence, _ = bench.newest()
    for order in bench.orders(link.Append):
        counts = {"num_text": len(order.parts), "num_image": 0, "num_audio": 0}
        bench.report(link.Appended(sequence=sequence, num_tokens=9, **counts))
    num_read = sum(len(order.parts) for order in bench.orders(link.Append))
    bench.answer("Well", " then")
    bench.client(client.ResponseCancel())
    usage = bench.done().usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (num_read, 2)


# --- on hold -----------------------------------------------------------------------------


def test_an_answer_on_hold_is_written_but_not_shown(bench: Bench) -> None:
    bench.client(text_item("what is it?"))
    bench.client(client.ResponseCreate())
    bench.answer("A ")
    bench.forget_events()
    answers = bench.session._answers
    answers.hold()
    bench.answer("cup.")
    bench.finish()
    assert bench.types() == []
    answers.release(bench.now)
    bench.take()
    assert bench.types() == ["response.output_text.delta", *CLOSING]


def test_nothing_can_be_held_where_nothing_is_answered(bench: Bench) -> None:
    bench.session._answers.hold()
    bench.client(text_item("what is it?"))
    bench.client(client.ResponseCreate())
    bench.answer("A cup.")
    assert bench.events(wire.TextDelta) != []


def mumbled(*, asks_first: bool = False) -> Bench:
    """Have a call put on hold by what may be "mm-hm"; its result is there."""
    bench = Bench(Config(barge_in=BargeInConfig(backchannels="ignore")))
    bench.update(tools=[TOOL])
    bench.client(text_item("what is it?"))
    bench.client(client.ResponseCreate())
    bench.answer(CALL)
    bench.client(result())
    if asks_first:
        bench.client(client.ResponseCreate())
    bench.hear(0.95, 0.3)
    bench.forget_events()
    bench.finish()
    assert bench.types() == [], "it is on hold"
    return bench


@pytest.mark.parametrize("asks_first", [True, False])
def test_what_is_asked_for_about_a_call_on_hold_follows_it(asks_first: bool) -> None:
    bench = mumbled(asks_first=asks_first)
    if not asks_first:
        bench.client(client.ResponseCreate())
    bench.hear(0.02, 0.7)
    assert bench.types() == [
        "response.done",
        "response.created",
        "input_audio_buffer.speech_stopped",
    ]
    assert bench.done().status == "completed"


def test_what_is_held_back_until_a_backchannel_has_passed_is_deferred_by_nothing() -> None:
    bench = mumbled()
    bench.hear(0.02, 0.7)
    bench.client(client.ResponseCreate())
    assert bench.types()[-1] == "response.created"
    bench.answer("A cup.")
    bench.finish()
    assert bench.types()[-1] == "response.done"


def test_what_is_held_back_until_a_hold_became_a_barge_in_is_answered_with_it() -> None:
    bench = mumbled()
    bench.hear(0.95, 0.5)
    assert bench.done().status == "cancelled"
    bench.client(client.ResponseCreate())
    bench.hear(0.02, 0.7)
    bench.finish()
    assert bench.types().count("response.created") == 1


def test_it_is_given_when_the_client_says_meanwhile_that_no_turn_is_answered(
    bench: Bench,
) -> None:
    interrupted(bench)
    bench.client(client.ResponseCreate())
    bench.update(audio={"input": {"turn_detection": {"create_response": False}}})
    bench.forget_events()
    bench.hear(0.02, 0.7)
    assert bench.types() == VAD_TURN[1:]


def test_it_is_given_when_there_is_no_room_for_what_the_user_said() -> None:
    bench = Bench(Config(limits=LimitsConfig(conversation_items=4)))
    bench.update(tools=[TOOL])
    interrupted(bench)
    bench.client(text_item("full"))
    bench.client(wish(metadata={"number": "1"}))
    bench.forget_events()
    with pytest.raises(EventRefused, match="items"):
        bench.hear(0.02, 0.7)
    bench.take()
    (created,) = bench.events(wire.ResponseCreated)
    assert created.response.metadata == {"number": "1"}
    assert bench.types()[0] == "input_audio_buffer.speech_stopped"


def test_a_transcript_is_shown_while_an_answer_is_on_hold() -> None:
    bench = Bench(Config(barge_in=BargeInConfig(backchannels="ignore")))
    bench.update(audio={"input": {"transcription": {"model": "phi"}}})
    bench.speak()
    bench.finish()
    written = bench.newest()
    bench.client(client.ResponseCreate())
    bench.answer("Well")
    bench.hear(0.95, 0.3)
    bench.forget_events()
    bench.answer(" then")
    assert bench.types() == []
    bench.report(link.Token(*written, [7], "hello"))
    assert [event.delta for event in bench.events(wire.TranscriptDelta)] == ["hello"]
    assert bench.events(wire.TextDelta) == []
