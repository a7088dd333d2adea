import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.testclient import (
    TestClient,
    WebSocketDenialResponse,
    WebSocketTestSession as Connection,
)
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from assistant.config import Config, ServerConfig, VadConfig
from assistant.gateway import app, websocket as module
from assistant.gateway.call import Call
from assistant.gateway.connection import ABORT
from assistant.gateway.engine_client import EngineClient
from assistant.gateway.service import Service
from tests.gateway.fakes import run

PATH = "/v1/realtime"
VAD = VadConfig(engine="webrtc")


def service_with(keys: tuple[str, ...] = (), **server: Any) -> Service:
    config = Config(vad=VAD, server=ServerConfig(**server))
    return Service(config, EngineClient(), keys, "fake")


class Abortable:
    """What a Connection adds to the scope, for the test client."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner = inner
        self.num_aborted = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            scope["extensions"][ABORT] = self._abort
        # A task of its own, as under uvicorn: in Python 3.11 a task group that failed
        # leaves its task marked as cancelled, and the test client's anyio believes that.
        await asyncio.create_task(_run(self._inner, scope, receive, send))

    def _abort(self) -> None:
        self.num_aborted += 1


async def _run(inner: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await inner(scope, receive, send)


@contextmanager
def client_of(service: Service) -> Iterator[TestClient]:
    with TestClient(Abortable(app.build(service))) as client:
        yield client


@contextmanager
def connected(service: Service, client: TestClient, **options: Any) -> Iterator[Connection]:
    """Connect; wait for the call to end before the test client cancels it."""
    before = len(service.calls)
    with client.websocket_connect(PATH, **options) as connection:
        yield connection
        connection.close()
        while len(service.calls) > before:
            connection.portal.call(asyncio.sleep, 0)


def refused(client: TestClient, **headers: str) -> tuple[int, str]:
    """Return status and error code of a refused handshake."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with (
        pytest.raises(WebSocketDenialResponse) as caught,
        client.websocket_connect(PATH, headers=names),
    ):
        pass
    error = caught.value.json()["error"]
    return caught.value.status_code, error["code"]


# --- handshakes ------------------------------------------------------------------------


def test_a_connection_is_greeted_and_its_call_is_gone_when_it_closes() -> None:
    service = service_with()
    with client_of(service) as client:
        with connected(service, client) as connection:
            assert connection.receive_json()["type"] == "session.created"
            assert len(service.calls) == 1
            assert connection.accepted_subprotocol is None
        assert service.calls == set()


def test_the_answer_is_exactly_realtime_when_that_was_offered() -> None:
    offered = ["openai-insecure-api-key.k", "realtime", "openai-organization.x"]
    service = service_with(keys=("k",))
    with (
        client_of(service) as client,
        connected(service, client, subprotocols=offered) as connection,
    ):
        assert connection.accepted_subprotocol == "realtime"


def test_the_url_may_ask_for_transcripts_alone_from_the_first_event_on() -> None:
    with client_of(service_with()) as client:
        url = f"{PATH}?intent=transcription"
        with client.websocket_connect(url) as connection:
            session = connection.receive_json()["session"]
            assert session["type"] == "transcription"
            assert session["audio"]["input"]["transcription"] == {"model": "fake"}


def test_a_wrong_key_or_none_is_answered_with_401() -> None:
    service = service_with(keys=("k",))
    with client_of(service) as client:
        assert refused(client) == (401, "invalid_api_key")
        assert refused(client, authorization="Bearer x") == (401, "invalid_api_key")
        with connected(service, client, headers={"authorization": "Bearer k"}):
            pass


def test_a_page_of_another_origin_is_refused_even_with_a_key() -> None:
    with client_of(service_with(keys=("k",))) as client:
        for origin in ("https://evil.example", "null", "http://[::1"):
            assert refused(client, origin=origin, authorization="Bearer k") == (
                403,
                "origin_not_allowed",
            )


def test_a_full_or_closing_service_says_so_and_when_to_come_back() -> None:
    service = service_with(max_sessions=1)
    with client_of(service) as client:
        with connected(service, client):
            assert refused(client) == (503, "session_limit_reached")
        with connected(service, client):  # its place is free again
            pass
        service.is_draining = True
        with (
            pytest.raises(WebSocketDenialResponse) as caught,
            client.websocket_connect(PATH),
        ):
            pass
        assert caught.value.status_code == 503
        assert int(caught.value.headers["retry-after"]) > 0


# --- a connection ----------------------------------------------------------------------


def test_binary_frames_are_refused_and_the_session_goes_on() -> None:
    service = service_with()
    with client_of(service) as client, connected(service, client) as connection:
        connection.receive_json()
        connection.send_bytes(b"x")
        assert connection.receive_json()["error"]["code"] == "invalid_event"
        connection.send_text("")
        assert connection.receive_json()["error"]["code"] == "invalid_json"
        connection.send_json({"type": "session.update", "session": {"type": "realtime"}})
        assert connection.receive_json()["type"] == "session.updated"


def test_a_session_at_its_bound_is_closed_with_1000_after_its_last_event() -> None:
    service = service_with(session_max_s=0.05)
    with client_of(service) as client, connected(service, client) as connection:
        connection.receive_json()
        assert connection.receive_json()["error"]["code"] == "session_expired"
        with pytest.raises(WebSocketDisconnect) as caught:
            connection.receive_json()
        assert (caught.value.code, caught.value.reason) == (1000, "session expired")
    assert service.calls == set()


class FakeSocket:
    """The server's side of a WebSocket: what it says is listed, what it does is chosen."""

    def __init__(
        self,
        service: Service,
        messages: list[dict[str, Any]] | None = None,
        send_error: Exception | None = None,
        reads: bool = True,
    ) -> None:
        self.sent: list[str] = []
        self.closed: list[int] = []
        self.aborted = asyncio.Event()
        self.is_greeted = asyncio.Event()
        self._messages = messages or []
        self._send_error = send_error
        self._reads = reads
        self.app = app.build(service)
        self.socket = WebSocket(self._scope(service), self._receive, self._send)

    def _scope(self, service: Service) -> Scope:
        class State:
            state = type("S", (), {"service": service})()

        extensions = {ABORT: self.aborted.set, "websocket.http.response": {}}
        headers: list[tuple[bytes, bytes]] = []
        return {
            "type": "websocket",
            "app": State(),
            "headers": headers,
            "extensions": extensions,
            "path": PATH,
            "query_string": b"",
        }

    async def _receive(self) -> dict[str, Any]:
        if self._messages:
            return self._messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def _send(self, message: Any) -> None:
        if message["type"] == "websocket.close":
            self.closed.append(message["code"])
        if message["type"] != "websocket.accept":
            if not self._reads:
                await asyncio.Event().wait()
            if self._send_error is not None:
                raise self._send_error
        if message["type"] == "websocket.send":
            self.sent.append(json.loads(message["text"])["type"])
            self.is_greeted.set()


CONNECT = {"type": "websocket.connect"}


@pytest.mark.parametrize(
    "error",
    [OSError("gone"), RuntimeError("after sending 'websocket.close'")],
    ids=["the client went", "the server closed by itself"],
)
def test_a_connection_that_cannot_be_sent_to_is_over_without_a_word(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        service = service_with()
        fake = FakeSocket(service, [CONNECT], send_error=error)
        await module.realtime(fake.socket)
        assert service.calls == set()
        assert fake.closed == []

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert caplog.records == []


def test_a_client_that_does_not_read_is_dropped_and_its_call_is_freed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(module, "CLOSE_TIMEOUT_S", 0.01)
        service = service_with(send_deadline_s=0.01)
        fake = FakeSocket(service, [CONNECT], reads=False)
        await module.realtime(fake.socket)
        assert service.calls == set()
        assert fake.closed == [1008]
        await fake.aborted.wait()

    run(scenario())


def test_a_connection_that_the_client_closed_is_dropped_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(module, "CLOSE_TIMEOUT_S", 0.01)
        gone = {"type": "websocket.disconnect", "code": 1009}
        fake = FakeSocket(service_with(), [CONNECT, gone])
        await module.realtime(fake.socket)
        assert fake.closed == []
        await fake.aborted.wait()  # what is still to be written must not keep it

    run(scenario())


def test_a_client_that_goes_while_it_is_told_good_bye_is_no_error() -> None:
    async def scenario() -> None:
        fake = FakeSocket(service_with(session_max_s=0.01), [CONNECT])

        async def gone(message: Any) -> None:
            if message["type"] == "websocket.close":
                raise OSError("gone")

        fake.socket = WebSocket(fake.socket.scope, fake._receive, gone)
        await module.realtime(fake.socket)

    run(scenario())


@pytest.mark.parametrize("place", ["open", "receive_text", "close"])
def test_a_bug_in_a_call_closes_it_with_1011_and_frees_its_place(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async def bug_later(*_: object) -> None:
            raise ZeroDivisionError

        def bug(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(Call, place, bug_later if place == "receive_text" else bug)
        service = service_with()
        text = {"type": "websocket.receive", "text": "{}"}
        fake = FakeSocket(service, [CONNECT, text])
        if place == "close":
            fake._messages[1:] = [{"type": "websocket.disconnect", "code": 1000}]
        with pytest.raises((ZeroDivisionError, ExceptionGroup)):
            await module.realtime(fake.socket)
        assert service.calls == set()
        assert fake.closed == ([] if place == "close" else [1011])

    run(scenario())


def test_a_cancelled_connection_frees_its_place() -> None:
    async def scenario() -> None:
        service = service_with()
        fake = FakeSocket(service, [CONNECT])
        serving = asyncio.create_task(module.realtime(fake.socket))
        await fake.is_greeted.wait()
        assert len(service.calls) == 1
        serving.cancel()
        await asyncio.wait({serving})
        assert service.calls == set()
        assert fake.closed == [1011]

    run(scenario())


def test_many_small_messages_at_once_do_not_hold_up_the_others() -> None:
    async def scenario() -> None:
        text = {"type": "websocket.receive", "text": "{}"}
        gone = {"type": "websocket.disconnect", "code": 1000}
        fake = FakeSocket(service_with(), [CONNECT, *[dict(text) for _ in range(50)], gone])
        serving = asyncio.create_task(module.realtime(fake.socket))
        num_turns = 0
        while not serving.done():
            num_turns += 1
            await asyncio.sleep(0)
        assert num_turns >= 50

    run(scenario())
