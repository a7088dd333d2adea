import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from assistant.config import Config, EngineConfig, ServerConfig, VadConfig
from assistant.gateway import app
from assistant.gateway.engine_client import EngineClient
from assistant.gateway.service import Service
from tests.gateway.test_websocket import client_of, connected, refused

SECRETS = "/v1/realtime/client_secrets"


@pytest.fixture
def service() -> Service:
    config = Config(
        vad=VadConfig(engine="webrtc"),
        server=ServerConfig(max_client_secrets=2),
        engine=EngineConfig(model="org/fake"),
    )
    return Service(config, EngineClient(), ("k",), "fake")


@pytest.fixture
def stranger(service: Service) -> Iterator[TestClient]:
    with TestClient(app.build(service)) as client:
        yield client


@pytest.fixture
def client(stranger: TestClient) -> TestClient:
    stranger.headers["authorization"] = "Bearer k"
    return stranger


def issue(client: TestClient, **session: Any) -> dict[str, Any]:
    body = {"session": {"type": "realtime", **session}} if session else {}
    answer = client.post(SECRETS, json=body)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    told: dict[str, Any] = answer.json()
    return told


# --- models ------------------------------------------------------------------------------


def test_the_model_is_listed_as_stock_clients_expect(client: TestClient) -> None:
    listed = client.get("/v1/models").json()
    assert listed["object"] == "list"
    assert listed["data"] == [
        {"id": "fake", "object": "model", "created": 0, "owned_by": "local"}
    ]


@pytest.mark.parametrize("name", ["fake", "org/fake", "org%2Ffake"])
def test_the_model_is_found_by_its_names(client: TestClient, name: str) -> None:
    assert client.get(f"/v1/models/{name}").json()["object"] == "model"


def test_another_model_is_not_found(client: TestClient) -> None:
    answer = client.get("/v1/models/gpt-9")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/models"), ("GET", "/v1/models/fake"), ("POST", SECRETS)],
)
def test_without_a_key_nothing_is_told(
    stranger: TestClient, method: str, path: str
) -> None:
    answer = stranger.request(method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "invalid_api_key"


# --- client secrets ----------------------------------------------------------------------


def test_a_secret_comes_with_the_whole_session_and_its_end(client: TestClient) -> None:
    told = issue(client, instructions="Be short.", assistant={"task": "transcribe"})
    assert told["value"].startswith("ek_")
    assert abs(told["expires_at"] - time.time() - 600) < 5
    session = told["session"]
    assert session["instructions"] == "Be short."
    assert session["assistant"]["task"]["type"] == "transcribe"
    assert (session["object"], session["expires_at"]) == ("realtime.session", 0)


@pytest.mark.parametrize("way", ["header", "subprotocol"])
def test_a_secret_opens_sessions_with_its_settings(
    client: TestClient, service: Service, way: str
) -> None:
    value = issue(client, instructions="Be short.", turn_detection=None)["value"]
    del client.headers["authorization"]
    options: dict[str, Any] = (
        {"headers": {"authorization": f"Bearer {value}"}}
        if way == "header"
        else {"subprotocols": ["realtime", f"openai-insecure-api-key.{value}"]}
    )
    for _ in range(2):
        with (
            client_of(service) as other,
            connected(service, other, **options) as connection,
        ):
            session = connection.receive_json()["session"]
            assert session["instructions"] == "Be short."
            assert session["audio"]["input"]["turn_detection"] is None


def test_an_expired_or_invented_secret_opens_nothing(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = issue(client)["value"]
    del client.headers["authorization"]
    assert refused(client, authorization="Bearer ek_0123") == (401, "invalid_api_key")
    later = time.time() + 601
    monkeypatch.setattr(time, "time", lambda: later)
    assert refused(client, authorization=f"Bearer {value}") == (401, "invalid_api_key")


def test_a_secret_issues_no_others(client: TestClient) -> None:
    value = issue(client)["value"]
    answer = client.post(SECRETS, headers={"authorization": f"Bearer {value}"})
    assert answer.status_code == 401


def test_there_are_only_so_many(client: TestClient) -> None:
    issue(client)
    issue(client)
    answer = client.post(SECRETS)
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "rate_limit_exceeded"
    assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"{", 400, None),
        (b'{"session": {"type": "dance"}}', 400, "session.type"),
        (b'{"session": {"max_output_tokens": 0}}', 400, "session.max_output_tokens"),
        (b'{"session": {"assistant": {"task": "sing"}}}', 400, "session.assistant.task"),
        (b'{"expires_after": {"seconds": 1}}', 400, "expires_after.seconds"),
        (b" " * 65_537, 413, None),
    ],
)
def test_bad_requests_are_refused_and_issue_nothing(
    client: TestClient, service: Service, body: bytes, status: int, param: str | None
) -> None:
    answer = client.post(SECRETS, content=body)
    assert answer.status_code == status
    assert answer.json()["error"]["param"] == param
    issue(client)
    issue(client)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", SECRETS),
        ("POST", "/v1/models"),
        ("DELETE", "/v1/models/fake"),
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/embeddings"),
        ("GET", "/v1/realtime"),
    ],
)
def test_what_is_not_there_is_said_in_the_words_of_the_protocol(
    client: TestClient, method: str, path: str
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "unknown_url"
