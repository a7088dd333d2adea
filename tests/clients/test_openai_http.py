"""The stock ``openai`` client over HTTP: completions, models, and keys for sessions."""

import asyncio
import base64
import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageFunctionToolCall

from tests.service.harness import DATA, REPLY_TOKENS, RunningService
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.clients

HELLO: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(service: RunningService) -> OpenAI:
    return OpenAI(base_url=f"{service.url}/v1", api_key="unused", max_retries=0)


def encoded(name: str) -> str:
    return base64.b64encode((DATA / name).read_bytes()).decode()


def picture(name: str = "bottles.jpg") -> dict[str, Any]:
    url = f"data:image/jpeg;base64,{encoded(name)}"
    return {"type": "image_url", "image_url": {"url": url}}


def sound(name: str, form: str) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": encoded(name), "format": form}}


def user(*content: dict[str, Any]) -> Any:
    return [{"role": "user", "content": list(content)}]


# --- completions -------------------------------------------------------------------------


def test_the_same_question_has_the_same_answer_at_once_and_streamed(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="talkative", messages=HELLO, seed=1)
    assert whole.choices[0].finish_reason == "length"
    assert whole.usage is not None
    assert whole.usage.completion_tokens == REPLY_TOKENS
    with client.chat.completions.create(
        model="talkative",
        messages=HELLO,
        seed=1,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)
    words = [c.choices[0].delta.content or "" for c in chunks if c.choices]
    assert "".join(words) == whole.choices[0].message.content
    assert len(words) > 20
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices == []
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens == whole.usage.completion_tokens
    assert usage.prompt_tokens == whole.usage.prompt_tokens
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens  # it was read for the first already


def test_pictures_sound_and_history_are_read(client: OpenAI) -> None:
    messages: Any = [
        {"role": "system", "content": "Be short."},
        *user(picture(), sound("LJ001-0002.flac", "flac"), {"type": "text", "text": "?"}),
        {"role": "assistant", "content": "A bottle."},
        *user(sound("google_today.wav", "wav")),
    ]
    answer = client.chat.completions.create(
        model="talkative", messages=messages, max_tokens=4
    )
    assert answer.usage is not None
    details = answer.usage.prompt_tokens_details
    assert details is not None
    assert details.audio_tokens is not None
    assert details.audio_tokens > 25  # 2.5 s, 12.5 tokens each
    assert answer.usage.prompt_tokens > details.audio_tokens + 100  # the picture
    assert answer.usage.completion_tokens == 4


def test_a_task_is_asked_for_beside_the_standard_keys(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="talkative",
        messages=user(sound("google_today.wav", "wav")),
        max_tokens=4,
        extra_body={"assistant": {"task": "transcribe"}},
    )
    told: Any = answer.model_extra
    assert told["assistant"]["task"]["type"] == "transcribe"


def test_a_stop_string_ends_the_answer_before_itself(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="talkative", messages=HELLO)
    text = whole.choices[0].message.content or ""
    stop = text[10:14]
    short = client.chat.completions.create(model="talkative", messages=HELLO, stop=stop)
    assert short.choices[0].message.content == text[: text.index(stop)]
    assert short.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("keys", "kind", "code"),
    [
        ({"model": "gpt-9"}, openai.NotFoundError, "model_not_found"),
        ({"messages": []}, openai.BadRequestError, "invalid_value"),
        ({"n": 2}, openai.BadRequestError, "invalid_value"),
        (
            {"messages": [{"role": "user", "content": "x" * 60_000}]},
            openai.BadRequestError,
            "context_length_exceeded",
        ),
        (
            {"messages": user({"type": "image_url", "image_url": {"url": "http://x/"}})},
            openai.BadRequestError,
            "invalid_value",
        ),
    ],
)
def test_errors_are_those_the_client_knows(
    client: OpenAI, keys: dict[str, Any], kind: type[openai.APIStatusError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**{"model": "talkative", "messages": HELLO, **keys})
    assert caught.value.code == code


# --- tools -------------------------------------------------------------------------------

LIGHT: Any = {
    "type": "function",
    "function": {
        "name": "set_light",
        "description": "Turn a light on or off.",
        "parameters": {
            "type": "object",
            "properties": {"on": {"type": "boolean"}, "room": {"enum": ["hall", "attic"]}},
            "required": ["on", "room"],
            "additionalProperties": False,
        },
    },
}


@pytest.mark.parametrize("stream", [False, True])
def test_a_demanded_call_keeps_to_its_schema_and_its_result_is_read(
    client: OpenAI, stream: bool
) -> None:
    keys: Any = {"model": "talkative", "tools": [LIGHT], "tool_choice": "required"}
    if stream:
        with client.chat.completions.stream(messages=HELLO, **keys) as events:
            choice = events.get_final_completion().choices[0]
    else:
        choice = client.chat.completions.create(messages=HELLO, **keys).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    (call,) = choice.message.tool_calls
    assert isinstance(call, ChatCompletionMessageFunctionToolCall)
    assert call.function.name == "set_light"
    arguments = json.loads(call.function.arguments)
    assert set(arguments) == {"on", "room"}
    assert arguments["room"] in ("hall", "attic")
    calls: Any = [call.model_dump(include={"id", "type", "function"})]
    messages: Any = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": call.id, "content": "done"},
    ]
    after = client.chat.completions.create(
        model="talkative", messages=messages, tools=[LIGHT], max_tokens=4
    )
    assert after.choices[0].finish_reason == "length"


def test_with_tools_and_a_form_the_answer_is_a_call_or_has_the_form(
    client: OpenAI,
) -> None:
    form: Any = {
        "type": "json_schema",
        "json_schema": {"name": "cup", "schema": {"enum": ["red", "blue", 7, None]}},
    }
    for seed in range(6):
        (choice,) = client.chat.completions.create(
            model="talkative",
            messages=HELLO,
            tools=[LIGHT],
            response_format=form,
            temperature=2.0,
            seed=seed,
        ).choices
        if choice.finish_reason == "tool_calls":
            assert not choice.message.content
            assert choice.message.tool_calls
        else:
            assert choice.finish_reason == "stop"
            assert json.loads(choice.message.content or "") in ("red", "blue", 7, None)


# --- models and client secrets -----------------------------------------------------------


def test_the_model_can_be_looked_up(client: OpenAI) -> None:
    assert client.models.retrieve("talkative").id == "talkative"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-9")


def test_an_issued_key_opens_a_session_with_its_settings(
    client: OpenAI, service: RunningService
) -> None:
    secret = client.realtime.client_secrets.create(
        expires_after={"anchor": "created_at", "seconds": 60},
        session={"type": "realtime", "instructions": "Be short."},
    )
    assert secret.value.startswith("ek_")

    async def talk() -> Any:
        other = AsyncOpenAI(base_url=f"{service.url}/v1", api_key=secret.value)
        async with other.realtime.connect(model="talkative") as connection:
            async with asyncio.timeout(PATIENCE_S):
                return await connection.recv()

    created = asyncio.run(talk())
    assert created.type == "session.created"
    assert created.session.instructions == "Be short."
