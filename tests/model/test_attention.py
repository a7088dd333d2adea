import pytest
import torch
from torch import Tensor

from assistant.model.attention import (
    attend_batch,
    attend_fixed,
    attend_rows,
    attend_span,
    read_mask,
    read_places,
    span_mask,
)

HQ, HKV, D = 6, 2, 8


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def written_out(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """One query [Hq, D] over keys and values [Hkv, K, D], as the formula has it."""
    heads = []
    for head in range(HQ):
        shared = head // (HQ // HKV)
        scores = keys[shared] @ query[head] / D**0.5
        heads.append(scores.softmax(0) @ values[shared])
    return torch.cat(heads)


@pytest.mark.parametrize("start", [0, 1, 5])
def test_each_token_of_a_span_sees_the_past_and_itself(start: int) -> None:
    end = start + 4
    queries, keys, values = drawn(4, HQ, D), drawn(HKV, end, D), drawn(HKV, end, D)
    mask = span_mask(start, end, torch.device("cpu"))
    attended = attend_span(queries, keys, values, mask)
    for index in range(4):
        seen = start + index + 1
        alone = written_out(queries[index], keys[:, :seen], values[:, :seen])
        assert torch.allclose(attended[index], alone, atol=1e-4)


def test_rows_and_batch_agree_with_the_formula() -> None:
    keys, values = drawn(5, HKV, 12, D), drawn(5, HKV, 12, D)
    slots, counts = [3, 0, 4], [1, 12, 7]
    queries = drawn(3, HQ, D)
    rows = attend_rows(queries, keys, values, slots, counts)
    rows_read, positions = torch.tensor(slots), torch.tensor(counts) - 1
    places = read_places(keys, rows_read, positions, 12)
    batch = attend_batch(queries, keys, values, places, read_mask(positions, 12))
    fixed = attend_fixed(queries, keys, values, rows_read, positions)
    assert torch.equal(fixed, batch)
    for row, (slot, count) in enumerate(zip(slots, counts, strict=True)):
        alone = written_out(queries[row], keys[slot, :, :count], values[slot, :, :count])
        assert torch.allclose(rows[row], alone, atol=1e-4)
        assert torch.allclose(batch[row], alone, atol=1e-4)


@pytest.mark.parametrize("left", [torch.nan, torch.inf, -torch.inf])
def test_what_lies_behind_a_last_position_is_not_read(left: float) -> None:
    keys, values = drawn(5, HKV, 12, D), drawn(5, HKV, 12, D)
    slots, positions = torch.tensor([3, 0, 4]), torch.tensor([0, 11, 6])
    queries = drawn(3, HQ, D)

    def attended() -> list[Tensor]:
        places = read_places(keys, slots, positions, 12)
        mask = read_mask(positions, 12)
        counts = (positions + 1).tolist()
        return [
            attend_rows(queries, keys, values, slots.tolist(), counts),
            attend_batch(queries, keys, values, places, mask),
            attend_fixed(queries, keys, values, slots, positions),
        ]

    clean = attended()
    for cached in (keys, values):
        for slot, position in zip([3, 0, 4], [0, 11, 6], strict=True):
            cached[slot, :, position + 1 :] = left
        cached[[1, 2]] = left
    for found, wanted in zip(attended(), clean, strict=True):
        assert torch.equal(found, wanted)
