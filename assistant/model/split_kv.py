"""
Whether the Triton kernel for decode attention can be used here, found out by using it.

What does not work is said, never worked around in silence: the caller gets the reason.
"""

import importlib.util

import torch

from assistant.model.attention import Attend, attend_fixed

TOLERANCE = 2e-2
"""Relative, where steps of bfloat16 are 0.8 %; a key left out makes ten times that."""
MIN_HEAD_DIM = 16


def find_kernel(
    device: str, num_heads: int, num_kv_heads: int, head_dim: int, dtype: torch.dtype
) -> Attend | str:
    """Return the kernel after a trial on the device, or why it cannot be used there."""
    if head_dim < MIN_HEAD_DIM or head_dim & (head_dim - 1):
        return f"heads of {head_dim} are no power of two from {MIN_HEAD_DIM} on"
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    try:
        from assistant.model.split_kv_kernel import attend_split

        _try(attend_split, device, num_heads, num_kv_heads, head_dim, dtype)
    # A compiler, a driver and a device: whatever goes wrong there, the twin goes on.
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return attend_split


def _try(
    kernel: Attend,
    device: str,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    dtype: torch.dtype,
) -> None:
    """Raise ArithmeticError unless the kernel gives what its twin gives."""
    generator = torch.Generator().manual_seed(1)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(device, dtype)

    queries = drawn(2, num_heads, head_dim)
    keys, values = (drawn(3, num_kv_heads, 300, head_dim) for _ in range(2))
    slots = torch.tensor([2, 0], device=device)
    positions = torch.tensor([270, 3], device=device)
    found = kernel(queries, keys, values, slots, positions).float()
    wanted = attend_fixed(queries, keys, values, slots, positions).float()
    error = float(((found - wanted).abs() / (1 + wanted.abs())).max())
    if not error <= TOLERANCE:
        raise ArithmeticError(f"its output differs from its twin's by {error:g}")
