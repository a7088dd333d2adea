"""The channel of the events alone; whole connections are in ``test_line.py``."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from pyee.asyncio import AsyncIOEventEmitter

from assistant.gateway.rtc.peer import (
    MAX_UNREAD_BYTES,
    MAX_UNSENT_BYTES,
    EventChannel,
    PeerFailed,
)


class FakeChannel(AsyncIOEventEmitter):
    """What an EventChannel needs of aiortc's."""

    def __init__(self) -> None:
        super().__init__()
        self.bufferedAmount = 0
        self.bufferedAmountLowThreshold = 0
        self.sent: list[str] = []

    def send(self, text: str) -> None:
        if len(text) > 1000:
            raise ValueError("too much for the peer")
        self.sent.append(text)

    def close(self) -> None:
        self.emit("close")


def with_channel(
    scenario: Callable[[FakeChannel, EventChannel], Coroutine[Any, Any, None]],
) -> None:
    async def run() -> None:
        fake = FakeChannel()
        await scenario(fake, EventChannel(fake))  # type: ignore[arg-type] # stands in

    asyncio.run(run())


def test_messages_are_read_in_order_and_then_comes_the_end() -> None:
    async def scenario(fake: FakeChannel, channel: EventChannel) -> None:
        reading = asyncio.create_task(channel.receive())
        await asyncio.sleep(0)
        fake.emit("message", "a")
        fake.emit("message", b"b")
        assert await reading == "a"
        channel.close()
        assert await channel.receive() == b"b"
        assert await channel.receive() is None

    with_channel(scenario)


def test_a_peer_that_sends_more_than_is_read_is_given_up() -> None:
    async def scenario(fake: FakeChannel, channel: EventChannel) -> None:
        for _ in range(6):
            fake.emit("message", "x" * (MAX_UNREAD_BYTES // 4))
        with pytest.raises(PeerFailed):
            await channel.receive()

    with_channel(scenario)


def test_events_wait_while_too_much_is_unsent() -> None:
    async def scenario(fake: FakeChannel, channel: EventChannel) -> None:
        fake.bufferedAmount = MAX_UNSENT_BYTES + 1
        sending = asyncio.create_task(channel.send("a"))
        await asyncio.sleep(0)
        assert fake.sent == []
        fake.bufferedAmount = 0
        fake.emit("bufferedamountlow")
        assert await sending
        assert fake.sent == ["a"]

    with_channel(scenario)


def test_who_waits_to_send_is_let_go_when_the_channel_closes() -> None:
    async def scenario(fake: FakeChannel, channel: EventChannel) -> None:
        fake.bufferedAmount = MAX_UNSENT_BYTES + 1
        sending = asyncio.create_task(channel.send("a"))
        await asyncio.sleep(0)
        fake.emit("close")
        assert not await sending
        assert not await channel.send("b")

    with_channel(scenario)


def test_an_event_that_the_peer_cannot_take_is_left_out() -> None:
    async def scenario(fake: FakeChannel, channel: EventChannel) -> None:
        assert not await channel.send("x" * 2000)
        assert await channel.send("y")
        assert fake.sent == ["y"]

    with_channel(scenario)
