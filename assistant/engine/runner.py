"""
Carry out steps: from sequences to the backend's arguments, from logits to tokens.

Knows tensors only as what the backend returns and the sampler takes.
"""

import torch
from torch import Tensor

from assistant.engine import constraint, sampler
from assistant.engine.backend import Backend, PartlyEncoded
from assistant.engine.scheduler import Decode, Encode, Prefill, Step
from assistant.engine.sequence import Sequence
from assistant.errors import MediaError, RequestRefused


class Runner:
    """Run steps on a backend; keeps the dice of the replies under way."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._dice: dict[Sequence, sampler.Dice] = {}

    def begin(self, sequence: Sequence) -> None:
        """Get ready for the reply that a sequence has just begun."""
        assert sequence.generation is not None
        sampling = sequence.generation.sampling
        guide = None
        if sampling.constraint is not None:
            room = min(sampling.max_tokens, sequence.max_tokens - sequence.num_tokens)
            guide = constraint.Guide(self._backend.vocabulary, sampling.constraint, room)
        self._dice[sequence] = sampler.Dice(sampling, guide)

    def end(self, sequence: Sequence) -> None:
        """Forget the reply."""
        del self._dice[sequence]

    @torch.inference_mode()
    def run(self, step: Step) -> list[tuple[Sequence, int | None]]:
        """
        Compute a step.

        Returns:
            The next token of each sequence whose reply goes on with this step; None
            where the logits were not finite.
        """
        match step:
            case Encode(sequence, chunk):
                chunk.media = self._backend.encode(chunk.media, sequence.adapter)
                chunk.is_encoded = not isinstance(chunk.media, PartlyEncoded)
                return []
            case Prefill():
                return self._prefill(step)
            case Decode():
                return self._decode(step)

    def offload(self, sequence: Sequence) -> None:
        """Move what an evicted sequence holds on the device to the host."""
        for chunk in sequence.chunks:
            if chunk.kind != "text" and chunk.is_encoded:
                chunk.media = self._backend.offload(chunk.media)

    def _prefill(self, step: Prefill) -> list[tuple[Sequence, int | None]]:
        sequence = step.sequence
        is_last = sequence.generation is not None and step.stop == sequence.num_tokens
        logits = self._backend.prefill(
            sequence.adapter,
            step.slot,
            step.start,
            sequence.pieces(step.start, step.stop),
            wants_logits=is_last,
        )
        if not is_last:
            sequence.receive_computed(step.stop)
            return []
        assert logits is not None
        (token,) = sampler.choose(logits.unsqueeze(0), [self._dice[sequence]])
        sequence.receive_computed(step.stop)
        return [(sequence, token)]

    def _decode(self, step: Decode) -> list[tuple[Sequence, int | None]]:
        positions = [sequence.num_computed for sequence in step.sequences]
        logits = self._backend.decode(
            step.adapter,
            step.slots,
            positions,
            [sequence.chunks[-1].ids[-1] for sequence in step.sequences],
        )

        def go_on(chosen: Tensor, read: sampler.Read) -> None:
            # The device computes the next step while the host reads and tells this one.
            following = [position + 1 for position in positions]
            self._backend.decode_ahead(step.adapter, step.slots, following, chosen, read)

        dice = [self._dice[sequence] for sequence in step.sequences]
        tokens = sampler.choose(logits, dice, go_on)
        # Behind all that can fail: a step that did can be tried again, in parts even.
        for sequence in step.sequences:
            sequence.receive_computed(sequence.num_tokens)
        return list(zip(step.sequences, tokens, strict=True))


def failure_code(error: Exception) -> str:
    """Return the stable code under which an exception is reported to a gateway."""
    match error:
        case MediaError() | RequestRefused():
            return error.code
        case MemoryError() | torch.OutOfMemoryError():
            return "out_of_memory"
        case _:
            return "internal_error"
