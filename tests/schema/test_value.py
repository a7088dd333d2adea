import json
import random

import pytest

from assistant.errors import SchemaRefused
from assistant.schema.value import value_grammar
from tests.schema.writer import write

NUMBERS = '{"type": "array", "items": {"type": "integer"}, "minItems": 1}'


def test_a_value_is_what_its_schema_says_and_nothing_around_it() -> None:
    rng = random.Random(0)
    for _ in range(5):
        values = json.loads(write(value_grammar(NUMBERS), rng, 60))
        assert values
        assert all(isinstance(value, int) for value in values)


def test_equal_schemas_share_one_grammar() -> None:
    assert value_grammar(NUMBERS) is value_grammar(NUMBERS)


@pytest.mark.parametrize(
    ("schema", "path"), [("{", ""), ('{"type": "object", "not": {}}', ".not")]
)
def test_what_has_no_grammar_is_refused_by_its_path(schema: str, path: str) -> None:
    with pytest.raises(SchemaRefused) as refused:
        value_grammar(schema)
    assert refused.value.path == path
