"""
Decode attention in Triton: the keys of a row are split among several programs.

One token of a sequence has little work and much to read. With a program per head a GPU
would use a fraction of its memory's bandwidth, so each takes ``SPLIT`` keys of one key
head, and the parts are put together afterwards (flash decoding, https://pytorch.org/blog/
flash-decoding). The cache is read in place: no gather, no mask in memory, and shapes that
do not depend on how long anybody's sequence is. Knows nothing of what is stored where.

Imports Triton; ``split_kv`` knows whether that can be done.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

SPLIT = 256
BLOCK = 64
MIN_ROWS = 16
"""What a matrix unit takes at least; query heads of one key head are filled up to it."""
NOTHING = -1.0e30
"""Less than any score, and finite: the difference of two is a number."""


@triton.jit
def _attend_split(
    queries,
    keys,
    values,
    slots,
    positions,
    parts,
    largest,
    sums,
    scale,
    query_row,
    query_head,
    cache_slot,
    cache_head,
    cache_token,
    GROUP: tl.constexpr,  # noqa: N803  (Triton's way to spell what is compiled in)
    ROWS: tl.constexpr,  # noqa: N803
    DIM: tl.constexpr,  # noqa: N803
    SPLIT: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
    NOTHING: tl.constexpr,  # noqa: N803
):
    row, head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    slot = tl.load(slots + row)
    num_keys = tl.load(positions + row) + 1
    member = tl.arange(0, ROWS)
    dim = tl.arange(0, DIM)
    is_member = member < GROUP
    at = queries + row * query_row + (head * GROUP + member)[:, None] * query_head
    query = tl.load(at + dim[None, :], mask=is_member[:, None], other=0.0)
    base = slot * cache_slot + head * cache_head
    best = tl.full([ROWS], NOTHING, tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    summed = tl.zeros([ROWS, DIM], tl.float32)
    for block in range(0, SPLIT, BLOCK):
        token = split * SPLIT + block + tl.arange(0, BLOCK)
        is_there = token < num_keys
        place = base + token[:, None] * cache_token + dim[None, :]
        key = tl.load(keys + place, mask=is_there[:, None], other=0.0)
        scores = tl.dot(query, tl.trans(key), input_precision="ieee") * scale
        scores = tl.where(is_there[None, :], scores, NOTHING)
        better = tl.maximum(best, tl.max(scores, 1))
        shrink = tl.exp(best - better)
        weights = tl.exp(scores - better[:, None])
        weights = tl.where(is_there[None, :], weights, 0.0)
        value = tl.load(values + place, mask=is_there[:, None], other=0.0)
        found = tl.dot(weights.to(value.dtype), value, input_precision="ieee")
        summed = summed * shrink[:, None] + found
        total = total * shrink + tl.sum(weights, 1)
        best = better
    part = (row * tl.num_programs(1) + head) * tl.num_programs(2) + split
    to = part * GROUP + member
    tl.store(largest + to, best, mask=is_member)
    tl.store(sums + to, total, mask=is_member)
    tl.store(parts + to[:, None] * DIM + dim[None, :], summed, mask=is_member[:, None])


def attend_split(
    queries: Tensor, keys: Tensor, values: Tensor, slots: Tensor, positions: Tensor
) -> Tensor:
    """
    Attend with one token of each sequence; see ``attention.attend_fixed``, its twin.

    Args:
        queries: [B, Hq, D], D a power of two from 16 on.
        keys: [S, Hkv, T, D], one layer of the cache, of the queries' type.
        values: As ``keys``.
        slots: [B] int64.
        positions: [B] int64, the last position that each row reads.

    Returns:
        [B, Hq * D], of the queries' type.
    """
    num_rows, num_heads, dim = queries.shape
    num_kv_heads, max_tokens = keys.shape[1:3]
    group = num_heads // num_kv_heads
    num_splits = triton.cdiv(max_tokens, SPLIT)
    assert queries.stride(2) == keys.stride(3) == 1
    assert keys.stride() == values.stride()
    shape = (num_rows, num_kv_heads, num_splits, group)
    largest = torch.empty(shape, dtype=torch.float32, device=queries.device)
    sums = torch.empty_like(largest)
    parts = torch.empty((*shape, dim), dtype=torch.float32, device=queries.device)
    _attend_split[(num_rows, num_kv_heads, num_splits)](
        queries, keys, values, slots, positions, parts, largest, sums,
        dim**-0.5,
        queries.stride(0), queries.stride(1),
        keys.stride(0), keys.stride(1), keys.stride(2),
        GROUP=group, ROWS=max(MIN_ROWS, triton.next_power_of_2(group)), DIM=dim,
        SPLIT=SPLIT, BLOCK=BLOCK, NOTHING=NOTHING,
    )  # fmt: skip
    weights = torch.exp(largest - largest.amax(2, keepdim=True))
    total = (weights * sums).sum(2)
    attended = (weights[..., None] * parts).sum(2) / total[..., None]  # [B, Hkv, G, D]
    return attended.to(queries.dtype).flatten(1)
