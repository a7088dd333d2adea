import re
from random import Random

import pytest
import torch

from assistant.engine import vocabulary as module
from assistant.engine.vocabulary import Vocabulary
from assistant.schema import grammar
from assistant.schema.grammar import (
    Node,
    Sequence,
    StringBody,
    Text,
    Thread,
    string_state,
)

PIECES = [
    *(bytes([byte]) for byte in range(256)),
    *(b"ab", b'a"', b'"}', b'abc"}', b'"x', b"a\xc3", b"\xa4b", b"a\\", b'\\"', b"n}", b""),
]


def vocabulary() -> Vocabulary:
    end = len(PIECES)
    return Vocabulary(
        [*PIECES, b"", b"", b""], call=end, call_end=end + 1, stop_ids=frozenset({end + 2})
    )


def at(node: Node, data: bytes) -> Thread:
    (thread,) = grammar.advance(grammar.start(node), data)
    return thread


def listed(vocabulary: Vocabulary, thread: Thread) -> dict[bytes, int]:
    allowed = vocabulary.allowed(thread)
    pairs = zip(allowed.ids.tolist(), allowed.lefts.tolist(), strict=True)
    return {vocabulary.pieces[token]: left for token, left in pairs}


STRING = Sequence(Text(b'"'), StringBody(), Text(b"}"))
SHORT = Sequence(Text(b'"'), StringBody(2, 3), Text(b"}"))


def test_inside_a_string_whole_characters_are_counted_and_not_listed() -> None:
    words = vocabulary()
    found = listed(words, at(STRING, b'"'))
    assert {b'"': 1, b'a"': 1, b'"}': 0, b'abc"}': 0, b"a\xc3": 3, b"a\\": 3}.items() <= (
        found.items()
    )
    assert not {b"ab", b'"x', b"\n", b"\xa4b"} & found.keys()
    assert b"ab" not in found
    inside = words.allowed(at(STRING, b'"')).inside
    assert inside is not None
    assert (inside.owed, inside.after) == (0, 2)
    counts = words.num_characters
    assert [int(counts[PIECES.index(p)]) for p in (b"a", b"ab", b'\\"', b'a"', b"\n")] == [
        1, 2, 1, 0, 0,
    ]  # fmt: skip


def test_bounds_of_a_string_decide_which_tokens_may_close_it() -> None:
    found = listed(vocabulary(), at(SHORT, b'"a'))
    assert b'"' not in found
    assert {b'a"', b"a\\"} <= found.keys()
    assert b'abc"}' not in found
    found = listed(vocabulary(), at(SHORT, b'"abc'))
    assert b'"' in found
    assert b'a"' not in found


def test_the_rest_of_a_character_is_a_token_of_its_own() -> None:
    found = listed(vocabulary(), at(STRING, b'"a\\'))
    assert set(found) == {bytes([byte]) for byte in b'"\\/bfnrt'}


def test_outside_strings_only_what_fits_is_listed() -> None:
    node = Text(b"ab}", b"ac")
    assert listed(vocabulary(), at(node, b"")) == {b"a": 1, b"ab": 1}


def test_what_was_worked_out_is_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 2)
    words = vocabulary()
    node = Text(b"abcd")
    first = words.allowed(at(node, b""))
    assert words.allowed(at(node, b"")) is first
    for data in (b"a", b"ab"):
        words.allowed(at(node, data))
    assert words.allowed(at(node, b"")) is not first


def test_preparing_changes_nothing() -> None:
    cold, warm = vocabulary(), vocabulary()
    warm.prepare()
    assert listed(cold, at(SHORT, b'"')) == listed(warm, at(SHORT, b'"'))
    assert torch.equal(cold.num_characters, warm.num_characters)


def test_tokens_are_counted_as_the_grammar_counts_them() -> None:
    random = Random(0)
    alphabet = ["a", " ", '"', "\\", "\n", "\x7f", "é", "中", "😀"]
    made = ["".join(random.choices(alphabet, k=random.randint(0, 5))) for _ in range(400)]
    pieces = [piece.encode()[random.randint(0, 2) :][:7] for piece in made]
    words = Vocabulary([*pieces, b"", b""], call=400, call_end=401, stop_ids=frozenset())
    body = StringBody(least=1)
    for token, piece in enumerate(pieces):
        threads = grammar.advance((Thread(body, body.start, None),), piece)
        stays = any(
            thread.terminal is body and string_state(thread.local) == (1, ())
            for thread in threads
        )
        assert int(words.num_characters[token]) == (num_characters(piece) if stays else 0)


def num_characters(piece: bytes) -> int:
    """Count one by one; an escape is one."""
    return len(re.sub(r"\\.", "x", piece.decode()))
