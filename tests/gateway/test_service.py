import asyncio

import pytest

from assistant.config import Config, VadConfig
from assistant.errors import ConfigError
from assistant.gateway.call import Call
from assistant.gateway.engine_client import EngineClient
from assistant.gateway.service import Service
from tests.turns.harness import READY


def test_a_service_is_ready_with_an_engine_and_until_it_drains() -> None:
    service = Service(Config(), EngineClient(), (), "fake")
    assert not service.is_ready
    service.engine.ready = READY
    assert service.is_ready
    service.is_draining = True
    assert not service.is_ready


def test_a_network_that_cannot_be_loaded_stops_the_service_and_not_its_sessions() -> None:
    config = Config(vad=VadConfig(turn_model="/nowhere.onnx"))
    with pytest.raises(ConfigError, match="nowhere"):
        Service(config, EngineClient(), (), "fake")


def test_memory_is_tidied_once_the_last_session_has_left() -> None:
    async def scenario() -> list[int]:
        num_open: list[int] = []
        config = Config(vad=VadConfig(engine="webrtc"))
        service = Service(config, EngineClient(), (), "fake", tidy_after_s=0.0)
        service.tidy = lambda: num_open.append(len(service.calls))
        calls = [Call(config, service.engine, "fake") for _ in range(2)]
        service.calls.update(calls)
        for call in calls:
            call.open()
            service.end(call)
            await asyncio.sleep(0.01)
        return num_open

    assert asyncio.run(scenario()) == [0]
