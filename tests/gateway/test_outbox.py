import asyncio
import json
from typing import Any

from assistant.gateway.outbox import Entry, Outbox, Outgoing
from assistant.turns.timeline import Timeline
from assistant.wire import server_events as wire

BOUND = 2000


def error(text: str = "x") -> wire.ServerEvent:
    return wire.error("code", text)


def delta(text: str) -> wire.TextDelta:
    return wire.TextDelta(
        response_id="resp", item_id="item", output_index=0, content_index=0, delta=text
    )


def done() -> wire.ResponseDone:
    response = wire.Response(
        id="resp",
        status="completed",
        output=[],
        conversation_id="conv",
        output_modalities=["text"],
        max_output_tokens="inf",
        metadata=None,
    )
    response.assistant = {"frames": [], "timeline": {}}
    return wire.ResponseDone(response=response)


async def drain(outbox: Outbox) -> list[Outgoing]:
    outbox.close()
    sent = []
    while (outgoing := await outbox.get()) is not None:
        sent.append(outgoing)
    return sent


def fields(outgoing: Outgoing) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(outgoing.text)
    return loaded


def entry(event: wire.ServerEvent, timeline: Timeline | None = None) -> Entry:
    return Entry(1, event, timeline)


def test_events_leave_in_order() -> None:
    async def scenario() -> None:
        outbox = Outbox(BOUND)
        for word in ("a", "b", "c"):
            outbox.put(entry(delta(word)))
        sent = [fields(outgoing) for outgoing in await drain(outbox)]
        assert [event["delta"] for event in sent] == ["a", "b", "c"]

    asyncio.run(scenario())


def test_get_waits_for_an_event_and_a_cancelled_get_loses_none() -> None:
    async def scenario() -> None:
        outbox = Outbox(BOUND)
        waiting = asyncio.create_task(outbox.get())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        outbox.put(entry(delta("a")))
        (only,) = await drain(outbox)
        assert fields(only)["delta"] == "a"

    asyncio.run(scenario())


def test_there_is_room_again_once_the_queue_is_within_its_bound() -> None:
    async def scenario() -> None:
        outbox = Outbox(BOUND)
        outbox.put(entry(error("x" * BOUND)))
        outbox.put(entry(error()))
        room = asyncio.create_task(outbox.room())
        await asyncio.sleep(0)
        assert not room.done()
        await outbox.get()
        await room
        assert len(await drain(outbox)) == 1

    asyncio.run(scenario())


def test_a_closed_queue_gives_what_it_holds_and_takes_nothing_more() -> None:
    async def scenario() -> None:
        outbox = Outbox(BOUND)
        outbox.put(entry(error("x" * BOUND)))
        room = asyncio.create_task(outbox.room())
        await asyncio.sleep(0)
        outbox.close()
        await room  # who waits for room is let go
        for _ in range(100):
            outbox.put(entry(error("y" * BOUND)))
        assert len(await drain(outbox)) == 1

    asyncio.run(scenario())


def test_only_visible_text_carries_the_timeline_to_be_marked() -> None:
    async def scenario() -> None:
        timeline = Timeline()
        outbox = Outbox(BOUND)
        outbox.put(entry(delta("a"), timeline))
        outbox.put(entry(error(), timeline))
        outbox.put(entry(done(), timeline))
        assert [outgoing.timeline for outgoing in await drain(outbox)] == [
            timeline,
            None,
            None,
        ]

    asyncio.run(scenario())


def test_an_event_for_several_queues_is_encoded_once() -> None:
    async def scenario() -> None:
        shared = entry(done(), Timeline(done=3.0))
        first, second = Outbox(BOUND), Outbox(BOUND)
        first.put(shared)
        second.put(shared)
        (one,), (other,) = await drain(first), await drain(second)
        assert one.text == other.text
        assert shared.outgoing().text == one.text

    asyncio.run(scenario())


def test_the_end_of_a_response_says_when_its_first_text_left() -> None:
    async def scenario() -> None:
        timeline = Timeline(done=3.0)
        outbox = Outbox(BOUND)
        outbox.put(entry(delta("a"), timeline))
        outbox.put(entry(done(), timeline))
        first = await outbox.get()
        assert first is not None
        assert first.timeline is timeline
        timeline.first_byte = 2.5  # as the transport notes after sending
        (last,) = await drain(outbox)
        told = fields(last)["response"]["assistant"]["timeline"]
        assert (told["first_byte_ms"], told["done_ms"]) == (2500, 3000)

    asyncio.run(scenario())
