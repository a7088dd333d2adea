"""
Grammars over a vocabulary: which tokens may come next, and how soon it is over.

The text of a reply is the grammar's business (``assistant.schema``), its tokens are ours.
A token may come when its bytes may; and only if what it leaves can still be completed
with the tokens that are left, counting one for each byte, which every byte-level
vocabulary has. So a constrained reply is complete whenever its budget was enough for the
shortest one.
"""

import torch
from torch import Tensor

from assistant.engine.vocabulary import Allowed, Inside, Vocabulary
from assistant.errors import RequestRefused, SchemaRefused
from assistant.schema import grammar
from assistant.schema.calls import calls_grammar
from assistant.schema.grammar import Thread
from assistant.schema.value import value_grammar
from assistant.wire import link


def check(constraint: link.Constraint | None) -> None:
    """
    Make sure that a constraint can be followed.

    Raises:
        RequestRefused: ``invalid_constraint``; a gateway should have seen that before.
    """
    if constraint is None:
        return
    if not constraint.schema and (not constraint.functions or constraint.max_calls < 1):
        raise RequestRefused("invalid_constraint", "a call needs a function")
    try:
        _calls(constraint)
        _value(constraint)
    except SchemaRefused as error:
        raise RequestRefused("invalid_constraint", str(error)) from None


def _calls(constraint: link.Constraint) -> tuple[Thread, ...]:
    """Return where a list of calls begins; nowhere without functions."""
    if not constraint.functions:
        return ()
    functions = tuple((f.name, f.parameters) for f in constraint.functions)
    return grammar.start(calls_grammar(functions, constraint.max_calls))


def _value(constraint: link.Constraint) -> tuple[Thread, ...]:
    """Return where the JSON value begins that a reply without a call is; or nowhere."""
    return grammar.start(value_grammar(constraint.schema)) if constraint.schema else ()


class Guide:
    """
    Where one reply stands: before a call, in it, or behind it.

    One that is a JSON value is in it from the first token on, and a stop token ends both.
    One that may be either becomes what its first token says.
    """

    def __init__(
        self, vocabulary: Vocabulary, constraint: link.Constraint, num_tokens: int
    ) -> None:
        """``num_tokens`` is the most the reply may have, its stop token counted."""
        self._vocabulary = vocabulary
        self._is_required = constraint.is_required
        self._left = num_tokens
        self._calls = _calls(constraint)
        self._value = _value(constraint)
        self._threads: tuple[Thread, ...] | None = None
        """In the call or value, None before it; ``(END,)`` when only its end is missing."""
        self._is_over = False
        self._ends = [vocabulary.call_end]
        self._num_ends = 2  # behind the JSON: the end of the call, and the stop token
        if not self._calls:
            self._begin_value()

    def _begin_value(self) -> None:
        self._threads = self._value
        self._ends = sorted(self._vocabulary.stop_ids)
        self._num_ends = 1

    def receive(self, token: int) -> None:
        """Take note of the token that was chosen."""
        self._left -= 1
        if self._threads is None:
            if token == self._vocabulary.call:
                self._threads = self._calls
                return
            if not self._value:
                return
            self._begin_value()
        assert self._threads is not None
        if token in self._ends:
            self._is_over = True
        elif not self._is_over:
            self._threads = grammar.advance(self._threads, self._vocabulary.pieces[token])

    def mask(self, row: Tensor) -> Tensor:
        """
        Return logits ``[V]`` with -inf where a token may not come.

        At least one may; where no budget is left to be complete in, the ones that lead
        there soonest.
        """
        if self._threads is None:
            return self._before(row)
        if self._is_over:
            return _only(row, sorted(self._vocabulary.stop_ids))
        return self._within(row, self._threads, self._ends, self._num_ends)

    def _before(self, row: Tensor) -> Tensor:
        """Mask what may come before a call: its beginning, and whatever else is free."""
        call = self._vocabulary.call
        if self._is_required:
            return _only(row, [call])
        fewest = min(thread.left for thread in self._calls)
        may_call = self._left - 1 >= fewest + self._num_ends
        if self._value:
            masked = self._within(row, self._value, [], 1)
        elif may_call:
            return row
        else:
            masked = row.clone()
        masked[call] = row[call] if may_call else -torch.inf
        return masked

    def _within(
        self, row: Tensor, threads: tuple[Thread, ...], ends: list[int], num_ends: int
    ) -> Tensor:
        """Mask what may come within a grammar, ``num_ends`` tokens behind it."""
        vocabulary = self._vocabulary
        open_threads = [thread for thread in threads if thread != grammar.END]
        has_ended = len(open_threads) < len(threads)
        if has_ended and (ends == [vocabulary.call_end] or not open_threads):
            return _only(row, ends)
        parts = [vocabulary.allowed(thread) for thread in open_threads]
        limit = self._left - 1 - num_ends
        if has_ended:  # a number that may go on, say
            masked = _only(row, ends)
        else:
            limit = max(limit, min(map(_soonest, parts)))
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


def _soonest(allowed: Allowed) -> int:
    lefts = [int(allowed.lefts.min())] if len(allowed.lefts) else []
    if allowed.inside is not None and allowed.inside.room > 0:
        lefts.append(allowed.inside.after + max(0, allowed.inside.owed - 1))
    return min(lefts, default=10**9)


def _only(row: Tensor, ids: list[int]) -> Tensor:
    masked = torch.full_like(row, -torch.inf)
    masked[ids] = row[ids]
    return masked
