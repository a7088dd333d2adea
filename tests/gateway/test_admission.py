import asyncio
import time

import pytest
from starlette.datastructures import Headers

from assistant.config import Config, ServerConfig, VadConfig
from assistant.gateway.admission import admit
from assistant.gateway.call import Call
from assistant.gateway.engine_client import EngineClient
from assistant.gateway.service import Service
from assistant.wire.client_events import SessionPatch
from assistant.wire.refusals import EventRefused

CONFIG = Config(vad=VadConfig(engine="webrtc"), server=ServerConfig(max_sessions=1))


def service() -> Service:
    return Service(CONFIG, EngineClient(), ("key",), "fake")


def code(service: Service, *, is_new: bool = True, **headers: str) -> str | None:
    with pytest.raises(EventRefused) as caught:
        admit(Headers(headers), service, is_new=is_new)
    return caught.value.code


def test_a_key_and_a_secret_let_in_and_the_secret_is_returned() -> None:
    at = service()
    assert admit(Headers({"authorization": "Bearer key"}), at) is None
    value, secret = at.secrets.issue(SessionPatch(), 60, time.time())
    assert admit(Headers({"authorization": f"Bearer {value}"}), at) is secret


def test_strangers_and_pages_of_elsewhere_are_kept_out() -> None:
    assert code(service()) == "invalid_api_key"
    assert code(service(), authorization="Bearer other") == "invalid_api_key"
    evil = "https://evil.example"
    assert code(service(), authorization="Bearer key", origin=evil) == "origin_not_allowed"


def test_nobody_new_comes_in_while_it_drains_or_when_it_is_full() -> None:
    async def scenario() -> None:
        at = service()
        at.is_draining = True
        assert code(at, authorization="Bearer key") == "server_shutting_down"
        at.is_draining = False
        call = Call(at.config, at.engine, "fake")
        at.calls.add(call)
        assert code(at, authorization="Bearer key") == "session_limit_reached"
        assert admit(Headers({"authorization": "Bearer key"}), at, is_new=False) is None
        assert code(at, is_new=False) == "invalid_api_key"
        at.end(call)
        at.end(call)
        assert admit(Headers({"authorization": "Bearer key"}), at) is None

    asyncio.run(scenario())
