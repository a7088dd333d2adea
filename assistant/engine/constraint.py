"""
Grammars over a vocabulary: which tokens may come next, and how soon it is over.

The text of a reply is the grammar's business (``assistant.schema``), its tokens are ours.
A token may come when its bytes may; and only if what it leaves can still be completed
with the tokens that are left, counting one for each byte, which every byte-level
vocabulary has. So a constrained reply is complete whenever its budget was enough for the
shortest one.
"""

import re
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from assistant.errors import RequestRefused, SchemaRefused
from assistant.model.tokenizer import Tokenizer
from assistant.schema import grammar
from assistant.schema.calls import calls_grammar
from assistant.schema.grammar import Node, StringBody, Thread, string_state
from assistant.wire import link

MAX_KEPT = 256
"""Threads whose tokens are remembered: at most 100 MB with the real vocabulary, and in
practice a few, since most threads allow a handful of tokens."""

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

    @classmethod
    def of(cls, tokenizer: Tokenizer, size: int, stop_ids: frozenset[int]) -> Self:
        """Return that of a checkpoint with ``size`` rows of embeddings."""
        call, end = tokenizer.control("tool_call"), tokenizer.control("tool_call_end")
        pieces = [
            b"" if token in (call, end) else tokenizer.piece(token) for token in range(size)
        ]
        return cls(pieces, call=call, call_end=end, stop_ids=stop_ids)

    def prepare(self) -> None:
        """Work out what all grammars need: 1 s with 200,064 tokens, once."""
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
        found: list[tuple[int, int]] = []
        for tail, by_count in self._closing.items():
            threads = grammar.advance(closed, tail)
            if threads:
                left = min(t.left for t in threads)
                for characters, ids in by_count.items():
                    if inside.owed <= characters <= inside.room:
                        found += [(token, left) for token in ids]
        for token, characters, missing in self._unfinished:
            if characters <= inside.room:
                left = missing + max(0, inside.owed - characters) + inside.after
                found.append((token, left))
        listed = _listed(found)
        return Allowed(listed.ids, listed.lefts, inside)

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
        return _Sorted((piece, token) for token, piece in enumerate(self.pieces))

    @cached_property
    def num_characters(self) -> Tensor:
        """``[V]`` int64: characters of tokens that can stand inside a string, else 0."""
        counts = [0] * len(self.pieces)
        for token, piece in enumerate(self.pieces):
            match = _CHARACTERS.match(piece)
            if match is not None and match.end() == len(piece):
                counts[token] = _count(piece)
        return torch.tensor(counts)

    @cached_property
    def _rests(self) -> "_Sorted":
        """Tokens short enough to be the rest of one character."""
        return _Sorted(
            (piece, token) for token, piece in enumerate(self.pieces) if len(piece) <= 3
        )

    @cached_property
    def _closing(self) -> dict[bytes, dict[int, list[int]]]:
        """Tokens with a closing quote, by the bytes after and the characters before it."""
        closing: dict[bytes, dict[int, list[int]]] = {}
        for token, piece in enumerate(self.pieces):
            match = _CHARACTERS.match(piece)
            if match is not None and piece[match.end() : match.end() + 1] == b'"':
                by_count = closing.setdefault(piece[match.end() + 1 :], {})
                by_count.setdefault(_count(match[0]), []).append(token)
        return closing

    @cached_property
    def _unfinished(self) -> list[tuple[int, int, int]]:
        """Tokens that end within a character: characters with it, bytes it still needs."""
        body = StringBody()
        unfinished = []
        for token, piece in enumerate(self.pieces):
            match = _CHARACTERS.match(piece)
            if match is None or match.end() >= len(piece) or len(piece) > match.end() + 3:
                continue
            (thread, *_) = [
                *grammar.advance((Thread(body, body.start, None),), piece[match.end() :]),
                grammar.END,
            ]
            if thread.terminal is not None:
                _, expected = string_state(thread.local)
                unfinished.append((token, _count(match[0]) + 1, len(expected)))
        return unfinished


class _Sorted:
    """Tokens in the order of their bytes."""

    def __init__(self, tokens: Iterable[tuple[bytes, int]]) -> None:
        ordered = sorted((piece, token) for piece, token in tokens if piece)
        self.pieces = [piece for piece, _ in ordered]
        self.ids = [token for _, token in ordered]

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


def _shared(one: bytes, other: bytes) -> int:
    """Return the length of the common beginning."""
    for at, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return at
    return min(len(one), len(other))


def _count(piece: bytes) -> int:
    """Return the characters of a JSON string's inside; an escape is one."""
    text = piece.decode()
    return len(re.sub(r"\\.", "x", text))


def check(constraint: link.Constraint | None) -> None:
    """
    Make sure that a constraint can be followed.

    Raises:
        RequestRefused: ``invalid_constraint``; a gateway should have seen that before.
    """
    if constraint is None:
        return
    if not constraint.functions or constraint.max_calls < 1:
        raise RequestRefused("invalid_constraint", "a call needs a function")
    try:
        _grammar_of(constraint)
    except SchemaRefused as error:
        raise RequestRefused("invalid_constraint", str(error)) from None


def _grammar_of(constraint: link.Constraint) -> Node:
    functions = tuple((f.name, f.parameters) for f in constraint.functions)
    return calls_grammar(functions, constraint.max_calls)


class Guide:
    """Where one reply stands: before a call, in it, or behind it."""

    def __init__(
        self, vocabulary: Vocabulary, constraint: link.Constraint, num_tokens: int
    ) -> None:
        """``num_tokens`` is the most the reply may have, its stop token counted."""
        self._vocabulary = vocabulary
        self._is_required = constraint.is_required
        self._left = num_tokens
        self._start = grammar.start(_grammar_of(constraint))
        self._threads: tuple[Thread, ...] | None = None
        """In the call, None before it; ``(END,)`` when only its end token is missing."""
        self._is_over = False

    def receive(self, token: int) -> None:
        """Take note of the token that was chosen."""
        self._left -= 1
        if self._threads is None:
            if token == self._vocabulary.call:
                self._threads = self._start
        elif token == self._vocabulary.call_end:
            self._is_over = True
        elif not self._is_over:
            self._threads = grammar.advance(self._threads, self._vocabulary.pieces[token])

    def mask(self, row: Tensor) -> Tensor:
        """
        Return logits ``[V]`` with -inf where a token may not come.

        At least one may; where no budget is left to be complete in, the ones that lead
        there soonest.
        """
        vocabulary = self._vocabulary
        if self._threads is None:
            fewest = min(thread.left for thread in self._start)
            if self._is_required:
                return _only(row, [vocabulary.call])
            if self._left - 1 < fewest + _END_TOKENS:
                row = row.clone()
                row[vocabulary.call] = -torch.inf
            return row
        if self._is_over:
            return _only(row, sorted(vocabulary.stop_ids))
        if grammar.END in self._threads:
            return _only(row, [vocabulary.call_end])
        parts = [vocabulary.allowed(thread) for thread in self._threads]
        limit = max(self._left - 1 - _END_TOKENS, min(map(_soonest, parts)))
        masked = torch.full_like(row, -torch.inf)
        for part in parts:
            ids = part.ids[part.lefts <= limit].to(row.device)
            masked[ids] = row[ids]
            if part.inside is not None:
                fits = self._fits(part.inside, limit).to(row.device)
                masked = torch.where(fits, row, masked)
        return masked

    def _fits(self, inside: Inside, limit: int) -> Tensor:
        counts = self._vocabulary.num_characters
        left = inside.after + (inside.owed - counts).clamp(min=0)
        return (counts > 0) & (counts <= inside.room) & (left <= limit)


_END_TOKENS = 2
"""Behind the JSON: the end of the call, and the stop token."""


def _soonest(allowed: Allowed) -> int:
    lefts = [int(allowed.lefts.min())] if len(allowed.lefts) else []
    if allowed.inside is not None and allowed.inside.room > 0:
        lefts.append(allowed.inside.after + max(0, allowed.inside.owed - 1))
    return min(lefts, default=10**9)


def _only(row: Tensor, ids: list[int]) -> Tensor:
    masked = torch.full_like(row, -torch.inf)
    masked[ids] = row[ids]
    return masked
