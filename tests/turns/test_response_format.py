import json
from typing import Any

import msgspec
import pytest

from assistant.schema.value import ANY_OBJECT
from assistant.turns.response_format import constraint
from assistant.wire import link
from assistant.wire.chat import ResponseFormat
from assistant.wire.refusals import EventRefused

CUP = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}}


def read(**keys: Any) -> link.Constraint | None:
    return constraint(msgspec.convert(keys, ResponseFormat))


def test_text_is_held_to_nothing() -> None:
    assert constraint(None) is None
    assert read(type="text") is None


def test_json_is_an_object_and_a_schema_is_kept_as_it_is() -> None:
    anything = link.Constraint(functions=[], is_required=True, schema=ANY_OBJECT)
    assert read(type="json_object") == anything
    assert read(type="json_schema", json_schema={"name": "cup"}) == anything
    wanted = read(type="json_schema", json_schema={"name": "cup", "schema": CUP})
    assert wanted is not None
    assert json.loads(wanted.schema) == CUP


@pytest.mark.parametrize(
    ("keys", "code", "param"),
    [
        ({"type": "yaml"}, "invalid_value", ".type"),
        ({"type": "json_schema"}, "missing_required_parameter", ".json_schema"),
        (
            {"type": "json_schema", "json_schema": {"schema": {"pattern": "a+"}}},
            "invalid_value",
            ".json_schema.schema.pattern",
        ),
        (
            {"type": "json_schema", "json_schema": {"schema": {"const": "x" * 70_000}}},
            "invalid_value",
            ".json_schema.schema",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_path(
    keys: dict[str, Any], code: str, param: str
) -> None:
    with pytest.raises(EventRefused) as refused:
        read(**keys)
    assert (refused.value.code, refused.value.param) == (code, f"response_format{param}")
