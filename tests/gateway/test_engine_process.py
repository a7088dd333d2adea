import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from assistant.config import EngineConfig
from assistant.errors import EngineGone
from assistant.gateway import engine_process
from assistant.gateway.engine_client import EngineClient
from assistant.gateway.engine_process import EngineProcess, EngineStartFailed
from assistant.wire import link
from tests.gateway.fakes import run
from tests.gateway.test_engine_client import Recorder

PROJECT = Path(__file__).parents[2]


class StandIn(EngineProcess):
    """The supervisor of a stand-in; ``modes`` says how each start behaves."""

    def __init__(self, *modes: str, hang_timeout_s: float = 5.0, start_s: float = 10.0):
        self.client = EngineClient()
        config = EngineConfig(start_timeout_s=start_s, hang_timeout_s=hang_timeout_s)
        super().__init__(config, self.client)
        self._modes = [*modes]

    def _command(self, path: Path) -> list[str]:
        mode = self._modes.pop(0) if len(self._modes) > 1 else self._modes[0]
        return [
            *(sys.executable, "-m", "tests.gateway.stand_in"),
            *("--socket", str(path), "--mode", mode),
        ]


@contextlib.asynccontextmanager
async def watched(engine: StandIn) -> AsyncIterator[Recorder]:
    """Start and watch; yield what a call is told; stop in the end."""
    recorder = Recorder()
    await engine.start()
    engine.client.subscribe(recorder)
    watching = asyncio.create_task(engine.watch())
    try:
        yield recorder
        assert not watching.done()
    finally:
        watching.cancel()
        await asyncio.wait({watching})
        await engine.stop()


async def until_restarted(recorder: Recorder) -> None:
    """Wait until a call was told that the engine is gone and that there is one again."""
    while recorder.engines.count(None) < 1 or recorder.engines[-1] is None:
        await recorder.wait()


@pytest.fixture(autouse=True)
def from_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(engine_process, "PING_INTERVAL_S", 0.05)


def test_the_engine_is_told_its_whole_configuration_and_its_parent() -> None:
    config = EngineConfig(num_slots=3)
    command = EngineProcess(config, EngineClient(), "ERROR")._command(Path("engine.sock"))
    options = dict(zip(command[3::2], command[4::2], strict=True))
    assert options["--socket"] == "engine.sock"
    assert options["--parent-pid"] == str(os.getpid())
    assert '"num_slots": 3' in options["--config-json"]
    assert options["--log-level"] == "ERROR"


def test_stopping_what_was_never_started_is_nothing() -> None:
    run(EngineProcess(EngineConfig(), EngineClient()).stop())


def test_an_engine_that_cannot_be_spawned_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        engine = StandIn("work")
        monkeypatch.setattr(engine, "_command", lambda path: [str(path / "nothing")])
        with pytest.raises(EngineGone, match="cannot start the engine: No such file"):
            await engine.start()
        await engine.stop()

    run(scenario())


@pytest.mark.service
def test_an_engine_is_started_watched_and_stopped() -> None:
    async def scenario() -> None:
        engine = StandIn("work")
        assert engine.pid is None
        assert (await engine.start()).model == "stand-in"
        pid = engine.pid
        assert pid is not None
        os.kill(pid, 0)
        await engine.stop()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert engine.pid is None

    run(scenario())


@pytest.mark.service
@pytest.mark.parametrize(
    ("mode", "error", "message"),
    [
        ("refuse", EngineStartFailed, "status 3"),
        ("half", EngineStartFailed, "status 3"),
        ("crash", EngineGone, "ended with status 1 before it was ready"),
        ("mute", EngineGone, "was not ready within"),
        ("absent", EngineGone, "was not ready within"),
    ],
)
def test_a_failed_start_says_how_it_failed(
    mode: str, error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(engine_process, "STOP_TIMEOUT_S", 1.0)
        engine = StandIn(mode, start_s=1.0 if mode in ("mute", "absent") else 10.0)
        with pytest.raises(error, match=message):
            await engine.start()
        await engine.stop()

    run(scenario())


@pytest.mark.service
def test_a_killed_engine_is_replaced_and_the_calls_are_told() -> None:
    async def scenario() -> None:
        engine = StandIn("work")
        async with watched(engine) as recorder:
            assert engine.pid is not None
            os.kill(engine.pid, signal.SIGKILL)
            await until_restarted(recorder)
            assert engine.num_restarts == 1
            assert await engine.client.ping(5)

    run(scenario())


@pytest.mark.service
def test_an_engine_that_hangs_is_killed_and_replaced() -> None:
    async def scenario() -> None:
        engine = StandIn("work", hang_timeout_s=0.3)
        async with watched(engine) as recorder:
            stopped = engine.pid
            assert stopped is not None
            os.kill(stopped, signal.SIGSTOP)
            await until_restarted(recorder)
            assert engine.pid != stopped
            with pytest.raises(ProcessLookupError):
                os.kill(stopped, 0)

    run(scenario())


@pytest.mark.service
def test_an_engine_whose_link_is_dead_is_killed_and_replaced() -> None:
    async def scenario() -> None:
        engine = StandIn("work")
        async with watched(engine) as recorder:
            first = engine.pid
            engine.client.disconnect()
            await until_restarted(recorder)
            assert engine.pid != first

    run(scenario())


@pytest.mark.service
def test_restarts_go_on_through_every_way_to_fail() -> None:
    async def scenario() -> None:
        engine = StandIn("work", "crash", "refuse", "half", "work")
        async with watched(engine) as recorder:
            engine.client.send(link.Open(1, "none"), recorder)
            engine.client.send(link.Generate(1, 1, link.Sampling(max_tokens=1)), recorder)
            while engine.num_restarts < 4 or recorder.engines[-1] is None:
                await recorder.wait()
            assert await engine.client.ping(5)

    run(scenario())


@pytest.mark.service
@pytest.mark.parametrize("mode", ["absent", "mute"])
def test_a_start_that_is_cancelled_can_be_stopped(mode: str) -> None:
    async def scenario() -> None:
        engine = StandIn(mode)
        starting = asyncio.create_task(engine.start())
        async with asyncio.timeout(5):
            while engine.pid is None:  # noqa: ASYNC110 # nothing announces it
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        starting.cancel()
        await asyncio.wait({starting})
        pid = engine.pid
        assert pid is not None
        await engine.stop()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    run(scenario())
