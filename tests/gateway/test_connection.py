import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from assistant.gateway.connection import Connection, HttpConnection, aborter
from tests.gateway.fakes import run

Endpoint = Callable[[WebSocket], Awaitable[None]]


@asynccontextmanager
async def served(endpoint: Endpoint) -> AsyncIterator[str]:
    """Serve one WebSocket endpoint on a free port; yield its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        Starlette(routes=[WebSocketRoute("/", endpoint)]),
        ws=Connection,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        server.should_exit = True
        await serving


def test_an_application_can_cut_off_a_client_that_does_not_read() -> None:
    async def scenario() -> None:
        is_cut = asyncio.Event()

        async def flood(websocket: WebSocket) -> None:
            await websocket.accept()
            asyncio.get_running_loop().call_later(
                0.05, aborter(websocket.scope["extensions"])
            )
            try:
                while True:
                    await websocket.send_text("x" * 2**20)
            except Exception:
                is_cut.set()

        async with served(flood) as url:
            host, port = url.removeprefix("ws://").removesuffix("/").split(":")
            reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
            writer.write(
                b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            await reader.readuntil(b"\r\n\r\n")
            await is_cut.wait()
            writer.transport.abort()

    run(scenario())


def test_a_message_over_the_bound_is_answered_while_it_is_still_being_sent() -> None:
    async def scenario() -> None:
        async def endpoint(websocket: WebSocket) -> None:
            await websocket.accept()
            assert (await websocket.receive())["code"] == 1009

        async with served(endpoint) as url:
            host, port = url.removeprefix("ws://").removesuffix("/").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"\x81\xff" + (2**40).to_bytes(8) + b"mask")
            for _ in range(100):  # far more than the socket's buffers hold
                writer.write(bytes(2**17))
                await writer.drain()
            answer = await reader.read()
            assert answer[:1] == b"\x88"  # a close frame, and nothing lost before it
            assert int.from_bytes(answer[2:4]) == 1009
            writer.transport.abort()

    run(scenario())


def test_an_http_client_that_does_not_read_can_be_cut_off_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                async with asyncio.timeout(0.1):
                    await send(
                        {
                            "type": "http.response.body",
                            "body": bytes(2**20),
                            "more_body": True,
                        }
                    )
        except TimeoutError:
            aborter(scope["extensions"])()
            await asyncio.sleep(0)

    async def scenario() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(flood, http=HttpConnection, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        port = listener.getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        while server.server_state.connections:  # noqa: ASYNC110 # of another's set
            await asyncio.sleep(0.01)
        writer.transport.abort()
        server.should_exit = True
        await serving

    with caplog.at_level(logging.INFO):
        run(scenario())
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_the_methods_that_are_replaced_are_still_there() -> None:
    assert "on_message_begin" in vars(HttpToolsProtocol)
    for name in ("handle_connect", "data_received", "handle_parser_exception", "send"):
        assert name in vars(WebSocketsSansIOProtocol), name


def test_a_refused_handshake_is_an_answer_and_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        async def endpoint(websocket: WebSocket) -> None:
            await websocket.send_denial_response(JSONResponse({"no": 1}, status_code=401))

        async with served(endpoint) as url:
            with pytest.raises(InvalidStatus) as caught:
                await connect(url)
            assert caught.value.response.status_code == 401
            assert caught.value.response.body == b'{"no":1}'

    with caplog.at_level(logging.INFO):
        run(scenario())
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_a_handshake_that_is_none_is_refused_without_the_application() -> None:
    async def scenario() -> None:
        async def endpoint(websocket: WebSocket) -> None:
            raise AssertionError

        async with served(endpoint) as url:
            host, port = url.removeprefix("ws://").removesuffix("/").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\n\r\n"
            )
            assert b" 400 " in await reader.readline()
            writer.close()

    run(scenario())
