import json
import random

import pytest

from assistant.errors import SchemaRefused
from assistant.schema.calls import calls_grammar
from tests.rounds import rounds
from tests.schema.writer import write

COUNT = json.dumps({"type": "object", "properties": {"n": {"enum": [1, 2]}}})


@rounds(20, 60)
def test_calls_are_of_the_functions_there_are_and_no_more_than_may_be(rounds: int) -> None:
    node = calls_grammar((("count", COUNT), ('st"op', "")), 3)
    rng = random.Random(0)
    numbers = set()
    for _ in range(rounds):
        calls = json.loads(write(node, rng, 200))
        numbers.add(len(calls))
        for call in calls:
            assert list(call) == ["name", "arguments"]
            assert call["name"] in ("count", 'st"op')
            assert call["arguments"] in ({}, {"n": 1}, {"n": 2})
            assert call["name"] == "count" or call["arguments"] == {}
    assert numbers == {1, 2, 3}


def test_equal_functions_share_one_grammar() -> None:
    assert calls_grammar((("count", COUNT),), 1) is calls_grammar((("count", COUNT),), 1)


@pytest.mark.parametrize("parameters", ["{", '{"not": {}}'])
def test_a_refusal_names_the_function(parameters: str) -> None:
    with pytest.raises(SchemaRefused) as refused:
        calls_grammar((("stop", ""), ("count", parameters)), 1)
    assert refused.value.path.startswith("[1].parameters")
