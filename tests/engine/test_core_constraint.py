import json

import pytest

from assistant.wire import link
from tests.engine.desk import Desk
from tests.engine.fakes import CALL, CALL_END

SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["word", "count"],
}
FUNCTIONS = [link.Function("say", json.dumps(SCHEMA)), link.Function("stop", "")]


def sampling(max_tokens: int, *functions: link.Function, seed: int = 0) -> link.Sampling:
    constraint = link.Constraint(functions=[*functions], is_required=True)
    return link.Sampling(
        max_tokens=max_tokens, temperature=1.0, seed=seed, constraint=constraint
    )


def start(desk: Desk, number: int, wanted: link.Sampling) -> None:
    desk.order(
        link.Open(number, "none"),
        link.Append(number, [link.TextPart(f"question {number}")]),
        link.Generate(number, 1, wanted),
    )


def reason(desk: Desk, number: int) -> str:
    (end,) = [r for r in desk.reports(number) if isinstance(r, link.Finished)]
    return end.reason


def test_a_reply_under_a_constraint_is_a_whole_call_beside_replies_without_one() -> None:
    desk = Desk()
    for number in (1, 2, 3):
        start(desk, number, sampling(120, *FUNCTIONS, seed=number))
    desk.order(
        link.Open(4, "none"),
        link.Append(4, [link.TextPart("free")]),
        link.Generate(4, 1, link.Sampling(max_tokens=30)),
    )
    desk.run()
    for number in (1, 2, 3):
        first, *inner, last = desk.ids(number)
        assert (first, last) == (CALL, CALL_END)
        (call,) = json.loads(bytes(inner))
        assert call["name"] in ("say", "stop")
        assert call["name"] == "stop" or set(call["arguments"]) == {"word", "count"}
        assert reason(desk, number) == "stop"
    assert CALL not in desk.ids(4)
    assert len(desk.ids(4)) == 30


def test_the_bound_of_the_sequence_counts_as_one_of_the_reply() -> None:
    desk = Desk(max_sequence_tokens=110)
    start(desk, 1, sampling(1000, FUNCTIONS[0]))
    desk.run()
    assert reason(desk, 1) == "stop"
    assert json.loads(bytes(desk.ids(1)[1:-1]))[0]["name"] == "say"


@pytest.mark.parametrize("functions", [[], [link.Function("f", '{"not": {}}')]])
def test_a_constraint_without_a_grammar_fails_the_generation_alone(
    functions: list[link.Function],
) -> None:
    desk = Desk()
    start(desk, 1, sampling(50, *functions))
    desk.run()
    assert desk.failures(1) == [(1, "invalid_constraint")]
    desk.order(link.Generate(1, 2, link.Sampling(max_tokens=3)))
    desk.run()
    assert len(desk.ids(1, 2)) == 3
