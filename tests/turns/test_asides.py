import pytest

from assistant.turns.asides import MAX_ASIDES
from assistant.wire import client_events as client, items, link, server_events as wire
from assistant.wire.refusals import EventRefused
from tests.turns.harness import CLOSING, READY, Bench, prompt_of, text_item

OUTPUT_ONLY = [
    "response.created",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.done",
]


def aside(bench: Bench, **keys: object) -> None:
    params = client.ResponseParams(conversation="none", **keys)  # type: ignore[arg-type]  # names of fields
    bench.client(client.ResponseCreate(response=params))


def ids(bench: Bench) -> list[str]:
    return [item.id for item in bench.session._conversation.items]


def test_it_is_announced_as_output_and_leaves_the_conversation_alone() -> None:
    bench = Bench()
    bench.client(text_item("hello", id="u"))
    bench.forget()
    aside(bench, metadata={"topic": "title"})
    bench.answer("Greeting")
    bench.finish()
    assert bench.types() == OUTPUT_ONLY
    response = bench.done()
    assert (response.conversation_id, response.metadata) == (None, {"topic": "title"})
    assert ids(bench) == ["u"]


def test_it_reads_the_conversation_on_a_sequence_of_its_own_and_frees_it() -> None:
    bench = Bench()
    bench.client(text_item("hello"))
    bench.client(client.ResponseCreate())
    bench.answer("Hi")
    bench.finish()
    held = bench.newest()[0]
    bench.forget()
    aside(bench, instructions="Name the topic.")
    assert prompt_of(bench) == (
        "<system> Name the topic. <end> <user> hello <end> <assistant> ids[100] <end> "
        "<assistant>"
    )
    own = bench.newest()[0]
    assert own != held
    bench.finish()
    assert [order.sequence for order in bench.orders(link.Close)] == [own]
    touched = {order.sequence for order in bench.orders(link.Rollback)}
    assert held not in touched


def test_it_may_have_a_context_of_items_and_references() -> None:
    bench = Bench()
    bench.client(text_item("old", id="a"))
    bench.client(text_item("kept", id="b"))
    bench.forget()
    new = items.MessageItem(role="user", content=[items.InputText("new")])
    aside(bench, input=[items.ItemReference(id="b"), new])
    # Behind it stands what is read ahead for the conversation itself.
    assert prompt_of(bench).startswith("<user> kept new <end> <assistant>")
    with pytest.raises(EventRefused, match="'c' not found"):
        aside(bench, input=[items.ItemReference(id="c")])


def test_it_runs_beside_the_active_response_and_each_gets_its_own_tokens() -> None:
    bench = Bench()
    bench.client(text_item("hello"))
    bench.client(client.ResponseCreate())
    active = bench.newest()
    aside(bench)
    other = bench.newest()
    bench.forget()
    bench.report(link.Token(*other, [7], "aside"))
    bench.report(link.Token(*active, [8], "answer"))
    deltas = {event.delta: event.response_id for event in bench.events(wire.TextDelta)}
    assert deltas == {"aside": "resp_2", "answer": "resp_1"}


def test_speech_does_not_interrupt_it_and_it_does_not_count_as_the_active_one() -> None:
    bench = Bench()
    bench.client(text_item("hello"))
    aside(bench)
    other = bench.newest()
    bench.forget()
    bench.speak()
    assert "response.done" not in bench.types()
    assert bench.newest() != other
    bench.client(client.ResponseCancel())
    assert bench.done().id == "resp_2"


def test_it_is_cancelled_by_its_id_alone() -> None:
    bench = Bench()
    aside(bench)
    with pytest.raises(EventRefused):
        bench.client(client.ResponseCancel())
    bench.answer("Well")
    bench.forget()
    bench.client(client.ResponseCancel(response_id="resp_1"))
    closing = [kind for kind in CLOSING if not kind.startswith("conversation")]
    assert bench.types() == closing
    assert bench.done().status == "cancelled"
    assert not bench.session.is_answering


def test_as_many_as_may_be_run_at_once_and_all_end_with_the_session() -> None:
    bench = Bench()
    for _ in range(MAX_ASIDES):
        aside(bench)
    with pytest.raises(EventRefused) as refused:
        aside(bench)
    assert refused.value.code == "too_many_responses"
    bench.forget()
    bench.session.close()
    bench.take()
    assert len(bench.orders(link.Close)) >= MAX_ASIDES


def test_a_dead_engine_fails_it_and_one_that_waits_is_begun_with_the_next() -> None:
    bench = Bench()
    aside(bench)
    bench.engine(None)
    assert bench.done().status == "failed"
    bench.forget()
    aside(bench)
    assert bench.orders(link.Generate) == []
    bench.engine(READY)
    assert len(bench.orders(link.Generate)) == 1
    bench.timer(bench.session.deadline())
    assert bench.done().status == "failed"
