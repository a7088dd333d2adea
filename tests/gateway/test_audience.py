import asyncio
import json
from collections.abc import Callable

from assistant.gateway.audience import MAX_KEPT_BYTES, Audience
from assistant.gateway.outbox import Outbox
from assistant.wire import server_events as wire

BOUND = 2000


def said(text: str) -> wire.ServerEvent:
    return wire.error("code", text)


async def heard(outbox: Outbox) -> list[tuple[str, str]]:
    """Return the ids and messages that wait, closing the outbox."""
    outbox.close()
    events = []
    while (outgoing := await outbox.get()) is not None:
        event = json.loads(outgoing.text)
        events.append((event["event_id"], event["error"]["message"]))
    return events


def with_audience(scenario: Callable[[Audience], object]) -> None:
    async def run() -> None:
        outcome = scenario(Audience(BOUND))
        if asyncio.iscoroutine(outcome):
            await outcome

    asyncio.run(run())


def test_everybody_hears_the_same_events_with_ids_that_count() -> None:
    async def scenario(audience: Audience) -> None:
        first, second = audience.join(), audience.join()
        for word in ("a", "b"):
            audience.put(said(word))
        expected = [("event_000001", "a"), ("event_000002", "b")]
        assert await heard(first) == expected
        assert await heard(second) == expected

    with_audience(scenario)


def test_who_joins_later_hears_what_is_said_from_then_on() -> None:
    async def scenario(audience: Audience) -> None:
        audience.put(said("early"))
        outbox = audience.join()
        audience.put(said("late"))
        assert await heard(outbox) == [("event_000002", "late")]

    with_audience(scenario)


def test_what_one_is_told_the_others_do_not_hear() -> None:
    async def scenario(audience: Audience) -> None:
        first, second = audience.join(), audience.join()
        audience.tell(first, said("you"))
        audience.put(said("all"))
        assert await heard(first) == [("event_000001", "you"), ("event_000002", "all")]
        assert await heard(second) == [("event_000002", "all")]

    with_audience(scenario)


def test_a_client_that_comes_back_is_told_what_it_missed() -> None:
    async def scenario(audience: Audience) -> None:
        lost = audience.join()
        for word in ("a", "b", "c"):
            audience.put(said(word))
        audience.leave(lost)
        audience.put(said("d"))
        back = audience.join()
        audience.repeat(back, "event_000002")
        audience.put(said("e"))
        assert [text for _, text in await heard(back)] == ["c", "d", "e"]

    with_audience(scenario)


def test_an_id_that_is_none_brings_nothing_back() -> None:
    async def scenario(audience: Audience) -> None:
        audience.put(said("a"))
        outbox = audience.join()
        for nonsense in ("", "event_", "event_x", "item_1", "event_" + "9" * 40, "²"):
            audience.repeat(outbox, nonsense)
        assert await heard(outbox) == []

    with_audience(scenario)


def test_what_is_kept_is_bounded() -> None:
    async def scenario(audience: Audience) -> None:
        for _ in range(40):
            audience.put(said("x" * (MAX_KEPT_BYTES // 16)))
        outbox = audience.join()
        audience.repeat(outbox, "event_000000")
        assert 10 < len(await heard(outbox)) < 16

    with_audience(scenario)


def test_after_the_end_nothing_is_said_to_anybody() -> None:
    async def scenario(audience: Audience) -> None:
        outbox = audience.join()
        audience.close()
        audience.put(said("late"))
        audience.tell(outbox, said("late"))
        assert await heard(outbox) == []
        assert await audience.join().get() is None

    with_audience(scenario)
