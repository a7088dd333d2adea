"""
The decoder's matrices: plain, or with weights of 8 bits.

``multiply`` and ``Int8Matrix`` have a fast path for the few rows of a decode step on a CPU;
``F.linear`` and ``Int8Matrix.plain`` are what tests compare them with.

Int8 is weight-only and symmetric, with one scale per output channel, taken from the merged
weights: every weight is off by at most half a step, 1/254 of the greatest of its channel.
"""

from typing import Self

import torch
import torch.nn.functional as F  # noqa: N812  (the name everybody knows it by)
from torch import Tensor, nn

THIN_ROWS = range(4, 33)
"""
Rows for which a CPU is faster with the matrix on the left.

MKL's float32 product of 4 to 32 rows and a transposed matrix does not reach the bandwidth
of the memory; the same product the other way round does (12 layers of 768, one thread,
AVX-512: 45 ms instead of 56 at 4 rows, 46 instead of 74 at 16). Up to 3 rows F.linear is
the faster one, and so it is again for prompts.
"""
INT8_ROWS = 8
"""Rows up to which torch's int8 kernel for CPUs beats making float32 of the weights."""


def multiply(x: Tensor, weight: Tensor) -> Tensor:
    """Return ``x`` [N, in] times ``weight`` [out, in] transposed: [N, out]."""
    is_thin = x.ndim == 2 and len(x) in THIN_ROWS
    if is_thin and x.dtype == torch.float32 and x.device.type == "cpu":
        return (weight @ x.t().contiguous()).t().contiguous()
    return F.linear(x, weight)


class Matrix(nn.Module):
    """A matrix [out, in] without a bias."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_out, num_in))

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, out] of ``x`` [N, in]."""
        return multiply(x, self.weight)


class Int8Matrix(nn.Module):
    """The same with 8 bits per weight."""

    weight: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, scale: Tensor) -> None:
        """Take ``weight`` [out, in] int8 and ``scale`` [out] float32."""
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)
        self.register_buffer("_ones", torch.ones_like(scale, dtype=torch.bfloat16))

    @classmethod
    def quantize(cls, weight: Tensor) -> Self:
        """Round a matrix [out, in] of any float type."""
        exact = weight.detach().float()
        scale = exact.abs().amax(dim=1).clamp(min=1e-12) / 127
        steps = (exact / scale[:, None]).round().clamp(-127, 127).to(torch.int8)
        return cls(steps, scale)

    def forward(self, x: Tensor) -> Tensor:
        """
        Return [N, out] of ``x`` [N, in], in its type.

        The kernel for few rows rounds what goes in and comes out to bfloat16.
        """
        if x.device.type != "cpu" or x.ndim != 2 or len(x) > INT8_ROWS:
            return self.plain(x)
        ones = self._ones
        assert isinstance(ones, Tensor)
        steps: Tensor = torch.ops.aten._weight_int8pack_mm(
            x.to(torch.bfloat16).contiguous(), self.weight, ones
        )
        return (steps * self.scale).to(x.dtype)

    def plain(self, x: Tensor) -> Tensor:
        """Return the same from weights made float again."""
        return (multiply(x, self.weight.to(x.dtype)) * self.scale).to(x.dtype)
