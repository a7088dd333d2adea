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

    def __init__(self, config: RopeConfig, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim
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
        """
        Return what ``rotate`` needs for one sequence's tokens; its end decides the set.

        Returns:
            cos [N, 1, D], 1 beyond the rotary dimensions, and sin [N, 1, R/2], in the
            type and on the device of ``like``.
        """
        frequencies = (
            self.long_frequencies
            if end > self.original_max_positions
            else self.short_frequencies
        )
        positions = torch.arange(start, end, device=like.device)
        return self._table(positions[:, None].float() * frequencies, like)

    def for_positions(self, positions: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same for one token of each of B sequences, at ``positions`` [B]."""
        column = positions[:, None]
        frequencies = torch.where(
            column >= self.original_max_positions,
            self.long_frequencies,
            self.short_frequencies,
        )
        return self._table(column.float() * frequencies, like)

    def _table(self, angles: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        angles = angles[:, None]  # [N, 1, R/2]: the same for all heads
        cos, sin = angles.cos() * self.scale, angles.sin() * self.scale
        passed = cos.new_ones(*cos.shape[:2], self.head_dim - 2 * cos.shape[2])
        return torch.cat((cos, cos, passed), dim=2).to(like.dtype), sin.to(like.dtype)


def rotate(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """
    Rotate the leading dimensions of each head.

    Args:
        heads: [N, heads, D], any float type.
        cos: [N, 1, D] of the same type.
        sin: [N, 1, R/2].
    """
    half = sin.shape[-1]
    first, second = heads[..., :half], heads[..., half : 2 * half]
    rotated = heads * cos
    rotated[..., :half].addcmul_(second, sin, value=-1)
    rotated[..., half : 2 * half].addcmul_(first, sin)
    return rotated
