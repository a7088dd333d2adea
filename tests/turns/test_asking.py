"""What is Asking's alone; refusals and overrides are in test_session."""

from assistant.wire import client_events as client, items, link, server_events as wire
from tests.turns.harness import Bench, prompt_of, text_item


def test_a_turn_is_used_up_by_its_response() -> None:
    bench = Bench()
    bench.client(client.InputImageAppend(image=b"jpeg"))
    bench.speak()
    bench.answer("one")
    bench.finish()
    (vendor,) = [event.response.assistant for event in bench.events(wire.ResponseDone)]
    assert isinstance(vendor, dict)
    assert vendor["frames"][0]["used"]
    bench.forget()
    bench.client(client.ResponseCreate())
    bench.answer("two")
    bench.finish()
    again = bench.done().assistant
    assert isinstance(again, dict)
    assert again["frames"] == []


def test_a_response_may_have_a_context_of_its_own() -> None:
    bench = Bench()
    bench.client(text_item("of the conversation"))
    bench.forget()
    context: list[items.Item | items.ItemReference] = [text_item("alone").item]
    params = client.ResponseParams(input=context)
    bench.client(client.ResponseCreate(response=params))
    assert "alone" in prompt_of(bench)
    assert "of the conversation" not in prompt_of(bench)
    assert len(bench.orders(link.Generate)) == 1
