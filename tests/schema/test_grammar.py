import json
import random

import pytest

from assistant.schema import grammar
from assistant.schema.grammar import END, Either, Node, Repeat, Sequence, StringBody, Text


def is_whole(node: Node, data: bytes) -> bool:
    return END in grammar.advance(grammar.start(node), data)


def is_begun(node: Node, data: bytes) -> bool:
    return bool(grammar.advance(grammar.start(node), data))


WORD = Sequence(Text(b'"'), StringBody())


@pytest.mark.parametrize("text", ["", "plain", "Köln 中 😀", 'a"b', "\\", "\n\t", "\x7f"])
def test_every_string_of_json_without_hexadecimal_escapes_is_one(text: str) -> None:
    assert is_whole(WORD, json.dumps(text, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    "data",
    [
        b'"\n', b'"\\u', b'"\\x', b'"\x80', b'"\xc0', b'"\xe0\x80', b'"\xed\xa0',
        b'"\xf0\x80', b'"\xf4\x90', b'"\xff', b'"a""',
    ],
)  # fmt: skip
def test_what_is_no_string_of_utf_8_is_refused_at_its_first_wrong_byte(data: bytes) -> None:
    assert not is_begun(WORD, data)
    assert is_begun(WORD, data[:-1]) or data == b'"a""'


def test_bounds_of_a_string_count_characters() -> None:
    node = Sequence(Text(b'"'), StringBody(2, 3))
    whole = ["ab", "äöü", "\\n😀"]
    assert all(is_whole(node, f'"{text}"'.encode()) for text in whole)
    assert not any(is_begun(node, f'"{text}"'.encode()) for text in ("", "a", "abcd"))


def test_of_fixed_texts_one_may_be_the_beginning_of_another() -> None:
    node = Sequence(Text(b"1", b"12", b"2"), Text(b"}"))
    assert [is_whole(node, d) for d in (b"1}", b"12}", b"2}", b"22}")] == [True] * 3 + [
        False
    ]


def test_branches_that_begin_alike_stay_open_until_they_part() -> None:
    node = Either(Sequence(Text(b"ab"), Text(b"c")), Text(b"abd"), WORD)
    assert len(grammar.advance(grammar.start(node), b"ab")) == 2
    assert is_whole(node, b"abc")
    assert is_whole(node, b"abd")


@pytest.mark.parametrize(("least", "most"), [(0, None), (2, 3), (0, 0), (1, None)])
def test_a_list_has_as_many_entries_as_it_may(least: int, most: int | None) -> None:
    node = Repeat(Text(b"x"), b"]", least, most)
    for count in range(6):
        fits = count >= least and (most is None or count <= most)
        assert is_whole(node, b", x" * count + b"]") is fits


def test_a_loop_comes_back_to_the_very_same_threads() -> None:
    node = Sequence(Text(b"["), WORD, Repeat(WORD, b"]", 0, None))
    once = grammar.advance(grammar.start(node), b'["a')
    again = grammar.advance(once, b'bc", "d", "e')
    assert once == again
    assert len({*once, *again}) == 1


def test_the_fewest_bytes_left_are_never_more_than_what_is_written_then() -> None:
    rng = random.Random(3)
    node = Sequence(Text(b"["), WORD, Repeat(WORD, b"]", 2, 4))
    for _ in range(4):
        words = ["".join(rng.choices('aä"\\', k=rng.randint(0, 3))) for _ in range(4)]
        data = json.dumps(words, ensure_ascii=False).encode()
        for at in range(len(data)):
            threads = grammar.advance(grammar.start(node), data[:at])
            left = min(thread.left for thread in threads)
            assert left <= len(data) - at
            nearer = [
                min(thread.left for thread in following)
                for byte in range(256)
                if (following := grammar.advance(threads, bytes([byte])))
            ]
            assert min(nearer) == left - 1
