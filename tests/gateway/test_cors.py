from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from assistant.config import Config, ServerConfig
from assistant.gateway import app
from assistant.gateway.cors import allowed_headers
from assistant.gateway.engine_client import EngineClient
from assistant.gateway.service import Service

KIOSK = "https://kiosk.example"
PATHS = ("/v1/realtime/client_secrets", "/v1/chat/completions", "/v1/realtime/calls")


@pytest.fixture
def client() -> Iterator[TestClient]:
    config = Config(server=ServerConfig(allowed_origins=(KIOSK,)))
    service = Service(config, EngineClient(), (), "fake")
    with TestClient(app.build(service), base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", [KIOSK, "http://localhost"])
def test_a_preflight_of_an_allowed_page_is_granted(
    client: TestClient, path: str, origin: str
) -> None:
    asked = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,x-stainless-os,x-evil",
    }
    answer = client.options(path, headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == origin
    assert "POST" in answer.headers["access-control-allow-methods"]
    granted = answer.headers["access-control-allow-headers"]
    for name in ("authorization", "content-type", "x-openai-agents-sdk", "x-stainless-os"):
        assert name in granted
    assert "x-evil" not in granted
    assert "origin" in answer.headers["vary"].lower()


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", KIOSK + ".evil.example", "http://[x"]
)
def test_other_pages_are_refused_and_cannot_read_why(
    client: TestClient, origin: str
) -> None:
    for answer in (
        client.options(PATHS[0], headers={"origin": origin}),
        client.post(PATHS[0], headers={"origin": origin}),
        client.get("/v1/models", headers={"origin": origin}),
    ):
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "origin_not_allowed"
        assert "access-control-allow-origin" not in answer.headers


def test_answers_and_refusals_are_readable_for_an_allowed_page(client: TestClient) -> None:
    for answer in (
        client.get("/v1/models", headers={"origin": KIOSK}),
        client.post("/v1/chat/completions", headers={"origin": KIOSK}),
    ):
        assert answer.headers["access-control-allow-origin"] == KIOSK
        assert "location" in answer.headers["access-control-expose-headers"]


def test_what_does_not_come_from_a_page_needs_none_of_this(client: TestClient) -> None:
    answer = client.get("/v1/models")
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    assert client.options(PATHS[0]).status_code == 204
    assert "vary" not in client.get("/health").headers


def test_only_the_platform_headers_of_stock_clients_are_added() -> None:
    granted = allowed_headers(" X-Stainless-OS , x-evil,, authorization")
    assert granted[-1] == "x-stainless-os"
    assert granted.count("authorization") == 1
    assert "x-evil" not in granted
