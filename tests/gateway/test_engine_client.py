import asyncio
from pathlib import Path

import pytest

from assistant.errors import EngineGone
from assistant.gateway.engine_client import EngineClient
from assistant.wire import link
from tests.gateway.fakes import FakeEngine, run
from tests.turns.harness import READY

TIMEOUT_S = 5.0


class Recorder:
    """A listener that notes what it is told."""

    def __init__(self) -> None:
        self.reports: list[link.Report] = []
        self.engines: list[link.Ready | None] = []
        self._came = asyncio.Event()

    def receive_report(self, report: link.Report) -> None:
        self.reports.append(report)
        self._came.set()

    def receive_engine(self, ready: link.Ready | None) -> None:
        self.engines.append(ready)
        self._came.set()

    async def wait(self) -> None:
        """Wait until something new was told."""
        await self._came.wait()
        self._came.clear()


def failed(sequence: int) -> link.Failed:
    return link.Failed(sequence=sequence, generation=None, code="c", message="m")


def test_a_listener_is_told_at_once_and_at_every_change(tmp_path: Path) -> None:
    async def scenario() -> None:
        client, listener = EngineClient(), Recorder()
        client.subscribe(listener)
        async with FakeEngine(tmp_path / "e") as engine:
            assert await client.connect(engine.path, TIMEOUT_S) == READY
            assert client.ready == READY
            late = Recorder()
            client.subscribe(late)
            assert late.engines == [READY]
            engine.hang_up()
            while len(listener.engines) < 3:
                await listener.wait()
            assert listener.engines == [None, READY, None]
            assert client.ready is None
            assert await client.connect(engine.path, TIMEOUT_S) == READY
            client.disconnect()

    run(scenario())


def test_reports_go_to_whoever_opened_the_sequence(tmp_path: Path) -> None:
    async def scenario() -> None:
        client, one, other = EngineClient(), Recorder(), Recorder()
        async with FakeEngine(tmp_path / "e") as engine:
            await client.connect(engine.path, TIMEOUT_S)
            client.subscribe(one)
            client.subscribe(other)
            client.send(link.Open(1, "none"), one)
            client.send(link.Open(2, "none"), other)
            client.send(link.Open(3, "none"), one)
            client.send(link.Close(3), one)
            await engine.wait_for(link.Close)
            engine.say(failed(1), failed(3), failed(99), failed(2))
            while not other.reports:
                await other.wait()
            assert one.reports == [failed(1)]
            assert other.reports == [failed(2)]
            client.unsubscribe(one)
            engine.say(failed(1), failed(2))
            while len(other.reports) < 2:
                await other.wait()
            assert one.reports == [failed(1)]
            client.disconnect()

    run(scenario())


def test_an_open_sequence_can_be_given_to_another_listener(tmp_path: Path) -> None:
    async def scenario() -> None:
        client, one, other = EngineClient(), Recorder(), Recorder()
        async with FakeEngine(tmp_path / "e") as engine:
            await client.connect(engine.path, TIMEOUT_S)
            client.send(link.Open(1, "none"), one)
            client.unsubscribe(one)
            client.adopt(1, other)
            await engine.wait_for(link.Open)
            engine.say(failed(1))
            while not other.reports:
                await other.wait()
            assert one.reports == []
            client.disconnect()

    run(scenario())


def test_an_order_without_an_engine_is_dropped() -> None:
    async def scenario() -> None:
        client = EngineClient()
        client.send(link.Open(1, "none"), Recorder())
        assert not await client.ping(TIMEOUT_S)
        client.disconnect()

    run(scenario())


@pytest.mark.parametrize("is_dead", [False, True], ids=["no file", "nobody listens"])
def test_a_socket_that_cannot_be_connected_to_is_an_engine_that_is_gone(
    tmp_path: Path, is_dead: bool
) -> None:
    async def scenario() -> None:
        path = tmp_path / "e"
        if is_dead:
            async with FakeEngine(path):
                path.rename(tmp_path / "kept")
            (tmp_path / "kept").rename(path)
        with pytest.raises(EngineGone, match="cannot connect"):
            await EngineClient().connect(path, TIMEOUT_S)

    run(scenario())


def test_an_engine_that_hangs_up_before_it_is_ready_is_gone(tmp_path: Path) -> None:
    async def scenario() -> None:
        client = EngineClient()
        async with FakeEngine(tmp_path / "e", ready=None) as engine:
            connecting = asyncio.create_task(client.connect(engine.path, TIMEOUT_S))
            await engine.is_connected.wait()
            engine.hang_up()
            with pytest.raises(EngineGone, match="before it was ready"):
                await connecting

    run(scenario())


def test_an_engine_that_is_never_ready_is_given_up_and_let_go(tmp_path: Path) -> None:
    async def scenario() -> None:
        client, listener = EngineClient(), Recorder()
        client.subscribe(listener)
        async with FakeEngine(tmp_path / "e", ready=None) as engine:
            with pytest.raises(EngineGone, match=r"not ready within 0\.01 s"):
                await client.connect(engine.path, 0.01)
            while len(listener.engines) < 2:
                await listener.wait()
            assert not await client.ping(TIMEOUT_S)

    run(scenario())


def test_cancelling_a_connect_drops_the_connection(tmp_path: Path) -> None:
    async def scenario() -> None:
        client, listener = EngineClient(), Recorder()
        client.subscribe(listener)
        async with FakeEngine(tmp_path / "e", ready=None) as engine:
            connecting = asyncio.create_task(client.connect(engine.path, TIMEOUT_S))
            await engine.is_connected.wait()
            connecting.cancel()
            await asyncio.wait({connecting})
            assert connecting.cancelled()
            while len(listener.engines) < 2:
                await listener.wait()

    run(scenario())


def test_a_ping_is_answered_and_one_that_is_not_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        client = EngineClient()
        async with FakeEngine(tmp_path / "e") as engine:
            await client.connect(engine.path, TIMEOUT_S)
            assert await client.ping(TIMEOUT_S)
            engine.is_stuck = True
            assert not await client.ping(0.01)
            waiting = asyncio.create_task(client.ping(TIMEOUT_S))
            await asyncio.sleep(0)
            engine.hang_up()
            assert not await waiting

    run(scenario())


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x01\x00\x00\x00\xc1"])
def test_an_engine_that_breaks_the_protocol_is_dropped(tmp_path: Path, data: bytes) -> None:
    async def scenario() -> None:
        client, listener = EngineClient(), Recorder()
        async with FakeEngine(tmp_path / "e") as engine:
            await client.connect(engine.path, TIMEOUT_S)
            client.subscribe(listener)
            engine.send_bytes(data)
            while listener.engines[-1] is not None:
                await listener.wait()

    run(scenario())


def test_a_prompt_too_long_for_the_link_is_refused_and_the_link_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        client, listener = EngineClient(), Recorder()
        async with FakeEngine(tmp_path / "e") as engine:
            await client.connect(engine.path, TIMEOUT_S)
            client.subscribe(listener)
            client.send(link.Open(1, "none"), listener)
            monkeypatch.setattr(link, "MAX_MESSAGE_BYTES", 100)
            client.send(link.Append(1, [link.TextPart("x" * 100)]), listener)
            assert listener.reports == []  # not in the middle of the listener's own work
            while not listener.reports:
                await listener.wait()
            (report,) = listener.reports
            assert isinstance(report, link.Failed)
            assert (report.sequence, report.generation) == (1, None)
            assert report.code == "prompt_too_large"
            assert await client.ping(TIMEOUT_S)
            client.disconnect()

    run(scenario())
