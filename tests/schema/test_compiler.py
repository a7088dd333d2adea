import importlib
import json
import random
from typing import Any

import pytest

from assistant.errors import SchemaRefused
from assistant.schema.compiler import grammar
from tests.rounds import rounds
from tests.schema.writer import write

TREE: dict[str, Any] = {
    "$ref": "#/$defs/Node",
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer", "minimum": 0},
                "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
            },
            "required": ["value", "next"],
            "additionalProperties": False,
        }
    },
}
SCHEMAS: dict[str, Any] = {
    "anything": {},
    "true": True,
    "recursive": TREE,
    "string": {"type": "string", "minLength": 1, "maxLength": 4},
    "number": {"type": "number", "exclusiveMinimum": 0.1, "maximum": 2.5},
    "integer": {"type": "integer", "minimum": -7.5, "exclusiveMaximum": 200},
    "several types": {"type": ["integer", "null", "boolean"]},
    "enum": {"enum": ["a", "ab", 1, 12, None, {"x": [1.5]}]},
    "enum of a type": {"type": "string", "enum": ["left", "right", "l\"'ä"]},
    "const": {"const": {"a": 1}, "title": "A"},
    "list": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    "empty list": {"type": "array", "maxItems": 0},
    "list of anything": {"type": "array"},
    "map": {"type": "object", "additionalProperties": {"type": "integer"}},
    "free object": {"type": "object"},
    "closed object": {"type": "object", "additionalProperties": False},
    "implied type": {"properties": {"a": {"minimum": 3}}, "required": ["a", "b"]},
    "one of all": {"allOf": [{"type": "null"}]},
    "annotated": {"type": "string", "format": "date", "description": "d", "default": "x"},
    "object": {
        "type": "object",
        "properties": {
            "first": {"type": "string"},
            "second": {"type": "integer", "maximum": 9},
            "third": {"anyOf": [{"type": "string", "maxLength": 2}, {"type": "number"}]},
            'fourth "é"': {"type": "array", "items": {"type": "null"}, "minItems": 2},
        },
        "required": ["second"],
    },
}


@rounds(3, 50)
@pytest.mark.parametrize("name", SCHEMAS)
def test_whatever_is_written_at_random_is_valid(name: str, rounds: int) -> None:
    jsonschema = importlib.import_module("jsonschema")
    schema = SCHEMAS[name]
    node = grammar(schema)
    rng = random.Random(name)
    for _ in range(rounds):
        budget = node.fewest + rng.choice([0, 5, 40])
        data = write(node, rng, budget)
        assert len(data) <= budget
        jsonschema.validate(json.loads(data), schema)


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"type": "string", "pattern": "a+"}, ".pattern"),
        ({"oneOf": [{"type": "null"}]}, ".oneOf"),
        ({"type": "object", "properties": {"a": {"not": {}}}}, ".properties.a.not"),
        ({"anyOf": [{}, {"multipleOf": 2}]}, ".anyOf[1].multipleOf"),
        ({"allOf": [{}, {}]}, ".allOf"),
        ({"anyOf": [{}], "minimum": 3}, ".anyOf"),
        ({"type": "word"}, ".type"),
        ({"type": []}, ""),
        ({"enum": []}, ".enum"),
        ({"enum": ["a"], "type": "integer"}, ".enum"),
        ({"const": float("nan")}, ".const"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, ".maxLength"),
        ({"type": "string", "minLength": -1}, ".minLength"),
        ({"type": "array", "minItems": 2, "maxItems": 1}, ".maxItems"),
        ({"type": "array", "maxItems": 10**9}, ".maxItems"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, ""),
        ({"type": "number", "minimum": "3"}, ".minimum"),
        ({"type": "number", "maximum": float("inf")}, ".maximum"),
        ({"$ref": "https://example.org/schema"}, ".$ref"),
        ({"$ref": "#/$defs/Gone"}, ".$ref"),
        ({"properties": 7}, ""),
        ({"required": ["a"], "additionalProperties": False}, ".required"),
        (False, ""),
        ("string", ""),
    ],
)
def test_what_is_not_understood_is_refused_by_its_path(schema: Any, path: str) -> None:
    with pytest.raises(SchemaRefused) as refused:
        grammar(schema)
    assert refused.value.path == path


def test_a_definition_that_never_ends_is_refused() -> None:
    endless = {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}
    with pytest.raises(SchemaRefused, match="finite"):
        grammar(endless)


def test_a_schema_may_not_be_deeper_than_its_bound() -> None:
    schema: Any = {"type": "null"}
    for _ in range(40):
        schema = {"type": "array", "items": schema}
    with pytest.raises(SchemaRefused, match="deep"):
        grammar(schema)


def test_optional_properties_may_be_left_out_and_keep_their_order() -> None:
    node = grammar(
        {
            "type": "object",
            "properties": {name: {"type": "null"} for name in "abc"},
            "required": ["b"],
        }
    )
    rng = random.Random(0)
    found = {"".join(json.loads(write(node, rng, 60))) for _ in range(25)}
    assert found == {"b", "ab", "bc", "abc"}


WORD = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"anyOf": [WORD] * 65}, "branches"),
        ({"anyOf": [{"anyOf": [WORD] * 33}] * 2}, "branches"),
        ({"properties": {str(n): WORD for n in range(129)}}, "properties"),
        ({"properties": {str(n): {"items": {"items": {"items": WORD}}} for n in range(128)},
          "additionalProperties": False, "required": ["1"], "$defs": {}}, "parts"),
    ],
)  # fmt: skip
def test_schemas_that_would_take_the_engine_long_are_refused(
    schema: Any, reason: str
) -> None:
    with pytest.raises(SchemaRefused, match=reason):
        grammar(schema)


def test_many_optional_properties_of_a_definition_take_no_time() -> None:
    names = [f"p{n}" for n in range(120)]
    node = {"type": "object", "properties": {name: {"type": "null"} for name in names}}
    assert grammar({"$ref": "#/$defs/N", "$defs": {"N": node}}).fewest == 2
