"""
Matrices of 8-bit floats (e4m3) with one scale per output channel, for devices with units
that multiply them (NVIDIA from compute capability 8.9 on).

What goes in is rounded too, with one scale per row. ``Fp8Matrix.plain`` multiplies the
rounded weights as float32 and is what the fast path is compared with; both run on a CPU,
for tests only.
"""

from typing import Self

import torch
from torch import Tensor, nn

GREATEST = 448.0
"""Of e4m3."""
FIRST_CAPABILITY = (8, 9)


def has_fp8(device: str) -> bool:
    """Return whether a device multiplies 8-bit floats."""
    if torch.device(device).type != "cuda":
        return False
    return torch.cuda.get_device_capability(device) >= FIRST_CAPABILITY


class Fp8Matrix(nn.Module):
    """A matrix [out, in] without a bias; both sizes are multiples of 16."""

    weight: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, scale: Tensor) -> None:
        """Take ``weight`` [out, in] e4m3 and ``scale`` [1, out] float32."""
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale)

    @classmethod
    def quantize(cls, weight: Tensor) -> Self:
        """Round a matrix [out, in] of any float type."""
        rounded, scale = _rounded(weight.detach())
        return cls(rounded, scale.t().contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """Return [N, out] of ``x`` [N, in], in its type."""
        rounded, scale = _rounded(x)
        out = torch._scaled_mm(
            rounded,
            self.weight.t(),
            scale_a=scale,
            scale_b=self.scale,
            out_dtype=torch.bfloat16,
        )
        return out.to(x.dtype)

    def plain(self, x: Tensor) -> Tensor:
        """Return the same without rounding ``x``."""
        weight = self.weight.float() * self.scale.t()
        return (x.float() @ weight.t()).to(x.dtype)


def _rounded(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return [N, K] as e4m3, and the scale of each row [N, 1] float32."""
    exact = rows.float()
    scale = exact.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / GREATEST
    return (exact / scale).to(torch.float8_e4m3fn), scale
