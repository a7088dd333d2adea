"""
Run the service: one listening socket, one engine process, until a signal comes.

The first SIGTERM or SIGINT drains: nobody new is let in, running answers may end, then
the sockets close. A second one ends it at once.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn
import uvloop

from assistant import config as configuration
from assistant.certificate import reachable_hosts, self_signed
from assistant.config import Config, Effective
from assistant.data_home import data_directory
from assistant.errors import ConfigError, EngineError
from assistant.gateway import app, heap
from assistant.gateway.connection import Connection, HttpConnection
from assistant.gateway.engine_client import EngineClient
from assistant.gateway.engine_process import EngineProcess, EngineStartFailed
from assistant.gateway.service import Service

log = logging.getLogger(__name__)

DRAIN_POLL_S = 0.05
CLOSE_GRACE_S = 5
"""What uvicorn waits for connections to close before it cancels them."""


def serve(effective: Effective, announce: Callable[[str], None]) -> int:
    """
    Serve until a signal; return the exit status.

    Args:
        announce: Is given the one line that says that everything is ready.

    Raises:
        ConfigError: The port cannot be taken, or TLS cannot be set up.
    """
    listener = _listen(effective.config)
    with listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(effective.config, listener, announce))


async def _serve(
    config: Config, listener: socket.socket, announce: Callable[[str], None]
) -> int:
    client = EngineClient()
    engine = EngineProcess(config.engine, client, config.log.level)
    service = Service(
        config,
        client,
        configuration.api_keys(),
        _model_name(config),
        turn_secret=configuration.turn_secret(),
    )
    server = _Server(_uvicorn_config(config, service), service)
    starting = asyncio.create_task(engine.start())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    watching: asyncio.Task[None] | None = None
    try:
        await asyncio.wait({starting, serving}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done() or server.should_exit:
            return 0
        try:
            ready = await starting
        except EngineStartFailed:
            return 3  # the engine's own line on stderr says why
        except EngineError as error:
            raise ConfigError(str(error)) from error
        watching = asyncio.create_task(engine.watch())
        heap.keep_for_good()
        announce(
            f"ready {_url(config, listener)} model={ready.model} device={ready.device}"
        )
        if ready.is_meaningless:
            announce("note: the demo's weights are random; its words are meaningless")
        await asyncio.wait({serving, watching}, return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            watching.result()  # a supervisor that ends is a bug: let it show
        return 0
    finally:
        server.should_exit = True
        starting.cancel()
        if watching is not None:
            watching.cancel()
        try:
            await serving
        finally:
            await service.lines.close()
        await asyncio.gather(
            starting, *([watching] if watching else []), return_exceptions=True
        )
        await engine.stop()


class _Server(uvicorn.Server):
    """uvicorn, which would close every WebSocket at the first signal, made to drain."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._draining: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._service.is_draining:
            self.should_exit = self.force_exit = True
            return
        self._service.is_draining = True
        log.info(
            "= %s: draining %d answers", signal.Signals(sig).name, self._num_answering()
        )
        loop = asyncio.get_running_loop()
        self._draining = loop.create_task(self._drain())

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._service.config.server.drain_s
        while self._num_answering() and loop.time() < deadline:  # noqa: ASYNC110 # of several calls
            await asyncio.sleep(DRAIN_POLL_S)
        self.should_exit = True

    def _num_answering(self) -> int:
        num_sessions = sum(call.is_answering for call in self._service.calls)
        return num_sessions + self._service.num_requests


def _listen(config: Config) -> socket.socket:
    host, port = config.server.host, config.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error.strerror}"
        ) from error
    listener.setblocking(False)
    return listener


def _uvicorn_config(config: Config, service: Service) -> uvicorn.Config:
    certificate: Path | None = None
    key: Path | None = None
    if config.server.tls == "self-signed":
        folder = data_directory() / "certificates"
        certificate, key = self_signed(folder, reachable_hosts(config.server.host))
    return uvicorn.Config(
        app.build(service),
        http=HttpConnection,
        ws=Connection,
        ws_max_size=config.server.max_message_bytes,
        ws_per_message_deflate=False,  # base64 sound hardly shrinks; deflating costs ms
        lifespan="off",
        log_config=None,
        access_log=False,  # request targets may hold what somebody put in a query
        server_header=False,
        timeout_graceful_shutdown=CLOSE_GRACE_S,
        ssl_certfile=certificate,
        ssl_keyfile=None if key is None else str(key),
    )


def _model_name(config: Config) -> str:
    """Name of the model as clients see it: the last part of a path or hub id."""
    return Path(config.engine.model).name


def _url(config: Config, listener: socket.socket) -> str:
    """Return an address a person can open: a wildcard is reachable as localhost."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::", "127.0.0.1", "::1"):
        host = "localhost"
    scheme = "https" if config.server.tls == "self-signed" else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
