"""
The bytes of every token, and which of them may follow one reading of a grammar.

What a grammar allows is worked out once for equal readings and kept. Inside strings, where
nearly every token may come, tokens are told apart beforehand: those that stay within, those
that close it, and those that end within a character.
"""

import re
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from assistant.model.tokenizer import Tokenizer
from assistant.schema import grammar
from assistant.schema.grammar import StringBody, Thread, string_state

MAX_KEPT = 256
"""Threads whose tokens are remembered. Those inside a string take the most, some 100 kB
each with the real vocabulary; nearly all others allow a handful of tokens."""

_QUOTE = ord('"')
_SYNTAX = re.compile(rb"[\x00-\x1f\"\\]")
"""Where a string may end, escape something, or be none."""
_IS_MORE = np.ones(256, dtype=bool)
_IS_MORE[0x20:0x80] = False
_IS_MORE[[_QUOTE, ord("\\")]] = True
"""Bytes that are not one character of a string."""
_CHARACTERS = re.compile(
    rb"(?:[ !#-\[\]-\x7f]|\\[\"\\/bfnrt]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]"
    rb"|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})*"
)
"""Whole characters of a JSON string; the same language as ``StringBody`` between quotes."""


@dataclass(frozen=True, slots=True)
class Inside:
    """Tokens that stay within a string: whole characters, and nothing else."""

    room: int
    """Characters they may have."""
    owed: int
    """Characters that must still come."""
    after: int
    """Fewest bytes once all those are there."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may follow one thread."""

    ids: Tensor
    """``[N]`` int64: tokens listed one by one."""
    lefts: Tensor
    """``[N]`` int64: the fewest bytes that complete the text after each."""
    inside: Inside | None = None


class Vocabulary:
    """The bytes of every token, in the order in which a grammar can be asked for them."""

    def __init__(
        self,
        pieces: Sequence[bytes],
        *,
        call: int,
        call_end: int,
        stop_ids: frozenset[int],
    ) -> None:
        """``pieces`` are empty for control tokens and ids without a token."""
        self.pieces = pieces
        self.call = call
        self.call_end = call_end
        self.stop_ids = stop_ids
        self._kept: OrderedDict[Thread, Allowed] = OrderedDict()
        self._kept_closers: OrderedDict[tuple[Thread, ...], Tensor] = OrderedDict()

    @classmethod
    def of(cls, tokenizer: Tokenizer, size: int, stop_ids: frozenset[int]) -> Self:
        """Return that of a checkpoint with ``size`` rows of embeddings."""
        call, end = tokenizer.control("tool_call"), tokenizer.control("tool_call_end")
        pieces = [
            b"" if token in (call, end) else tokenizer.piece(token) for token in range(size)
        ]
        return cls(pieces, call=call, call_end=end, stop_ids=stop_ids)

    def prepare(self) -> None:
        """Work out what all grammars need, once: no reply shall wait for it."""
        _ = self._tokens, self._rests, self.num_characters, self._closing, self._unfinished

    def allowed(self, thread: Thread) -> Allowed:
        """Return what may follow a thread; worked out once for equal ones."""
        found = self._kept.get(thread)
        if found is None:
            found = self._kept[thread] = self._find(thread)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(thread)
        return found

    def _find(self, thread: Thread) -> Allowed:
        body = thread.terminal
        if isinstance(body, StringBody):
            count, expected = string_state(thread.local)
            if not expected:
                return self._in_string(thread, body, count)
            # The rest of a character is a token of its own, or several.
            return _listed(
                (token, left)
                for token, left in self._walk(self._rests, (thread,))
                if len(self.pieces[token]) <= len(expected)
            )
        return _listed(self._walk(self._tokens, (thread,)))

    def _in_string(self, thread: Thread, body: StringBody, count: int) -> Allowed:
        inside = Inside(
            room=10**6 if body.most is None else body.most - count,
            owed=body.least - count,
            after=1 + (thread.rest.fewest if thread.rest else 0),
        )
        closed = grammar.step(Thread(body, (body.least, ()), thread.rest), ord('"'))
        ids, counts, lefts = self._closers(closed)
        closes = (inside.owed <= counts) & (counts <= inside.room)
        parts, part_counts, missing = self._unfinished
        fits = part_counts <= inside.room
        owed = (inside.owed - part_counts).clamp(min=0)
        return Allowed(
            torch.cat([ids[closes], parts[fits]]),
            torch.cat([lefts[closes], (missing + owed + inside.after)[fits]]),
            inside,
        )

    def _closers(self, closed: tuple[Thread, ...]) -> Tensor:
        """
        Return the tokens that close a string: ids, characters before the quote, bytes left.

        They do not depend on how much of the string is written. ``[3, N]`` int64.
        """
        found = self._kept_closers.get(closed)
        if found is None:
            rows: list[tuple[int, int, int]] = []
            for tail, by_count in self._closing.items():
                threads = grammar.advance(closed, tail)
                if threads:
                    left = min(thread.left for thread in threads)
                    for count, ids in by_count.items():
                        rows += [(token, count, left) for token in ids]
            found = self._kept_closers[closed] = _columns(rows)
            if len(self._kept_closers) > MAX_KEPT:
                self._kept_closers.popitem(last=False)
        return found

    def _walk(
        self, tokens: "_Sorted", threads: tuple[Thread, ...]
    ) -> Iterator[tuple[int, int]]:
        """Yield the tokens that may come, each with the fewest bytes after it."""
        # after[n] is what the first n bytes of the present piece lead to.
        after = [threads]
        previous = b""
        index = 0
        while index < len(tokens.pieces):
            piece = tokens.pieces[index]
            del after[_shared(previous, piece) + 1 :]
            previous = piece
            for at in range(len(after) - 1, len(piece)):
                following = grammar.advance(after[at], piece[at : at + 1])
                if not following:
                    # Everything that begins like this is out as well.
                    index = tokens.end_of(piece[: at + 1], index)
                    break
                after.append(following)
            else:
                yield tokens.ids[index], min(thread.left for thread in after[-1])
                index += 1

    # --- worked out once per vocabulary -------------------------------------------------

    @cached_property
    def _tokens(self) -> "_Sorted":
        return _Sorted(self.pieces, range(len(self.pieces)))

    @cached_property
    def _rests(self) -> "_Sorted":
        """Tokens short enough to be the rest of one character."""
        short = [token for token in self._tokens.ids if len(self.pieces[token]) <= 3]
        return _Sorted(self.pieces, short)

    @property
    def num_characters(self) -> Tensor:
        """``[V]`` int64: characters of tokens that can stand inside a string, else 0."""
        return self._in_strings.num_characters

    @property
    def _closing(self) -> dict[bytes, dict[int, list[int]]]:
        """Tokens with a closing quote, by the bytes after and the characters before it."""
        return self._in_strings.closing

    @property
    def _unfinished(self) -> Tensor:
        """Tokens that end within a character: ids, characters with it, bytes it lacks."""
        return self._in_strings.unfinished

    @cached_property
    def _in_strings(self) -> "_InStrings":
        """Tell tokens apart by what they are inside a string: one look at each."""
        counts, others = _count_plain(self.pieces)
        closing: dict[bytes, dict[int, list[int]]] = {}
        unfinished: list[tuple[int, int, int]] = []
        for token in others:
            piece = self.pieces[token]
            if not _SYNTAX.search(piece) and (count := _count_whole(piece)):
                counts[token] = count
                continue
            match = _CHARACTERS.match(piece)
            assert match is not None, "it matches nothing at least"
            end = match.end()
            if end == len(piece):
                counts[token] = _count(piece)
            elif piece[end] == _QUOTE:
                by_count = closing.setdefault(piece[end + 1 :], {})
                by_count.setdefault(_count(piece[:end]), []).append(token)
            elif missing := _missing(piece[end : end + 4]):
                unfinished.append((token, _count(piece[:end]) + 1, missing))
        return _InStrings(torch.from_numpy(counts), closing, _columns(unfinished))


@dataclass(frozen=True, slots=True)
class _InStrings:
    num_characters: Tensor
    closing: dict[bytes, dict[int, list[int]]]
    unfinished: Tensor


def _count_plain(pieces: Sequence[bytes]) -> tuple[npt.NDArray[np.int64], list[int]]:
    """Return the characters of tokens in plain ASCII, ``[V]``, and which are not plain."""
    lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
    ends = np.cumsum(lengths)
    # sums[n] is how many of the first n bytes of all pieces are more than themselves.
    is_more = _IS_MORE[np.frombuffer(b"".join(pieces), np.uint8)]
    sums = np.zeros(len(is_more) + 1, np.int64)
    np.cumsum(is_more, out=sums[1:])
    is_other = sums[ends] != sums[ends - lengths]
    return np.where(is_other, 0, lengths), np.flatnonzero(is_other).tolist()


def _missing(data: bytes) -> int:
    """Return how many bytes complete the character that begins with these; 0 for none."""
    if len(data) > 3:
        return 0
    body = StringBody()
    for thread in grammar.advance((Thread(body, body.start, None),), data):
        if thread.terminal is not None:
            return len(string_state(thread.local)[1])
    return 0


class _Sorted:
    """Tokens in the order of their bytes."""

    def __init__(self, pieces: Sequence[bytes], tokens: Iterable[int]) -> None:
        self.ids = sorted((t for t in tokens if pieces[t]), key=pieces.__getitem__)
        self.pieces = [pieces[token] for token in self.ids]

    def end_of(self, prefix: bytes, start: int) -> int:
        """Return the first index, from ``start`` on, whose piece begins otherwise."""
        # 0xFF is in no piece of valid UTF-8, so this is behind everything with the prefix.
        return bisect_left(self.pieces, prefix + b"\xff" * 8, start + 1)


def _listed(found: Iterable[tuple[int, int]]) -> Allowed:
    pairs = list(found)
    return Allowed(
        torch.tensor([token for token, _ in pairs], dtype=torch.int64),
        torch.tensor([left for _, left in pairs], dtype=torch.int64),
    )


def _columns(rows: list[tuple[int, int, int]]) -> Tensor:
    """Return ``[3, N]`` int64."""
    return torch.tensor(rows, dtype=torch.int64).reshape(-1, 3).T


def _shared(one: bytes, other: bytes) -> int:
    """Return the length of the common beginning."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))


def _count_whole(piece: bytes) -> int:
    """Return the characters of a piece of text; 0 where one of them is cut."""
    try:
        return len(piece.decode())
    except UnicodeDecodeError:
        return 0


def _count(piece: bytes) -> int:
    """Return the characters of a JSON string's inside; an escape is one."""
    if b"\\" in piece:
        return len(re.sub(r"\\.", "x", piece.decode()))
    return len(piece) if piece.isascii() else len(piece.decode())
