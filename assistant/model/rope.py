"""
LongRoPE for the leading dimensions of each head.

Ported from ``_compute_longrope_parameters`` (transformers ``modeling_rope_utils.py``) and
``apply_rotary_pos_emb`` (``modeling_phi3.py``). Knows positions; knows no cache.

Two sets of factors exist. A forward pass uses the long ones if its greatest position is
at or beyond ``original_max_positions`` (4096), the short ones otherwise. Keys cached under
one set are wrong under the other, so a sequence that crosses the bound has to be prefilled
again; the engine keeps sequences at or below it.
"""

import math

import torch
from torch import Tensor, nn

from assistant.model.config import RopeConfig


class LongRope(nn.Module):
    """Cosines and sines by position, in float32 until the last step."""

    def __init__(self, config: RopeConfig) -> None:
        super().__init__()
        # Built on the CPU even under `torch.device("meta")`: no file holds these.
        exponents = (
            torch.arange(0, config.rotary_dims, 2, device="cpu") / config.rotary_dims
        )
        plain = config.theta**exponents
        short = torch.tensor(config.short_factor, device="cpu")
        long = torch.tensor(config.long_factor, device="cpu")
        self.short_frequencies: Tensor
        self.long_frequencies: Tensor
        self.register_buffer("short_frequencies", 1 / (short * plain), persistent=False)
        self.register_buffer("long_frequencies", 1 / (long * plain), persistent=False)
        self.original_max_positions = config.original_max_positions
        ratio = config.max_positions / config.original_max_positions
        self.scale = (
            math.sqrt(1 + math.log(ratio) / math.log(config.original_max_positions))
            if ratio > 1
            else 1.0
        )
        """Multiplies cosines and sines under both sets of factors (1.190238)."""

    def for_span(self, start: int, end: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return cos, sin [end - start, R/2] for one sequence; its end decides the set."""
        frequencies = (
            self.long_frequencies
            if end > self.original_max_positions
            else self.short_frequencies
        )
        positions = torch.arange(start, end, device=like.device)
        return self._table(positions[:, None].float() * frequencies, like)

    def for_positions(self, positions: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return cos, sin [B, R/2] for one token of each of B sequences."""
        column = positions[:, None]
        frequencies = torch.where(
            column >= self.original_max_positions,
            self.long_frequencies,
            self.short_frequencies,
        )
        return self._table(column.float() * frequencies, like)

    def _table(self, angles: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        return (
            (angles.cos() * self.scale).to(like.dtype),
            (angles.sin() * self.scale).to(like.dtype),
        )


def rotate(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """
    Rotate the leading dimensions of each head.

    Args:
        heads: [N, heads, D], any float type.
        cos: [N, R/2] of the same type; dimensions from R on pass through.
        sin: As ``cos``.
    """
    half = cos.shape[-1]
    cos, sin = cos[:, None], sin[:, None]  # [N, 1, R/2]
    first, second, rest = (
        heads[..., :half],
        heads[..., half : 2 * half],
        heads[..., 2 * half :],
    )
    return torch.cat((first * cos - second * sin, second * cos + first * sin, rest), dim=-1)
