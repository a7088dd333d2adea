import json
from typing import Any

import pytest

from assistant.cli.completion_client import CompletionClient, deltas, http_address
from assistant.errors import CommandError
from tests.cli.fake_completions import FakeCompletions, serving


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("localhost:8000", "http://localhost:8000"),
        ("ws://localhost:8000/v1/realtime", "http://localhost:8000"),
        ("https://kiosk.example/v1", "https://kiosk.example"),
        ("wss://kiosk.example", "https://kiosk.example"),
        ("[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_what_a_person_types_becomes_an_address(typed: str, address: str) -> None:
    assert http_address(typed) == address


@pytest.mark.parametrize("typed", ["", "ftp://x", "http://", "localhost:0", "x:y"])
def test_what_is_no_address_is_said(typed: str) -> None:
    with pytest.raises(CommandError, match="is not an address"):
        http_address(typed)


def test_an_answer_is_yielded_as_it_comes() -> None:
    fake = FakeCompletions(answers=[["A red ", "cup."]], key="k")
    with serving(fake) as address:
        client = CompletionClient(address=address, key="k")
        content = [{"type": "text", "text": "What?"}]
        assert list(client.ask(client.model(), content, seed=3)) == ["A red ", "cup."]
    (body,) = fake.bodies
    assert body["model"] == "fake"
    assert body["messages"] == [{"role": "user", "content": content}]
    assert (body["stream"], body["seed"]) == (True, 3)


def test_a_refusal_is_one_line_with_what_to_do() -> None:
    with serving(FakeCompletions(key="k")) as address:
        client = CompletionClient(address=address)
        with pytest.raises(CommandError, match=r"invalid_api_key: .*ASSISTANT_API_KEY"):
            client.model()


def test_a_service_that_is_not_there_is_named() -> None:
    with serving(FakeCompletions()) as address:
        pass
    with pytest.raises(CommandError, match="is the service running there"):
        CompletionClient(address=address).model()


def test_silence_has_an_end() -> None:
    fake = FakeCompletions(answers=[["A red "]], hangs=True)
    with serving(fake) as address:
        client = CompletionClient(address=address, timeout_s=0.2)
        with pytest.raises(CommandError, match=r"nothing came for 0\.2 s"):
            list(client.ask("fake", []))


def line(event: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "before the answer was whole"),
        ([line({"choices": []})], "before the answer was whole"),
        (
            [line({"error": {"code": "engine_gone", "message": "It stopped."}})],
            "It stopped",
        ),
        ([b"data: {\n"], "what is no answer"),
        ([b"data: []\n"], "what is no answer"),
        ([line({"choices": [{"delta": None}]})], "what is no answer"),
    ],
)
def test_a_stream_that_is_none_or_reports_an_error_fails(
    lines: list[bytes], says: str
) -> None:
    with pytest.raises(CommandError, match=says):
        list(deltas(lines))


def test_comments_and_chunks_without_text_are_passed_over() -> None:
    lines = [
        b": keep alive\n",
        b"\n",
        line({"choices": [{"delta": {"role": "assistant", "content": ""}}]}),
        line({"choices": [{"delta": {"content": "Yes."}}]}),
        line({"choices": [], "usage": {}}),
        b"data: [DONE]\n",
        b"nothing after this counts",
    ]
    assert list(deltas(lines)) == ["Yes."]
