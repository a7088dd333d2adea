"""Several connections of one call: one that looks on, one that takes over."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from assistant.gateway.service import Service
from tests.gateway.test_websocket import PATH, client_of, connected, service_with

ITEM = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "hello"}],
}


@contextmanager
def joined(service: Service, client: TestClient, extra: str = "") -> Iterator[Any]:
    (call,) = service.calls
    with client.websocket_connect(f"{PATH}?call_id={call.id}{extra}") as connection:
        yield connection


def test_who_joins_is_greeted_and_both_hear_what_either_does() -> None:
    service = service_with()
    with client_of(service) as client, connected(service, client) as first:
        created = first.receive_json()
        with joined(service, client) as second:
            greeting = second.receive_json()
            assert greeting["session"]["id"] == created["session"]["id"]
            second.send_json({"type": "conversation.item.create", "item": ITEM})
            for connection in (first, second):
                assert connection.receive_json()["type"] == "conversation.item.added"
                assert connection.receive_json()["type"] == "conversation.item.done"
            second.send_json({"type": "nonsense"})
            assert second.receive_json()["type"] == "error"
            second.close()
        first.send_json({"type": "input_audio_buffer.clear"})
        assert first.receive_json()["type"] == "input_audio_buffer.cleared"
        assert len(service.calls) == 1


def test_who_takes_over_leads_and_hears_what_was_missed() -> None:
    service = service_with()
    with client_of(service) as client, client.websocket_connect(PATH) as first:
        created = first.receive_json()
        first.send_json({"type": "conversation.item.create", "item": ITEM})
        extra = f"&takeover=true&last_event_id={created['event_id']}"
        first.receive_json()
        with joined(service, client, extra) as second:
            assert [first.receive_json()["type"]] == ["conversation.item.done"]
            with pytest.raises(WebSocketDisconnect) as closed:
                first.receive_json()
            assert closed.value.code == 1000
            types = [second.receive_json()["type"] for _ in range(3)]
            assert types[0] == "session.created"
            assert types[1] == "conversation.item.added"
            assert len(service.calls) == 1
            second.close()
            while service.calls:
                second.portal.call(asyncio.sleep, 0)


def test_an_unknown_call_cannot_be_joined() -> None:
    service = service_with()
    with (
        client_of(service) as client,
        pytest.raises(WebSocketDenialResponse) as caught,
        client.websocket_connect(f"{PATH}?call_id=rtc_0"),
    ):
        pass
    assert caught.value.status_code == 404
    assert caught.value.json()["error"]["code"] == "call_not_found"
