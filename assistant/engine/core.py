"""
The engine without its sockets: orders in, reports out, one step of work at a time.

What a gateway may rely on:

* Every ``Append`` is answered once and in order, by ``Appended`` or by ``Failed`` without
  a generation; one that a ``Rollback`` cuts off before it was prefilled, in its place.
* Every ``Generate`` is answered once, by ``Finished`` or by ``Failed`` with its number,
  also when ``Rollback`` or ``Close`` ends it. Nothing follows about a closed sequence.
* A ``Cancel`` that crosses the end of its reply on the link still shortens that reply.
* Whatever goes wrong with one sequence is reported about that sequence, by a stable code.
"""

import logging
import math
from typing import assert_never

from assistant.config import EngineConfig
from assistant.engine import constraint
from assistant.engine.backend import Backend, Detokenizer
from assistant.engine.reports import Reason, Reports, Send
from assistant.engine.runner import Runner, failure_code
from assistant.engine.scheduler import Decode, Scheduler, Step, shared_chunk_tokens
from assistant.engine.sequence import Sequence
from assistant.engine.slots import Slots
from assistant.errors import RequestRefused
from assistant.wire import link

log = logging.getLogger(__name__)

SEQUENCES_PER_SLOT = 32
"""Sequences that may be open at once, per row of the cache. One without a row costs host
memory only: at most 25 MB of embeddings at the real model's width."""


class Engine:
    """Serve the sequences of several connections with one backend."""

    def __init__(self, backend: Backend, config: EngineConfig, send: Send) -> None:
        self._backend = backend
        self._config = config
        self._send = send
        self._reports = Reports(send)
        self._runner = Runner(backend)
        slots: Slots[Sequence] = Slots(config.num_slots)
        self._scheduler = Scheduler(
            slots,
            config.prefill_chunk_tokens,
            config.admission_timeout_s,
            shared_chunk_tokens(config, backend.prefill_tokens_per_s),
            config.max_waited_tokens,
        )
        self._sequences: dict[tuple[int, int], Sequence] = {}
        self._detokenizers: dict[Sequence, Detokenizer] = {}
        self.max_sequences = config.num_slots * SEQUENCES_PER_SLOT

    def ready(self) -> link.Ready:
        """Return the report that greets a connection."""
        return link.Ready(
            model=self._backend.model,
            device=self._backend.device,
            dtype=self._backend.dtype,
            max_sequence_tokens=self._config.max_sequence_tokens,
            num_slots=self._config.num_slots,
            is_meaningless=self._backend.is_meaningless,
            fallbacks=list(self._backend.fallbacks),
        )

    # --- orders ------------------------------------------------------------------------

    def receive_order(self, connection: int, order: link.Order, now: float) -> None:
        """Apply one order. ``now`` is in seconds, on the clock that ``step`` gets."""
        match order:
            case link.Ping(nonce):
                self._send(connection, link.Pong(nonce))
                return
            case link.Open():
                self._open(connection, order)
                return
        sequence = self._sequences.get((connection, order.sequence))
        if sequence is None:
            self._refuse_unknown(connection, order)
            return
        match order:
            case link.Append():
                self._append(sequence, order.parts)
            case link.Mark():
                if sequence.failure is None:
                    sequence.mark(order.mark)
            case link.Rollback():
                self._rollback(sequence, order.mark)
            case link.Generate():
                self._generate(sequence, order, now)
            case link.Promote():
                sequence.promote(order.generation, now)
                self._scheduler.update(sequence)
            case link.Cancel():
                self._cancel(sequence, order)
            case link.Close():
                self._close(sequence)
            case _:
                assert_never(order)

    def drop_connection(self, connection: int) -> None:
        """Free the sequences of a connection that is gone; nothing is reported."""
        for key, sequence in list(self._sequences.items()):
            if key[0] == connection:
                if sequence.generation is not None:
                    self._forget_reply(sequence)
                self._scheduler.remove(sequence)
                del self._sequences[key]

    def _open(self, connection: int, order: link.Open) -> None:
        key = connection, order.sequence
        known = self._sequences.get(key)
        if known is not None:
            message = f"sequence {order.sequence} is open"
            self._fail_sequence(known, "sequence_exists", message)
            self._reports.failed(key, None, "sequence_exists", message)
        elif order.adapter not in self._backend.adapters:
            message = f"{self._backend.model} has no adapter {order.adapter!r}"
            self._reports.failed(key, None, "adapter_unavailable", message)
        elif len(self._sequences) >= self.max_sequences:
            message = f"{self.max_sequences} sequences are open, which is the bound"
            self._reports.failed(key, None, "too_many_sequences", message)
        else:
            bound = self._config.max_sequence_tokens
            self._sequences[key] = Sequence(
                key, order.adapter, bound, is_background=order.is_background
            )

    def _refuse_unknown(self, connection: int, order: link.Order) -> None:
        # What needs no answer gets none: the sequence may have been closed by failing.
        if not isinstance(order, link.Append | link.Generate | link.Mark | link.Rollback):
            return
        generation = order.generation if isinstance(order, link.Generate) else None
        message = f"sequence {order.sequence} is not open"
        key = connection, order.sequence
        self._reports.failed(key, generation, "unknown_sequence", message)

    def _append(self, sequence: Sequence, parts: list[link.Part]) -> None:
        try:
            _check_open(sequence)
            prepare, adapter = self._backend.prepare, sequence.adapter
            sequence.append([prepare(part, adapter) for part in parts])
        except Exception as error:
            code = failure_code(error)
            if code == "internal_error":
                log.exception("sequence %s: append failed", sequence.key)
            sequence.refuse(code, _message(error))
        self._answer(sequence)
        self._scheduler.update(sequence)

    def _rollback(self, sequence: Sequence, mark: int) -> None:
        if sequence.generation is not None:
            self._finish(sequence, "cancelled")
        try:
            sequence.rollback(mark)
        except RequestRefused as error:
            self._fail_sequence(sequence, error.code, str(error))
            self._reports.failed(sequence.key, None, error.code, str(error))
            return
        self._answer(sequence)
        self._scheduler.update(sequence)

    def _generate(self, sequence: Sequence, order: link.Generate, now: float) -> None:
        try:
            _check_open(sequence)
            _check_sampling(order.sampling)
            constraint.check(order.sampling.constraint)
            sequence.begin(
                order.generation, order.sampling, now, is_speculative=order.is_speculative
            )
        except RequestRefused as error:
            self._reports.failed(sequence.key, order.generation, error.code, str(error))
            return
        self._runner.begin(sequence)
        self._detokenizers[sequence] = self._backend.detokenizer()
        self._scheduler.update(sequence)

    def _cancel(self, sequence: Sequence, order: link.Cancel) -> None:
        generation = sequence.generation
        if generation is not None and generation.number == order.generation:
            num_output = min(max(order.num_kept, 0), sequence.num_output)
            self._finish(sequence, "cancelled", num_output=num_output)
        sequence.keep(order.generation, order.num_kept)
        self._answer(sequence)
        self._scheduler.update(sequence)

    def _close(self, sequence: Sequence) -> None:
        if sequence.generation is not None:
            self._finish(sequence, "cancelled")
        self._scheduler.remove(sequence)
        del self._sequences[sequence.key]

    # --- work --------------------------------------------------------------------------

    def step(self, now: float) -> bool:
        """Do one step of work; return False when there was none."""
        for sequence in self._scheduler.expired(now):
            self._fail_reply(
                sequence,
                "no_free_slot",
                f"all {self._config.num_slots} slots were replying for "
                f"{self._config.admission_timeout_s:g} s",
            )
        for evicted in self._scheduler.admit():
            self._runner.offload(evicted)
        step = self._scheduler.next_step()
        if step is None:
            return False
        sequences = step.sequences if isinstance(step, Decode) else (step.sequence,)
        for sequence in sequences:
            self._reports.admitted(sequence)
        self._carry_out(step)
        return True

    def _carry_out(self, step: Step) -> None:
        try:
            tokens = self._runner.run(step)
        except Exception as error:
            self._receive_failure(step, error)
            return
        for sequence in step.sequences if isinstance(step, Decode) else (step.sequence,):
            if sequence.pending:
                self._answer(sequence)
                self._scheduler.update(sequence)
        for sequence, token in tokens:
            self._receive_token(sequence, token)

    def deadline(self) -> float | None:
        """Return when ``step`` must be called even if nothing was received."""
        return self._scheduler.deadline()

    def _receive_token(self, sequence: Sequence, token: int | None) -> None:
        generation = sequence.generation
        assert generation is not None
        if token is None:
            message = "the model computed a logit that is not a finite number"
            self._fail_reply(sequence, "non_finite_logits", message)
            return
        if token in self._backend.stop_ids:
            self._finish(sequence, "stop")
            return
        sequence.append_token(token)
        self._reports.token(sequence, token, self._detokenizers[sequence].feed(token))
        is_full = sequence.num_tokens == sequence.max_tokens
        if is_full or sequence.num_output == generation.sampling.max_tokens:
            self._finish(sequence, "length")

    def _receive_failure(self, step: Step, error: Exception) -> None:
        code = failure_code(error)
        if code in ("internal_error", "out_of_memory"):
            log.error("a step failed: %s", type(step).__name__, exc_info=error)
            # Raises, and so ends the process, if the device is beyond use.
            self._backend.check_device()
        if isinstance(step, Decode) and code == "out_of_memory" and len(step.slots) > 1:
            # Whoever still fits goes on.
            for sequence, slot in zip(step.sequences, step.slots, strict=True):
                self._carry_out(Decode(step.adapter, (sequence,), (slot,)))
        elif isinstance(step, Decode):
            for sequence in step.sequences:
                self._fail_reply(sequence, code, _message(error))
        else:
            self._fail_sequence(step.sequence, code, _message(error))

    # --- ends --------------------------------------------------------------------------

    def _answer(self, sequence: Sequence) -> None:
        for append in sequence.pop_prefilled():
            self._reports.answer(sequence, append)

    def _finish(
        self, sequence: Sequence, reason: Reason, num_output: int | None = None
    ) -> None:
        # A cancelled reply ends with what the gateway has seen, which it has as text.
        text = "" if reason == "cancelled" else self._detokenizers[sequence].finish()
        if num_output is None:
            num_output = sequence.num_output
        self._reports.finished(sequence, reason, text, num_output)
        self._forget_reply(sequence)

    def _fail_reply(self, sequence: Sequence, code: str, message: str) -> None:
        """End the reply under way and leave the sequence usable."""
        assert sequence.generation is not None
        self._reports.failed(sequence.key, sequence.generation.number, code, message)
        self._forget_reply(sequence)

    def _fail_sequence(self, sequence: Sequence, code: str, message: str) -> None:
        """Fail the reply under way, what is pending and what may come."""
        for append in sequence.fail(code, message):
            self._reports.answer(sequence, append)
        if sequence.generation is not None:
            self._fail_reply(sequence, code, message)
        self._scheduler.update(sequence)

    def _forget_reply(self, sequence: Sequence) -> None:
        sequence.end()
        self._runner.end(sequence)
        del self._detokenizers[sequence]
        self._scheduler.update(sequence)


def _check_sampling(sampling: link.Sampling) -> None:
    # Written so that NaN, which compares false with everything, is refused too.
    if not (
        sampling.max_tokens >= 1
        and 0.0 <= sampling.temperature < math.inf
        and 0.0 < sampling.top_p <= 1.0
        and 0 <= sampling.seed < 2**63
    ):
        raise RequestRefused("invalid_sampling", f"{sampling} is out of bounds")


def _check_open(sequence: Sequence) -> None:
    """Refuse what cannot follow a failure or interrupt a reply."""
    if sequence.failure is not None:
        raise RequestRefused(
            "sequence_failed",
            f"the sequence failed before ({sequence.failure}); only a rollback mends it",
        )
    if sequence.generation is not None:
        raise RequestRefused(
            "generation_pending", f"generation {sequence.generation.number} is not over"
        )


def _message(error: Exception) -> str:
    return str(error) or type(error).__name__
