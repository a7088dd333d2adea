from assistant.config import Config
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
