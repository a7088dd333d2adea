"""An engine by hand at a Unix socket, and the loop that the service runs on."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import uvloop

from assistant.wire import link
from tests.turns.harness import READY

_Order = TypeVar("_Order", bound=link.Message)
TIMEOUT_S = 30.0


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario as the service would, with an end."""

    async def bounded() -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await scenario

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


class FakeEngine:
    """Collects orders; says what a test tells it to say."""

    def __init__(self, path: Path, ready: link.Ready | None = READY) -> None:
        self.path = path
        self.orders: list[link.Order] = []
        self.is_connected = asyncio.Event()
        self.is_stuck = False
        """Pings are not answered."""
        self._ready = ready
        self._came = asyncio.Condition()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        e: BaseException | None,
        t: TracebackType | None,
    ) -> None:
        self._server.close()
        self.hang_up()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._writers.append(writer)
        self.is_connected.set()
        if self._ready is not None:
            self.say(self._ready)
        deframer = link.Deframer()
        while data := await reader.read(2**16):
            for payload in deframer.receive_data(data):
                self._take(link.decode_order(payload))
            async with self._came:
                self._came.notify_all()

    def _take(self, order: link.Order) -> None:
        if isinstance(order, link.Ping):
            if not self.is_stuck:
                self.say(link.Pong(order.nonce))
        else:
            self.orders.append(order)

    def say(self, *reports: link.Report) -> None:
        """Send reports to whoever is connected, all at once."""
        self.send_bytes(b"".join(link.encode(report) for report in reports))

    def send_bytes(self, data: bytes) -> None:
        for writer in self._writers:
            writer.write(data)

    def hang_up(self) -> None:
        while self._writers:
            self._writers.pop().transport.abort()

    async def wait_for(self, kind: type[_Order], count: int = 1) -> list[_Order]:
        """Wait until that many orders of a kind have come; return all of them."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.of(kind)) >= count)
        return self.of(kind)

    def of(self, kind: type[_Order]) -> list[_Order]:
        return [order for order in self.orders if isinstance(order, kind)]

    def answer(self, generate: link.Generate, *words: str) -> None:
        """Answer a Generate with those words, at once."""
        sequence, generation = generate.sequence, generate.generation
        tokens = [link.Token(sequence, generation, [1], word) for word in words]
        self.say(*tokens, finished(generate, len(words)))


def finished(generate: link.Generate, num_output: int = 1) -> link.Finished:
    return link.Finished(
        sequence=generate.sequence,
        generation=generate.generation,
        reason="stop",
        text="",
        num_prompt=10,
        num_cached=0,
        num_output=num_output,
    )
