import base64
import json
from typing import Any

import pytest

from assistant.wire import chat
from assistant.wire.refusals import EventRefused

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]


def decode(**body: Any) -> chat.ChatRequest:
    return chat.decode(json.dumps({"model": "m", "messages": HELLO, **body}).encode())


def refusal(body: bytes) -> tuple[str | None, str | None]:
    with pytest.raises(EventRefused) as caught:
        chat.decode(body)
    return caught.value.code, caught.value.param


def parts(*content: dict[str, Any]) -> bytes:
    messages = [{"role": "user", "content": list(content)}]
    return json.dumps({"model": "m", "messages": messages}).encode()


def test_words_pictures_and_recordings_are_read() -> None:
    data = base64.b64encode(b"RIFF").decode()
    request = chat.decode(
        parts(
            {"type": "text", "text": "What?"},
            {"type": "image_url", "image_url": {"url": "data:x", "detail": "high"}},
            {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
        )
    )
    assert request.messages[0].content == [
        chat.TextPart("What?"),
        chat.ImagePart(chat.ImageUrl("data:x", "high")),
        chat.AudioPart(chat.Recording(b"RIFF", "wav")),
    ]


def test_unknown_keys_are_ignored_and_null_is_the_same_as_absent() -> None:
    request = decode(store=True, user="u", temperature=None, stop=None, stream=None)
    assert request.temperature is None
    assert not request.stream


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"\xff", "invalid_json", None),
        (b'{"model": "m"', "invalid_json", None),
        (b"[" * 100_000, "invalid_value", ""),
        (b"[]", "invalid_value", ""),
        (b'{"messages": []}', "missing_required_parameter", "model"),
        (b'{"model": "m"}', "missing_required_parameter", "messages"),
        (b'{"model": "m", "messages": "hi"}', "invalid_value", "messages"),
        (b'{"model": 7, "messages": []}', "invalid_value", "model"),
        (
            b'{"model": "m", "messages": [{"role": "robot", "content": ""}]}',
            "invalid_value",
            "messages[0].role",
        ),
        (
            b'{"model": "m", "messages": [], "temperature": "hot"}',
            "invalid_value",
            "temperature",
        ),
        (
            b'{"model": "m", "messages": [], "stream": "yes"}',
            "invalid_value",
            "stream",
        ),
    ],
)
def test_what_is_no_request_is_refused_with_the_place(
    body: bytes, code: str, param: str | None
) -> None:
    assert refusal(body) == (code, param)


@pytest.mark.parametrize(
    ("part", "at"),
    [
        ({"type": "video"}, "messages[0].content[0].type"),
        ({"type": "text"}, "messages[0].content[0].text"),
        ({"type": "image_url", "image_url": "data:x"}, ".image_url"),
        (
            {"type": "input_audio", "input_audio": {"data": "%%%", "format": "wav"}},
            ".data",
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "", "format": "midi"}},
            ".format",
        ),
    ],
)
def test_what_is_no_part_is_refused(part: dict[str, Any], at: str) -> None:
    code, param = refusal(parts(part))
    assert code in ("invalid_value", "missing_required_parameter")
    assert param is not None
    assert param.endswith(at)


def test_an_event_is_one_line_whatever_the_text_holds() -> None:
    delta = chat.Delta(content="one\ntwo\r\n\ndata: [DONE]\n\n")
    data = chat.event(
        chat.Chunk(id="c", created=1, model="m", choices=[chat.ChunkChoice(delta)])
    )
    assert data.startswith(b"data: {")
    assert data.endswith(b"}\n\n")
    assert data.count(b"\n") == 2
    told = json.loads(data.removeprefix(b"data: "))
    assert told["choices"][0]["delta"] == {"content": "one\ntwo\r\n\ndata: [DONE]\n\n"}
    assert told["choices"][0]["finish_reason"] is None
    assert "usage" not in told


def test_a_completion_has_every_field_that_clients_read() -> None:
    completion = chat.ChatCompletion(
        id="c",
        created=1,
        model="m",
        choices=[chat.Choice(chat.AnswerMessage("Yes."), "stop")],
        usage=chat.Usage(
            prompt_tokens=1,
            completion_tokens=2,
            total_tokens=3,
            prompt_tokens_details=chat.PromptDetails(),
        ),
    )
    told = json.loads(chat.encode(completion))
    assert told["object"] == "chat.completion"
    assert told["choices"][0]["message"] == {
        "role": "assistant",
        "content": "Yes.",
        "refusal": None,
    }
    assert told["usage"]["total_tokens"] == 3
    assert "assistant" not in told
