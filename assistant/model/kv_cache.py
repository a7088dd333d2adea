"""
Keys and values of all sequences, in two contiguous tensors.

Knows slots and positions; does not know how long a sequence is. Lengths are integers of
the engine, so cutting a sequence back, or giving its slot to another, costs nothing here:
what lies beyond an end is overwritten before it is read, whatever it is.
"""

from typing import Self

import torch

from assistant.model.config import ModelConfig


class KVCache:
    """``keys`` and ``values``: [layers, slots, kv heads, tokens, head dim]."""

    def __init__(
        self,
        num_layers: int,
        num_slots: int,
        max_tokens: int,
        num_kv_heads: int,
        head_dim: int,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:
        shape = (num_layers, num_slots, num_kv_heads, max_tokens, head_dim)
        # Not for attention, which reads nothing that was not written before: so that what
        # a run computes never depends on what the memory held.
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.num_slots = num_slots
        self.max_tokens = max_tokens

    @classmethod
    def for_model(
        cls,
        config: ModelConfig,
        *,
        num_slots: int,
        max_tokens: int,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> Self:
        return cls(
            config.num_layers, num_slots, max_tokens,
            config.num_kv_heads, config.head_dim, dtype, device,
        )  # fmt: skip

    @property
    def num_bytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes
