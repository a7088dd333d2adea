"""
One reply that is asked for on its own: a sequence of the engine's from open to close.

Knows the prompt and the reports of the engine; does no I/O and reads no clock. Outputs
are what to tell the engine and what to tell the client, in order. Whatever ends it (the
last token, a stop string, a failure, a client that left), the sequence is closed once; or
handed over, when it came to its own end and is to serve again.
"""

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from assistant.turns import prompt
from assistant.turns.actions import Tell
from assistant.turns.chat import Question
from assistant.turns.mirror import Mirror
from assistant.turns.stopping import StopScan
from assistant.turns.tool_calls import CallClosed, Piece, ToolCalls
from assistant.wire import link


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens of a reply and of its prompt, by kind."""

    num_prompt: int
    num_cached: int
    num_image: int
    num_audio: int
    num_output: int


@dataclass(frozen=True, slots=True)
class Ended:
    reason: Literal["stop", "length", "tool_calls"]
    spent: Spent
    warnings: tuple[str, ...] = ()
    """Why something that looked like a call was not given as one."""


@dataclass(frozen=True, slots=True)
class Broken:
    """It cannot go on; ``code`` is stable."""

    code: str
    message: str


Output = Tell | Piece | Ended | Broken


class State(enum.Enum):
    NEW = enum.auto()
    ORDERED = enum.auto()  # waits for a slot
    ADMITTED = enum.auto()
    OVER = enum.auto()


class Completion:
    """Order one reply, pass its text on, and end."""

    def __init__(
        self,
        question: Question,
        sequence_numbers: Iterator[int],
        kept: Mirror | None = None,
        *,
        keeps: bool = False,
    ) -> None:
        """
        Args:
            question: What is asked.
            sequence_numbers: For a sequence of its own.
            kept: A sequence that has answered before, to be used instead.
            keeps: Leave the sequence open at a good end, for ``release``.
        """
        self.state = State.NEW
        self._question = question
        self._sequence_numbers = sequence_numbers
        self._mirror = kept or Mirror(sequence_numbers)
        self._keeps = keeps
        self._generation = 0
        self._scan = StopScan(question.stops)
        self._calls = ToolCalls(question.tools.names, most=question.tools.max_calls)
        self._has_called = False
        self._num_output = 0

    def open(self) -> list[Output]:
        """Order the prompt and the reply."""
        assert self.state is State.NEW
        self.state = State.ORDERED
        question = self._question
        segments = question.segments
        if not segments:
            self.state = State.OVER
            return [Broken("empty_prompt", "The messages hold nothing to answer.")]
        adapter = prompt.adapter_for(question.items)
        orders = self._mirror.orders(adapter, segments, prompt.reply_key("reply"))
        assert self._mirror.sequence is not None
        # Its marks are forgotten with what comes after them; numbers of replies are not.
        self._generation = self._mirror.next_generation()
        sampling = question.sampling
        orders.append(link.Generate(self._mirror.sequence, self._generation, sampling))
        return [Tell(order) for order in orders]

    def receive_report(self, report: link.Report) -> list[Output]:
        """Take what the engine says of the sequence; after the end nothing counts."""
        if self.state is State.OVER:
            return []
        if getattr(report, "generation", None) not in (None, self._generation):
            return []
        match report:
            case link.Appended():
                self._mirror.receive_appended(report)
            case link.Admitted():
                self.state = State.ADMITTED
            case link.Token():
                return self._write(report)
            case link.Finished():
                return self._finish(report)
            case link.Failed():
                return self.fail(report.code, report.message)
        return []

    def receive_engine_gone(self) -> list[Output]:
        if self.state is State.OVER:
            return []
        self._mirror.forget()  # there is nobody to tell
        return self.fail("engine_gone", "The inference engine stopped.")

    def receive_timeout(self, waited_s: float) -> list[Output]:
        """The reply should have been admitted by now."""
        if self.state is not State.ORDERED:
            return []
        message = f"The engine did not take the request within {waited_s:g} s."
        return self.fail("server_overloaded", message)

    def fail(self, code: str, message: str) -> list[Output]:
        """End it here, with an error."""
        return [*self.close(), Broken(code, message)]

    def close(self) -> list[Output]:
        """Nobody wants the rest; safe at any time. The engine stops at the close."""
        self.state = State.OVER
        return [Tell(order) for order in self._mirror.close()]

    def release(self) -> Mirror | None:
        """Hand over the sequence, if it is still open: it has answered, and well."""
        if self.state is not State.OVER or self._mirror.sequence is None:
            return None
        mirror, self._mirror = self._mirror, Mirror(self._sequence_numbers)
        return mirror

    def _write(self, report: link.Token) -> list[Output]:
        self.state = State.ADMITTED
        self._num_output += len(report.ids)
        outputs: list[Output] = self._show(self._scan.receive(report.text))
        if self._scan.is_stopped:
            outputs += self._end("stop", self._mirror.held_cost().total, num_cached=0)
        return outputs

    def _finish(self, report: link.Finished) -> list[Output]:
        self._num_output = report.num_output
        outputs = self._show(self._scan.receive(report.text) + self._scan.flush())
        # Nobody but the client of this reply cancels it, and that one is gone then.
        is_short = report.reason == "length" and not self._scan.is_stopped
        reason: Literal["stop", "length"] = "length" if is_short else "stop"
        return [*outputs, *self._end(reason, report.num_prompt, report.num_cached)]

    def _show(self, text: str) -> list[Output]:
        return [*self._noted(self._calls.receive(text))]

    def _noted(self, pieces: list[Piece]) -> list[Piece]:
        self._has_called |= any(
            isinstance(piece, CallClosed) and piece.is_whole for piece in pieces
        )
        return pieces

    def _end(
        self, reason: Literal["stop", "length"], num_prompt: int, num_cached: int
    ) -> list[Output]:
        # A call that the bound cut off is no words either.
        is_cut = reason == "length" and self._calls.is_in_call
        rest = [] if is_cut else self._noted(self._calls.finish())
        held = self._mirror.held_cost()
        spent = Spent(
            num_prompt=num_prompt,
            num_cached=num_cached,
            num_image=held.num_image,
            num_audio=held.num_audio,
            num_output=self._num_output,
        )
        ending = Ended(
            "tool_calls" if self._has_called and reason == "stop" else reason,
            spent,
            tuple(self._calls.warnings),
        )
        if self._keeps and not self._scan.is_stopped:
            self.state = State.OVER
            return [*rest, ending]
        return [*rest, *self.close(), ending]
