"""
Attention of new tokens to cached ones, on torch's scaled_dot_product_attention.

Knows queries, caches and positions; knows no weights. Queries are grouped by the key head
they share instead of repeating keys: ``Hq = G * Hkv``, and query head ``h`` reads key head
``h // G``.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  (the name everybody knows it by)
from torch import Tensor

Attend = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""``attend_fixed``, or what gives the same sooner."""


def span_mask(start: int, end: int, device: torch.device) -> Tensor | None:
    """
    Return who sees whom when positions ``start..end`` attend to ``0..end``.

    None stands for plain causal attention (``start`` 0), which needs no mask in memory.
    """
    if start == 0:
        return None
    mask = torch.ones(end - start, end, dtype=torch.bool, device=device)
    return mask.tril_(diagonal=start)


def attend_span(
    queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
) -> Tensor:
    """
    Attend with many tokens of one sequence.

    Args:
        queries: [T, Hq, D].
        keys: [Hkv, K, D], the cache including the T tokens.
        values: As ``keys``.
        mask: ``span_mask`` of the span.

    Returns:
        [T, Hq * D].
    """
    out = F.scaled_dot_product_attention(
        queries.transpose(0, 1)[None],
        keys[None],
        values[None],
        attn_mask=mask,
        is_causal=mask is None,
        enable_gqa=queries.shape[1] != keys.shape[0],
    )
    return out[0].transpose(0, 1).flatten(1)


def attend_rows(
    queries: Tensor, keys: Tensor, values: Tensor, slots: list[int], num_keys: list[int]
) -> Tensor:
    """
    Attend with one token of each sequence, sequence by sequence: no copy, no mask.

    The faster of the two on a CPU, where the gather of ``attend_batch`` costs more than
    the calls it saves.

    Args:
        queries: [B, Hq, D].
        keys: [S, Hkv, T, D], one layer of the cache.
        values: As ``keys``.
        slots: Which slot each row reads.
        num_keys: How many positions of it, the row's own included.

    Returns:
        [B, Hq * D].
    """
    num_rows, _, head_dim = queries.shape
    grouped = queries.reshape(num_rows, keys.shape[1], -1, head_dim)  # [B, Hkv, G, D]
    rows = [
        F.scaled_dot_product_attention(
            grouped[row : row + 1],
            keys[slot : slot + 1, :, :count],
            values[slot : slot + 1, :, :count],
        )
        for row, (slot, count) in enumerate(zip(slots, num_keys, strict=True))
    ]
    return (rows[0] if len(rows) == 1 else torch.cat(rows)).flatten(1)


def attend_batch(
    queries: Tensor, keys: Tensor, values: Tensor, slots: Tensor, mask: Tensor
) -> Tensor:
    """
    Attend with one token of each sequence, all at once: no synchronisation, fixed shapes.

    Args:
        queries: [B, Hq, D].
        keys: [S, Hkv, T, D], one layer of the cache.
        values: As ``keys``.
        slots: [B] int64.
        mask: [B, K] bool, K <= T: positions each row may read.

    Returns:
        [B, Hq * D].
    """
    num_keys = mask.shape[1]
    num_rows, _, head_dim = queries.shape
    grouped = queries.reshape(num_rows, keys.shape[1], -1, head_dim)  # [B, Hkv, G, D]
    out = F.scaled_dot_product_attention(
        grouped,
        keys[:, :, :num_keys].index_select(0, slots),
        values[:, :, :num_keys].index_select(0, slots),
        attn_mask=mask[:, None, None],
    )
    return out.flatten(1)


def attend_fixed(
    queries: Tensor, keys: Tensor, values: Tensor, slots: Tensor, positions: Tensor
) -> Tensor:
    """
    Attend with one token of each sequence; no shape depends on how long they are.

    The plain twin of ``split_kv_kernel.attend_split``: reads whole rows of the cache.

    Args:
        queries: [B, Hq, D].
        keys: [S, Hkv, T, D], one layer of the cache.
        values: As ``keys``.
        slots: [B] int64.
        positions: [B] int64, the last position that each row reads.

    Returns:
        [B, Hq * D].
    """
    mask = torch.arange(keys.shape[2], device=keys.device) <= positions[:, None]
    return attend_batch(queries, keys, values, slots, mask)
