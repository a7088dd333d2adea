import importlib
import json
import random
from typing import Any

import pytest
import torch

from assistant.engine.constraint import Guide, check
from assistant.engine.sampler import Dice, choose
from assistant.engine.vocabulary import Vocabulary
from assistant.errors import RequestRefused
from assistant.schema import grammar
from assistant.schema.calls import calls_grammar
from assistant.wire.link import Constraint, Function, Sampling
from tests.rounds import rounds

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "minLength": 2, "maxLength": 5},
        "note": {"type": "string"},
        "floor": {"type": "integer", "minimum": -3, "maximum": 120},
        "share": {"type": "number", "exclusiveMinimum": 0.1, "maximum": 2.5},
        "unit": {"enum": ["a", "ab", 1, 12, None]},
        "flags": {"type": "array", "items": {"type": "boolean"}, "minItems": 1},
        "route": {"$ref": "#/$defs/Stop"},
        "any": {},
        "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["note", "floor", "unit", "flags", "any"],
    "$defs": {
        "Stop": {
            "type": "object",
            "properties": {
                "at": {"type": "integer"},
                "then": {"anyOf": [{"$ref": "#/$defs/Stop"}, {"type": "null"}]},
            },
            "required": ["at", "then"],
        }
    },
}
GO = Function("go", json.dumps(SCHEMA))
HALT = Function("halt", "")
WORDS = [
    *(b"the", b" the", b"name", b'"name', b"null", b"true", b"false", b"12", b"345"),
    *(b'"', b'",', b'": "', b'": ', b", ", b'{"', b'[{"', b'"}', b"}]", b'a"b', b"\n"),
    *(b'\\"', b"\\", b"\xc3\xa9", b"\xe4\xb8\xad", b"\xe4\xb8", b"\xb8\xad"),
    *(b" a\xf0\x9f", b"\x98\x80b"),
]


def vocabulary() -> Vocabulary:
    """Return all bytes, some pieces that cross the grammar's borders, and the controls."""
    pieces = [bytes([byte]) for byte in range(256)] + WORDS + [b""] * 4
    end = len(pieces)
    stops = frozenset({end - 2, end - 1})
    return Vocabulary(pieces, call=end - 4, call_end=end - 3, stop_ids=stops)


VOCABULARY = vocabulary()


def constraint(*functions: Function, required: bool = True, most: int = 1) -> Constraint:
    return Constraint(functions=[*functions], is_required=required, max_calls=most)


def reply(
    wanted: Constraint, budget: int, seed: int, vocabulary: Vocabulary = VOCABULARY
) -> tuple[list[int], bool]:
    """Let random logits write; return the tokens, and whether a stop token ended them."""
    generator = torch.Generator().manual_seed(seed)
    sampling = Sampling(max_tokens=budget, temperature=float(seed % 2), seed=seed)
    die = Dice(sampling, Guide(vocabulary, wanted, budget))
    tokens: list[int] = []
    while len(tokens) < budget:
        logits = torch.randn(1, len(vocabulary.pieces), generator=generator) * 4
        (token,) = choose(logits, [die])
        assert token is not None
        if token in vocabulary.stop_ids:
            return tokens, True
        tokens.append(token)
    return tokens, False


def calls_of(tokens: list[int]) -> Any:
    assert (tokens[0], tokens[-1]) == (VOCABULARY.call, VOCABULARY.call_end)
    return json.loads(b"".join(VOCABULARY.pieces[token] for token in tokens[1:-1]))


def check_calls(num_replies: int) -> None:
    jsonschema = importlib.import_module("jsonschema")
    wanted = constraint(GO)
    fewest = calls_grammar(((GO.name, GO.parameters),), 1).fewest + 3
    for seed in range(num_replies):
        budget = random.Random(seed).choice([fewest, fewest + 20, 300])
        tokens, has_stopped = reply(wanted, budget, seed)
        assert has_stopped, f"seed {seed} did not come to an end"
        (call,) = calls_of(tokens)
        assert call["name"] == "go"
        jsonschema.validate(call["arguments"], SCHEMA)


def test_random_logits_write_a_valid_call_within_any_budget_that_is_enough() -> None:
    check_calls(3)


@pytest.mark.parity
def test_random_logits_write_a_valid_call_500_times_out_of_500() -> None:
    check_calls(500)


def test_only_functions_that_were_named_are_called() -> None:
    names = {calls_of(reply(constraint(GO, HALT), 170, seed)[0])[0]["name"]
             for seed in range(8)}  # fmt: skip
    assert names == {"go", "halt"}
    assert calls_of(reply(constraint(HALT), 400, 1)[0]) == [
        {"name": "halt", "arguments": {}}
    ]


def test_without_budget_the_reply_takes_the_shortest_way_and_is_cut_off() -> None:
    tokens, has_stopped = reply(constraint(HALT), 20, 0)
    assert not has_stopped
    text = b"".join(VOCABULARY.pieces[token] for token in tokens)
    assert b'[{"name": "halt", "arguments": {}}]'.startswith(text)


def test_a_reply_that_need_not_call_is_free_until_it_does() -> None:
    guide = Guide(VOCABULARY, constraint(HALT, required=False), 100)
    row = torch.randn(len(VOCABULARY.pieces))
    assert torch.equal(guide.mask(row), row)
    guide.receive(ord("H"))
    assert torch.equal(guide.mask(row), row)
    guide.receive(VOCABULARY.call)
    allowed = torch.isfinite(guide.mask(row)).nonzero().flatten().tolist()
    assert {VOCABULARY.pieces[token] for token in allowed} == {b"[", b'[{"'}


def test_a_free_reply_may_not_begin_a_call_that_it_cannot_end() -> None:
    fewest = len(b'[{"name": "halt", "arguments": {}}]') + 3
    row = torch.zeros(len(VOCABULARY.pieces))
    for budget in (fewest - 1, fewest):
        guide = Guide(VOCABULARY, constraint(HALT, required=False), budget)
        may_call = torch.isfinite(guide.mask(row))[VOCABULARY.call].item()
        assert may_call is (budget == fewest)


def test_several_calls_are_a_list() -> None:
    wanted = constraint(HALT, most=3)
    lengths = {len(calls_of(reply(wanted, 400, seed)[0])) for seed in range(12)}
    assert lengths == {1, 2, 3}


def value(schema: dict[str, Any]) -> Constraint:
    return Constraint(functions=[], is_required=True, schema=json.dumps(schema))


@rounds(3, 100)
def test_random_logits_write_one_valid_value_and_a_stop_token_behind_it(
    rounds: int,
) -> None:
    jsonschema = importlib.import_module("jsonschema")
    for seed in range(rounds):
        tokens, has_stopped = reply(value(SCHEMA), 300, seed)
        assert has_stopped, f"seed {seed} did not come to an end"
        text = b"".join(VOCABULARY.pieces[token] for token in tokens)
        jsonschema.validate(json.loads(text), SCHEMA)


@pytest.mark.parity
def test_a_reply_that_may_be_either_is_a_whole_call_or_a_whole_value() -> None:
    jsonschema = importlib.import_module("jsonschema")
    either = Constraint(
        functions=[HALT], is_required=False, schema=json.dumps({"type": "object"})
    )
    kinds = set()
    for seed in range(40):
        tokens, has_stopped = reply(either, 300, seed)
        assert has_stopped, f"seed {seed} did not come to an end"
        if tokens[0] == VOCABULARY.call:
            assert calls_of(tokens) == [{"name": "halt", "arguments": {}}]
            kinds.add("call")
        else:
            text = b"".join(VOCABULARY.pieces[token] for token in tokens)
            jsonschema.validate(json.loads(text), {"type": "object"})
            kinds.add("value")
    assert kinds == {"call", "value"}


def test_a_reply_that_may_be_either_calls_only_where_a_call_still_fits() -> None:
    either = Constraint(functions=[HALT], is_required=False, schema='{"type": "null"}')
    row = torch.zeros(len(VOCABULARY.pieces))
    fewest = len(b'[{"name": "halt", "arguments": {}}]') + 3
    for budget in (fewest - 1, fewest):
        allowed = torch.isfinite(Guide(VOCABULARY, either, budget).mask(row))
        found = set(allowed.nonzero().flatten().tolist())
        begun = {VOCABULARY.pieces[token] for token in found - {VOCABULARY.call}}
        assert begun == {b"n", b"null"}
        assert (VOCABULARY.call in found) is (budget == fewest)


def test_a_number_may_end_or_go_on_where_it_could_do_both() -> None:
    guide = Guide(VOCABULARY, value({"type": "integer", "maximum": 500}), 100)
    row = torch.zeros(len(VOCABULARY.pieces))
    guide.receive(ord("1"))
    allowed = set(torch.isfinite(guide.mask(row)).nonzero().flatten().tolist())
    assert VOCABULARY.stop_ids < allowed
    assert {VOCABULARY.pieces[token] for token in allowed - VOCABULARY.stop_ids} == {
        *(b"%d" % digit for digit in range(10)),
        b"12",
    }
    guide.receive(sorted(VOCABULARY.stop_ids)[0])
    over = torch.isfinite(guide.mask(row)).nonzero().flatten().tolist()
    assert set(over) == VOCABULARY.stop_ids


def test_the_mask_is_what_the_grammar_says_of_every_token() -> None:
    """The fast ways through a string are compared with stepping through every token."""
    node = calls_grammar(((GO.name, GO.parameters),), 1)
    for beginning in BEGINNINGS:
        threads = grammar.advance(grammar.start(node), beginning)
        assert threads, beginning
        lefts = [left_after(threads, piece) for piece in VOCABULARY.pieces]
        for limit in (50, 75, 10**6):
            guide = Guide(VOCABULARY, constraint(GO), limit + 3)
            guide._threads = threads
            found = torch.isfinite(guide.mask(torch.zeros(len(lefts)))).tolist()
            # Where nothing fits, what comes nearest is allowed.
            bound = max(limit, min(lefts))
            for token, left in enumerate(lefts):
                # The rest of a character may only come as a token of its own.
                if not beginning.endswith((b"\xc3", b"\\")):
                    assert found[token] == (left <= bound), (beginning, token)
                elif found[token]:
                    assert left < 10**9


HEAD = b'[{"name": "go", "arguments": '
BEGINNINGS = [
    b"",
    b'[{"name": "go',
    *(
        HEAD + arguments
        for arguments in (
            b'{"',
            b'{"city": "K',
            b'{"city": "K\xc3',
            b'{"city": "abcd',
            b'{"note": "',
            b'{"note": "a\\',
            b'{"note": "", "floor": -',
            b'{"note": "", "floor": 12',
            b'{"note": "", "floor": 1, "share": 0.',
            b'{"note": "", "floor": 1, "unit": ',
            b'{"note": "", "floor": 1, "unit": "a',
        )
    ),
]


def left_after(threads: tuple[grammar.Thread, ...], piece: bytes) -> int:
    following = grammar.advance(threads, piece) if piece else ()
    return min((thread.left for thread in following), default=10**9)


@pytest.mark.parametrize(
    "wanted",
    [
        constraint(),
        constraint(HALT, most=0),
        constraint(Function("go", '{"not": {}}')),
        constraint(Function("go", "{")),
        value({"not": {}}),
    ],
)
def test_a_constraint_without_a_grammar_is_refused(wanted: Constraint) -> None:
    with pytest.raises(RequestRefused) as refused:
        check(wanted)
    assert refused.value.code == "invalid_constraint"
    check(None)
    check(constraint(GO, HALT))
    check(value(SCHEMA))
