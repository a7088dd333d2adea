import base64
import itertools
import json
from dataclasses import replace
from typing import Any

import pytest

from assistant.config import Config, LimitsConfig, ReplyConfig
from assistant.errors import MediaError
from assistant.turns import chat, prompt
from assistant.turns.chat import Question
from assistant.turns.tasks import Task
from assistant.wire import chat as wire, link
from assistant.wire.refusals import EventRefused
from tests.turns.harness import FakeMedia, shown

CONFIG = Config(
    reply=ReplyConfig(instructions="House rules.", temperature=0.5),
    limits=LimitsConfig(text_chars=400, conversation_items=4, request_media=2),
)
SEED = 99


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


PICTURE = {
    "type": "image_url",
    "image_url": {"url": "data:image/png;base64," + encoded(b"picture")},
}
SOUND = {
    "type": "input_audio",
    "input_audio": {"data": encoded(b"wav"), "format": "wav"},
}


def said(role: str, *content: Any, **keys: Any) -> dict[str, Any]:
    """Return a message; a lone string is its content, as most clients send it."""
    plain = len(content) == 1 and isinstance(content[0], str)
    return {"role": role, "content": content[0] if plain else list(content), **keys}


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
HELLO = said("user", "Hello")


def read(*messages: dict[str, Any], config: Config = CONFIG, **keys: Any) -> Question:
    body = {"model": "m", "messages": messages or [HELLO], **keys}
    numbers = itertools.count(1)
    return chat.read(
        wire.decode(json.dumps(body).encode()),
        models={"m", "org/m"},
        new_id=lambda kind: f"{kind}_{next(numbers)}",
        media=FakeMedia(),
        config=config,
        seed=SEED,
    )


def prompt_of(question: Question) -> str:
    segments = prompt.segments(question.instructions, question.items)
    return shown([part for segment in segments for part in segment.parts])


def refusal(*messages: dict[str, Any], **keys: Any) -> tuple[str | None, str | None]:
    with pytest.raises(EventRefused) as caught:
        read(*messages, **keys)
    return caught.value.code, caught.value.param


# --- messages ----------------------------------------------------------------------------


def test_messages_become_the_prompt_of_a_conversation() -> None:
    question = read(
        said("system", "Be short."),
        said("user", {"type": "text", "text": "Hi"}),
        said("assistant", "Yes?"),
        said("user", {"type": "text", "text": "What is this?"}, PICTURE, SOUND),
    )
    assert prompt_of(question) == (
        "<system> Be short. <end> <user> Hi <end> <assistant> Yes? <end> "
        "<user> [picture x4] [audio clip wav] What is this? <end>"
    )


def test_a_developer_is_a_system_and_replaces_the_house_rules() -> None:
    assert prompt_of(read(said("developer", "Be short."), HELLO)).startswith(
        "<system> Be short. <end> <user>"
    )
    assert prompt_of(read()).startswith("<system> House rules. <end> <user>")


def test_what_was_called_and_what_came_of_it_are_read() -> None:
    question = read(
        HELLO,
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        said("tool", "7", tool_call_id="c1"),
    )
    assert prompt_of(question).endswith(
        '<assistant> <tool_call> [{"name": "f", "arguments": {}}] <tool_call_end> <end> '
        "<tool_response> 7 <end>"
    )


@pytest.mark.parametrize(
    ("messages", "code", "param"),
    [
        ([said("user", "x" * 401)], "invalid_value", "messages[0].content[0].text"),
        ([HELLO] * 5, "invalid_value", "messages"),
        ([said("user", PICTURE, PICTURE, SOUND)], "invalid_value", "messages"),
        ([{"role": "user"}], "missing_required_parameter", "messages[0].content"),
        ([HELLO, said("system", PICTURE)], "invalid_value", "messages[1].content[0]"),
        ([said("assistant", PICTURE)], "invalid_value", "messages[0].content[0]"),
        ([said("system", SOUND)], "invalid_value", "messages[0].content[0]"),
        ([said("assistant", SOUND)], "invalid_value", "messages[0].content[0]"),
        ([said("tool", "7")], "missing_required_parameter", "messages[0].tool_call_id"),
        (
            [said("tool", PICTURE, tool_call_id="c")],
            "invalid_value",
            "messages[0].content[0]",
        ),
        (
            [said("user", "x", tool_calls=[CALL])],
            "invalid_value",
            "messages[0].tool_calls",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_a_message_is_refused_with_its_place(
    messages: list[dict[str, Any]], code: str, param: str
) -> None:
    assert refusal(*messages) == (code, param)


def test_no_messages_are_refused() -> None:
    assert refusal(messages=[]) == ("invalid_value", "messages")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.com/a.png", "fetches nothing"),
        ("HTTPS://example.com/a.png", "fetches nothing"),
        ("file:///etc/passwd", "expected a data URI"),
        ("data:image/gif;base64,AAAA", "expected a data URI"),
        ("data:image/png;base64,%%%", "base64 is not valid"),
        ("data:image/png;base64,QUJ", "base64 is not valid"),
    ],
)
def test_a_picture_is_a_data_uri_with_sound_base64(url: str, says: str) -> None:
    with pytest.raises(EventRefused, match=says):
        read(said("user", {"type": "image_url", "image_url": {"url": url}}))


def test_a_picture_or_recording_that_cannot_be_used_is_refused() -> None:
    url = "data:image/png;base64," + encoded(b"broken")
    with pytest.raises(MediaError):
        read(said("user", {"type": "image_url", "image_url": {"url": url}}))
    empty = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
    assert refusal(said("user", empty))[0] == "missing_required_parameter"


# --- how the reply is drawn --------------------------------------------------------------


def test_what_is_not_asked_for_is_as_configured() -> None:
    sampling = read().sampling
    assert sampling == link.Sampling(max_tokens=512, temperature=0.5, top_p=1.0, seed=SEED)


def test_what_is_asked_for_wins() -> None:
    asked = read(max_tokens=7, temperature=0, top_p=0.5, seed=3).sampling
    assert asked == link.Sampling(max_tokens=7, temperature=0.0, top_p=0.5, seed=3)
    both = read(max_tokens=7, max_completion_tokens=8).sampling
    assert both.max_tokens == 8
    assert 0 <= read(seed=-1).sampling.seed < 2**63


@pytest.mark.parametrize(
    ("keys", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 4097}, "max_completion_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"stop": ""}, "stop"),
        ({"stop": ["a", ""]}, "stop"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": "x" * 257}, "stop"),
        ({"n": 2}, "n"),
        ({"n": 0}, "n"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
    ],
)
def test_a_value_out_of_its_range_is_refused(keys: dict[str, Any], param: str) -> None:
    assert refusal(**keys) == ("invalid_value", param)


@pytest.mark.parametrize(
    "keys",
    [
        {"modalities": ["text", "audio"]},
        {"logprobs": True},
        {"logit_bias": {"5": 1}},
        {"presence_penalty": 0.5},
        {"frequency_penalty": -0.5},
    ],
)
def test_what_is_not_there_is_refused_and_not_ignored(keys: dict[str, Any]) -> None:
    (param,) = keys
    assert refusal(**keys) == ("unsupported_parameter", param)


def test_a_reply_of_a_wanted_form_is_drawn_under_it() -> None:
    form = {"type": "json_object"}
    constraint = read(response_format=form).sampling.constraint
    assert constraint is not None
    assert json.loads(constraint.schema) == {"type": "object"}
    declared = {"type": "function", "function": {"name": "look"}}
    silent = read(response_format=form, tools=[declared], tool_choice="none")
    assert silent.sampling.constraint == constraint


def test_a_reply_with_tools_and_a_form_is_a_call_or_has_the_form() -> None:
    form = {"type": "json_object"}
    look = {"type": "function", "function": {"name": "look"}}
    either = read(response_format=form, tools=[look]).sampling.constraint
    assert either is not None
    assert (either.functions, either.is_required) == ([link.Function("look", "")], False)
    assert json.loads(either.schema) == {"type": "object"}
    called = read(response_format=form, tools=[look], tool_choice="required")
    assert called.sampling.constraint is not None
    assert not called.sampling.constraint.schema


def test_asking_for_nothing_special_is_accepted() -> None:
    question = read(
        n=1,
        stop=["a", "b"],
        tools=[],
        tool_choice="none",
        response_format={"type": "text"},
        modalities=["text"],
        logprobs=False,
        logit_bias={},
        presence_penalty=0,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert question.stops == ("a", "b")
    assert question.is_streamed
    assert question.wants_usage


def test_the_model_has_the_names_it_has() -> None:
    assert read(model="org/m").items
    assert refusal(model="gpt-9") == ("model_not_found", "model")


# --- tasks -------------------------------------------------------------------------------


def test_a_task_has_its_own_prompt() -> None:
    question = read(
        said("system", "Be short."),
        said("user", PICTURE, SOUND),
        assistant={"task": "transcribe"},
    )
    assert prompt_of(question) == (
        "<user> [audio clip wav] Transcribe the audio clip into text. <end>"
    )
    assert question.task == Task("transcribe")


def test_a_task_needs_sound_and_must_exist() -> None:
    assert refusal(assistant={"task": "transcribe"}) == ("invalid_value", "messages")
    assert refusal(assistant={"task": "sing"}) == ("invalid_value", "assistant.task")


# --- tools -------------------------------------------------------------------------------

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def test_functions_are_declared_and_their_calls_held_to_their_schemas() -> None:
    question = read(tools=[WEATHER], parallel_tool_calls=False)
    assert question.tools.names == {"weather"}
    assert question.tools.max_calls == 1
    constraint = question.sampling.constraint
    assert constraint is not None
    assert not constraint.is_required


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "weather"}}]
)
def test_a_call_can_be_demanded(choice: Any) -> None:
    constraint = read(tools=[WEATHER], tool_choice=choice).sampling.constraint
    assert constraint is not None
    assert constraint.is_required


def test_tools_that_may_not_be_called_are_no_tools() -> None:
    question = read(tools=[WEATHER], tool_choice="none")
    assert question.tools.prompt_text() == ""
    assert question.sampling.constraint is None


@pytest.mark.parametrize(
    ("keys", "param"),
    [
        ({"tools": ["f"]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {"name": 1}}]}, "tools[0].name"),
        ({"tools": [WEATHER, WEATHER]}, "tools[1].name"),
        ({"tools": [WEATHER], "tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
    ],
)
def test_tools_that_cannot_be_read_or_chosen_are_refused(
    keys: dict[str, Any], param: str
) -> None:
    config = replace(CONFIG, limits=LimitsConfig())
    code, at = refusal(config=config, **keys)
    assert code in ("invalid_value", "missing_required_parameter")
    assert at == param


def test_a_task_calls_nothing() -> None:
    question = read(said("user", SOUND), tools=[WEATHER], assistant={"task": "transcribe"})
    assert question.tools.names == frozenset()
    assert question.sampling.constraint is None
