"""
What shape a chat completion is to have: the ``response_format`` object of a request.

A shape is kept by drawing the reply under its grammar. The prompt does not speak of it:
what the JSON is to say, the messages have to.
"""

import json

from assistant.errors import SchemaRefused
from assistant.schema.value import ANY_OBJECT, value_grammar
from assistant.wire import link, refusals
from assistant.wire.chat import ResponseFormat

MAX_SCHEMA_CHARS = 64 * 1024


def constraint(wanted: ResponseFormat | None) -> link.Constraint | None:
    """
    Return what a reply is held to; None when it may be any text.

    Raises:
        EventRefused: There is no such format, or its schema cannot be kept.
    """
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return _held_to(ANY_OBJECT)
    if wanted.type != "json_schema":
        reason = (
            f"'{wanted.type}'. Supported values are: 'text', 'json_object', 'json_schema'."
        )
        raise refusals.invalid_value("response_format.type", reason)
    path = "response_format.json_schema"
    if wanted.json_schema is None:
        raise refusals.missing_parameter(path)
    if wanted.json_schema.schema is None:
        return _held_to(ANY_OBJECT)
    schema = json.dumps(wanted.json_schema.schema)
    if len(schema) > MAX_SCHEMA_CHARS:
        reason = f"{len(schema)} characters, the bound is {MAX_SCHEMA_CHARS}."
        raise refusals.invalid_value(f"{path}.schema", reason)
    try:
        value_grammar(schema)
    except SchemaRefused as error:
        reason = f"{error.reason}, so a reply cannot be held to it."
        raise refusals.invalid_value(f"{path}.schema{error.path}", reason) from None
    return _held_to(schema)


def _held_to(schema: str) -> link.Constraint:
    return link.Constraint(functions=[], is_required=True, schema=schema)
