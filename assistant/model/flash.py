"""
Flash attention for prompts, where ``flash-attn`` is installed or torch brings its own.

What is read in chunks attends to more keys than it has queries, and for that torch's
ordinary attention writes a mask and all scores into memory. Whether one of these kernels
can be used here is found out by using it; what cannot is said, and the twin goes on.
"""

import importlib
from collections.abc import Callable

import torch
from torch import Tensor

from assistant.model.attention import AttendLatest, attend_latest

TOLERANCE = 2e-2
"""Relative, where steps of bfloat16 are 0.8 %; a key left out makes ten times that."""
TRIALS = ((300, 300), (7, 300), (1, 40))
"""Queries and keys: a whole prompt, a chunk of one, and its last token."""


def with_flash_attn(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Use the package of that name; see ``attention.attend_latest``."""
    function: Callable[..., Tensor] = importlib.import_module("flash_attn").flash_attn_func
    out = function(
        queries[None], keys.transpose(0, 1)[None], values.transpose(0, 1)[None], causal=True
    )
    return out[0].flatten(1)


def with_torch(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Use what torch has for sequences of several lengths; it takes one as well."""
    module = importlib.import_module("torch.nn.attention.varlen")
    function: Callable[..., Tensor] = module.varlen_attn
    num_queries, num_keys = len(queries), keys.shape[1]
    ends = torch.arange(2, dtype=torch.int32, device=queries.device)
    out = function(
        queries,
        keys.transpose(0, 1),
        values.transpose(0, 1),
        ends * num_queries,
        ends * num_keys,
        num_queries,
        num_keys,
        window_size=(-1, 0),
        enable_gqa=queries.shape[1] != keys.shape[0],
    )
    return out.flatten(1)


KERNELS: dict[str, AttendLatest] = {"flash-attn": with_flash_attn, "torch": with_torch}
"""In the order in which they are tried."""


def find_flash(
    device: str, num_heads: int, num_kv_heads: int, head_dim: int, dtype: torch.dtype
) -> AttendLatest | str:
    """Return the first kernel that passes a trial on the device, or why none does."""
    if dtype not in (torch.bfloat16, torch.float16):
        return f"{dtype} has not 16 bits"
    reasons = []
    for name, kernel in KERNELS.items():
        try:
            _try(kernel, device, num_heads, num_kv_heads, head_dim, dtype)
        # A package, a driver and a device: whatever goes wrong there, the next is tried.
        except Exception as error:
            reasons.append(f"{name}: {type(error).__name__}: {error}")
        else:
            return kernel
    return "; ".join(reasons)


def _try(
    kernel: AttendLatest,
    device: str,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    dtype: torch.dtype,
) -> None:
    """Raise ArithmeticError unless the kernel gives what its twin gives."""
    generator = torch.Generator().manual_seed(1)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(device, dtype)

    for num_queries, num_keys in TRIALS:
        queries = drawn(num_queries, num_heads, head_dim)
        # Rows of the cache are longer than what is read of them.
        cached = drawn(2, num_kv_heads, num_keys + 20, head_dim)
        keys, values = cached[:, :, :num_keys]
        found = kernel(queries, keys, values).float()
        wanted = attend_latest(queries, keys, values).float()
        error = float(((found - wanted).abs() / (1 + wanted.abs())).max())
        if not error <= TOLERANCE:
            raise ArithmeticError(f"its output differs from its twin's by {error:g}")
