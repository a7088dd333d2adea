"""
Steps whose shapes are always the same, so that a CUDA device can repeat them as graphs.

A GPU computes a token of a small batch sooner than Python can launch its thousand kernels.
Launched once and recorded, they are repeated with one call; all that changes between two
repetitions is what lies in a few tensors. So a batch is filled up to the next size of a
list, with rows that read and write a spare slot of the cache, and the rest of a prompt to
the next length of another, with tokens behind the sequence's end.

While the host reads a token and tells it, the device would have nothing to do, so the next
step is begun with the token where it lies. If something comes between, that was in vain;
it wrote behind the ends of the rows only.

The same code runs on a CPU, where nothing is recorded: that is how it is tested.
"""

import logging
from collections.abc import Callable, Sequence as Items
from dataclasses import dataclass

import torch
from torch import Tensor

from assistant.engine.sampler import Read
from assistant.model.attention import Attend
from assistant.model.decoder import Decoder
from assistant.model.kv_cache import KVCache
from assistant.wire.link import Adapter

log = logging.getLogger(__name__)

TAIL_SIZES = (16, 32, 64, 128, 256)
MAX_BATCH = 64
NUM_TRIALS = 2
"""Before a recording: first uses allocate and compile, which a graph cannot hold."""

Compute = Callable[[], Tensor]
"""Reads and writes the same tensors every time."""


def batch_sizes(num_together: int) -> tuple[int, ...]:
    """Return powers of two up to what they need together, ``MAX_BATCH`` at most."""
    sizes = [1]
    while sizes[-1] < min(num_together, MAX_BATCH):
        sizes.append(2 * sizes[-1])
    return tuple(sizes)


def next_size(count: int, sizes: Items[int]) -> int | None:
    """Return the smallest size that holds ``count``; None if none does."""
    return next((size for size in sizes if size >= count), None)


class Recorder:
    """Turns computations into graphs; after a failure it leaves them as they are."""

    def __init__(self, capture: Callable[[Compute], Compute] | None) -> None:
        """Use ``capture``, or None to record nothing."""
        self._capture = capture
        self.num_graphs = 0
        self.failure: str | None = None
        """Why nothing is recorded any more."""

    def record(self, compute: Compute) -> Compute:
        """Return what does the same as ``compute``."""
        if self._capture is None:
            return compute
        try:
            graph = self._capture(compute)
        except RuntimeError as error:  # what torch raises for all that CUDA reports
            self._capture = None
            self.failure = str(error).splitlines()[0] if str(error) else "no reason given"
            log.error("CUDA graphs are off, every step is launched: %s", self.failure)
            return compute
        self.num_graphs += 1
        return graph


def cuda_capture(device: str) -> Callable[[Compute], Compute]:
    """Return what records a computation on a CUDA device."""
    pool = torch.cuda.graph_pool_handle()

    def capture(compute: Compute) -> Compute:
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # as torch has it
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(NUM_TRIALS):
                compute()
        torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # One pool: graphs never run at the same time, and their outputs are read before
        # another one is repeated.
        with torch.cuda.graph(graph, pool=pool):
            out = compute()

        def replay() -> Tensor:
            graph.replay()
            return out

        return replay

    return capture


class FixedDecode:
    """One token of each of up to ``size`` sequences of one adapter."""

    def __init__(
        self,
        decoder: Decoder,
        cache: KVCache,
        size: int,
        attend: Attend,
        recorder: Recorder,
    ) -> None:
        self._spare_slot = cache.num_slots - 1
        self._size = size
        device = cache.keys.device
        self._inputs = torch.zeros(3, size, dtype=torch.int64, device=device)
        self._inputs[0] = self._spare_slot
        slots, positions, tokens = self._inputs

        def compute() -> Tensor:
            embeds = decoder.embed(tokens)
            hidden = decoder.decode(embeds, cache, slots, positions, attend=attend)
            return decoder.logits(hidden)

        self._compute = recorder.record(compute)

    def run(self, slots: Items[int], positions: Items[int], tokens: Items[int]) -> Tensor:
        """Return logits [B, V] float32, to be read before the next step of any kind."""
        num_spare = self._size - len(slots)
        filled = [
            [*slots, *[self._spare_slot] * num_spare],
            [*positions, *[0] * num_spare],
            [*tokens, *[0] * num_spare],
        ]
        self._inputs.copy_(torch.tensor(filled, dtype=torch.int64))
        return self._compute()[: len(slots)]

    def run_on(self, tokens: Tensor) -> Tensor:
        """Do the step after the last one, with tokens [B] that are on the device."""
        num_rows = tokens.shape[0]
        self._inputs[1, :num_rows] += 1
        self._inputs[2, :num_rows] = tokens.clamp(min=0)
        return self._compute()[:num_rows]


class FixedTail:
    """The rest of a prompt: up to ``size`` tokens of one sequence, and their logits."""

    def __init__(
        self, decoder: Decoder, cache: KVCache, size: int, recorder: Recorder
    ) -> None:
        weight = decoder.embed_tokens.weight
        device = cache.keys.device
        self._embeds = torch.zeros(size, weight.shape[1], dtype=weight.dtype, device=device)
        self._inputs = torch.zeros(3, 1, dtype=torch.int64, device=device)
        slot, start, last = self._inputs

        def compute() -> Tensor:
            hidden = decoder.read_tail(self._embeds, cache, slot, start, last)
            return decoder.logits(hidden)

        self._compute = recorder.record(compute)

    def run(self, slot: int, start: int, embeds: Tensor) -> Tensor:
        """Return logits [V] float32 behind ``embeds`` [T, H]; see ``FixedDecode.run``."""
        num_tokens = embeds.shape[0]
        self._embeds[:num_tokens] = embeds
        # Behind the end of the sequence anything will do that is a finite number.
        self._embeds[num_tokens:] = 0
        wanted = torch.tensor([[slot], [start], [num_tokens - 1]], dtype=torch.int64)
        self._inputs.copy_(wanted)
        return self._compute()[0]


@dataclass(frozen=True, slots=True)
class Ahead:
    """A decode step that was begun before anybody asked for it."""

    slots: tuple[int, ...]
    positions: tuple[int, ...]
    read: Read
    """Waits for the tokens that it was begun with."""
    logits: Tensor


class FixedSteps:
    """All sizes of both, built when they are first needed."""

    def __init__(
        self,
        decoder: Callable[[Adapter], Decoder],
        cache: KVCache,
        attend: Attend,
        recorder: Recorder,
        num_together: int,
    ) -> None:
        """
        Prepare for batches of ``num_together`` sequences at most.

        The last slot of ``cache`` is nobody's.
        """
        self._decoder = decoder
        self._cache = cache
        self._attend = attend
        self.recorder = recorder
        self.batch_sizes = batch_sizes(num_together)
        self._decodes: dict[tuple[Adapter, int], FixedDecode] = {}
        self._tails: dict[tuple[Adapter, int], FixedTail] = {}
        # One of each adapter, because their steps take turns; the logits of one stay where
        # they are until the same step is done again.
        self._ahead: dict[Adapter, Ahead] = {}
        self.num_ahead = 0
        """Steps that were there when they were asked for."""

    def decode(
        self,
        adapter: Adapter,
        slots: Items[int],
        positions: Items[int],
        tokens: Items[int],
    ) -> Tensor | None:
        """Return logits [B, V] float32; None for a batch that is larger than any size."""
        ahead = self._ahead.pop(adapter, None)
        if (
            ahead is not None
            and ahead.slots == tuple(slots)
            and ahead.positions == tuple(positions)
            and ahead.read() == list(tokens)
        ):
            self.num_ahead += 1
            return ahead.logits
        size = next_size(len(slots), self.batch_sizes)
        if size is None:
            return None
        key = adapter, size
        if key not in self._decodes:
            self._decodes[key] = FixedDecode(
                self._decoder(adapter), self._cache, size, self._attend, self.recorder
            )
        return self._decodes[key].run(slots, positions, tokens)

    def decode_ahead(
        self,
        adapter: Adapter,
        slots: Items[int],
        positions: Items[int],
        tokens: Tensor,
        read: Read,
    ) -> None:
        """Begin the step after the last ``decode``, which was of these rows."""
        size = next_size(len(slots), self.batch_sizes)
        if size is None or max(positions) >= self._cache.max_tokens:
            return
        logits = self._decodes[adapter, size].run_on(tokens)
        self._ahead[adapter] = Ahead(tuple(slots), tuple(positions), read, logits)

    def forget(self, slot: int) -> None:
        """The row is read anew: what was begun ahead stands on what it held before."""
        self._ahead = {a: done for a, done in self._ahead.items() if slot not in done.slots}

    def read_tail(
        self, adapter: Adapter, slot: int, start: int, embeds: Tensor
    ) -> Tensor | None:
        """Return logits [V] behind ``embeds`` [T, H]; None if no size fits in there."""
        size = next_size(embeds.shape[0], TAIL_SIZES)
        if size is None or start + size > self._cache.max_tokens:
            return None
        key = adapter, size
        if key not in self._tails:
            self._tails[key] = FixedTail(
                self._decoder(adapter), self._cache, size, self.recorder
            )
        return self._tails[key].run(slot, start, embeds)

    def prepare(self, adapters: Items[Adapter]) -> None:
        """Build and record all sizes, so that no turn waits for it."""
        for adapter in adapters:
            weight = self._decoder(adapter).embed_tokens.weight
            spare_slot = self._cache.num_slots - 1
            for size in self.batch_sizes:
                self.decode(adapter, [spare_slot] * size, [0] * size, [0] * size)
            for size in TAIL_SIZES:
                embeds = torch.zeros(size, weight.shape[1]).to(weight)
                self.read_tail(adapter, spare_slot, 0, embeds)
