"""
Tool calls in the text of a reply, found while it streams.

Understands what Phi-4 was trained to write, ``<|tool_call|>[{"name": …, "arguments": …}]
<|/tool_call|>``, and the ``functools[…]`` form of other templates. Text comes in pieces of
any size; words, the beginning of a call and its arguments leave as soon as it is certain
what they are. What begins like a call and is none is given out as words.
"""

import enum
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

BEGIN, END = "<|tool_call|>", "<|/tool_call|>"
FUNCTOOLS = "functools["
_SPACE = " \t\r\n"
_ARGUMENTS = ("arguments", "parameters")


@dataclass(frozen=True, slots=True)
class Words:
    """Text for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class CallOpened:
    name: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """More of the arguments of the open call, as JSON text."""

    delta: str


@dataclass(frozen=True, slots=True)
class CallClosed:
    is_whole: bool
    """False: the call broke off, and must not be carried out."""


Piece = Words | CallOpened | Arguments | CallClosed


class _Broken(Exception):
    """What began like a call is none."""


class _Place(enum.Enum):
    WORDS = enum.auto()
    LIST = enum.auto()  # before the first call
    CALL = enum.auto()
    BETWEEN = enum.auto()  # behind a call


class ToolCalls:
    """The text of one reply, taken apart."""

    def __init__(self, names: Collection[str], *, most: int | None = None) -> None:
        """
        ``names`` are the functions there are (without any, all is words); calls beyond
        ``most`` are dropped.
        """
        self._names = names
        self._most = most
        self._place = _Place.WORDS
        self._buffer = ""
        self._written: list[str] = []  # of the present call, in case it is none
        self._call = _Call(names)
        self._num_calls = 0
        self._is_in_words = False
        self.warnings: list[str] = []
        """Why something that began like a call was not given as one."""

    @property
    def is_in_call(self) -> bool:
        """A list of calls has begun and is not over."""
        return self._place is not _Place.WORDS

    def receive(self, text: str) -> list[Piece]:
        """Take more of the reply; return what is certain by now."""
        if not self._names:
            return [Words(text)] if text else []
        self._buffer += text
        return _merged(self._pieces())

    def finish(self) -> list[Piece]:
        """The reply is over; return the rest."""
        pieces = list(self._pieces())
        rest, self._buffer = self._buffer, ""
        if self._place is _Place.WORDS:
            # White space around calls belongs to their form.
            if rest.strip(_SPACE) or self._is_in_words or not self._num_calls:
                pieces.append(Words(rest))
        elif self._place is not _Place.BETWEEN:
            self._written.append(rest)
            pieces += self._give_up("it breaks off")
        return _merged(pieces)

    def _pieces(self) -> Iterator[Piece]:
        """Yield pieces until more text is needed."""
        while True:
            before = self._place, len(self._buffer)
            yield from self._words() if self._place is _Place.WORDS else self._calls()
            if (self._place, len(self._buffer)) == before:
                return

    def _words(self) -> Iterator[Piece]:
        at, marker = _find(self._buffer, (BEGIN, FUNCTOOLS, END))
        words = self._buffer[:at]
        if words.strip(_SPACE) or self._is_in_words:
            self._buffer = self._buffer[at:]
            self._is_in_words = True
            if words:
                yield Words(words)
        if marker is None:
            return
        self._buffer = self._buffer[self._buffer.index(marker) + len(marker) :]
        if marker == END:
            return
        self._is_in_words = False
        self._place = _Place.LIST
        self._written = [FUNCTOOLS] if marker == FUNCTOOLS else []

    def _calls(self) -> Iterator[Piece]:
        end, marker = _find(self._buffer, (END,))
        at = 0
        try:
            while at < end and self._place is not _Place.WORDS:
                at += 1
                self._written.append(self._buffer[at - 1])
                yield from self._take(self._buffer[at - 1])
            if marker is not None and self._place is not _Place.WORDS:
                at += len(marker)
                if self._place is not _Place.BETWEEN:
                    raise _Broken("it breaks off")
                self._place = _Place.WORDS
        except _Broken as broken:
            yield from self._give_up(str(broken))
        self._buffer = self._buffer[at:]

    def _take(self, character: str) -> Iterator[Piece]:
        """Take one character of a list of calls."""
        if self._place is _Place.CALL:
            for piece in self._call.take(character):
                if not self._is_beyond():
                    yield piece
            if self._call.is_over:
                self._num_calls += 1
                self._written = []
                self._place = _Place.BETWEEN
        elif character == "{":
            self._call = _Call(self._names)
            self._place = _Place.CALL
            if self._is_beyond():
                self.warnings.append(f"only {self._most} tool calls are allowed")
        elif character == "]":
            if self._place is _Place.LIST:
                raise _Broken("the list is empty")
            self._place = _Place.WORDS
        elif character not in (
            _SPACE + "[" if self._place is _Place.LIST else _SPACE + ","
        ):
            raise _Broken(f"{character!r} is not expected")

    def _is_beyond(self) -> bool:
        return self._most is not None and self._num_calls >= self._most

    def _give_up(self, why: str) -> Iterator[Piece]:
        self.warnings.append(f"a tool call is not valid: {why}")
        if self._place is _Place.CALL and self._call.is_open and not self._is_beyond():
            yield CallClosed(is_whole=False)
        text = "".join(self._written)
        self._place, self._written, self._is_in_words = _Place.WORDS, [], True
        if text:
            yield Words(text)


class _Call:
    """One ``{"name": …, "arguments": …}``, character by character."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self.is_open = False
        self.is_over = False
        self._key: str | None = None
        self._part = "key"  # key, colon, value, comma
        self._text: list[str] = []  # of the present key or value
        self._depth = 0
        self._in_string = False
        self._is_escaped = False
        self._arguments: list[str] = []  # that wait for the name
        self._has_arguments = False

    def take(self, character: str) -> Iterator[Piece]:
        if not self._text and character in _SPACE:
            return
        if self._part == "colon":
            if character != ":":
                raise _Broken(f"{character!r} where a colon should be")
            self._part = "value"
        elif self._part == "comma":
            if character not in ",}":
                raise _Broken(f"{character!r} where a comma should be")
            if character == "}":
                yield from self._close()
            self._part = "key"
        elif self._part == "key" and not self._text and character == "}":
            yield from self._close()
        elif self._part == "key" and not self._text and character != '"':
            raise _Broken(f"{character!r} where a key should be")
        else:
            yield from self._grow(character)

    def _grow(self, character: str) -> Iterator[Piece]:
        """Take a character of a key or a value."""
        is_scalar = bool(self._text) and self._text[0] not in '{["'
        if is_scalar and character in ",}" + _SPACE:
            yield from self._ended()
            if character in ",}":
                yield from self.take(character)
            return
        self._text.append(character)
        if self._in_string:
            self._in_string = self._is_escaped or character != '"'
            self._is_escaped = not self._is_escaped and character == "\\"
        elif character == '"':
            self._in_string = True
        else:
            self._depth += (character in "{[") - (character in "}]")
        if self._streams:
            yield Arguments(character)
        if self._depth == 0 and not self._in_string and self._text[0] in '{["':
            yield from self._ended()

    @property
    def _streams(self) -> bool:
        """The present value is arguments that leave as they come."""
        is_arguments = self._part == "value" and self._key in _ARGUMENTS
        return is_arguments and self.is_open and self._text[0] == "{"

    def _ended(self) -> Iterator[Piece]:
        """A key or a value is whole."""
        text, streamed = "".join(self._text), self._streams
        value = _read(text)
        self._text = []
        if self._part == "key":
            self._key = str(value)
            self._part = "colon"
            return
        self._part = "comma"
        if self._key == "name":
            if self.is_open or not isinstance(value, str) or value not in self._names:
                raise _Broken(f"there is no function {text:.80}")
            self.is_open = True
            yield CallOpened(value)
            if self._has_arguments:
                yield Arguments("".join(self._arguments))
        elif self._key in _ARGUMENTS:
            if self._has_arguments:
                raise _Broken("it has arguments twice")
            self._has_arguments = True
            if not streamed:
                self._arguments.append(_as_object(text, value))
                if self.is_open:
                    yield Arguments(self._arguments[0])

    def _close(self) -> Iterator[Piece]:
        if not self.is_open:
            raise _Broken("it has no name")
        self.is_over = True
        if not self._has_arguments:
            yield Arguments("{}")
        yield CallClosed(is_whole=True)


def _as_object(text: str, value: object) -> str:
    """Return arguments as JSON of an object; some models write it into a string."""
    if isinstance(value, str):
        text, value = value, _read(value)
    if value is None:
        return "{}"
    if not isinstance(value, dict):
        raise _Broken("its arguments are no object")
    return text


def _read(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _Broken("its JSON is broken") from None


def _find(text: str, markers: Iterable[str]) -> tuple[int, str | None]:
    """Return where the first marker begins, or how far none can, and the marker."""
    found = [(at, marker) for marker in markers if (at := text.find(marker)) >= 0]
    if found:
        return min(found)
    for at in range(max(0, len(text) - max(map(len, markers)) + 1), len(text)):
        if any(marker.startswith(text[at:]) for marker in markers):
            return at, None
    return len(text), None


def _merged(pieces: Iterable[Piece]) -> list[Piece]:
    """Return neighbours of one kind as one."""
    merged: list[Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if isinstance(piece, Words) and isinstance(last, Words):
            merged[-1] = Words(last.text + piece.text)
        elif isinstance(piece, Arguments) and isinstance(last, Arguments):
            merged[-1] = Arguments(last.delta + piece.delta)
        else:
            merged.append(piece)
    return [piece for piece in merged if piece not in (Words(""), Arguments(""))]
