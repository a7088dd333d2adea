"""The grammar of a text that is one JSON value."""

import json
from functools import lru_cache

from assistant.errors import SchemaRefused
from assistant.schema.compiler import grammar
from assistant.schema.grammar import Node

ANY_OBJECT = '{"type": "object"}'


@lru_cache(256)
def value_grammar(schema: str) -> Node:
    """
    Return the grammar of the values of a schema, which is given as JSON.

    One grammar is made and kept for equal schemas.

    Raises:
        SchemaRefused: As ``grammar``, or the schema is not JSON.
    """
    try:
        read = json.loads(schema)
    except (ValueError, RecursionError):
        raise SchemaRefused("", "is not JSON") from None
    return grammar(read)
