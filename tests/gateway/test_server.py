import asyncio
import os
import signal
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from websockets.asyncio.client import connect

from assistant.config import Config, Effective, EngineConfig, ServerConfig, VadConfig
from assistant.errors import ConfigError
from assistant.gateway import server
from assistant.gateway.call import Call
from assistant.gateway.engine_client import EngineClient
from assistant.gateway.engine_process import EngineProcess
from assistant.gateway.server import _listen, _model_name, _Server, _url
from assistant.gateway.service import Service
from tests.gateway.fakes import run
from tests.gateway.test_engine_process import StandIn

PROJECT = Path(__file__).parents[2]
VAD = VadConfig(engine="webrtc")


def config_of(**server_keys: Any) -> Config:
    keys = {"port": 0, **server_keys}
    return Config(vad=VAD, server=ServerConfig(**keys), engine=EngineConfig(model="m"))


# --- addresses -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "tls", "shown"),
    [
        ("127.0.0.1", "off", "http://localhost:"),
        ("0.0.0.0", "off", "http://localhost:"),
        ("127.0.0.1", "self-signed", "https://localhost:"),
        ("127.0.0.2", "off", "http://127.0.0.2:"),
    ],
)
def test_the_address_is_one_that_a_person_can_open(host: str, tls: str, shown: str) -> None:
    config = config_of(host=host, tls=tls)
    with _listen(config) as listener:
        port = listener.getsockname()[1]
        assert port != 0
        assert _url(config, listener) == f"{shown}{port}"


def test_an_address_of_version_6_is_listened_on_and_shown_in_brackets() -> None:
    config = config_of(host="::1")
    try:
        listener = _listen(config)
    except ConfigError:
        pytest.skip("no IPv6 here")
    with listener:
        assert listener.family == socket.AF_INET6
        assert _url(config, listener).startswith("http://localhost:")


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a..b"])
def test_an_address_that_is_not_ours_is_named(host: str) -> None:
    with pytest.raises(ConfigError, match=rf"cannot listen on {host} port 0"):
        _listen(config_of(host=host))


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}: Address already in use"):
            _listen(config_of(port=port))


@pytest.mark.parametrize(
    ("model", "name"),
    [("demo", "demo"), ("microsoft/Phi-4", "Phi-4"), ("/models/phi/", "phi")],
)
def test_the_model_is_called_by_the_last_part_of_its_path(model: str, name: str) -> None:
    assert _model_name(Config(engine=EngineConfig(model=model))) == name


# --- draining --------------------------------------------------------------------------


class Answering:
    """A call in the middle of an answer."""

    is_answering = True


def test_the_first_signal_drains_and_the_second_ends_it() -> None:
    async def scenario() -> None:
        call = Answering()
        service = Service(config_of(drain_s=600.0), EngineClient(), (), "m")
        service.calls.add(call)  # type: ignore[arg-type]  # all that draining looks at
        app = _Server(uvicorn.Config("unused:app"), service)
        app.handle_exit(signal.SIGTERM, None)
        await asyncio.sleep(0)
        assert (service.is_draining, app.should_exit) == (True, False)
        app.handle_exit(signal.SIGINT, None)
        assert (app.should_exit, app.force_exit) == (True, True)
        call.is_answering = False
        assert app._draining is not None
        await app._draining

    run(scenario())


@pytest.mark.parametrize("drain_s", [0.0, 600.0])
def test_draining_ends_with_the_last_answer_or_at_its_bound(drain_s: float) -> None:
    async def scenario() -> None:
        call = Answering()
        call.is_answering = drain_s == 0
        service = Service(config_of(drain_s=drain_s), EngineClient(), (), "m")
        service.calls.add(call)  # type: ignore[arg-type]  # all that draining looks at
        app = _Server(uvicorn.Config("unused:app"), service)
        app.handle_exit(signal.SIGTERM, None)
        assert app._draining is not None
        await app._draining
        assert (app.should_exit, app.force_exit) == (True, False)

    run(scenario())


# --- the whole -------------------------------------------------------------------------


class Served:
    """One run of ``serve`` with a stand-in for the engine, and what it announced."""

    def __init__(
        self, config: Config, monkeypatch: pytest.MonkeyPatch, *modes: str
    ) -> None:
        self.lines: list[str] = []
        self.engine: StandIn | None = None
        self.error: BaseException | None = None
        self.status: int | None = None
        self._config = config
        self._modes = modes
        self._tasks: list[asyncio.Task[None]] = []
        self.when_started: Callable[[], None] = lambda: None
        monkeypatch.chdir(PROJECT)
        monkeypatch.setattr(server, "EngineProcess", self._stand_in)

    def _stand_in(
        self, config: EngineConfig, client: EngineClient, log_level: str
    ) -> EngineProcess:
        self.engine = StandIn(*self._modes)
        self.engine._client = client
        self.when_started()
        return self.engine

    def later(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work()))

    def run(self, when_ready: Callable[[str], Coroutine[Any, Any, None]]) -> int:
        def announce(line: str) -> None:
            self.lines.append(line)
            if line.startswith("ready "):
                self.later(lambda: when_ready(line.split()[1]))

        status = server.serve(Effective(self._config, {}), announce)
        for task in self._tasks:
            task.result()
        return status


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


async def get(url: str, path: str) -> bytes:
    """Return the whole answer to a GET."""
    scheme, _, address = url.partition("://")
    host, port = address.split(":")
    tls = None
    if scheme == "https":
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(host, int(port), ssl=tls)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


async def never(url: str) -> None:
    raise AssertionError("it was announced as ready")


@pytest.mark.service
@pytest.mark.parametrize("tls", ["off", "self-signed"])
def test_it_serves_until_a_signal_and_leaves_no_engine(
    tls: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(server, "data_directory", lambda: tmp_path)
    served = Served(config_of(tls=tls), monkeypatch, "work")

    async def visit(url: str) -> None:
        try:
            assert b'"status":"ok"' in await get(url, "/health")
        finally:
            terminate()

    assert served.run(visit) == 0
    assert served.lines[0].endswith(" model=stand-in device=cpu")
    assert "meaningless" in served.lines[1]
    assert served.engine is not None
    assert served.engine.pid is None


@pytest.mark.service
def test_a_signal_while_the_engine_starts_ends_it_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served = Served(config_of(), monkeypatch, "absent")

    async def impatient() -> None:
        assert served.engine is not None
        while served.engine.pid is None:  # noqa: ASYNC110 # nothing announces it
            await asyncio.sleep(0.01)
        terminate()

    served.when_started = lambda: served.later(impatient)
    assert served.run(never) == 0
    assert served.engine is not None
    assert served.engine.pid is None


@pytest.mark.service
def test_an_engine_that_cannot_start_is_the_end_of_the_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Served(config_of(), monkeypatch, "refuse").run(never) == 3
    with pytest.raises(ConfigError, match="ended with status 1"):
        Served(config_of(), monkeypatch, "crash").run(never)


@pytest.mark.service
def test_health_goes_on_while_the_engine_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served = Served(config_of(), monkeypatch, "work")

    async def visit(url: str) -> None:
        try:
            assert served.engine is not None
            assert served.engine.pid is not None
            os.kill(served.engine.pid, signal.SIGKILL)
            while b'"status":"degraded"' not in await get(url, "/health"):
                pass
            assert b" 503 " in (await get(url, "/ready")).splitlines()[0]
            while b'"status":"ok"' not in await get(url, "/health"):  # noqa: ASYNC110 # as a probe would
                await asyncio.sleep(0.05)
        finally:
            terminate()

    assert served.run(visit) == 0


@pytest.mark.service
def test_a_second_signal_does_not_wait_for_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Call, "is_answering", True)
    served = Served(config_of(drain_s=600.0), monkeypatch, "work")

    async def visit(url: str) -> None:
        async with connect(url.replace("http", "ws") + "/v1/realtime") as connection:
            await connection.recv()
            terminate()
            await asyncio.sleep(0.05)
            assert b'"ready":false' in await get(url, "/ready")
            terminate()
            with pytest.raises(Exception, match=r"1012|no close frame"):
                await connection.recv()

    assert served.run(visit) == 0
