"""
Which bytes may come next, so that what is written becomes JSON of a wanted shape.

A grammar is a graph of nodes; ``start`` returns the threads that stand at its beginning
and ``step`` moves one by one byte. Several threads are several readings of what was
written so far (two branches of an ``anyOf``, say); a text is complete when one of its
threads has ended. Every thread knows the fewest bytes that complete it: a writer who
never lets them exceed what he has left always comes to an end in time.

Only one way of writing is in the language: the separators of ``json.dumps``, no ``\\u``
escapes, no exponents.
"""

from collections.abc import Callable, Hashable, Iterator
from functools import cached_property
from typing import NamedTuple, Protocol

from assistant.schema.number import NEVER, Number

Byte = int


class Terminal(Protocol):
    """A node that reads bytes; ``local`` is how far it has come."""

    @property
    def fewest(self) -> int: ...
    @property
    def start(self) -> Hashable: ...
    def step(self, local: Hashable, byte: Byte) -> Hashable | None:
        """Return what follows, or None where the byte is not allowed."""

    def is_done(self, local: Hashable) -> bool: ...
    def goes_on(self, local: Hashable) -> bool: ...
    def left(self, local: Hashable) -> int:
        """Return the fewest bytes that complete it."""


class Text:
    """One of several fixed texts."""

    def __init__(self, *options: bytes) -> None:
        self.start = (options, 0)
        self.fewest = min(map(len, options))

    def step(self, local: Hashable, byte: Byte) -> Hashable | None:
        options, at = _text_state(local)
        left = tuple(o for o in options if at < len(o) and o[at] == byte)
        return (left, at + 1) if left else None

    def is_done(self, local: Hashable) -> bool:
        options, at = _text_state(local)
        return any(len(option) == at for option in options)

    def goes_on(self, local: Hashable) -> bool:
        options, at = _text_state(local)
        return any(len(option) > at for option in options)

    def left(self, local: Hashable) -> int:
        options, at = _text_state(local)
        return min(map(len, options)) - at


def _text_state(local: Hashable) -> tuple[tuple[bytes, ...], int]:
    assert isinstance(local, tuple)
    options, at = local
    return options, at


_QUOTE, _BACKSLASH = ord('"'), ord("\\")
_TAIL = frozenset(range(0x80, 0xC0))
_FOLLOWERS: dict[Byte, tuple[frozenset[Byte], ...]] = {
    **dict.fromkeys(range(32, 128), ()),
    **dict.fromkeys(range(194, 224), (_TAIL,)),
    # No overlong forms, no surrogates, nothing beyond U+10FFFF (Unicode, table 3-7).
    0xE0: (frozenset(range(0xA0, 0xC0)), _TAIL),
    **dict.fromkeys(range(225, 240), (_TAIL, _TAIL)),
    0xED: (frozenset(range(0x80, 0xA0)), _TAIL),
    0xF0: (frozenset(range(0x90, 0xC0)), _TAIL, _TAIL),
    **dict.fromkeys(range(241, 244), (_TAIL, _TAIL, _TAIL)),
    0xF4: (frozenset(range(0x80, 0x90)), _TAIL, _TAIL),
    _BACKSLASH: (frozenset(b'"\\/bfnrt'),),
}
"""What a byte inside a string must be followed by; absent bytes are not allowed."""
del _FOLLOWERS[_QUOTE]

_CLOSED = "closed"


class StringBody:
    """Characters and the closing quote; bounds count characters."""

    def __init__(self, least: int = 0, most: int | None = None) -> None:
        self.least = least
        self.most = most
        self.start: Hashable = (0, ())
        self.fewest = least + 1

    def step(self, local: Hashable, byte: Byte) -> Hashable | None:
        count, expected = string_state(local)
        if expected:
            return (count, expected[1:]) if byte in expected[0] else None
        if byte == _QUOTE:
            return _CLOSED if count >= self.least else None
        if count == self.most or byte not in _FOLLOWERS:
            return None
        # Without an upper bound, counting stops where it has no more to say.
        count = count + 1 if self.most is not None else min(count + 1, self.least)
        return (count, _FOLLOWERS[byte])

    def is_done(self, local: Hashable) -> bool:
        return local == _CLOSED

    def goes_on(self, local: Hashable) -> bool:
        return local != _CLOSED

    def left(self, local: Hashable) -> int:
        count, expected = string_state(local)
        return len(expected) + max(0, self.least - count) + 1


def string_state(local: Hashable) -> tuple[int, tuple[frozenset[Byte], ...]]:
    """Return the characters counted and what the present one still needs."""
    assert isinstance(local, tuple)
    count, expected = local
    return count, expected


class Sequence:
    """One node after the other."""

    def __init__(self, *parts: "Node") -> None:
        self.parts = parts

    @cached_property
    def fewest(self) -> int:
        return min(NEVER, sum(part.fewest for part in self.parts))


class Either:
    """Any one of the nodes."""

    def __init__(self, *options: "Node") -> None:
        self.options = options

    @cached_property
    def fewest(self) -> int:
        return min(option.fewest for option in self.options)


class Repeat:
    """The rest of a list, behind its first entry: more entries, then what closes it."""

    def __init__(self, item: "Node", close: bytes, least: int, most: int | None) -> None:
        self._item = item
        self._least = least
        self._most = most
        self._close = close

    @cached_property
    def fewest(self) -> int:
        return self.shortest(lambda item: item.fewest)

    def shortest(self, measure: "Callable[[Node], int]") -> int:
        """Return ``fewest`` with another measure of the entries."""
        if not self._least:
            return len(self._close)
        return min(NEVER, self._least * (measure(self._item) + 2) + len(self._close))

    @cached_property
    def options(self) -> "tuple[Node, ...]":
        """What may stand here; made when asked for, since it goes on for ever."""
        close: tuple[Node, ...] = () if self._least else (Text(self._close),)
        if self._most == 0:
            return close
        rest = self
        if self._least or self._most is not None:
            most = None if self._most is None else self._most - 1
            rest = Repeat(self._item, self._close, max(0, self._least - 1), most)
        return (*close, Sequence(Text(b", "), self._item, rest))


class Reference:
    """A node that is known by name; ``resolve`` is asked for it once."""

    def __init__(self, resolve: "Callable[[], Node]") -> None:
        self._resolve = resolve
        self.fewest = NEVER
        """Set by who built the grammar, once all names are known."""

    @cached_property
    def target(self) -> "Node":
        return self._resolve()


Node = Text | StringBody | Number | Sequence | Either | Repeat | Reference


class Rest(NamedTuple):
    """What follows a node, as a linked list."""

    node: Node
    after: "Rest | None"
    fewest: int


class Thread(NamedTuple):
    """One reading of what was written: in a terminal, with what follows it."""

    terminal: Text | StringBody | Number | None
    """None at the end of the grammar."""
    local: Hashable
    rest: Rest | None

    @property
    def left(self) -> int:
        """The fewest bytes that complete the text."""
        if self.terminal is None:
            return 0
        after = self.rest.fewest if self.rest else 0
        return self.terminal.left(self.local) + after


END = Thread(None, None, None)


def start(grammar: Node) -> tuple[Thread, ...]:
    """Return the threads before the first byte."""
    return tuple(dict.fromkeys(_enter(grammar, None)))


def step(thread: Thread, byte: Byte) -> tuple[Thread, ...]:
    """Return what a thread becomes with one more byte: nothing where it is not allowed."""
    terminal, local, rest = thread
    if terminal is None:
        return ()
    following = terminal.step(local, byte)
    if following is None:
        return ()
    threads: list[Thread] = []
    if terminal.goes_on(following):
        threads.append(Thread(terminal, following, rest))
    if terminal.is_done(following):
        threads += _enter(rest.node, rest.after) if rest else (END,)
    return tuple(threads)


def advance(threads: tuple[Thread, ...], data: bytes) -> tuple[Thread, ...]:
    """Return the readings that are left after more bytes."""
    for byte in data:
        threads = tuple(dict.fromkeys(t for thread in threads for t in step(thread, byte)))
    return threads


def _enter(node: Node, rest: Rest | None) -> Iterator[Thread]:
    match node:
        case Sequence():
            for part in reversed(node.parts[1:]):
                rest = Rest(part, rest, part.fewest + (rest.fewest if rest else 0))
            yield from _enter(node.parts[0], rest)
        case Either() | Repeat():
            for option in node.options:
                yield from _enter(option, rest)
        case Reference():
            yield from _enter(node.target, rest)
        case _:
            yield Thread(node, node.start, rest)
