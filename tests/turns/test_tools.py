import json
from typing import Any

import pytest
from msgspec import UNSET

from assistant.turns.tools import MAX_CALLS, NO_TOOLS, Function, Tools, updated
from assistant.wire import link
from assistant.wire.refusals import EventRefused

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: dict[str, Any] = {
    "type": "function",
    "parameters": CITY,
    "description": "The weather.",
    "name": "weather",
}
STOP: dict[str, Any] = {"type": "function", "name": "stop"}
FREE: dict[str, Any] = {"name": "free", "parameters": {"not": {"type": "null"}}}


def tools(*declared: dict[str, Any], choice: Any = UNSET, **keys: Any) -> Tools:
    return updated(
        NO_TOOLS, path="session", declared=declared, choice=choice, max_chars=2000, **keys
    )


def refusal(*declared: Any, choice: Any = UNSET) -> tuple[str | None, str | None]:
    with pytest.raises(EventRefused) as refused:
        tools(*declared, choice=choice)
    return refused.value.code, refused.value.param


def test_the_model_reads_the_functions_as_it_was_trained_to() -> None:
    told = tools(WEATHER, STOP).prompt_text()
    assert told == (
        '[{"name": "weather", "description": "The weather.", "parameters": '
        f'{json.dumps(CITY)}}}, {{"name": "stop"}}]'
    )


def test_none_hides_the_functions_from_the_model_and_not_from_the_client() -> None:
    hidden = tools(WEATHER, choice="none")
    assert (hidden.prompt_text(), hidden.names) == ("", frozenset())
    assert hidden.constraint() is None
    assert hidden.to_wire()["tools"] == [WEATHER]


@pytest.mark.parametrize(
    ("choice", "names", "is_required", "most"),
    [
        ("auto", ["weather", "stop"], False, MAX_CALLS),
        ("required", ["weather", "stop"], True, 1),
        ({"type": "function", "name": "stop"}, ["stop"], True, 1),
        ({"type": "function", "function": {"name": "stop"}}, ["stop"], True, 1),
        (None, ["weather", "stop"], False, MAX_CALLS),
    ],
)
def test_the_choice_decides_how_the_reply_is_constrained(
    choice: Any, names: list[str], is_required: bool, most: int
) -> None:
    constraint = tools(WEATHER, STOP, choice=choice).constraint()
    assert constraint is not None
    assert [function.name for function in constraint.functions] == names
    assert (constraint.is_required, constraint.max_calls) == (is_required, most)
    weather = link.Function("weather", json.dumps(CITY))
    assert (weather in constraint.functions) is ("weather" in names)


def test_one_call_at_a_time_is_one_in_a_reply() -> None:
    single = tools(STOP, parallel=False)
    constraint = single.constraint()
    assert constraint is not None
    assert (constraint.max_calls, single.max_calls) == (1, 1)
    assert tools(STOP, parallel=None).max_calls is None


def test_a_schema_without_a_grammar_is_free_until_it_is_to_be_forced() -> None:
    assert tools(FREE, STOP).constraint() is None
    assert tools(FREE, STOP).names == {"free", "stop"}
    where = "session.tools[1].parameters.not"
    assert refusal(STOP, FREE, choice="required") == ("invalid_value", where)
    named = {"type": "function", "name": "stop"}
    assert tools(FREE, STOP, choice=named).constraint() is not None


def test_beside_a_form_a_call_is_held_to_its_schema_or_else_to_any_object() -> None:
    held = tools(WEATHER, FREE).constraint_beside('{"type": "null"}')
    assert held is not None
    assert [json.loads(function.parameters) for function in held.functions] == [
        CITY,
        {"type": "object"},
    ]
    assert (held.schema, held.is_required) == ('{"type": "null"}', False)
    forced = tools(WEATHER, choice="required")
    assert forced.constraint_beside('{"type": "null"}') == forced.constraint()


def test_required_without_functions_waits_for_them() -> None:
    assert tools(choice="required").constraint() is None


@pytest.mark.parametrize(
    ("declared", "param"),
    [
        ([7], "session.tools[0]"),
        ([{"type": "function"}], "session.tools[0].name"),
        ([STOP, {"name": 7}], "session.tools[1].name"),
        ([{"name": ""}], "session.tools[0].name"),
        ([{"name": "x" * 129}], "session.tools[0].name"),
        ([STOP, STOP], "session.tools[1].name"),
        ([{"name": "a", "description": 7}], "session.tools[0].description"),
        ([{"name": "a", "parameters": "{}"}], "session.tools[0].parameters"),
        ([{"name": "a", "description": "x" * 2001}], "session.tools"),
        ([{"name": str(n)} for n in range(129)], "session.tools"),
    ],
)
def test_what_is_no_function_is_refused_by_its_path(
    declared: list[Any], param: str
) -> None:
    assert refusal(*declared)[1] == param


@pytest.mark.parametrize(
    "choice",
    [
        "always",
        7,
        {"type": "mcp"},
        {"type": "function"},
        {"type": "function", "name": "go"},
    ],
)
def test_a_choice_that_means_nothing_is_refused(choice: Any) -> None:
    assert refusal(STOP, choice=choice) == ("invalid_value", "session.tool_choice")


def test_tools_of_other_services_and_the_nested_form_of_the_chat_api_are_read() -> None:
    mcp = {"type": "mcp", "server_label": "x"}
    nested = {"type": "function", "function": {"name": "stop", "description": None}}
    assert tools(mcp, nested).functions == (Function("stop"),)


def test_what_is_absent_stays_and_what_is_null_is_cleared() -> None:
    held = tools(STOP, choice={"type": "function", "name": "stop"})
    assert updated(held, path="response", max_chars=9) == held
    with pytest.raises(EventRefused, match="stop"):
        updated(held, path="session", declared=None, max_chars=9)
    cleared = updated(held, path="session", declared=None, choice=None, max_chars=9)
    assert cleared == NO_TOOLS


def test_it_is_echoed_as_the_clients_validate_it() -> None:
    wanted = {"type": "function", "name": "stop"}
    assert tools(STOP, choice=wanted, parallel=False).to_wire() == {
        "tools": [STOP],
        "tool_choice": wanted,
        "parallel_tool_calls": False,
    }
