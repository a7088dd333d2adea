"""
What the engine says about its sequences, as messages of the link.

Knows the shape of every report and decides nothing. Codes of ``Failed`` are stable; beside
those of pictures and recordings (``MediaError``) they are:

=======================  ============================================================
context_length_exceeded  the sequence would grow past, or fills, its bound
too_many_images          the sequence would have more pictures than the model can tell apart
no_free_slot             a reply waited ``admission_timeout_s`` for a row of the cache
non_finite_logits        the model computed NaN or infinity; no token was drawn from it
out_of_memory            of the device or the host, in a step for this sequence
internal_error           a bug; the traceback is in the engine's log
adapter_unavailable      ``Open``: the model has no such adapter
too_many_sequences       ``Open``: the bound of open sequences is reached
sequence_exists          ``Open``: the number is in use; that sequence fails too
unknown_sequence         the number is not in use
unknown_mark             ``Rollback``: the mark was never set, or was forgotten
sequence_failed          an earlier append failed and no rollback mended the sequence
generation_pending       an append or another reply while one is being written
empty_prompt             ``Generate``: the sequence has no tokens
invalid_sampling         ``Generate``: a number is out of bounds
invalid_constraint       ``Generate``: a schema that has no grammar
invalid_tokens           ``TokensPart``: an id that the vocabulary lacks
invalid_max_crops        ``ImagePart``: no grid the model was trained with
part_unsupported         the model has no encoder for this part
=======================  ============================================================
"""

from collections.abc import Callable
from typing import Literal

from assistant.engine.sequence import PendingAppend, Sequence
from assistant.wire import link

Send = Callable[[int, link.Report], None]
"""Send a report to the connection with this number."""

Reason = Literal["stop", "length", "cancelled"]


class Reports:
    """Send reports about sequences to the connections they belong to."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def answer(self, sequence: Sequence, append: PendingAppend) -> None:
        """Answer an ``Append``: prefilled, or refused when it arrived."""
        connection, number = sequence.key
        if append.refusal is not None:
            self.failed(sequence.key, None, *append.refusal)
            return
        self._send(
            connection,
            link.Appended(
                sequence=number,
                num_tokens=sequence.num_tokens,
                num_text=append.num_text,
                num_image=append.num_image,
                num_audio=append.num_audio,
            ),
        )

    def admitted(self, sequence: Sequence) -> None:
        """Say, once, that work for the reply under way begins."""
        generation = sequence.generation
        if generation is not None and not generation.is_admitted:
            generation.is_admitted = True
            connection, number = sequence.key
            self._send(connection, link.Admitted(number, generation.number))

    def token(self, sequence: Sequence, token: int, text: str) -> None:
        """Send one token of the reply under way."""
        assert sequence.generation is not None
        connection, number = sequence.key
        self._send(
            connection, link.Token(number, sequence.generation.number, [token], text)
        )

    def finished(
        self, sequence: Sequence, reason: Reason, text: str, num_output: int
    ) -> None:
        """Say that the reply under way is over."""
        generation = sequence.generation
        assert generation is not None
        connection, number = sequence.key
        self._send(
            connection,
            link.Finished(
                sequence=number,
                generation=generation.number,
                reason=reason,
                text=text,
                num_prompt=generation.num_prompt,
                num_cached=generation.num_cached,
                num_output=num_output,
            ),
        )

    def failed(
        self, key: tuple[int, int], generation: int | None, code: str, message: str
    ) -> None:
        """Say that a generation, or else an append, cannot be served."""
        connection, number = key
        self._send(
            connection,
            link.Failed(sequence=number, generation=generation, code=code, message=message),
        )
