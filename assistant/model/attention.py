"""
Attention of new tokens to cached ones, on torch's scaled_dot_product_attention.

Knows queries, caches and positions; knows no weights. Queries are grouped by the key head
they share instead of repeating keys: ``Hq = G * Hkv``, and query head ``h`` reads key head
``h // G``.

Nothing behind the last position of a row is ever read, not even to be masked: what another
sequence left there may be no number, and 0 times that is none either.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  (the name everybody knows it by)
from torch import Tensor

Attend = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""``attend_fixed``, or what gives the same sooner."""
AttendLatest = Callable[[Tensor, Tensor, Tensor], Tensor]
"""``attend_latest``, or what gives the same sooner."""


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
    if mask is None:
        out = F.scaled_dot_product_attention(
            queries.transpose(0, 1)[None],
            keys[None],
            values[None],
            is_causal=True,
            enable_gqa=queries.shape[1] != keys.shape[0],
        )
        return out[0].transpose(0, 1).flatten(1)
    # All queries of a key head as one long list: each key is fetched once, not G times.
    num_tokens, num_heads, head_dim = queries.shape
    group = num_heads // len(keys)
    out = F.scaled_dot_product_attention(
        queries.transpose(0, 1).reshape(1, len(keys), group * num_tokens, head_dim),
        keys[None],
        values[None],
        attn_mask=mask.expand(group, -1, -1).flatten(0, 1),
    )
    return out.view(num_heads, num_tokens, head_dim).transpose(0, 1).flatten(1)


def attend_latest(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """
    Attend with the last tokens of a sequence, each to all before it and itself.

    The plain twin of what ``flash`` finds.

    Args:
        queries: [T, Hq, D].
        keys: [Hkv, K, D], the cache including the T tokens.
        values: As ``keys``.

    Returns:
        [T, Hq * D].
    """
    end = keys.shape[1]
    mask = span_mask(end - len(queries), end, queries.device)
    return attend_span(queries, keys, values, mask)


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


def read_mask(positions: Tensor, num_keys: int) -> Tensor:
    """Return [B, num_keys] bool: what rows may read whose last positions are [B] int64."""
    return torch.arange(num_keys, device=positions.device) <= positions[:, None]


def read_places(keys: Tensor, slots: Tensor, positions: Tensor, num_keys: int) -> Tensor:
    """
    Return where rows find their keys in a layer that is seen as [S * Hkv * T, D].

    Behind its last position a row finds the key there once more, which costs no more than
    to copy what it must not see.

    Args:
        keys: [S, Hkv, T, D], a layer of the cache.
        slots: [B] int64.
        positions: [B] int64, the last position that each row reads.
        num_keys: K <= T, how many places a row has.

    Returns:
        [B, Hkv, K] int64.
    """
    _, num_heads, num_tokens, _ = keys.shape
    tokens = torch.arange(num_keys, device=slots.device).minimum(positions[:, None])
    heads = slots[:, None] * num_heads + torch.arange(num_heads, device=slots.device)
    return heads[:, :, None] * num_tokens + tokens[:, None]


def read_from(cached: Tensor, places: Tensor) -> Tensor:
    """Return [B, Hkv, K, D] from a layer [S, Hkv, T, D]; see ``read_places``."""
    found = cached.flatten(0, 2).index_select(0, places.flatten())
    return found.view(*places.shape, cached.shape[-1])


def attend_batch(
    queries: Tensor, keys: Tensor, values: Tensor, places: Tensor, mask: Tensor
) -> Tensor:
    """
    Attend with one token of each sequence, all at once: no synchronisation, fixed shapes.

    Args:
        queries: [B, Hq, D].
        keys: [S, Hkv, T, D], one layer of the cache.
        values: As ``keys``.
        places: [B, Hkv, K] int64, from ``read_places``.
        mask: [B, K] bool, from ``read_mask``.

    Returns:
        [B, Hq * D].
    """
    num_rows, _, head_dim = queries.shape
    grouped = queries.reshape(num_rows, keys.shape[1], -1, head_dim)  # [B, Hkv, G, D]
    out = F.scaled_dot_product_attention(
        grouped,
        read_from(keys, places),
        read_from(values, places),
        attn_mask=mask[:, None, None],
    )
    return out.flatten(1)


def attend_fixed(
    queries: Tensor, keys: Tensor, values: Tensor, slots: Tensor, positions: Tensor
) -> Tensor:
    """
    Attend with one token of each sequence; no shape depends on how long they are.

    The plain twin of ``split_kv_kernel.attend_split``: as much work as for full rows.

    Args:
        queries: [B, Hq, D].
        keys: [S, Hkv, T, D], one layer of the cache.
        values: As ``keys``.
        slots: [B] int64.
        positions: [B] int64, the last position that each row reads.

    Returns:
        [B, Hq * D].
    """
    num_keys = keys.shape[2]
    places = read_places(keys, slots, positions, num_keys)
    return attend_batch(queries, keys, values, places, read_mask(positions, num_keys))
