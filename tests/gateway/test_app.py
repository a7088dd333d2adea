from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from assistant.config import Config, VadConfig
from assistant.gateway import app
from assistant.gateway.engine_client import EngineClient
from assistant.gateway.service import Service
from tests.turns.harness import READY


@pytest.fixture
def service() -> Service:
    return Service(Config(vad=VadConfig(engine="webrtc")), EngineClient(), (), "fake")


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(app.build(service)) as client:
        yield client


def health(client: TestClient) -> dict[str, Any]:
    answer = client.get("/health")
    assert answer.status_code == 200  # the gateway is alive, whatever the engine does
    told: dict[str, Any] = answer.json()
    return told


def test_health_tells_of_the_engine_while_there_is_one(
    client: TestClient, service: Service
) -> None:
    away = health(client)
    assert (away["status"], away["engine"], away["is_meaningless"]) == (
        "degraded",
        None,
        None,
    )
    service.engine.ready = READY
    there = health(client)
    assert (there["status"], there["model"], there["sessions"]) == ("ok", "fake", 0)
    assert there["requests"] == 0
    assert there["engine"] == {
        "device": "cpu",
        "dtype": "float32",
        "max_sequence_tokens": 4096,
        "num_slots": 2,
        "fallbacks": [],
    }
    assert there["is_meaningless"] is True


def test_ready_means_that_a_turn_would_be_answered_now(
    client: TestClient, service: Service
) -> None:
    assert client.get("/ready").status_code == 503
    service.engine.ready = READY
    assert client.get("/ready").json() == {"ready": True}
    service.is_draining = True
    assert client.get("/ready").status_code == 503


@pytest.mark.parametrize("path", ["/", "/health", "/v1/models", "/nothing"])
def test_every_answer_forbids_what_the_page_does_not_need(
    client: TestClient, path: str
) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-cache"


def test_the_page_is_served_and_nothing_outside_its_folder(client: TestClient) -> None:
    assert "text/html" in client.get("/").headers["content-type"]
    for path in ("/../pyproject.toml", "/%2e%2e/pyproject.toml", "/nothing"):
        assert client.get(path).status_code == 404


def test_methods_and_paths_that_do_not_exist_are_no_errors_of_ours(
    client: TestClient,
) -> None:
    assert client.post("/health").status_code == 405
    assert client.get("/v1/realtime").status_code == 404
