"""
From logits to a token.

A reply's random numbers come from its own generator on the CPU, one per token, so that
the same seed gives the same reply on every device and next to whatever batch mates.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from assistant.engine.constraint import Guide
from assistant.wire.link import Sampling

NUCLEUS_TOP = 1024
"""Candidates that are sorted first; a nucleus that is wider sorts the whole vocabulary."""


class Dice:
    """How one reply is drawn: temperature, nucleus, random numbers, and its grammar."""

    def __init__(self, sampling: Sampling, guide: Guide | None = None) -> None:
        self.temperature = sampling.temperature
        self.top_p = sampling.top_p
        self.guide = guide
        self._generator = torch.Generator().manual_seed(sampling.seed)

    @property
    def is_greedy(self) -> bool:
        return self.temperature == 0.0

    def throw(self) -> float:
        """Return the next number in [0, 1)."""
        number = torch.rand((), dtype=torch.float64, generator=self._generator)
        return number.item()


Read = Callable[[], list[int]]
"""Waits for ids on their way from the device."""


def choose(
    logits: Tensor,
    dice: Sequence[Dice],
    and_then: Callable[[Tensor, Read], None] | None = None,
) -> list[int | None]:
    """
    Choose the next token of each row.

    Args:
        logits: ``[B, V]`` float32, on any device.
        dice: One per row.
        and_then: Is given the ids ``[B]`` int64 on the device, -1 for none, before the
            host waits for them, to let the device go on with them.

    Returns:
        Token ids; None where the row holds a NaN or an infinity. The guides of the dice
        have taken note of theirs.
    """
    # A sum is finite exactly when its terms are, and costs one pass over the row.
    is_finite = torch.isfinite(logits.sum(dim=-1))
    tokens = torch.argmax(logits, dim=-1)  # [B]
    for row, die in enumerate(dice):
        scores = logits[row]
        if die.guide is not None:
            scores = die.guide.mask(scores)
            tokens[row] = torch.argmax(scores)
        if not die.is_greedy:
            tokens[row] = _draw(scores, die)
    on_device = torch.where(is_finite, tokens, -1)
    read = reading(on_device)
    if and_then is not None:
        and_then(on_device, read)
    # The one place where the host waits for the device.
    chosen = read()
    for die, token in zip(dice, chosen, strict=True):
        if die.guide is not None and token >= 0:
            die.guide.receive(token)
    return [token if token >= 0 else None for token in chosen]


def reading(tokens: Tensor) -> Read:
    """Start to copy ids ``[B]`` to the host; what is launched later is not waited for."""
    if tokens.device.type != "cuda":
        return tokens.tolist
    host = torch.empty(tokens.shape, dtype=tokens.dtype, pin_memory=True)
    host.copy_(tokens, non_blocking=True)
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch has no type
    copied.record()

    def wait() -> list[int]:
        copied.synchronize()
        ids: list[int] = host.tolist()
        return ids

    return wait


def _draw(row: Tensor, die: Dice) -> Tensor:
    """Return a token id drawn from ``row`` ``[V]``, a scalar tensor."""
    # float64: float32 sums over 200,064 entries drift by more than the rarest token.
    probabilities = torch.softmax(row.double() / die.temperature, dim=-1)
    if die.top_p < 1.0:
        probabilities = _nucleus(probabilities, die.top_p)
    cumulative = torch.cumsum(probabilities, dim=-1)
    # Strictly greater than the target: an entry of probability 0 is never chosen.
    target = cumulative[-1] * die.throw()
    return torch.searchsorted(cumulative, target, right=True).clamp(max=len(row) - 1)


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Keep the most probable tokens that reach ``top_p`` together (at least one)."""
    values, ids = torch.topk(probabilities, min(NUCLEUS_TOP, len(probabilities)))
    if values.sum() < top_p:
        values, ids = torch.sort(probabilities, descending=True)
    before = torch.cumsum(values, dim=-1) - values
    kept = torch.where(before < top_p, values, 0.0)
    return torch.zeros_like(probabilities).scatter(0, ids, kept)
