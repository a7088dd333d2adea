"""JSON values that a schema spells out: ``enum`` and ``const``."""

import json
from typing import Any

from assistant.errors import SchemaRefused
from assistant.schema.grammar import Node, Text


def literals(values: object, schema: Any, path: str) -> Node:
    if not isinstance(values, list):
        raise SchemaRefused(path, "is not a list")
    kind = schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    fitting = [v for v in values if kind is None or any(_is_of(v, k) for k in kinds)]
    if not fitting:
        raise SchemaRefused(path, "leaves no value")
    return Text(*dict.fromkeys(spell(value, path).encode() for value in fitting))


def _is_of(value: object, kind: object) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "null":
            return value is None
        case "integer":
            return not isinstance(value, bool) and (
                isinstance(value, int) or (isinstance(value, float) and value.is_integer())
            )
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "object":
            return isinstance(value, dict)
        case _:
            return kind == "array" and isinstance(value, list)


def spell(value: object, path: str) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError):  # UnicodeEncodeError is one
        raise SchemaRefused(path, "cannot be written as JSON") from None
    return text
