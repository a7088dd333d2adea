from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from assistant.config import Config, VadConfig
from assistant.gateway import app
from assistant.gateway.engine_client import EngineClient
from assistant.gateway.metrics import CONTENT_TYPE, PREFIX, Metric, metrics_of
from assistant.gateway.service import Service
from assistant.turns.tally import Tally
from tests.turns.harness import READY


@pytest.fixture
def service() -> Service:
    return Service(Config(vad=VadConfig(engine="webrtc")), EngineClient(), ("k",), "fake")


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(app.build(service)) as client:
        yield client


def values(service: Service) -> dict[str, float]:
    return {metric.name: metric.value for metric in metrics_of(service)}


def test_what_was_done_early_and_what_came_of_it_is_told(service: Service) -> None:
    service.engine.load.total.add(
        Tally(num_speculations=5, num_confirmed=3, won_s=1.25, num_read=40, num_wasted=7)
    )
    told = values(service)
    assert told["speculations_total"] == 5
    assert told["speculations_confirmed_total"] == 3
    assert told["won_seconds_total"] == 1.25
    assert (told["tokens_read_total"], told["tokens_wasted_total"]) == (40, 7)


def test_who_is_served_now_is_told(service: Service) -> None:
    assert values(service)["ready"] == 0
    service.engine.ready = READY
    load = service.engine.load
    load.num_slots = 8
    load.answer("a")
    load.speculate("b")
    load.speculate("c")
    told = values(service)
    assert (told["ready"], told["slots"], told["sessions"]) == (1, 8, 0)
    assert (told["answering"], told["speculating"]) == (1, 2)


def test_every_number_has_its_type_and_its_meaning() -> None:
    assert str(Metric("tries_total", 3, "Tries.")) == (
        f"# HELP {PREFIX}tries_total Tries.\n"
        f"# TYPE {PREFIX}tries_total counter\n"
        f"{PREFIX}tries_total 3\n"
    )
    assert Metric("sessions", 0, "Sessions.").type == "gauge"


def test_names_are_told_once(service: Service) -> None:
    names = [metric.name for metric in metrics_of(service)]
    assert len(set(names)) == len(names)


def test_with_a_key_they_are_read_as_prometheus_does(client: TestClient) -> None:
    assert client.get("/metrics").status_code == 401
    answer = client.get("/metrics", headers={"authorization": "Bearer k"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == CONTENT_TYPE
    samples = [line for line in answer.text.splitlines() if not line.startswith("#")]
    assert all(line.startswith(PREFIX) for line in samples)
    assert f"{PREFIX}sessions 0" in samples
    assert answer.text.endswith("\n")


def test_large_counts_lose_nothing() -> None:
    assert str(Metric("tokens_read_total", 123_456_789, "")).endswith(" 123456789\n")
