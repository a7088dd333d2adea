"""The HTTP endpoints of the whole service: clients that vanish, stall or show no key."""

import http.client
import json
import socket
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.service.harness import DATA, Client, RunningService, running
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.service

PATH = "/v1/chat/completions"


def request_of(**keys: Any) -> bytes:
    messages = [{"role": "user", "content": "tell me a long story"}]
    return json.dumps({"model": "talkative", "messages": messages, **keys}).encode()


def ask(
    service: RunningService, body: bytes, **headers: str
) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return status, document and headers of one answer."""
    parts = urlsplit(service.url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=PATIENCE_S
    )
    try:
        connection.request("POST", PATH, body, headers)
        answer = connection.getresponse()
        names = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, json.loads(answer.read()), names
    finally:
        connection.close()


def streaming(service: RunningService, **keys: Any) -> socket.socket:
    """Begin a stream; return the socket once the first word is there."""
    body = request_of(stream=True, **keys)
    parts = urlsplit(service.url)
    sock = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    sock.sendall(head.encode() + body)
    received = b""
    while b'"content":"' not in received.replace(b'"content":""', b""):
        received += sock.recv(4096)
    return sock


def wait_until_idle(service: RunningService) -> None:
    wait_until(lambda: not service.get("/health")["requests"], "the end of all requests")


def test_a_client_that_vanishes_ends_its_generation_and_is_no_error(
    service: RunningService,
) -> None:
    service.log()  # of the tests before
    streaming(service, max_tokens=4000).close()
    wait_until_idle(service)
    logged = service.log()
    assert "client left after" in logged
    assert "ERROR" not in logged
    status, told, _ = ask(service, request_of(max_tokens=4))
    assert status == 200
    assert told["usage"]["completion_tokens"] == 4


def test_a_body_over_the_bound_is_refused_before_it_is_read(
    service: RunningService,
) -> None:
    parts = urlsplit(service.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S) as sock:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {10**12}\r\n\r\n"
        sock.sendall(head.encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_keys_are_the_same_as_for_sessions(arguments: tuple[str, ...]) -> None:
    with running(*arguments, environment={"ASSISTANT_API_KEYS": "k"}) as service:
        status, told, headers = ask(service, request_of())
        assert (status, told["error"]["code"]) == (401, "invalid_api_key")
        assert headers["www-authenticate"] == "Bearer"
        right = {"Authorization": "Bearer k"}
        assert ask(service, request_of(max_tokens=4), **right)[0] == 200
        with Client(service.url, additional_headers=right) as client:
            assert client.ask("hello", max_output_tokens=4)["status"] == "incomplete"


def test_a_page_of_another_origin_gets_nothing(service: RunningService) -> None:
    status, told, headers = ask(service, request_of(), Origin="https://evil.example")
    assert (status, told["error"]["code"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in headers


def test_sessions_and_completions_are_answered_side_by_side(
    service: RunningService,
) -> None:
    with streaming(service, max_tokens=400), Client(service.url) as client:
        assert client.ask("hello", max_output_tokens=8)["usage"]["output_tokens"] == 8


def test_a_question_from_the_command_line_is_answered_by_a_service_of_its_own(
    arguments: tuple[str, ...],
) -> None:
    own = [sys.executable, "-m", "assistant", "ask", *arguments]
    sound = ["--task", "transcribe", "--audio", str(DATA / "LJ001-0002.flac")]
    done = subprocess.run(
        [*own, *sound], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0
    assert done.stdout.strip()
    assert done.stderr == ""


def test_an_answer_that_has_begun_ends_well_when_the_service_is_told_to_stop(
    arguments: tuple[str, ...],
) -> None:
    with running(*arguments) as service:
        sock = streaming(service, max_tokens=100)
        service.process.terminate()
        received = b""
        with sock:
            while data := sock.recv(2**16):
                received += data
        assert b"data: [DONE]" in received
        assert service.process.wait(timeout=PATIENCE_S) == 0
        service.stop()  # which closes its pipes
