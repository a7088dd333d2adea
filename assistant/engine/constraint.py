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
from assistant.schema.grammar import Node, Thread
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
        _grammar_of(constraint)
    except SchemaRefused as error:
        raise RequestRefused("invalid_constraint", str(error)) from None


def _grammar_of(constraint: link.Constraint) -> Node:
    if constraint.schema:
        return value_grammar(constraint.schema)
    functions = tuple((f.name, f.parameters) for f in constraint.functions)
    return calls_grammar(functions, constraint.max_calls)


class Guide:
    """
    Where one reply stands: before a call, in it, or behind it.

    One that is a JSON value is in it from the first token on, and a stop token ends both.
    """

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
        self._ends = [vocabulary.call_end]
        self._num_ends = 2  # behind the JSON: the end of the call, and the stop token
        if constraint.schema:
            self._threads = self._start
            self._ends = sorted(vocabulary.stop_ids)
            self._num_ends = 1

    def receive(self, token: int) -> None:
        """Take note of the token that was chosen."""
        self._left -= 1
        if self._threads is None:
            if token == self._vocabulary.call:
                self._threads = self._start
        elif token in self._ends:
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
            if self._left - 1 < fewest + self._num_ends:
                row = row.clone()
                row[vocabulary.call] = -torch.inf
            return row
        if self._is_over:
            return _only(row, sorted(vocabulary.stop_ids))
        open_threads = [thread for thread in self._threads if thread != grammar.END]
        has_ended = len(open_threads) < len(self._threads)
        if has_ended and (self._ends == [vocabulary.call_end] or not open_threads):
            return _only(row, self._ends)
        parts = [vocabulary.allowed(thread) for thread in open_threads]
        limit = self._left - 1 - self._num_ends
        if has_ended:  # a number that may go on, say
            masked = _only(row, self._ends)
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
